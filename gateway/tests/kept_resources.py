"""An inventory that a test fills by hand: resources, states, and sweeps that only leave a note."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.tests import inventory_rows
from sqlalchemy import Connection

from cloudspan_gateway.inventory.base import Question, StoredPage, StoredRow
from cloudspan_gateway.inventory.model import CollectionState
from cloudspan_gateway.inventory.query.query import Query
from cloudspan_gateway.inventory.query.summary import Group, Summaries, Summary
from cloudspan_gateway.storage.engine import Database


@dataclass
class KeptResources:
    """Rows in a gateway's database, read as always; states, and sweeps that only leave a note."""

    database: Database
    kept: list[CollectionState] = field(default_factory=list)
    swept: list[tuple[tuple[str, ...], tuple[str, ...], bool]] = field(default_factory=list)
    swept_projects: dict[str, str] = field(default_factory=dict)
    """(clusters, collections, release_brake) of each SyncNow."""
    swept_then: Callable[[], None] = lambda: None
    """What a sweep does."""
    _rows: list[tuple[Any, float]] = field(default_factory=list)
    _written: bool = False

    def __post_init__(self) -> None:
        self._query = Query(self.database)
        self._summaries = Summaries(self.database)

    def put(self, resource: Any, at: float = 1000.0) -> None:
        self._rows.append((resource, at))
        self._written = False

    def clear(self) -> None:
        self._rows.clear()
        self._written = False

    def listed(self, cluster: str, collection: str, **fields: Any) -> None:
        self.kept.append(CollectionState(cluster, collection, **fields))

    async def get(self, name: str) -> StoredRow | None:
        await self._write()
        return await self._query.get(name)

    async def page(self, question: Question) -> StoredPage:
        await self._write()
        return await self._query.page(question)

    async def count(self, question: Question) -> int:
        await self._write()
        return await self._query.count(question)

    async def summarize(self, question: Question, groups: Sequence[Group] = (), label: str = "") -> Summary:
        await self._write()
        return await self._summaries.summarize(question, groups, label)

    async def states(self, clusters: Collection[str] | None = None) -> Sequence[CollectionState]:
        return [state for state in self.kept if clusters is None or state.cluster in clusters]

    async def now(self, clusters: Any, collections: Any, *, projects: Any, release_brake: bool, deadline: Any) -> None:
        assert deadline.remaining() > 0
        self.swept.append((tuple(clusters), tuple(collections), release_brake))
        self.swept_projects = dict(projects)
        self.swept_then()

    async def _write(self) -> None:
        if not self._written:
            await self.database.transact(self._rewrite)
            self._written = True

    def _rewrite(self, conn: Connection) -> None:
        inventory_rows.clear(conn)
        number = 1
        for resource, at in self._rows:
            number = inventory_rows.write(conn, [resource], at, number)
