"""What a real ZStack node answered (5.2.1, open source, simulated agents): `recorded.jsonl`, one request a line.

Four nodes with different locales and time zones are recorded, told apart by `run`. The file is reduced: `schema` is
left out, of rows of the same shape one is kept, requests that differ in uuids and times alone are there once, and
uuids are numbers between `#`. Most requests of failed jobs are not in the recording, only what the job answered.
"""

from __future__ import annotations

import functools
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
_FILE = Path(__file__).with_name("recorded.jsonl")
_NUMBERED = re.compile(r"#(\d+)#")
LOCALES = ("zh_CN", "zh_CN", "en_US", "zh_CN")
"""Of the nodes, by `run`."""


class Line(msgspec.Struct, frozen=True):
    """One recorded request with its answer; `rows` names the inventory types of the answer's rows."""

    run: int
    method: str
    path: str
    status: int
    body: Json | None = None
    response: Json | str | None = None
    rows: str | list[str] = ""
    number: int = 0

    def __str__(self) -> str:
        return f"line {self.number}: {self.method} {self.path}"

    @property
    def document(self) -> Json:
        return self.response if isinstance(self.response, dict) else {}

    @property
    def error(self) -> Json:
        return self.document.get("error", {})

    @property
    def job(self) -> str:
        """Return the uuid of the job that was accepted or polled; empty when the line is about none."""
        told = self.document.get("location", "") or (self.path if "/api-jobs/" in self.path else "")
        return told.rpartition("/")[2]

    def inventories(self) -> Iterator[tuple[str, Json]]:
        """Iterate the answer's rows with the inventory type of each."""
        rows = self.document.get("inventories") or ()
        names = [self.rows] * len(rows) if isinstance(self.rows, str) else self.rows
        return zip(names, rows, strict=True)


@functools.cache
def lines() -> tuple[Line, ...]:
    """Return the recording, oldest first."""
    text = _NUMBERED.sub(lambda number: uuid.uuid5(uuid.NAMESPACE_OID, number[1]).hex, _FILE.read_text("utf-8"))
    read = (msgspec.json.decode(line, type=Line) for line in text.splitlines())
    return tuple(msgspec.structs.replace(line, number=number) for number, line in enumerate(read, 1))


def codes(error: Json) -> list[str]:
    """Return an error's codes from the outermost to the most specific."""
    return [error["code"], *codes(error["cause"])] if error.get("cause") else [error["code"]] if error else []


def shape(value: Any) -> Any:
    """Return the JSON types of a value: by field of an object; of a list what it holds, in any order and number."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted({repr(sorted(shape(one).items()) if isinstance(one, dict) else shape(one)) for one in value})
    return type(value).__name__


class Fields:
    """Which fields the rows of one inventory type have, and of which JSON types."""

    def __init__(self) -> None:
        self.types: dict[str, set[str]] = {}
        self.always: set[str] = set()
        """Those that every row has."""

    def add(self, row: Json) -> None:
        """Take one row into account."""
        self.always = set(row) if not self.types else self.always & set(row)
        for name, value in row.items():
            self.types.setdefault(name, set()).add(type(value).__name__)


def fields_by_type(rows: Iterator[tuple[str, Json]]) -> dict[str, Fields]:
    """Return the fields of each inventory type; rows within rows are told as `VmInstanceInventory.vmNics`."""
    found: dict[str, Fields] = {}
    waiting = list(rows)
    while waiting:
        name, row = waiting.pop()
        found.setdefault(name, Fields()).add(row)
        for field, value in row.items():
            children = value if isinstance(value, list) else [value]
            waiting.extend((f"{name}.{field}", child) for child in children if isinstance(child, dict))
    return found
