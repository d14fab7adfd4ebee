"""What is kept of an operation between two Step calls: its records, how long was waited, what its waits ended with.

`run.OperationRun` reads and writes a cursor through these; the gateway stores the bytes and reads none of them.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format, struct_pb2, symbol_database
from google.protobuf.message import Message

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common.errors import Defect
from cloudspan_common.polling import poll_interval
from cloudspan_kit.operation import Made

if TYPE_CHECKING:
    from cloudspan_common.clock import Clock

Record = step_pb2.Cursor.Step

CURSOR_VERSION = 1

_MESSAGE, _BYTES, _VALUE = "message", "bytes", "value"


def read_cursor(data: bytes) -> step_pb2.Cursor:
    """Return the cursor; an empty one at the start.

    Raises:
        Defect: It is of a version that this build can't read.
    """
    cursor = step_pb2.Cursor.FromString(data) if data else step_pb2.Cursor(version=CURSOR_VERSION)
    if cursor.version != CURSOR_VERSION:
        raise Defect(f"the operation's cursor has version {cursor.version}, this adapter reads {CURSOR_VERSION}")
    return cursor


def waited(record: Record, clock: Clock) -> float:
    """Add the time since the last look, and return how long was waited in all, in seconds.

    One look counts at most twice the pause before it: a clock that jumps ahead must not end a settle time early.
    """
    now = clock.now()
    since = now - record.last_look if record.last_look else 0.0
    total = record.settled.ToNanoseconds() / 1e9
    total += min(max(since, 0.0), 2 * poll_interval(total))
    record.settled.FromNanoseconds(math.ceil(total * 1e9))
    record.last_look = now
    return total


def forget_waiting(record: Record) -> None:
    """Begin the next wait of this step at zero."""
    record.ClearField("settled")
    record.ClearField("last_look")


def made_of(record: Record) -> Made[Any]:
    """Return what a finished create made."""
    return Made(record.native_id, result_of(record))


def result_of(record: Record) -> dict[str, Any]:
    """Return what a finished step kept for later ones."""
    return json_format.MessageToDict(record.result)


def keep_value(record: Record, value: Any) -> None:
    """Keep what a wait ended with, if it is a message or JSON; other values are looked up again when needed."""
    record.result.Clear()
    if isinstance(value, Message):
        record.result.update({
            _MESSAGE: value.DESCRIPTOR.full_name,
            _BYTES: base64.b64encode(value.SerializeToString()).decode(),
        })  # fmt: skip
        return
    try:
        json_format.ParseDict(value, struct_pb2.Value())
        record.result.update({_VALUE: value})
    except (ValueError, TypeError, json_format.ParseError):
        record.result.Clear()


def has_value(record: Record) -> bool:
    """Whether `kept_value` can tell what the wait ended with."""
    return bool(record.result.fields)


def kept_value(record: Record) -> Any:
    """Return what `keep_value` kept."""
    fields = result_of(record)
    if _MESSAGE not in fields:
        return fields[_VALUE]
    kind = symbol_database.Default().GetSymbol(fields[_MESSAGE])
    return kind.FromString(base64.b64decode(fields[_BYTES]))
