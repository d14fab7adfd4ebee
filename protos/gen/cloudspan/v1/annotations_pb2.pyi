import datetime

from google.protobuf import descriptor_pb2 as _descriptor_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor
MUTATION_FIELD_NUMBER: _ClassVar[int]
mutation: _descriptor.FieldDescriptor

class Mutation(_message.Message):
    __slots__ = ("beside", "deadline")
    class Beside(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        BESIDE_UNSPECIFIED: _ClassVar[Mutation.Beside]
        BESIDE_ALONE: _ClassVar[Mutation.Beside]
        BESIDE_OTHERS: _ClassVar[Mutation.Beside]
        BESIDE_NONE: _ClassVar[Mutation.Beside]
    BESIDE_UNSPECIFIED: Mutation.Beside
    BESIDE_ALONE: Mutation.Beside
    BESIDE_OTHERS: Mutation.Beside
    BESIDE_NONE: Mutation.Beside
    BESIDE_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_FIELD_NUMBER: _ClassVar[int]
    beside: Mutation.Beside
    deadline: _duration_pb2.Duration
    def __init__(self, beside: _Optional[_Union[Mutation.Beside, str]] = ..., deadline: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
