"""What ZStack's answers look like, as far as every resource shares it.

The areas declare their rows on `Row`: fields in snake case, the native camel case is derived, and what the server
leaves out (it omits null fields) has a default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

Date = str | int | None
"""A date field; `session.zone.timestamp` reads it."""


class Row(msgspec.Struct, rename="camel"):
    """What every inventory has."""

    uuid: str
    name: str = ""
    description: str = ""
    create_date: Date = None
    last_op_date: Date = None


class Inventories(msgspec.Struct, Generic[T]):
    """Answer of a query."""

    inventories: list[T] = []
    total: int | None = None


class Inventory(msgspec.Struct, Generic[T]):
    """Result of a change; some have none."""

    inventory: T | None = None


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """What a query found."""

    rows: list[T]
    total: int | None
    """How many there are in all, if that was asked."""
    documents: list[dict[str, Any]]
    """The rows as the platform tells them, under view FULL."""
