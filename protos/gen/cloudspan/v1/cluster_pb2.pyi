import datetime

from google.api import annotations_pb2 as _annotations_pb2
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.api import routing_pb2 as _routing_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClusterView(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLUSTER_VIEW_UNSPECIFIED: _ClassVar[ClusterView]
    CLUSTER_VIEW_BASIC: _ClassVar[ClusterView]
    CLUSTER_VIEW_FULL: _ClassVar[ClusterView]
CLUSTER_VIEW_UNSPECIFIED: ClusterView
CLUSTER_VIEW_BASIC: ClusterView
CLUSTER_VIEW_FULL: ClusterView

class Cluster(_message.Message):
    __slots__ = ("name", "display_name", "endpoint", "region", "project", "state", "message", "native_version", "token", "capabilities", "disabled", "read_only", "zones", "labels", "native_api_versions")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Cluster.State]
        STATE_CONNECTING: _ClassVar[Cluster.State]
        STATE_READY: _ClassVar[Cluster.State]
        STATE_LOGIN_REFUSED: _ClassVar[Cluster.State]
        STATE_UNREACHABLE: _ClassVar[Cluster.State]
        STATE_UNKNOWN: _ClassVar[Cluster.State]
    STATE_UNSPECIFIED: Cluster.State
    STATE_CONNECTING: Cluster.State
    STATE_READY: Cluster.State
    STATE_LOGIN_REFUSED: Cluster.State
    STATE_UNREACHABLE: Cluster.State
    STATE_UNKNOWN: Cluster.State
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class NativeApiVersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    NATIVE_VERSION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    DISABLED_FIELD_NUMBER: _ClassVar[int]
    READ_ONLY_FIELD_NUMBER: _ClassVar[int]
    ZONES_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    NATIVE_API_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    endpoint: str
    region: str
    project: str
    state: Cluster.State
    message: str
    native_version: str
    token: TokenState
    capabilities: _containers.RepeatedCompositeFieldContainer[MethodCapability]
    disabled: bool
    read_only: bool
    zones: _containers.RepeatedScalarFieldContainer[str]
    labels: _containers.ScalarMap[str, str]
    native_api_versions: _containers.ScalarMap[str, str]
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., endpoint: _Optional[str] = ..., region: _Optional[str] = ..., project: _Optional[str] = ..., state: _Optional[_Union[Cluster.State, str]] = ..., message: _Optional[str] = ..., native_version: _Optional[str] = ..., token: _Optional[_Union[TokenState, _Mapping]] = ..., capabilities: _Optional[_Iterable[_Union[MethodCapability, _Mapping]]] = ..., disabled: _Optional[bool] = ..., read_only: _Optional[bool] = ..., zones: _Optional[_Iterable[str]] = ..., labels: _Optional[_Mapping[str, str]] = ..., native_api_versions: _Optional[_Mapping[str, str]] = ...) -> None: ...

