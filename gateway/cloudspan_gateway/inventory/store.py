"""Writes the inventory: what sweeps, changes and the ends of operations bring, in small transactions.

The one way into its tables. A write judges each row by when it was read (`batch`); what is unchanged costs a read and
no transaction. Between two transactions those of operations get their turn.
"""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import bindparam, delete, literal, select, union_all

from cloudspan.v1.inventory_pb2 import SyncState
from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.errors import PlatformFault
from cloudspan_common.logs import get_logger
from cloudspan_gateway.inventory.base import Known
from cloudspan_gateway.inventory.batch import (
    ANNOUNCEMENT,
    LISTED,
    Batch,
    kept_rows,
    purge_deleted,
)
from cloudspan_gateway.inventory.model import Brake, CollectionState, Completeness, Written
from cloudspan_gateway.inventory.rows import row_of
from cloudspan_gateway.storage.engine import among, listed
from cloudspan_gateway.storage.tables import (
    change_sequence,
    project_sync_state,
    resource_changes,
    resources,
    sync_owners,
    sync_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from sqlalchemy import ColumnElement, CompoundSelect, Connection, Table
    from sqlalchemy.engine import Row

    from cloudspan_gateway.inventory.model import Fence, Observed, Origin
    from cloudspan_gateway.inventory.rows import ResourceRow
    from cloudspan_gateway.storage.engine import Database

T = TypeVar("T")

log = get_logger(__name__)

BATCH_ROWS = 200
"""Of one transaction: on SQLite it has the loop to itself, for some 20 ms; operations' writes wait that long."""
_PURGED_AT_ONCE = 1_000
_STATES = (sync_state, project_sync_state)
_PLACE = attrgetter("cluster", "collection", "project")


class InventoryStore:
    """The tables of the inventory in one database; `base.Writes`."""

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._shared = database.shared
        self._clock = clock or SystemClock()
        # Asked for each answer from the inventory: making the statements takes longer than running them.
        own, projects = (among(table.c.cluster, "clusters", self._shared) for table in _STATES)
        of_one = [table.c.collection == bindparam("collection") for table in _STATES]
        some = among(project_sync_state.c.project, "projects", self._shared)
        self._all_states = _states_where((), ())
        self._states_of_clusters = _states_where((own,), (projects,))
        self._states_of_one = _states_where((own, of_one[0]), (projects, of_one[1]))
        self._states_of_some = _states_where((own, of_one[0]), (projects, of_one[1], some))

    def __repr__(self) -> str:
        return f"<InventoryStore on {self._database!r}>"

    # -------------------------------------------------------------- resources

    async def apply(
        self, collection: str, rows: Sequence[Observed], at: float, origin: Origin, fence: Fence | None = None
    ) -> Written:
        by_name = {row.name: row for row in rows}
        unchanged = await self._unchanged(by_name, origin)
        written = Written(unchanged=len(unchanged))
        for names in _portions(sorted(by_name.keys() - unchanged), BATCH_ROWS):
            changed, unreadable = _rows(collection, [by_name[name] for name in names])
            written += Written(unreadable=unreadable)
            if changed:
                written += await self._transact(
                    fence,
                    lambda batch, these=changed: batch.keep(collection, these, at, origin),  # type: ignore[misc]
                )
            await asyncio.sleep(0)
        return written

    async def _unchanged(self, rows: Mapping[str, Observed], origin: Origin) -> set[str]:
        """Return the names of those that are kept just so; asked beside whatever is written meanwhile.

        Of what a listing brings, those that are known to be listed.

        Two columns and no more: of a hundred thousand rows this is what a sweep costs.
        """
        c = resources.c
        asked = select(c.name, c.digest).where(among(c.name, "names", self._shared), c.deleted_time.is_(None))
        if origin.is_listing:
            asked = asked.where(c.source.in_(origin.settled))

        def ask(conn: Connection) -> set[str]:
            found = conn.execute(asked, {"names": listed(rows, self._shared)})
            return {name for name, digest in found if rows[name].digest == digest}

        return await self._database.read(ask) if rows else set()

    async def remove(self, names: Collection[str], at: float, fence: Fence | None = None) -> Written:
        written = Written()
        for some in _portions(sorted(set(names)), BATCH_ROWS):
            written += await self._transact(fence, lambda batch, these=some: batch.remove(these, at))  # type: ignore[misc]
            await asyncio.sleep(0)
        return written

    async def known(
        self, cluster: str, collection: str, project: str = "", others: Collection[str] = ()
    ) -> Mapping[str, Known]:
        c = resources.c
        asked = select(c.name, c.observe_time, c.source.in_(LISTED)).where(
            c.cluster == cluster, c.collection == collection, c.deleted_time.is_(None)
        )
        if project:
            asked = asked.where(c.project == project)
        elif others:
            asked = asked.where(c.project.not_in(others))

        def ask(conn: Connection) -> dict[str, Known]:
            return {name: Known(time, bool(was_listed)) for name, time, was_listed in conn.execute(asked)}

        return await self._database.read(ask, long=True)

    async def there(self, names: Collection[str]) -> frozenset[str]:
        """Return those of the names that are kept and not deleted."""
        found = await self._database.read(lambda conn: kept_rows(conn, names, self._shared))
        return frozenset(name for name, row in found.items() if row.deleted_time is None)

    async def changed_names(
        self, cluster: str, collection: str, after: int | None
    ) -> tuple[int, frozenset[str] | None]:
        """Return the last change's sequence, and which resources of a collection changed after an earlier one.

        None where some of those changes are no longer kept. Nothing is looked for without an earlier one: to go
        through 100 000 changes takes the loop for 30 ms.
        """
        r = resource_changes.c
        of_collection = select(r.name).where(r.cluster == cluster, r.collection == collection)

        def ask(conn: Connection) -> tuple[int, frozenset[str] | None]:
            # First: what changes meanwhile is only told twice.
            upto = conn.execute(select(change_sequence.c.sequence)).scalar() or 0
            if after is None:
                return upto, frozenset()
            names = frozenset(conn.execute(of_collection.where(r.sequence > after)).scalars())
            # Last: what is purged meanwhile is not missed.
            oldest = conn.execute(select(change_sequence.c.oldest)).scalar() or 0
            return upto, names if after >= oldest else None

        return await self._database.read(ask)

    async def forget(self, cluster: str, project: str = "", fence: Fence | None = None) -> Written:
        written = Written()
        while True:
            forgotten = await self._transact(fence, lambda batch: batch.forget(cluster, BATCH_ROWS, project))
            if forgotten == Written():
                return written
            written += forgotten

    async def purge(self, before: float) -> int:
        purged = 0
        while deleted := await self._database.transact(lambda conn: purge_deleted(conn, before, _PURGED_AT_ONCE)):
            purged += deleted
        return purged

    async def _transact(self, fence: Fence | None, work: Callable[[Batch], T]) -> T:
        def batch(conn: Connection) -> T:
            writes = Batch(conn, self._database, self._clock.now())
            writes.hold(fence)
            done = work(writes)
            writes.number()
            return done

        return await self._database.transact(batch)

    # -------------------------------------------------------------- states

    async def states(self, clusters: Collection[str] | None = None) -> Sequence[CollectionState]:
        if clusters is None:
            return await self._states(self._all_states, {})
        return await self._states(self._states_of_clusters, {"clusters": listed(clusters, self._shared)})

    async def states_of(
        self, collection: str, clusters: Collection[str], projects: Collection[str] | None = None
    ) -> Sequence[CollectionState]:
        values = {"clusters": listed(clusters, self._shared), "collection": collection}
        if projects is None:
            return await self._states(self._states_of_one, values)
        values["projects"] = listed(projects, self._shared)
        return await self._states(self._states_of_some, values)

    async def _states(self, asked: CompoundSelect[Any], values: Mapping[str, Any]) -> Sequence[CollectionState]:
        found = await self._database.read(lambda conn: [_state(row) for row in conn.execute(asked, values)])
        return sorted(found, key=_PLACE)

    async def save_state(self, state: CollectionState, fence: Fence | None = None) -> None:
        table = project_sync_state if state.project else sync_state
        values = _state_values(state, table)

        def batch(conn: Connection) -> None:
            Batch(conn, self._database, self._clock.now()).hold(fence)
            this = [column == values[column.name] for column in table.primary_key]
            if not conn.execute(table.update().where(*this).values(values)).rowcount:
                conn.execute(table.insert().values(values))

        await self._database.transact(batch)

    async def begin_alone(self) -> None:
        """Forget the numbers of locks of earlier processes, on a database that this process alone works on.

        Its locks may be kept elsewhere and begin at 1 again. On a shared database the numbers stay.
        """
        if not self._shared:
            await self._database.transact(lambda conn: conn.execute(delete(sync_owners)) and None)

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        def heard(message: str | None) -> None:
            if message is None or message == ANNOUNCEMENT:
                changed()

        return self._database.subscribe(heard)


def _states_where(own: Sequence[ColumnElement[bool]], projects: Sequence[ColumnElement[bool]]) -> CompoundSelect[Any]:
    """Return the one statement for what the credentials list and for projects that are listed by themselves."""
    columns = [column.name for column in sync_state.c]
    listed_by_credentials = select(*sync_state.c, literal("").label("project")).where(*own)
    by_themselves = select(*(project_sync_state.c[name] for name in (*columns, "project"))).where(*projects)
    return union_all(listed_by_credentials, by_themselves)


def _portions(names: Sequence[str], size: int) -> list[Sequence[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


def _rows(collection: str, observed: Sequence[Observed]) -> tuple[list[ResourceRow], tuple[str, ...]]:
    """Return resources as rows, and the names of those that are none: one odd resource hides no other."""
    rows, unreadable = [], []
    for one in observed:
        try:
            rows.append(row_of(collection, one))
        except PlatformFault as error:
            log.warning("resource left out of the inventory", collection=collection, error=error.message)
            unreadable.append(one.name)
    return rows, tuple(unreadable)


def _state(row: Row[Any]) -> CollectionState:
    fields = {**row._mapping}  # noqa: SLF001 - SQLAlchemy's way to name columns
    fields["completeness"] = Completeness(row.completeness)
    fields["brake"] = _brake(row.brake) if row.brake is not None else None
    return CollectionState(**fields)


def _brake(kept: bytes) -> Brake:
    brake = SyncState.Brake.FromString(kept)
    since = brake.since_time.seconds + brake.since_time.nanos / 1e9
    return Brake(brake.missing, brake.total, since, tuple(brake.examples))


def _state_values(state: CollectionState, table: Table) -> dict[str, Any]:
    values: dict[str, Any] = {column.name: getattr(state, column.name) for column in table.c}
    values["completeness"] = str(state.completeness)
    values["brake"] = _brake_bytes(state.brake) if state.brake is not None else None
    return values


def _brake_bytes(brake: Brake) -> bytes:
    kept = SyncState.Brake(missing=brake.missing, total=brake.total, examples=brake.examples)
    kept.since_time.FromNanoseconds(round(brake.since * 1e9))
    return kept.SerializeToString()
