import datetime

from cloudspan.v1 import annotations_pb2 as _annotations_pb2
from google.api import annotations_pb2 as _annotations_pb2_1
from google.api import client_pb2 as _client_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import resource_pb2 as _resource_pb2
from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StoredResource(_message.Message):
    __slots__ = ("name", "collection", "cluster", "display_name", "state", "project", "zone", "flavor", "labels", "addresses", "vcpus", "memory_bytes", "disk_bytes", "create_time", "observe_time", "resource")
    class LabelsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    FLAVOR_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    VCPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_FIELD_NUMBER: _ClassVar[int]
    name: str
    collection: str
    cluster: str
    display_name: str
    state: str
    project: str
    zone: str
    flavor: str
    labels: _containers.ScalarMap[str, str]
    addresses: _containers.RepeatedScalarFieldContainer[str]
    vcpus: int
    memory_bytes: int
    disk_bytes: int
    create_time: _timestamp_pb2.Timestamp
    observe_time: _timestamp_pb2.Timestamp
    resource: _any_pb2.Any
    def __init__(self, name: _Optional[str] = ..., collection: _Optional[str] = ..., cluster: _Optional[str] = ..., display_name: _Optional[str] = ..., state: _Optional[str] = ..., project: _Optional[str] = ..., zone: _Optional[str] = ..., flavor: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., addresses: _Optional[_Iterable[str]] = ..., vcpus: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., disk_bytes: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., resource: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...

class SyncState(_message.Message):
    __slots__ = ("cluster", "collection", "completeness", "reason", "message", "rows", "observe_time", "attempt_time", "next_time", "took", "interval", "brake", "owner", "project")
    class Completeness(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        COMPLETENESS_UNSPECIFIED: _ClassVar[SyncState.Completeness]
        COMPLETENESS_COMPLETE: _ClassVar[SyncState.Completeness]
        COMPLETENESS_PARTIAL: _ClassVar[SyncState.Completeness]
        COMPLETENESS_FAILED: _ClassVar[SyncState.Completeness]
        COMPLETENESS_UNSUPPORTED: _ClassVar[SyncState.Completeness]
        COMPLETENESS_NEVER: _ClassVar[SyncState.Completeness]
    COMPLETENESS_UNSPECIFIED: SyncState.Completeness
    COMPLETENESS_COMPLETE: SyncState.Completeness
    COMPLETENESS_PARTIAL: SyncState.Completeness
    COMPLETENESS_FAILED: SyncState.Completeness
    COMPLETENESS_UNSUPPORTED: SyncState.Completeness
    COMPLETENESS_NEVER: SyncState.Completeness
    class Brake(_message.Message):
        __slots__ = ("missing", "total", "since_time", "examples")
        MISSING_FIELD_NUMBER: _ClassVar[int]
        TOTAL_FIELD_NUMBER: _ClassVar[int]
        SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
        EXAMPLES_FIELD_NUMBER: _ClassVar[int]
        missing: int
        total: int
        since_time: _timestamp_pb2.Timestamp
        examples: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, missing: _Optional[int] = ..., total: _Optional[int] = ..., since_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., examples: _Optional[_Iterable[str]] = ...) -> None: ...
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    COMPLETENESS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_TIME_FIELD_NUMBER: _ClassVar[int]
    NEXT_TIME_FIELD_NUMBER: _ClassVar[int]
    TOOK_FIELD_NUMBER: _ClassVar[int]
    INTERVAL_FIELD_NUMBER: _ClassVar[int]
    BRAKE_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    PROJECT_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    collection: str
    completeness: SyncState.Completeness
    reason: str
    message: str
    rows: int
    observe_time: _timestamp_pb2.Timestamp
    attempt_time: _timestamp_pb2.Timestamp
    next_time: _timestamp_pb2.Timestamp
    took: _duration_pb2.Duration
    interval: _duration_pb2.Duration
    brake: SyncState.Brake
    owner: str
    project: str
    def __init__(self, cluster: _Optional[str] = ..., collection: _Optional[str] = ..., completeness: _Optional[_Union[SyncState.Completeness, str]] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., rows: _Optional[int] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., attempt_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., next_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., took: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., brake: _Optional[_Union[SyncState.Brake, _Mapping]] = ..., owner: _Optional[str] = ..., project: _Optional[str] = ...) -> None: ...

class SearchRequest(_message.Message):
    __slots__ = ("parent", "text", "collections", "filter", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    text: str
    collections: _containers.RepeatedScalarFieldContainer[str]
    filter: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., text: _Optional[str] = ..., collections: _Optional[_Iterable[str]] = ..., filter: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class SearchResponse(_message.Message):
    __slots__ = ("resources", "next_page_token", "incomplete")
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    resources: _containers.RepeatedCompositeFieldContainer[StoredResource]
    next_page_token: str
    incomplete: _containers.RepeatedCompositeFieldContainer[SyncState]
    def __init__(self, resources: _Optional[_Iterable[_Union[StoredResource, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., incomplete: _Optional[_Iterable[_Union[SyncState, _Mapping]]] = ...) -> None: ...

class SummarizeRequest(_message.Message):
    __slots__ = ("parent", "collections", "filter", "group_by", "label")
    class Group(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        GROUP_UNSPECIFIED: _ClassVar[SummarizeRequest.Group]
        GROUP_CLUSTER: _ClassVar[SummarizeRequest.Group]
        GROUP_COLLECTION: _ClassVar[SummarizeRequest.Group]
        GROUP_STATE: _ClassVar[SummarizeRequest.Group]
        GROUP_PROJECT: _ClassVar[SummarizeRequest.Group]
        GROUP_FLAVOR: _ClassVar[SummarizeRequest.Group]
        GROUP_LABEL: _ClassVar[SummarizeRequest.Group]
        GROUP_ZONE: _ClassVar[SummarizeRequest.Group]
    GROUP_UNSPECIFIED: SummarizeRequest.Group
    GROUP_CLUSTER: SummarizeRequest.Group
    GROUP_COLLECTION: SummarizeRequest.Group
    GROUP_STATE: SummarizeRequest.Group
    GROUP_PROJECT: SummarizeRequest.Group
    GROUP_FLAVOR: SummarizeRequest.Group
    GROUP_LABEL: SummarizeRequest.Group
    GROUP_ZONE: SummarizeRequest.Group
    PARENT_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    parent: str
    collections: _containers.RepeatedScalarFieldContainer[str]
    filter: str
    group_by: _containers.RepeatedScalarFieldContainer[SummarizeRequest.Group]
    label: str
    def __init__(self, parent: _Optional[str] = ..., collections: _Optional[_Iterable[str]] = ..., filter: _Optional[str] = ..., group_by: _Optional[_Iterable[_Union[SummarizeRequest.Group, str]]] = ..., label: _Optional[str] = ...) -> None: ...

class SummarizeResponse(_message.Message):
    __slots__ = ("summaries", "total", "omitted_groups", "incomplete")
    class Summary(_message.Message):
        __slots__ = ("group", "count", "vcpus", "memory_bytes", "disk_bytes")
        GROUP_FIELD_NUMBER: _ClassVar[int]
        COUNT_FIELD_NUMBER: _ClassVar[int]
        VCPUS_FIELD_NUMBER: _ClassVar[int]
        MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
        DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
        group: _containers.RepeatedScalarFieldContainer[str]
        count: int
        vcpus: int
        memory_bytes: int
        disk_bytes: int
        def __init__(self, group: _Optional[_Iterable[str]] = ..., count: _Optional[int] = ..., vcpus: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., disk_bytes: _Optional[int] = ...) -> None: ...
    SUMMARIES_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    OMITTED_GROUPS_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    summaries: _containers.RepeatedCompositeFieldContainer[SummarizeResponse.Summary]
    total: SummarizeResponse.Summary
    omitted_groups: int
    incomplete: _containers.RepeatedCompositeFieldContainer[SyncState]
    def __init__(self, summaries: _Optional[_Iterable[_Union[SummarizeResponse.Summary, _Mapping]]] = ..., total: _Optional[_Union[SummarizeResponse.Summary, _Mapping]] = ..., omitted_groups: _Optional[int] = ..., incomplete: _Optional[_Iterable[_Union[SyncState, _Mapping]]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("parent", "collections", "filter", "resume_token", "changes_only")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    CHANGES_ONLY_FIELD_NUMBER: _ClassVar[int]
    parent: str
    collections: _containers.RepeatedScalarFieldContainer[str]
    filter: str
    resume_token: str
    changes_only: bool
    def __init__(self, parent: _Optional[str] = ..., collections: _Optional[_Iterable[str]] = ..., filter: _Optional[str] = ..., resume_token: _Optional[str] = ..., changes_only: _Optional[bool] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("changes", "resume_token", "snapshot_complete")
    class Change(_message.Message):
        __slots__ = ("type", "resource")
        class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            TYPE_UNSPECIFIED: _ClassVar[WatchResponse.Change.Type]
            TYPE_EXISTING: _ClassVar[WatchResponse.Change.Type]
            TYPE_ADDED: _ClassVar[WatchResponse.Change.Type]
            TYPE_UPDATED: _ClassVar[WatchResponse.Change.Type]
            TYPE_REMOVED: _ClassVar[WatchResponse.Change.Type]
        TYPE_UNSPECIFIED: WatchResponse.Change.Type
        TYPE_EXISTING: WatchResponse.Change.Type
        TYPE_ADDED: WatchResponse.Change.Type
        TYPE_UPDATED: WatchResponse.Change.Type
        TYPE_REMOVED: WatchResponse.Change.Type
        TYPE_FIELD_NUMBER: _ClassVar[int]
        RESOURCE_FIELD_NUMBER: _ClassVar[int]
        type: WatchResponse.Change.Type
        resource: StoredResource
        def __init__(self, type: _Optional[_Union[WatchResponse.Change.Type, str]] = ..., resource: _Optional[_Union[StoredResource, _Mapping]] = ...) -> None: ...
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    changes: _containers.RepeatedCompositeFieldContainer[WatchResponse.Change]
    resume_token: str
    snapshot_complete: bool
    def __init__(self, changes: _Optional[_Iterable[_Union[WatchResponse.Change, _Mapping]]] = ..., resume_token: _Optional[str] = ..., snapshot_complete: _Optional[bool] = ...) -> None: ...

class SyncNowRequest(_message.Message):
    __slots__ = ("parent", "collections", "release_brake")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    RELEASE_BRAKE_FIELD_NUMBER: _ClassVar[int]
    parent: str
    collections: _containers.RepeatedScalarFieldContainer[str]
    release_brake: bool
    def __init__(self, parent: _Optional[str] = ..., collections: _Optional[_Iterable[str]] = ..., release_brake: _Optional[bool] = ...) -> None: ...

class SyncNowResponse(_message.Message):
    __slots__ = ("states",)
    STATES_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedCompositeFieldContainer[SyncState]
    def __init__(self, states: _Optional[_Iterable[_Union[SyncState, _Mapping]]] = ...) -> None: ...

class GetSyncStateRequest(_message.Message):
    __slots__ = ("parent", "collections", "filter")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    parent: str
    collections: _containers.RepeatedScalarFieldContainer[str]
    filter: str
    def __init__(self, parent: _Optional[str] = ..., collections: _Optional[_Iterable[str]] = ..., filter: _Optional[str] = ...) -> None: ...

class GetSyncStateResponse(_message.Message):
    __slots__ = ("states", "visible_rows", "matching_rows", "explanation")
    STATES_FIELD_NUMBER: _ClassVar[int]
    VISIBLE_ROWS_FIELD_NUMBER: _ClassVar[int]
    MATCHING_ROWS_FIELD_NUMBER: _ClassVar[int]
    EXPLANATION_FIELD_NUMBER: _ClassVar[int]
    states: _containers.RepeatedCompositeFieldContainer[SyncState]
    visible_rows: int
    matching_rows: int
    explanation: str
    def __init__(self, states: _Optional[_Iterable[_Union[SyncState, _Mapping]]] = ..., visible_rows: _Optional[int] = ..., matching_rows: _Optional[int] = ..., explanation: _Optional[str] = ...) -> None: ...
