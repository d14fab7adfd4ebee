import datetime

from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.longrunning import operations_pb2 as _operations_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OperationMetadata(_message.Message):
    __slots__ = ("method", "cluster", "resource", "phase", "stage", "percent", "native_ids", "create_time", "update_time", "end_time", "request_id", "cancel_requested", "left_overs")
    class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PHASE_UNSPECIFIED: _ClassVar[OperationMetadata.Phase]
        PHASE_QUEUED: _ClassVar[OperationMetadata.Phase]
        PHASE_RUNNING: _ClassVar[OperationMetadata.Phase]
        PHASE_RECONCILING: _ClassVar[OperationMetadata.Phase]
        PHASE_STALLED: _ClassVar[OperationMetadata.Phase]
        PHASE_UNDOING: _ClassVar[OperationMetadata.Phase]
        PHASE_DONE: _ClassVar[OperationMetadata.Phase]
    PHASE_UNSPECIFIED: OperationMetadata.Phase
    PHASE_QUEUED: OperationMetadata.Phase
    PHASE_RUNNING: OperationMetadata.Phase
    PHASE_RECONCILING: OperationMetadata.Phase
    PHASE_STALLED: OperationMetadata.Phase
    PHASE_UNDOING: OperationMetadata.Phase
    PHASE_DONE: OperationMetadata.Phase
    class NativeIdsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    METHOD_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    NATIVE_IDS_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CANCEL_REQUESTED_FIELD_NUMBER: _ClassVar[int]
    LEFT_OVERS_FIELD_NUMBER: _ClassVar[int]
    method: str
    cluster: str
    resource: str
    phase: OperationMetadata.Phase
    stage: str
    percent: int
    native_ids: _containers.ScalarMap[str, str]
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    request_id: str
    cancel_requested: bool
    left_overs: _containers.RepeatedCompositeFieldContainer[LeftOver]
    def __init__(self, method: _Optional[str] = ..., cluster: _Optional[str] = ..., resource: _Optional[str] = ..., phase: _Optional[_Union[OperationMetadata.Phase, str]] = ..., stage: _Optional[str] = ..., percent: _Optional[int] = ..., native_ids: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_id: _Optional[str] = ..., cancel_requested: _Optional[bool] = ..., left_overs: _Optional[_Iterable[_Union[LeftOver, _Mapping]]] = ...) -> None: ...

class LeftOver(_message.Message):
    __slots__ = ("name", "reason", "removed")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    removed: bool
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ..., removed: _Optional[bool] = ...) -> None: ...

class WatchOperationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...
