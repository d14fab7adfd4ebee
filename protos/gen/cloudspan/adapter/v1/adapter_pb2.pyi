from cloudspan.v1 import cluster_pb2 as _cluster_pb2
from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class DescribeResponse(_message.Message):
    __slots__ = ("platform", "display_name", "build", "contract_min", "contract_max", "clusters", "cluster_digests", "services", "descriptors", "context_key")
    class ClusterDigestsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PLATFORM_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_MIN_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_MAX_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_DIGESTS_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTORS_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_KEY_FIELD_NUMBER: _ClassVar[int]
    platform: str
    display_name: str
    build: str
    contract_min: int
    contract_max: int
    clusters: _containers.RepeatedCompositeFieldContainer[_cluster_pb2.Cluster]
    cluster_digests: _containers.ScalarMap[str, str]
    services: _containers.RepeatedScalarFieldContainer[str]
    descriptors: _descriptor_pb2.FileDescriptorSet
    context_key: bytes
    def __init__(self, platform: _Optional[str] = ..., display_name: _Optional[str] = ..., build: _Optional[str] = ..., contract_min: _Optional[int] = ..., contract_max: _Optional[int] = ..., clusters: _Optional[_Iterable[_Union[_cluster_pb2.Cluster, _Mapping]]] = ..., cluster_digests: _Optional[_Mapping[str, str]] = ..., services: _Optional[_Iterable[str]] = ..., descriptors: _Optional[_Union[_descriptor_pb2.FileDescriptorSet, _Mapping]] = ..., context_key: _Optional[bytes] = ...) -> None: ...
