"""The names of before kinds, for what is not yet written with them; adapters import from `cloudspan_kit`.

An `Area` is found by its functions' names alone; a driver of `cloudspan_kit.drivers` is checked at the start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from cloudspan_kit.cluster import (
    ABSENT,
    BY_KEY,
    BY_MARKER,
    EMULATED,
    NATIVE,
    UNSAFE,
    Call,
    Capability,
    Cluster,
    CreateSafety,
    Level,
    Stage,
)
from cloudspan_kit.kind import Marked, Page, Query
from cloudspan_kit.operation import Made, Operation, Watch

__all__ = [
    "ABSENT",
    "BY_KEY",
    "BY_MARKER",
    "EMULATED",
    "NATIVE",
    "UNSAFE",
    "Area",
    "Call",
    "Capability",
    "Cluster",
    "CreateSafety",
    "Level",
    "Made",
    "Marked",
    "MarkedKind",
    "Operation",
    "Page",
    "Query",
    "Stage",
    "Transits",
    "Watch",
]


class Area(Protocol):
    """A group of functions of one cluster; declares what can't be read off their names.

    Beside `capabilities` an area may have two more, read when they are there:

    `transits: Mapping[str, Transits]` by collection, for what `wait_until(..., watch=...)` waits for, and
    `marked: Mapping[str, MarkedKind]` by collection, for what its creates mark.
    """

    @property
    def capabilities(self) -> Mapping[str, Capability]:
        """By function name: `{"create_server": Capability(create_safety=BY_MARKER)}`; the rest is NATIVE."""
        ...


Transits = Callable[["Call", "Sequence[str]"], Awaitable["set[str]"]]
"""`async (call, ids) -> ids`: those that are still on their way to a final state, gone or never there excluded."""


@dataclass(frozen=True, slots=True)
class MarkedKind:
    """How the marks on one collection are found, and what carries them is removed."""

    find: Callable[[Call, str], Awaitable[Sequence[Marked]]]
    """`async (call, prefix)`: everything whose marker begins with `prefix`; each row's marker is its own."""
    remove: Callable[[Call, str], Awaitable[None]]
    """`async (call, id)`: deletes one; done as well when it is gone."""
