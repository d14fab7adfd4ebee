import datetime

from cloudspan.v1 import common_pb2 as _common_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.api import routing_pb2 as _routing_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Quota(_message.Message):
    __slots__ = ("name", "display_name", "project", "observe_time", "native", "items", "etag")
    class Metric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        METRIC_UNSPECIFIED: _ClassVar[Quota.Metric]
        METRIC_SERVERS: _ClassVar[Quota.Metric]
        METRIC_VCPUS: _ClassVar[Quota.Metric]
        METRIC_MEMORY_MIB: _ClassVar[Quota.Metric]
        METRIC_VOLUMES: _ClassVar[Quota.Metric]
        METRIC_VOLUME_BYTES: _ClassVar[Quota.Metric]
        METRIC_SNAPSHOTS: _ClassVar[Quota.Metric]
        METRIC_BACKUPS: _ClassVar[Quota.Metric]
        METRIC_BACKUP_BYTES: _ClassVar[Quota.Metric]
        METRIC_IMAGES: _ClassVar[Quota.Metric]
        METRIC_IMAGE_BYTES: _ClassVar[Quota.Metric]
        METRIC_NETWORKS: _ClassVar[Quota.Metric]
        METRIC_SUBNETS: _ClassVar[Quota.Metric]
        METRIC_PORTS: _ClassVar[Quota.Metric]
        METRIC_ROUTERS: _ClassVar[Quota.Metric]
        METRIC_FLOATING_IPS: _ClassVar[Quota.Metric]
        METRIC_SECURITY_GROUPS: _ClassVar[Quota.Metric]
        METRIC_SECURITY_GROUP_RULES: _ClassVar[Quota.Metric]
        METRIC_KEY_PAIRS: _ClassVar[Quota.Metric]
        METRIC_SERVER_GROUPS: _ClassVar[Quota.Metric]
        METRIC_LOAD_BALANCERS: _ClassVar[Quota.Metric]
        METRIC_LISTENERS: _ClassVar[Quota.Metric]
        METRIC_UNKNOWN: _ClassVar[Quota.Metric]
    METRIC_UNSPECIFIED: Quota.Metric
    METRIC_SERVERS: Quota.Metric
    METRIC_VCPUS: Quota.Metric
    METRIC_MEMORY_MIB: Quota.Metric
    METRIC_VOLUMES: Quota.Metric
    METRIC_VOLUME_BYTES: Quota.Metric
    METRIC_SNAPSHOTS: Quota.Metric
    METRIC_BACKUPS: Quota.Metric
    METRIC_BACKUP_BYTES: Quota.Metric
    METRIC_IMAGES: Quota.Metric
    METRIC_IMAGE_BYTES: Quota.Metric
    METRIC_NETWORKS: Quota.Metric
    METRIC_SUBNETS: Quota.Metric
    METRIC_PORTS: Quota.Metric
    METRIC_ROUTERS: Quota.Metric
    METRIC_FLOATING_IPS: Quota.Metric
    METRIC_SECURITY_GROUPS: Quota.Metric
    METRIC_SECURITY_GROUP_RULES: Quota.Metric
    METRIC_KEY_PAIRS: Quota.Metric
    METRIC_SERVER_GROUPS: Quota.Metric
    METRIC_LOAD_BALANCERS: Quota.Metric
    METRIC_LISTENERS: Quota.Metric
    METRIC_UNKNOWN: Quota.Metric
    class Item(_message.Message):
        __slots__ = ("metric", "limit", "used", "reserved", "native_metric")
        METRIC_FIELD_NUMBER: _ClassVar[int]
        LIMIT_FIELD_NUMBER: _ClassVar[int]
        USED_FIELD_NUMBER: _ClassVar[int]
        RESERVED_FIELD_NUMBER: _ClassVar[int]
        NATIVE_METRIC_FIELD_NUMBER: _ClassVar[int]
        metric: Quota.Metric
        limit: int
        used: int
        reserved: int
        native_metric: str
        def __init__(self, metric: _Optional[_Union[Quota.Metric, str]] = ..., limit: _Optional[int] = ..., used: _Optional[int] = ..., reserved: _Optional[int] = ..., native_metric: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    NATIVE_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    project: str
    observe_time: _timestamp_pb2.Timestamp
    native: _struct_pb2.Struct
    items: _containers.RepeatedCompositeFieldContainer[Quota.Item]
    etag: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., project: _Optional[str] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., native: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., items: _Optional[_Iterable[_Union[Quota.Item, _Mapping]]] = ..., etag: _Optional[str] = ...) -> None: ...

class GetQuotaRequest(_message.Message):
    __slots__ = ("name", "view", "read_mask", "max_staleness", "stale_ok")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    STALE_OK_FIELD_NUMBER: _ClassVar[int]
    name: str
    view: _common_pb2.ResourceView
    read_mask: _field_mask_pb2.FieldMask
    max_staleness: _duration_pb2.Duration
    stale_ok: bool
    def __init__(self, name: _Optional[str] = ..., view: _Optional[_Union[_common_pb2.ResourceView, str]] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., stale_ok: _Optional[bool] = ...) -> None: ...

class ListQuotasRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "filter", "order_by", "view", "read_mask", "max_staleness", "stale_ok")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    READ_MASK_FIELD_NUMBER: _ClassVar[int]
    MAX_STALENESS_FIELD_NUMBER: _ClassVar[int]
    STALE_OK_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    filter: str
    order_by: str
    view: _common_pb2.ResourceView
    read_mask: _field_mask_pb2.FieldMask
    max_staleness: _duration_pb2.Duration
    stale_ok: bool
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ..., view: _Optional[_Union[_common_pb2.ResourceView, str]] = ..., read_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., max_staleness: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., stale_ok: _Optional[bool] = ...) -> None: ...

class ListQuotasResponse(_message.Message):
    __slots__ = ("quotas", "next_page_token", "unreachable", "cluster_status")
    QUOTAS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    UNREACHABLE_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_STATUS_FIELD_NUMBER: _ClassVar[int]
    quotas: _containers.RepeatedCompositeFieldContainer[Quota]
    next_page_token: str
    unreachable: _containers.RepeatedScalarFieldContainer[str]
    cluster_status: _containers.RepeatedCompositeFieldContainer[_common_pb2.ClusterStatus]
    def __init__(self, quotas: _Optional[_Iterable[_Union[Quota, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., unreachable: _Optional[_Iterable[str]] = ..., cluster_status: _Optional[_Iterable[_Union[_common_pb2.ClusterStatus, _Mapping]]] = ...) -> None: ...
