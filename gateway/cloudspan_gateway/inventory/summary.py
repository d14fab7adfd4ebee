"""Counts and sums of rows, by up to three groups."""

from __future__ import annotations

import enum
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudspan_gateway.inventory.query import Query, to_stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_gateway.inventory.base import Question
    from cloudspan_gateway.storage.engine import Database

MAX_GROUPS = 3
_MOST = 1000


class Group(enum.StrEnum):
    """What resources are grouped by; the names of cloudspan.v1.SummarizeRequest.Group."""

    CLUSTER = "cluster"
    COLLECTION = "collection"
    STATE = "state"
    PROJECT = "project"
    FLAVOR = "flavor"
    LABEL = "label"
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
            self.vcpus + other.vcpus,
            self.memory_bytes + other.memory_bytes,
            self.disk_bytes + other.disk_bytes,
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """Resources by group."""

    groups: Sequence[tuple[tuple[str, ...], Sums]]
    total: Sums
    omitted: int


class Summaries:
    """Sums up what a question asks for."""

    def __init__(self, database: Database) -> None:
        self._query = Query(database)

    async def summarize(self, question: Question, groups: Sequence[Group] = (), label: str = "") -> Summary:
        """Return groups, the largest first, and their total."""
        found, total, after = defaultdict[tuple[str, ...], Sums](Sums), Sums(), ""
        while True:
            page = await self._query.page(replace(question, limit=_MOST, after=after))
            for row in page.rows:
                one = to_stored(row, row.observe_time)
                key = tuple(one.labels.get(label, "") if group == "label" else getattr(one, group) for group in groups)
                sums = Sums(1, one.vcpus, one.memory_bytes, one.disk_bytes)
                found[key], total = found[key] + sums, total + sums
            after = page.cursor
            if not after:
                break
        largest = sorted(found.items(), key=lambda pair: (-pair[1].count, pair[0]))
        return Summary(largest[:_MOST], total, max(0, len(found) - _MOST))
