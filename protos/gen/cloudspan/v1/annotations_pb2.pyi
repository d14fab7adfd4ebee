import datetime

from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Permission(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PERMISSION_UNSPECIFIED: _ClassVar[Permission]
    PERMISSION_READ: _ClassVar[Permission]
    PERMISSION_OPERATE: _ClassVar[Permission]
    PERMISSION_CREATE: _ClassVar[Permission]
    PERMISSION_DELETE: _ClassVar[Permission]
    PERMISSION_ADMINISTER: _ClassVar[Permission]
    PERMISSION_AUTHENTICATED: _ClassVar[Permission]
    PERMISSION_NONE: _ClassVar[Permission]
PERMISSION_UNSPECIFIED: Permission
PERMISSION_READ: Permission
PERMISSION_OPERATE: Permission
PERMISSION_CREATE: Permission
PERMISSION_DELETE: Permission
PERMISSION_ADMINISTER: Permission
PERMISSION_AUTHENTICATED: Permission
PERMISSION_NONE: Permission
MUTATION_FIELD_NUMBER: _ClassVar[int]
mutation: _descriptor.FieldDescriptor
PERMISSION_FIELD_NUMBER: _ClassVar[int]
permission: _descriptor.FieldDescriptor
IMPLEMENTED_BY_CALLERS_FIELD_NUMBER: _ClassVar[int]
implemented_by_callers: _descriptor.FieldDescriptor

class Mutation(_message.Message):
    __slots__ = ("concurrency", "deadline", "also")
    class Concurrency(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CONCURRENCY_UNSPECIFIED: _ClassVar[Mutation.Concurrency]
        CONCURRENCY_EXCLUSIVE: _ClassVar[Mutation.Concurrency]
        CONCURRENCY_SHARED: _ClassVar[Mutation.Concurrency]
        CONCURRENCY_PREEMPTING: _ClassVar[Mutation.Concurrency]
    CONCURRENCY_UNSPECIFIED: Mutation.Concurrency
    CONCURRENCY_EXCLUSIVE: Mutation.Concurrency
    CONCURRENCY_SHARED: Mutation.Concurrency
    CONCURRENCY_PREEMPTING: Mutation.Concurrency
    CONCURRENCY_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    ALSO_FIELD_NUMBER: _ClassVar[int]
    concurrency: Mutation.Concurrency
    deadline: _duration_pb2.Duration
    also: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, concurrency: _Optional[_Union[Mutation.Concurrency, str]] = ..., deadline: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., also: _Optional[_Iterable[str]] = ...) -> None: ...
