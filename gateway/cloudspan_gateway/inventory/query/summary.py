"""Counts the resources of the inventory, and sums up what they use, by groups.

InventoryService asks `Summaries`. The database groups what it is sure of in one statement; rows that only the filter
itself can judge are matched one by one and added.
"""

from __future__ import annotations

import enum
import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Integer, func, literal, literal_column, select

from cloudspan_gateway.inventory.columns import kept_integer, label_path
from cloudspan_gateway.inventory.query.query import Wanted
from cloudspan_gateway.inventory.query.seen import Way
from cloudspan_gateway.storage.tables import resource_values, resources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import ColumnElement, Connection

    from cloudspan_gateway.inventory.base import Question
    from cloudspan_gateway.storage.engine import Database

MAX_GROUPS = 3
MAX_SUMMARIES = 1_000
_SUMMED = ("vcpus", "memory_bytes", "disk_bytes")
_OF_PLACE = ("cluster", "collection", "state")
_HALF_BITS = 32
_HALF = 2**_HALF_BITS - 1
_R, _V = resources.c, resource_values.c


class Group(enum.StrEnum):
    """What resources are grouped by; the names of cloudspan.v1.SummarizeRequest.Group."""

    CLUSTER = "cluster"
    COLLECTION = "collection"
    STATE = "state"
    PROJECT = "project"
    FLAVOR = "flavor"
    LABEL = "label"
    """The value of one label; empty where there is none."""
    ZONE = "zone"


@dataclass(frozen=True, slots=True)
class Sums:
    """What some resources are and use together."""

    count: int = 0
    vcpus: int = 0
    memory_bytes: int = 0
    disk_bytes: int = 0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.count + other.count,
            kept_integer(self.vcpus + other.vcpus),
            kept_integer(self.memory_bytes + other.memory_bytes),
            kept_integer(self.disk_bytes + other.disk_bytes),
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """Resources by group."""

    groups: Sequence[tuple[tuple[str, ...], Sums]]
    """The values that a group has in common, in the order that was asked for; the largest groups first."""
    total: Sums
    omitted: int
    """How many groups there are beyond those."""


class Summaries:
    """Sums up rows of the inventory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __repr__(self) -> str:
        return f"<Summaries {self._database!r}>"

    async def summarize(self, question: Question, groups: Sequence[Group] = (), label: str = "") -> Summary:
        """Return what a question's rows come to, whatever its order and limit; `label` is the key for Group.LABEL."""
        wanted = Wanted(question, shared=self._database.shared)
        columns = [_column(group, label) for group in groups]
        found = await self._database.read(lambda conn: _summed(conn, wanted, columns), long=True)
        largest = heapq.nsmallest(MAX_SUMMARIES, found.items(), key=lambda one: (-one[1].count, one[0]))
        return Summary(largest, sum(found.values(), Sums()), len(found) - len(largest))


def _column(group: Group, label: str) -> ColumnElement[str]:
    if group is not Group.LABEL:
        return _R[group.value]
    # Not a join: that would count a resource once for each of its values.
    value = select(func.min(_V.value)).where(_V.path == label_path(label), _V.resource == _R.id)
    return func.coalesce(value.correlate(resources).scalar_subquery(), "")


def _summed(conn: Connection, wanted: Wanted, columns: Sequence[ColumnElement[str]]) -> dict[tuple[str, ...], Sums]:
    named = [column.label(f"group_{number}") for number, column in enumerate(columns)]
    halves = [half for name in _SUMMED for half in _halves(_R[name])]
    # The index of places has all of this, and begins with the cluster.
    way = Way.PLACE if all(column.name in _OF_PLACE for column in columns) else Way.NO_INDEX
    surely = wanted.rows(*named, func.count(), *halves, way=way).where(wanted.filter.surely)
    found: dict[tuple[str, ...], Sums] = {}
    # By their names: an expression with parameters is not the same twice to PostgreSQL.
    groups: list[ColumnElement[str]] = [literal_column(column.name) for column in named]
    for row in conn.execute(surely.group_by(_R.cluster, *groups), wanted.params):
        _add(found, tuple(row[: len(named)]), _sums(row[len(named) :]))
    for row in wanted.unsure(conn, *named, *(_R[name] for name in _SUMMED)):
        sums = Sums(1, *(value or 0 for value in row[-len(_SUMMED) :]))
        _add(found, tuple(row[-len(_SUMMED) - len(named) : -len(_SUMMED)]), sums)
    return found


def _add(found: dict[tuple[str, ...], Sums], group: tuple[str, ...], sums: Sums) -> None:
    found[group] = found[group] + sums if group in found else sums


def _halves(column: ColumnElement[int]) -> Iterable[ColumnElement[int]]:
    """Return sums of a column's upper and lower bits: one of whole numbers that is too large is an error of SQLite."""
    return func.sum(column.op(">>")(literal(_HALF_BITS, Integer))), func.sum(column.op("&")(_HALF))


def _sums(row: Sequence[Any]) -> Sums:
    count, *halves = row
    pairs = zip(halves[::2], halves[1::2], strict=True)
    return Sums(count, *(kept_integer((int(upper or 0) << _HALF_BITS) + int(lower or 0)) for upper, lower in pairs))
