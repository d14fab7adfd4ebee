"""Requests by dice: of the right shape with odd values, changed bytes, and plain noise."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from google.protobuf import any_pb2, struct_pb2
from google.protobuf.descriptor import FieldDescriptor as Fd
from google.protobuf.message import Message

MAIN = "platforms/memory/clusters/main"
NAMES = (
    MAIN, f"{MAIN}/servers/nothing", "platforms/*/clusters/*", "platforms/memory", "operations/1", f"{MAIN}/servers/..",
)  # fmt: skip
TEXTS = (
    "", "a", ".", "..", "*", "-", "%2F", "%", "a/b", "/", "\x00", "\x7f\x1b[0m", "ü" * 300, "😀", "\u202e", "x" * 5000,
    "9" * 400, "-1", "1e400", "nan", "null", "'", '"', "\\", "${x}", "a b", "\r\n", "x" * 70_000,
)  # fmt: skip
FILTERS = (
    'state = "RUNNING"', "state=RUNNING", "labels.a:*", "NOT (a=1 OR b=2)", "(" * 50, "a" * 4096, "size_bytes > 1e999",
    "vcpus = 99999999999999999999", 'display_name : "é"', "create_time > 2026-13-45T99:00:00Z", "a.b.c.d.e=1", "=", '"',
    "NOT",
)  # fmt: skip
ORDERS = ("display_name", "display_name desc", "create_time,", "no_such", "a desc desc", "," * 300)
PATHS = ("*", "name", "labels", "labels.a", "no.such", "", ".", "name.name", "network_interfaces.addresses", "a" * 3000)
NUMBERS = (0, 1, -1, 2, 100, 1001, 2**31 - 1, -(2**31), 2**32 - 1, 2**53, 2**63 - 1, -(2**63))
KEYS = (
    "x-platform", "x-cluster", "x-pool", "x-wait", "x-tenant", "x-request-id", "traceparent", "tracestate",
    "x-cloudspan-native-requests", "x-cloudspan-odd", "baggage", "authorization",
)  # fmt: skip
VALUES = (
    "memory", "main", "*", "", "0", "-1", "1s", "999999999999999999s", "nan", "inf", "1e9", "0.0001s", "~" * 1000,
    "a=b,c=d",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-zz-zz-zz", "Bearer x", "a b", "%00",
)  # fmt: skip
_BY_FIELD = {"filter": FILTERS, "order_by": ORDERS, "parent": NAMES, "name": NAMES, "paths": PATHS}
_ROUTED = {"name", "parent"}
_LEFT_OUT = {any_pb2.Any.DESCRIPTOR.full_name, struct_pb2.Value.DESCRIPTOR.full_name}
_DEPTH = 4
_INTEGERS = {Fd.CPPTYPE_INT32: 32, Fd.CPPTYPE_UINT32: 32, Fd.CPPTYPE_INT64: 64, Fd.CPPTYPE_UINT64: 64}


class Requests:
    """Makes requests; what the service answered with may be asked for again."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.seen: list[str] = [MAIN]

    def body(self, kind: type[Message]) -> bytes:
        """Return the bytes of a request of some kind, mostly."""
        roll = self.dice.random()
        if roll < 0.05:
            return self.dice.randbytes(self.dice.choice((1, 7, 100, 5000)))
        body = self.message(kind).SerializeToString()
        return self._changed(body) if roll < 0.2 else body

    def _changed(self, body: bytes) -> bytes:
        changed = bytearray(body)
        for _ in range(self.dice.randint(1, 5)):
            place = self.dice.randrange(len(changed) + 1)
            changed[place : place + self.dice.randint(0, 2)] = self.dice.randbytes(self.dice.randint(0, 3))
        return bytes(changed)

    def message(self, kind: type[Message], depth: int = 0) -> Message:
        """Return a message with some of its fields set."""
        made, share = kind(), self.dice.choice((0.1, 0.3, 0.7))
        for field in made.DESCRIPTOR.fields:
            if self.dice.random() < share or (depth == 0 and field.name in _ROUTED):
                self._set(made, field, depth)
        return made

    def _set(self, made: Any, field: Any, depth: int) -> None:
        count = self.dice.choice((1, 1, 1, 2, 5, 300)) if field.is_repeated else 1
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._fill_map(made, field, count)
        elif field.message_type is not None:
            self._set_messages(made, field, depth, count)
        elif field.is_repeated:
            getattr(made, field.name).extend(self._value(field) for _ in range(count))
        else:
            setattr(made, field.name, self._value(field))

    def _fill_map(self, made: Any, field: Any, count: int) -> None:
        entry = field.message_type.fields_by_name
        if entry["value"].message_type is None:
            into = getattr(made, field.name)
            for _ in range(count):
                into[self._value(entry["key"])] = self._value(entry["value"])

    def _set_messages(self, made: Any, field: Any, depth: int, count: int) -> None:
        if depth >= _DEPTH or field.message_type.full_name in {
            any_pb2.Any.DESCRIPTOR.full_name,
            "google.protobuf.Value",
        }:
            return
        into = getattr(made, field.name)
        if field.message_type.full_name == struct_pb2.Struct.DESCRIPTOR.full_name:
            into["key"] = self.dice.choice(TEXTS)
        elif field.is_repeated:
            for _ in range(min(count, 20)):
                row = into.add()
                row.CopyFrom(self.message(type(row), depth + 1))
        else:
            into.CopyFrom(self.message(type(into), depth + 1))

    def _value(self, field: Any) -> Any:
        if field.cpp_type == Fd.CPPTYPE_STRING:
            return self.dice.randbytes(20) if field.type == Fd.TYPE_BYTES else self._text(field.name)
        if field.cpp_type == Fd.CPPTYPE_BOOL:
            return self.dice.random() < 0.5
        if field.cpp_type == Fd.CPPTYPE_ENUM:
            return self.dice.choice((0, 1, 2, 99, -1))
        if field.cpp_type in _INTEGERS:
            return self._number(field)
        return self.dice.choice((0.0, -1.0, 1e300, float("nan"), float("inf")))

    def _number(self, field: Any) -> int:
        bits = _INTEGERS[field.cpp_type]
        unsigned = field.cpp_type in {Fd.CPPTYPE_UINT32, Fd.CPPTYPE_UINT64}
        low, high = (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        return max(low, min(high, self.dice.choice(NUMBERS)))

    def _text(self, field: str) -> str:
        roll = self.dice.random()
        if field == "parent" and roll < 0.7:
            return MAIN
        if roll < (0.8 if field == "name" else 0.3):
            return self.dice.choice(self.seen)
        return str(self.dice.choice(_BY_FIELD.get(field, TEXTS) if roll < 0.85 else TEXTS))

    def metadata(self) -> Sequence[tuple[str, str | bytes]]:
        """Return what a gRPC library lets through."""
        if self.dice.random() < 0.5:
            return ()
        count = self.dice.randint(1, 4)
        text = [(self.dice.choice(KEYS), self.dice.choice(VALUES)) for _ in range(count)]
        return (*text, ("x-odd-bin", self.dice.randbytes(30)))

    def remember(self, answer: bytes, kind: type[Message]) -> None:
        """Ask for what an answer names, and for its pages, from now on."""
        try:
            message = kind.FromString(answer)
        except Exception:  # noqa: BLE001 - a stream's messages are of another kind
            return
        for field, value in message.ListFields():
            if field.name in {"name", "next_page_token"}:
                self.seen.append(value)
            elif field.is_repeated and field.message_type is not None and not field.message_type.GetOptions().map_entry:
                self.seen += [row.name for row in value if "name" in row.DESCRIPTOR.fields_by_name][:5]
        del self.seen[1:-200]
