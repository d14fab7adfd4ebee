import datetime

from cloudspan.v1 import annotations_pb2 as _annotations_pb2
from google.api import annotations_pb2 as _annotations_pb2_1
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.longrunning import operations_pb2 as _operations_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OperationMetadata(_message.Message):
    __slots__ = ("method", "cluster", "resource", "phase", "stage", "percent", "native_ids", "create_time", "update_time", "end_time", "request_id", "cancel_requested", "left_overs", "contact_time", "deadline_time", "waits_for", "preempted_by", "cancel_outcome", "caller", "tenant", "error_summary", "estimated_end_time", "outcome")
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
    class CancelOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CANCEL_OUTCOME_UNSPECIFIED: _ClassVar[OperationMetadata.CancelOutcome]
        CANCEL_OUTCOME_UNDONE: _ClassVar[OperationMetadata.CancelOutcome]
        CANCEL_OUTCOME_TOO_LATE: _ClassVar[OperationMetadata.CancelOutcome]
        CANCEL_OUTCOME_LEFT_BEHIND: _ClassVar[OperationMetadata.CancelOutcome]
        CANCEL_OUTCOME_FAILED: _ClassVar[OperationMetadata.CancelOutcome]
    CANCEL_OUTCOME_UNSPECIFIED: OperationMetadata.CancelOutcome
    CANCEL_OUTCOME_UNDONE: OperationMetadata.CancelOutcome
    CANCEL_OUTCOME_TOO_LATE: OperationMetadata.CancelOutcome
    CANCEL_OUTCOME_LEFT_BEHIND: OperationMetadata.CancelOutcome
    CANCEL_OUTCOME_FAILED: OperationMetadata.CancelOutcome
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
    CONTACT_TIME_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_TIME_FIELD_NUMBER: _ClassVar[int]
    WAITS_FOR_FIELD_NUMBER: _ClassVar[int]
    PREEMPTED_BY_FIELD_NUMBER: _ClassVar[int]
    CANCEL_OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    TENANT_FIELD_NUMBER: _ClassVar[int]
    ERROR_SUMMARY_FIELD_NUMBER: _ClassVar[int]
    ESTIMATED_END_TIME_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
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
    contact_time: _timestamp_pb2.Timestamp
    deadline_time: _timestamp_pb2.Timestamp
    waits_for: str
    preempted_by: str
    cancel_outcome: OperationMetadata.CancelOutcome
    caller: str
    tenant: str
    error_summary: ErrorSummary
    estimated_end_time: _timestamp_pb2.Timestamp
    outcome: str
    def __init__(self, method: _Optional[str] = ..., cluster: _Optional[str] = ..., resource: _Optional[str] = ..., phase: _Optional[_Union[OperationMetadata.Phase, str]] = ..., stage: _Optional[str] = ..., percent: _Optional[int] = ..., native_ids: _Optional[_Mapping[str, str]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., request_id: _Optional[str] = ..., cancel_requested: _Optional[bool] = ..., left_overs: _Optional[_Iterable[_Union[LeftOver, _Mapping]]] = ..., contact_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., deadline_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., waits_for: _Optional[str] = ..., preempted_by: _Optional[str] = ..., cancel_outcome: _Optional[_Union[OperationMetadata.CancelOutcome, str]] = ..., caller: _Optional[str] = ..., tenant: _Optional[str] = ..., error_summary: _Optional[_Union[ErrorSummary, _Mapping]] = ..., estimated_end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., outcome: _Optional[str] = ...) -> None: ...

class ErrorSummary(_message.Message):
    __slots__ = ("code", "reason", "message", "create_time")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    code: str
    reason: str
    message: str
    create_time: _timestamp_pb2.Timestamp
    def __init__(self, code: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

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

class ExplainOperationRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class AbandonOperationRequest(_message.Message):
    __slots__ = ("name", "reason")
    NAME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    reason: str
    def __init__(self, name: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class OperationExplanation(_message.Message):
    __slots__ = ("name", "metadata", "stages", "skipped")
    class Stage(_message.Message):
        __slots__ = ("stage", "steps", "failures", "first_time", "last_time", "instance", "error", "calls")
        STAGE_FIELD_NUMBER: _ClassVar[int]
        STEPS_FIELD_NUMBER: _ClassVar[int]
        FAILURES_FIELD_NUMBER: _ClassVar[int]
        FIRST_TIME_FIELD_NUMBER: _ClassVar[int]
        LAST_TIME_FIELD_NUMBER: _ClassVar[int]
        INSTANCE_FIELD_NUMBER: _ClassVar[int]
        ERROR_FIELD_NUMBER: _ClassVar[int]
        CALLS_FIELD_NUMBER: _ClassVar[int]
        stage: str
        steps: int
        failures: int
        first_time: _timestamp_pb2.Timestamp
        last_time: _timestamp_pb2.Timestamp
        instance: str
        error: str
        calls: _containers.RepeatedCompositeFieldContainer[NativeCall]
        def __init__(self, stage: _Optional[str] = ..., steps: _Optional[int] = ..., failures: _Optional[int] = ..., first_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., instance: _Optional[str] = ..., error: _Optional[str] = ..., calls: _Optional[_Iterable[_Union[NativeCall, _Mapping]]] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    SKIPPED_FIELD_NUMBER: _ClassVar[int]
    name: str
    metadata: OperationMetadata
    stages: _containers.RepeatedCompositeFieldContainer[OperationExplanation.Stage]
    skipped: int
    def __init__(self, name: _Optional[str] = ..., metadata: _Optional[_Union[OperationMetadata, _Mapping]] = ..., stages: _Optional[_Iterable[_Union[OperationExplanation.Stage, _Mapping]]] = ..., skipped: _Optional[int] = ...) -> None: ...

class NativeCall(_message.Message):
    __slots__ = ("service", "method", "template", "status", "native_request_id", "count", "retries", "took", "waited", "error")
    SERVICE_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    TEMPLATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    NATIVE_REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    RETRIES_FIELD_NUMBER: _ClassVar[int]
    TOOK_FIELD_NUMBER: _ClassVar[int]
    WAITED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    service: str
    method: str
    template: str
    status: int
    native_request_id: str
    count: int
    retries: int
    took: _duration_pb2.Duration
    waited: _duration_pb2.Duration
    error: str
    def __init__(self, service: _Optional[str] = ..., method: _Optional[str] = ..., template: _Optional[str] = ..., status: _Optional[int] = ..., native_request_id: _Optional[str] = ..., count: _Optional[int] = ..., retries: _Optional[int] = ..., took: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., waited: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., error: _Optional[str] = ...) -> None: ...
