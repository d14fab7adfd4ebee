import datetime

from cloudspan.v1 import annotations_pb2 as _annotations_pb2
from google.api import annotations_pb2 as _annotations_pb2_1
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

class Orphan(_message.Message):
    __slots__ = ("name", "display_name", "kind", "operation", "step", "create_time", "reason")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Orphan.Kind]
        KIND_LEFT_BEHIND: _ClassVar[Orphan.Kind]
        KIND_DUPLICATE: _ClassVar[Orphan.Kind]
        KIND_OPERATION_UNKNOWN: _ClassVar[Orphan.Kind]
    KIND_UNSPECIFIED: Orphan.Kind
    KIND_LEFT_BEHIND: Orphan.Kind
    KIND_DUPLICATE: Orphan.Kind
    KIND_OPERATION_UNKNOWN: Orphan.Kind
    NAME_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    name: str
    display_name: str
    kind: Orphan.Kind
    operation: str
    step: str
    create_time: _timestamp_pb2.Timestamp
    reason: str
    def __init__(self, name: _Optional[str] = ..., display_name: _Optional[str] = ..., kind: _Optional[_Union[Orphan.Kind, str]] = ..., operation: _Optional[str] = ..., step: _Optional[str] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reason: _Optional[str] = ...) -> None: ...

class ListOrphansRequest(_message.Message):
    __slots__ = ("parent", "page_size", "page_token")
    PARENT_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    parent: str
    page_size: int
    page_token: str
    def __init__(self, parent: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListOrphansResponse(_message.Message):
    __slots__ = ("orphans", "marked", "incomplete", "next_page_token")
    ORPHANS_FIELD_NUMBER: _ClassVar[int]
    MARKED_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    orphans: _containers.RepeatedCompositeFieldContainer[Orphan]
    marked: int
    incomplete: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, orphans: _Optional[_Iterable[_Union[Orphan, _Mapping]]] = ..., marked: _Optional[int] = ..., incomplete: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteOrphanRequest(_message.Message):
    __slots__ = ("name", "operation", "even_unknown")
    NAME_FIELD_NUMBER: _ClassVar[int]
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    EVEN_UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    name: str
    operation: str
    even_unknown: bool
    def __init__(self, name: _Optional[str] = ..., operation: _Optional[str] = ..., even_unknown: _Optional[bool] = ...) -> None: ...

class DeleteOrphanResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
