import datetime

from cloudspan.v1 import operation_pb2 as _operation_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StepRequest(_message.Message):
    __slots__ = ("operation_id", "attempt", "method", "request", "cursor", "undo", "installation", "validate_only")
    OPERATION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    UNDO_FIELD_NUMBER: _ClassVar[int]
    INSTALLATION_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    operation_id: str
    attempt: int
    method: str
    request: bytes
    cursor: bytes
    undo: bool
    installation: str
    validate_only: bool
    def __init__(self, operation_id: _Optional[str] = ..., attempt: _Optional[int] = ..., method: _Optional[str] = ..., request: _Optional[bytes] = ..., cursor: _Optional[bytes] = ..., undo: _Optional[bool] = ..., installation: _Optional[str] = ..., validate_only: _Optional[bool] = ...) -> None: ...

class StepResponse(_message.Message):
    __slots__ = ("cursor", "stage", "percent", "phase", "retry_after", "native_ids", "resource", "done", "response", "error", "left_overs", "calls", "transit")
    class NativeIdsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    NATIVE_IDS_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    LEFT_OVERS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    TRANSIT_FIELD_NUMBER: _ClassVar[int]
    cursor: bytes
    stage: str
    percent: int
    phase: _operation_pb2.OperationMetadata.Phase
    retry_after: _duration_pb2.Duration
    native_ids: _containers.ScalarMap[str, str]
    resource: str
    done: bool
    response: _any_pb2.Any
    error: _status_pb2.Status
    left_overs: _containers.RepeatedCompositeFieldContainer[_operation_pb2.LeftOver]
    calls: _containers.RepeatedCompositeFieldContainer[_operation_pb2.NativeCall]
    transit: Transit
    def __init__(self, cursor: _Optional[bytes] = ..., stage: _Optional[str] = ..., percent: _Optional[int] = ..., phase: _Optional[_Union[_operation_pb2.OperationMetadata.Phase, str]] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., native_ids: _Optional[_Mapping[str, str]] = ..., resource: _Optional[str] = ..., done: _Optional[bool] = ..., response: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., left_overs: _Optional[_Iterable[_Union[_operation_pb2.LeftOver, _Mapping]]] = ..., calls: _Optional[_Iterable[_Union[_operation_pb2.NativeCall, _Mapping]]] = ..., transit: _Optional[_Union[Transit, _Mapping]] = ...) -> None: ...

class Transit(_message.Message):
    __slots__ = ("collection", "native_id")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    NATIVE_ID_FIELD_NUMBER: _ClassVar[int]
    collection: str
    native_id: str
    def __init__(self, collection: _Optional[str] = ..., native_id: _Optional[str] = ...) -> None: ...

class ObserveRequest(_message.Message):
    __slots__ = ("cluster", "collection", "native_ids")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    NATIVE_IDS_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    collection: str
    native_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, cluster: _Optional[str] = ..., collection: _Optional[str] = ..., native_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ObserveResponse(_message.Message):
    __slots__ = ("in_transit", "calls")
    IN_TRANSIT_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    in_transit: _containers.RepeatedScalarFieldContainer[str]
    calls: _containers.RepeatedCompositeFieldContainer[_operation_pb2.NativeCall]
    def __init__(self, in_transit: _Optional[_Iterable[str]] = ..., calls: _Optional[_Iterable[_Union[_operation_pb2.NativeCall, _Mapping]]] = ...) -> None: ...

class ListMarkedRequest(_message.Message):
    __slots__ = ("cluster", "installation")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    INSTALLATION_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    installation: str
    def __init__(self, cluster: _Optional[str] = ..., installation: _Optional[str] = ...) -> None: ...

class ListMarkedResponse(_message.Message):
    __slots__ = ("marked", "incomplete")
    MARKED_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    marked: _containers.RepeatedCompositeFieldContainer[Marked]
    incomplete: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, marked: _Optional[_Iterable[_Union[Marked, _Mapping]]] = ..., incomplete: _Optional[_Iterable[str]] = ...) -> None: ...

class Marked(_message.Message):
    __slots__ = ("name", "display_name", "marker", "create_time")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    marker: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., marker: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class RemoveMarkedRequest(_message.Message):
    __slots__ = ("name", "marker")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    name: str
    marker: str
    def __init__(self, name: _Optional[str] = ..., marker: _Optional[str] = ...) -> None: ...

class RemoveMarkedResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Cursor(_message.Message):
    __slots__ = ("version", "steps", "failure", "left_overs")
    class Step(_message.Message):
        __slots__ = ("name", "state", "native_id", "result", "settled", "last_look", "generation")
        class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            STATE_UNSPECIFIED: _ClassVar[Cursor.Step.State]
            STATE_SENT: _ClassVar[Cursor.Step.State]
            STATE_RECONCILING: _ClassVar[Cursor.Step.State]
            STATE_DONE: _ClassVar[Cursor.Step.State]
            STATE_UNDONE: _ClassVar[Cursor.Step.State]
            STATE_STUCK: _ClassVar[Cursor.Step.State]
        STATE_UNSPECIFIED: Cursor.Step.State
        STATE_SENT: Cursor.Step.State
        STATE_RECONCILING: Cursor.Step.State
        STATE_DONE: Cursor.Step.State
        STATE_UNDONE: Cursor.Step.State
        STATE_STUCK: Cursor.Step.State
        NAME_FIELD_NUMBER: _ClassVar[int]
        STATE_FIELD_NUMBER: _ClassVar[int]
        NATIVE_ID_FIELD_NUMBER: _ClassVar[int]
        RESULT_FIELD_NUMBER: _ClassVar[int]
        SETTLED_FIELD_NUMBER: _ClassVar[int]
        LAST_LOOK_FIELD_NUMBER: _ClassVar[int]
        GENERATION_FIELD_NUMBER: _ClassVar[int]
        name: str
        state: Cursor.Step.State
        native_id: str
        result: _struct_pb2.Struct
        settled: _duration_pb2.Duration
        last_look: float
        generation: int
        def __init__(self, name: _Optional[str] = ..., state: _Optional[_Union[Cursor.Step.State, str]] = ..., native_id: _Optional[str] = ..., result: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., settled: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., last_look: _Optional[float] = ..., generation: _Optional[int] = ...) -> None: ...
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    LEFT_OVERS_FIELD_NUMBER: _ClassVar[int]
    version: int
    steps: _containers.RepeatedCompositeFieldContainer[Cursor.Step]
    failure: _status_pb2.Status
    left_overs: _containers.RepeatedCompositeFieldContainer[_operation_pb2.LeftOver]
    def __init__(self, version: _Optional[int] = ..., steps: _Optional[_Iterable[_Union[Cursor.Step, _Mapping]]] = ..., failure: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., left_overs: _Optional[_Iterable[_Union[_operation_pb2.LeftOver, _Mapping]]] = ...) -> None: ...
