"""What ZStack's answers look like, as far as every resource shares it.

Kinds declare their rows on `Row`: fields in snake case, the native camel case is derived, and what the server
leaves out (it omits null fields) has a default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    unread: Sequence[str] = ()
    """Rows that were left out, and fields that are absent, since they can't be read; for a person."""
    places: Sequence[int] = ()
    """The place of each row among those that the platform sent, where some were left out."""
    sent: Sequence[str] = ()
    """The uuids of all rows that the platform sent, where some were left out; empty for one without."""

    @property
    def uuids(self) -> Sequence[str]:
        """The uuids of all rows that the platform sent."""
        return self.sent or [getattr(row, "uuid", "") for row in self.rows]

    def behind(self, seen: int) -> Rows[T]:
        """Return what comes behind the first `seen` rows that the platform sent."""
        if not self.sent:
            return replace(self, rows=self.rows[seen:], documents=self.documents[seen:])
        first = sum(place < seen for place in self.places)
        places = [place - seen for place in self.places[first:]]
        documents, sent = self.documents[first:], self.sent[seen:]
        return Rows(self.rows[first:], self.total, documents, self.unread, places, sent)
