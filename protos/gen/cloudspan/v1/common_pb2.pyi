import datetime

from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ResourceView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESOURCE_VIEW_UNSPECIFIED: _ClassVar[ResourceView]
    RESOURCE_VIEW_BASIC: _ClassVar[ResourceView]
    RESOURCE_VIEW_FULL: _ClassVar[ResourceView]

class IpVersion(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IP_VERSION_UNSPECIFIED: _ClassVar[IpVersion]
    IP_VERSION_IPV4: _ClassVar[IpVersion]
    IP_VERSION_IPV6: _ClassVar[IpVersion]
    IP_VERSION_UNKNOWN: _ClassVar[IpVersion]
RESOURCE_VIEW_UNSPECIFIED: ResourceView
RESOURCE_VIEW_BASIC: ResourceView
RESOURCE_VIEW_FULL: ResourceView
IP_VERSION_UNSPECIFIED: IpVersion
IP_VERSION_IPV4: IpVersion
IP_VERSION_IPV6: IpVersion
IP_VERSION_UNKNOWN: IpVersion

class ClusterStatus(_message.Message):
    __slots__ = ("cluster", "state", "reason", "message", "source", "observe_time", "age", "took")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[ClusterStatus.State]
        STATE_OK: _ClassVar[ClusterStatus.State]
        STATE_PARTIAL: _ClassVar[ClusterStatus.State]
        STATE_UNREACHABLE: _ClassVar[ClusterStatus.State]
        STATE_UNSUPPORTED: _ClassVar[ClusterStatus.State]
        STATE_UNKNOWN: _ClassVar[ClusterStatus.State]
    STATE_UNSPECIFIED: ClusterStatus.State
    STATE_OK: ClusterStatus.State
    STATE_PARTIAL: ClusterStatus.State
    STATE_UNREACHABLE: ClusterStatus.State
    STATE_UNSUPPORTED: ClusterStatus.State
    STATE_UNKNOWN: ClusterStatus.State
    class Source(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOURCE_UNSPECIFIED: _ClassVar[ClusterStatus.Source]
        SOURCE_LIVE: _ClassVar[ClusterStatus.Source]
        SOURCE_INVENTORY: _ClassVar[ClusterStatus.Source]
    SOURCE_UNSPECIFIED: ClusterStatus.Source
    SOURCE_LIVE: ClusterStatus.Source
    SOURCE_INVENTORY: ClusterStatus.Source
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    TOOK_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    state: ClusterStatus.State
    reason: str
    message: str
    source: ClusterStatus.Source
    observe_time: _timestamp_pb2.Timestamp
    age: _duration_pb2.Duration
    took: _duration_pb2.Duration
    def __init__(self, cluster: _Optional[str] = ..., state: _Optional[_Union[ClusterStatus.State, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., source: _Optional[_Union[ClusterStatus.Source, str]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., took: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Fault(_message.Message):
    __slots__ = ("code", "message", "details", "create_time")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    details: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ..., details: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
