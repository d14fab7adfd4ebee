"""One transaction's worth of writes to the inventory: judged against what is kept, written, numbered at its end.

`store` runs a `Batch` in the transaction, perhaps more than once. Rows are locked in the order of their names and the
change sequence last, so gateways that write the same rows wait for each other and never in a circle.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, delete, insert, select, text, update

from cloudspan_gateway.inventory.listed_times import listed_times
from cloudspan_gateway.inventory.model import LockLost, Origin, What, Written
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.storage.engine import among, listed
from cloudspan_gateway.storage.tables import (
    project_sync_state,
    resource_changes,
    resource_values,
    resources,
    sync_state,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection, Select
    from sqlalchemy.engine import Row

    from cloudspan_gateway.inventory.model import Fence
    from cloudspan_gateway.inventory.rows import ResourceRow
    from cloudspan_gateway.storage.engine import Database

ANNOUNCEMENT = "inventory||"
"""In the form of the operations' store's announcements, as that of the policy."""

c = resources.c
LISTED = tuple(str(origin) for origin in Origin if origin.is_listing)
"""The sources of rows that a listing had."""
_KEPT = (c.id, c.name, c.collection, c.cluster, c.project, c.digest, c.observe_time, c.source, c.deleted_time)
# Locks the row on PostgreSQL until the end: an older holder's batch comes before it as a whole, or is refused.
_HOLD = text(
    "INSERT INTO sync_owners (cluster, fence) VALUES (:cluster, :fence) ON CONFLICT (cluster) DO UPDATE "
    "SET fence = excluded.fence WHERE sync_owners.fence <= excluded.fence RETURNING fence"
)


class Verdict(enum.Enum):
    """What becomes of a row that was read."""

    ADD = enum.auto()
    UPDATE = enum.auto()
    UNCHANGED = enum.auto()
    OUTDATED = enum.auto()


def judge(kept: Row[Any] | None, digest: bytes, at: float, confirmed: float) -> Verdict:
    """Return what becomes of a row that was read `at`, in view of what is kept of it, if anything."""
    there = kept is not None and kept.deleted_time is None
    if there and kept.digest == digest:  # type: ignore[union-attr] # `there` says so
        return Verdict.UNCHANGED
    if at < max(_time_of(kept), confirmed):
        return Verdict.OUTDATED
    return Verdict.UPDATE if there else Verdict.ADD


def _time_of(kept: Row[Any] | None) -> float:
    if kept is None:
        return float("-inf")
    return max(kept.observe_time, kept.deleted_time or float("-inf"))


def kept_rows(conn: Connection, names: Collection[str], shared: bool) -> dict[str, Row[Any]]:
    """Return what is kept of resources, deleted ones too, without payloads."""
    asked: Select[Any] = select(*_KEPT).where(among(c.name, "names", shared))
    return {row.name: row for row in conn.execute(asked, {"names": listed(names, shared)})}


class Batch:
    """The writes of one transaction; `number` ends them."""

    def __init__(self, conn: Connection, database: Database, now: float) -> None:
        self._conn = conn
        self._database = database
        self._shared = database.shared
        self._now = now
        self._changes: list[dict[str, Any]] = []

    def hold(self, fence: Fence | None) -> None:
        """Raise LockLost if somebody has taken the cluster over since; to be called first."""
        if fence is None:
            return
        held = self._conn.execute(_HOLD, {"cluster": fence.cluster, "fence": fence.number}).first()
        if held is None:
            raise LockLost(
                f"another gateway sweeps {fence.cluster} now: its lock has a newer holder than number {fence.number}; "
                "nothing was written"
            )

    def keep(self, collection: str, rows: Sequence[ResourceRow], at: float, origin: Origin) -> Written:
        """Write rows that were read `at`, unless what is kept is newer."""
        found = self._locked([row.name for row in rows])
        confirmed = listed_times(self._conn, self._shared, {row.cluster for row in rows})
        verdicts: dict[Verdict, list[ResourceRow]] = {verdict: [] for verdict in Verdict}
        for row in sorted(rows, key=lambda row: row.name):
            since = confirmed.time(row.cluster, collection, row.project)
            verdicts[judge(found.get(row.name), row.digest, at, since)].append(row)
        extra = {"observe_time": at, "deleted_time": None}
        self._add(verdicts[Verdict.ADD], found, {**extra, "source": str(origin)})
        self._update(verdicts[Verdict.UPDATE], found, extra)
        if origin.is_listing:
            there = (found[row.name] for row in (*verdicts[Verdict.UPDATE], *verdicts[Verdict.UNCHANGED]))
            settled = origin.settled
            self._note_listed([row.name for row in there if row.source not in settled], origin)
        return Written(
            added=len(verdicts[Verdict.ADD]),
            updated=len(verdicts[Verdict.UPDATE]),
            unchanged=len(verdicts[Verdict.UNCHANGED]),
            outdated=len(verdicts[Verdict.OUTDATED]),
        )

    def _locked(self, names: Collection[str]) -> dict[str, Row[Any]]:
        asked: Select[Any] = select(*_KEPT, c.payload).where(among(c.name, "names", self._shared)).order_by(c.name)
        found = self._conn.execute(asked.with_for_update(), {"names": listed(names, self._shared)})
        return {row.name: row for row in found}

    def _add(self, rows: Sequence[ResourceRow], found: Mapping[str, Row[Any]], extra: Mapping[str, Any]) -> None:
        if not rows:
            return
        new = [{**row.fields, **extra} for row in rows if row.name not in found]
        if new:
            self._conn.execute(insert(resources), new)
        self._overwrite([row for row in rows if row.name in found], found, extra)
        there = kept_rows(self._conn, [row.name for row in rows], self._shared)
        self._add_values((there[row.name].id, row.values) for row in rows)
        self._note(What.ADDED, ((there[row.name], None) for row in rows))

    def _update(self, rows: Sequence[ResourceRow], found: Mapping[str, Row[Any]], extra: Mapping[str, Any]) -> None:
        if not rows:
            return
        self._overwrite(rows, found, extra)
        before = self._values_of([row.name for row in rows])
        ids = {row.name: found[row.name].id for row in rows}
        gone = [
            {"b_path": path, "b_value": value, "b_resource": ids[row.name]}
            for row in rows
            for path, value in before.get(ids[row.name], frozenset()) - row.values
        ]
        if gone:
            self._conn.execute(_DELETE_VALUE, gone)
        self._add_values((ids[row.name], row.values - before.get(ids[row.name], frozenset())) for row in rows)
        self._note(What.UPDATED, ((found[row.name], found[row.name].payload) for row in rows))

    def _note_listed(self, names: Collection[str], origin: Origin) -> None:
        if names:
            these = update(resources).where(among(c.name, "names", self._shared))
            self._conn.execute(these.values(source=str(origin)), {"names": listed(names, self._shared)})

    def _overwrite(self, rows: Sequence[ResourceRow], found: Mapping[str, Row[Any]], extra: Mapping[str, Any]) -> None:
        changed = [{**row.fields, **extra, "b_id": found[row.name].id} for row in rows]
        if changed:
            self._conn.execute(update(resources).where(c.id == bindparam("b_id")), changed)

    def _values_of(self, names: Collection[str]) -> dict[int, frozenset[tuple[str, str]]]:
        v = resource_values.c
        asked = select(v.resource, v.path, v.value).join(resources, c.id == v.resource)
        found: dict[int, set[tuple[str, str]]] = {}
        rows = self._conn.execute(
            asked.where(among(c.name, "names", self._shared)), {"names": listed(names, self._shared)}
        )
        for row in rows:
            found.setdefault(row.resource, set()).add((row.path, row.value))
        return {resource: frozenset(values) for resource, values in found.items()}

    def _add_values(self, values: Iterable[tuple[int, frozenset[tuple[str, str]]]]) -> None:
        new = [
            {"path": path, "value": value, "resource": resource}
            for resource, each in values
            for path, value in sorted(each)
        ]
        if new:
            self._conn.execute(insert(resource_values), new)

    def remove(self, names: Collection[str], at: float) -> Written:
        """Take rows for deleted that were proven gone `at`, but for those known to be there since."""
        found = {name: row for name, row in self._locked(names).items() if row.deleted_time is None}
        confirmed = listed_times(self._conn, self._shared, {row.cluster for row in found.values()})
        gone = [
            row
            for row in found.values()
            if max(row.observe_time, confirmed.time(row.cluster, row.collection, row.project)) <= at
        ]
        if gone:
            values = {"names": listed([row.name for row in gone], self._shared)}
            these = among(c.name, "names", self._shared)
            self._conn.execute(
                delete(resource_values).where(resource_values.c.resource.in_(select(c.id).where(these))), values
            )
            self._conn.execute(update(resources).where(these).values(deleted_time=at), values)
            self._note(What.REMOVED, ((row, row.payload) for row in gone))
        return Written(removed=len(gone), outdated=len(found) - len(gone), unchanged=len(set(names)) - len(found))

    def forget(self, cluster: str, limit: int, project: str = "") -> Written:
        """Delete at most so many rows of a cluster, or of one of its projects, deleted ones too.

        What was known of it goes after the last one.
        """
        asked: Select[Any] = select(*_KEPT, c.payload).where(c.cluster == cluster).order_by(c.name).limit(limit)
        if project:
            asked = asked.where(c.project == project)
        found = self._conn.execute(asked.with_for_update()).all()
        if not found:
            of_projects = delete(project_sync_state).where(project_sync_state.c.cluster == cluster)
            if project:
                self._conn.execute(of_projects.where(project_sync_state.c.project == project))
            else:
                self._conn.execute(of_projects)
                self._conn.execute(delete(sync_state).where(sync_state.c.cluster == cluster))
            return Written()
        values = {"names": listed([row.name for row in found], self._shared)}
        self._conn.execute(delete(resources).where(among(c.name, "names", self._shared)), values)
        there = [row for row in found if row.deleted_time is None]
        self._note(What.REMOVED, ((row, row.payload) for row in there))
        return Written(removed=len(there), unchanged=len(found) - len(there))

    def _note(self, what: What, rows: Iterable[tuple[Row[Any], bytes | None]]) -> None:
        self._changes.extend(
            {
                "time": self._now,
                "resource": row.id,
                "name": row.name,
                "collection": row.collection,
                "cluster": row.cluster,
                "what": str(what),
                "previous": previous,
            }
            for row, previous in rows
        )

    def number(self) -> None:
        """Number the changes and announce them; to be called last."""
        if not self._changes:
            return
        first = outbox.first_number(self._conn, len(self._changes))
        numbered = [{**change, "sequence": first + place} for place, change in enumerate(self._changes)]
        self._conn.execute(insert(resource_changes), numbered)
        self._database.announce(self._conn, ANNOUNCEMENT)


_DELETE_VALUE = delete(resource_values).where(
    and_(
        resource_values.c.path == bindparam("b_path"),
        resource_values.c.value == bindparam("b_value"),
        resource_values.c.resource == bindparam("b_resource"),
    )
)


def purge_deleted(conn: Connection, before: float, limit: int) -> int:
    """Delete rows of resources that were deleted before that time; return how many."""
    old = select(c.id).where(c.deleted_time < before).limit(limit)
    return int(conn.execute(delete(resources).where(c.id.in_(old))).rowcount)
