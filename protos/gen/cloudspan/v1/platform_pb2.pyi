import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Platform(_message.Message):
    __slots__ = ("name", "display_name", "state", "instances", "clusters", "services")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Platform.State]
        STATE_READY: _ClassVar[Platform.State]
        STATE_UNAVAILABLE: _ClassVar[Platform.State]
        STATE_UNKNOWN: _ClassVar[Platform.State]
    STATE_UNSPECIFIED: Platform.State
    STATE_READY: Platform.State
    STATE_UNAVAILABLE: Platform.State
    STATE_UNKNOWN: Platform.State
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    INSTANCES_FIELD_NUMBER: _ClassVar[int]
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    state: Platform.State
    instances: _containers.RepeatedCompositeFieldContainer[AdapterInstance]
    clusters: _containers.RepeatedScalarFieldContainer[str]
    services: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[_Union[Platform.State, str]] = ..., instances: _Optional[_Iterable[_Union[AdapterInstance, _Mapping]]] = ..., clusters: _Optional[_Iterable[str]] = ..., services: _Optional[_Iterable[str]] = ...) -> None: ...

class AdapterInstance(_message.Message):
    __slots__ = ("id", "address", "state", "reason", "build", "contract_min", "contract_max", "in_flight", "describe_time")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[AdapterInstance.State]
        STATE_CONNECTING: _ClassVar[AdapterInstance.State]
        STATE_READY: _ClassVar[AdapterInstance.State]
        STATE_SUSPECT: _ClassVar[AdapterInstance.State]
        STATE_EJECTED: _ClassVar[AdapterInstance.State]
        STATE_DRAINING: _ClassVar[AdapterInstance.State]
        STATE_QUARANTINED: _ClassVar[AdapterInstance.State]
        STATE_UNKNOWN: _ClassVar[AdapterInstance.State]
    STATE_UNSPECIFIED: AdapterInstance.State
    STATE_CONNECTING: AdapterInstance.State
    STATE_READY: AdapterInstance.State
    STATE_SUSPECT: AdapterInstance.State
    STATE_EJECTED: AdapterInstance.State
    STATE_DRAINING: AdapterInstance.State
    STATE_QUARANTINED: AdapterInstance.State
    STATE_UNKNOWN: AdapterInstance.State
    ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_MIN_FIELD_NUMBER: _ClassVar[int]
    CONTRACT_MAX_FIELD_NUMBER: _ClassVar[int]
    IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    DESCRIBE_TIME_FIELD_NUMBER: _ClassVar[int]
    id: str
    address: str
    state: AdapterInstance.State
    reason: str
    build: str
    contract_min: int
    contract_max: int
    in_flight: int
    describe_time: _timestamp_pb2.Timestamp
    def __init__(self, id: _Optional[str] = ..., address: _Optional[str] = ..., state: _Optional[_Union[AdapterInstance.State, str]] = ..., reason: _Optional[str] = ..., build: _Optional[str] = ..., contract_min: _Optional[int] = ..., contract_max: _Optional[int] = ..., in_flight: _Optional[int] = ..., describe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetPlatformRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class ListPlatformsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListPlatformsResponse(_message.Message):
    __slots__ = ("platforms", "next_page_token")
    PLATFORMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    platforms: _containers.RepeatedCompositeFieldContainer[Platform]
    next_page_token: str
    def __init__(self, platforms: _Optional[_Iterable[_Union[Platform, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