class TokenState(_message.Message):
    __slots__ = ("age", "expire_time", "logins", "renewals", "failures", "last_error", "retry_time", "clock_skew")
    AGE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    LOGINS_FIELD_NUMBER: _ClassVar[int]
    RENEWALS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    RETRY_TIME_FIELD_NUMBER: _ClassVar[int]
    CLOCK_SKEW_FIELD_NUMBER: _ClassVar[int]
    age: _duration_pb2.Duration
    expire_time: _timestamp_pb2.Timestamp
    logins: int
    renewals: int
    failures: int
    last_error: str
    retry_time: _timestamp_pb2.Timestamp
    clock_skew: _duration_pb2.Duration
    def __init__(self, age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., logins: _Optional[int] = ..., renewals: _Optional[int] = ..., failures: _Optional[int] = ..., last_error: _Optional[str] = ..., retry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., clock_skew: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class MethodCapability(_message.Message):
    __slots__ = ("method", "level", "reason", "fields", "create_safety", "options_schema", "sortable_fields")
    class Level(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        LEVEL_UNSPECIFIED: _ClassVar[MethodCapability.Level]
        LEVEL_NATIVE: _ClassVar[MethodCapability.Level]
        LEVEL_EMULATED: _ClassVar[MethodCapability.Level]
        LEVEL_ABSENT: _ClassVar[MethodCapability.Level]
    LEVEL_UNSPECIFIED: MethodCapability.Level
    LEVEL_NATIVE: MethodCapability.Level
    LEVEL_EMULATED: MethodCapability.Level
    LEVEL_ABSENT: MethodCapability.Level
    class CreateSafety(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CREATE_SAFETY_UNSPECIFIED: _ClassVar[MethodCapability.CreateSafety]
        CREATE_SAFETY_NATIVE: _ClassVar[MethodCapability.CreateSafety]
        CREATE_SAFETY_MARKER: _ClassVar[MethodCapability.CreateSafety]
        CREATE_SAFETY_NONE: _ClassVar[MethodCapability.CreateSafety]
    CREATE_SAFETY_UNSPECIFIED: MethodCapability.CreateSafety
    CREATE_SAFETY_NATIVE: MethodCapability.CreateSafety
    CREATE_SAFETY_MARKER: MethodCapability.CreateSafety
    CREATE_SAFETY_NONE: MethodCapability.CreateSafety
    class Field(_message.Message):
        __slots__ = ("path", "level", "reason")
        PATH_FIELD_NUMBER: _ClassVar[int]
        LEVEL_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        path: str
        level: MethodCapability.Level
        reason: str
        def __init__(self, path: _Optional[str] = ..., level: _Optional[_Union[MethodCapability.Level, str]] = ..., reason: _Optional[str] = ...) -> None: ...
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FIELDS_FIELD_NUMBER: _ClassVar[int]
    CREATE_SAFETY_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    SORTABLE_FIELDS_FIELD_NUMBER: _ClassVar[int]
    method: str
    level: MethodCapability.Level
    reason: str
    fields: _containers.RepeatedCompositeFieldContainer[MethodCapability.Field]
    create_safety: MethodCapability.CreateSafety
    options_schema: _struct_pb2.Struct
    sortable_fields: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, method: _Optional[str] = ..., level: _Optional[_Union[MethodCapability.Level, str]] = ..., reason: _Optional[str] = ..., fields: _Optional[_Iterable[_Union[MethodCapability.Field, _Mapping]]] = ..., create_safety: _Optional[_Union[MethodCapability.CreateSafety, str]] = ..., options_schema: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., sortable_fields: _Optional[_Iterable[str]] = ...) -> None: ...

class GetClusterRequest(_message.Message):
    __slots__ = ("name", "view")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    name: str
    view: ClusterView
    def __init__(self, name: _Optional[str] = ..., view: _Optional[_Union[ClusterView, str]] = ...) -> None: ...

class ListClustersRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token", "view")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    view: ClusterView
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., view: _Optional[_Union[ClusterView, str]] = ...) -> None: ...

class ListClustersResponse(_message.Message):
    __slots__ = ("clusters", "next_page_token")
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    clusters: _containers.RepeatedCompositeFieldContainer[Cluster]
    next_page_token: str
    def __init__(self, clusters: _Optional[_Iterable[_Union[Cluster, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetCapabilitiesRequest(_message.Message):
    __slots__ = ("name", "method")
    NAME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    name: str
    method: str
    def __init__(self, name: _Optional[str] = ..., method: _Optional[str] = ...) -> None: ...

class GetCapabilitiesResponse(_message.Message):
    __slots__ = ("capabilities",)
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    capabilities: _containers.RepeatedCompositeFieldContainer[MethodCapability]
    def __init__(self, capabilities: _Optional[_Iterable[_Union[MethodCapability, _Mapping]]] = ...) -> None: ...

class CheckClusterRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class CheckClusterResponse(_message.Message):
    __slots__ = ("ok", "stages")
    class Stage(_message.Message):
        __slots__ = ("kind", "ok", "took", "message", "reason")
        class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            KIND_UNSPECIFIED: _ClassVar[CheckClusterResponse.Stage.Kind]
            KIND_DNS: _ClassVar[CheckClusterResponse.Stage.Kind]
            KIND_CONNECT: _ClassVar[CheckClusterResponse.Stage.Kind]
            KIND_TLS: _ClassVar[CheckClusterResponse.Stage.Kind]
            KIND_LOGIN: _ClassVar[CheckClusterResponse.Stage.Kind]
            KIND_CATALOGUE: _ClassVar[CheckClusterResponse.Stage.Kind]
            KIND_PERMISSIONS: _ClassVar[CheckClusterResponse.Stage.Kind]
            KIND_CLOCK: _ClassVar[CheckClusterResponse.Stage.Kind]
            KIND_OTHER: _ClassVar[CheckClusterResponse.Stage.Kind]
        KIND_UNSPECIFIED: CheckClusterResponse.Stage.Kind
        KIND_DNS: CheckClusterResponse.Stage.Kind
        KIND_CONNECT: CheckClusterResponse.Stage.Kind
        KIND_TLS: CheckClusterResponse.Stage.Kind
        KIND_LOGIN: CheckClusterResponse.Stage.Kind
        KIND_CATALOGUE: CheckClusterResponse.Stage.Kind
        KIND_PERMISSIONS: CheckClusterResponse.Stage.Kind
        KIND_CLOCK: CheckClusterResponse.Stage.Kind
        KIND_OTHER: CheckClusterResponse.Stage.Kind
        KIND_FIELD_NUMBER: _ClassVar[int]
        OK_FIELD_NUMBER: _ClassVar[int]
        TOOK_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        REASON_FIELD_NUMBER: _ClassVar[int]
        kind: CheckClusterResponse.Stage.Kind
        ok: bool
        took: _duration_pb2.Duration
        message: str
        reason: str
        def __init__(self, kind: _Optional[_Union[CheckClusterResponse.Stage.Kind, str]] = ..., ok: _Optional[bool] = ..., took: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., message: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
    OK_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    ok: bool
    stages: _containers.RepeatedCompositeFieldContainer[CheckClusterResponse.Stage]
    def __init__(self, ok: _Optional[bool] = ..., stages: _Optional[_Iterable[_Union[CheckClusterResponse.Stage, _Mapping]]] = ...) -> None: ...
