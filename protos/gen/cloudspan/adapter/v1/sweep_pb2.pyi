import datetime

from google.api import resource_pb2 as _resource_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SweepPageRequest(_message.Message):
    __slots__ = ("cluster", "collection", "cursor", "since_time", "known_etag")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    SINCE_TIME_FIELD_NUMBER: _ClassVar[int]
    KNOWN_ETAG_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    collection: str
    cursor: str
    since_time: _timestamp_pb2.Timestamp
    known_etag: str
    def __init__(self, cluster: _Optional[str] = ..., collection: _Optional[str] = ..., cursor: _Optional[str] = ..., since_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., known_etag: _Optional[str] = ...) -> None: ...

class SweepPageResponse(_message.Message):
    __slots__ = ("rows", "next_cursor", "etag", "unchanged", "partial", "unread", "observe_time", "ignored_since", "project_id")
    class Row(_message.Message):
        __slots__ = ("name", "resource", "digest", "gone")
        NAME_FIELD_NUMBER: _ClassVar[int]
        RESOURCE_FIELD_NUMBER: _ClassVar[int]
        DIGEST_FIELD_NUMBER: _ClassVar[int]
        GONE_FIELD_NUMBER: _ClassVar[int]
        name: str
        resource: bytes
        digest: bytes
        gone: bool
        def __init__(self, name: _Optional[str] = ..., resource: _Optional[bytes] = ..., digest: _Optional[bytes] = ..., gone: _Optional[bool] = ...) -> None: ...
    ROWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_CURSOR_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    UNCHANGED_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    OBSERVE_TIME_FIELD_NUMBER: _ClassVar[int]
    IGNORED_SINCE_FIELD_NUMBER: _ClassVar[int]
    PROJECT_ID_FIELD_NUMBER: _ClassVar[int]
    rows: _containers.RepeatedCompositeFieldContainer[SweepPageResponse.Row]
    next_cursor: str
    etag: str
    unchanged: bool
    partial: str
    unread: _containers.RepeatedScalarFieldContainer[str]
    observe_time: _timestamp_pb2.Timestamp
    ignored_since: bool
    project_id: str
    def __init__(self, rows: _Optional[_Iterable[_Union[SweepPageResponse.Row, _Mapping]]] = ..., next_cursor: _Optional[str] = ..., etag: _Optional[str] = ..., unchanged: _Optional[bool] = ..., partial: _Optional[str] = ..., unread: _Optional[_Iterable[str]] = ..., observe_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ignored_since: _Optional[bool] = ..., project_id: _Optional[str] = ...) -> None: ...
