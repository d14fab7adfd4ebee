"""What the store says to its database, made once for each kind of database.

Built anew for each call a statement costs more than SQLite takes to run it. Used by `unit`, `batch` and `claims`.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select, text, union, update

from cloudspan_gateway.operations.stores.rows import COLUMNS
from cloudspan_gateway.storage.engine import among, listed
from cloudspan_gateway.storage.tables import explanations, operation_names, operations

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection, Select, TextClause

c = operations.c

# In full and not as parameters: only so do the databases see that a partial index serves.
_OPEN = text("end_time IS NULL")
_FREE = text("end_time IS NULL AND owner = '' AND waits_for = ''")
_HELD = text("end_time IS NULL AND owner <> ''")
_ENDED = text("end_time IS NOT NULL")
_QUEUED = text("waits_for <> ''")
_NAMED = text("end_time IS NULL AND resource <> ''")

_CHANGING = (
    "resource", "progress", "cursor", "attempt", "epoch", "revision", "update_time", "contact_time", "secret",
    "cancel_requested", "waits_for", "preempted_by",
)  # fmt: skip
_ENDING = (*_CHANGING, "request", "outcome", "end_time", "code", "reason")


class Statements:
    """Those for a database that is shared with other gateways, or not."""

    def __init__(self, shared: bool) -> None:
        self._shared = shared
        of_requests = select(c.id).where(self._among(c.request_id))
        self.ids_of_requests = of_requests
        """Of those with one of these `request_ids`."""
        self.ids_of_conflicts = union(
            of_requests,
            select(c.id).where(_NAMED, among(c.resource, "names", shared)),
            select(operation_names.c.operation_id).where(among(operation_names.c.name, "names", shared)),
        )
        """And of those under way on one of these `names`."""
        self.by_ids = self._locked(self._rows(self._among(c.id)))
        self.behind = self._locked(self._rows(self._among(c.waits_for), _QUEUED))
        self.free = self._free()
        self.ended = self._ended()
        self.under_way = select(c.tenant, c.cluster, func.count()).where(_OPEN, self._among(c.tenant))
        self.under_way = self.under_way.group_by(c.tenant, c.cluster)
        self.own = update(operations).where(self._among(c.id)).values(owner=bindparam("owner"), epoch=c.epoch + 1)
        self.free_of = update(operations).where(_HELD, self._among(c.owner)).values(owner="")
        self.release = update(operations).where(_OPEN, c.id == bindparam("key"), c.epoch == bindparam("of"))
        self.release = self.release.values(owner="")
        self.alter = self._update(_CHANGING)
        self.end = self._update(_ENDING)
        self.insert = operations.insert().returning(c.id, c.sequence)
        self.delete = operations.delete().where(self._among(c.id))
        self.name = operation_names.insert()
        self.unname = operation_names.delete().where(self._among(operation_names.c.operation_id))
        self.explain = explanations.insert()
        self.unexplain = explanations.delete().where(self._among(explanations.c.operation_id))
        self.lock = text("SELECT pg_advisory_xact_lock(k) FROM unnest(CAST(:keys AS bigint[])) k")

    def _among(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        return among(column, "values_", self._shared)

    def _rows(self, *which: ColumnElement[bool] | TextClause) -> Select[Any]:
        return select(*COLUMNS).where(*which)

    def _locked(self, found: Select[Any]) -> Select[Any]:
        # In one order for all gateways: so they wait for each other and seldom in a circle.
        return found.order_by(c.id).with_for_update() if self._shared else found

    def _free(self) -> Select[Any]:
        found = self._rows(_FREE, ~among(c.id, "unreadable", self._shared))
        found = found.order_by(c.sequence).limit(bindparam("limit"))
        return found.with_for_update(skip_locked=True) if self._shared else found

    def _ended(self) -> Select[Any]:
        found = select(c.id).where(_ENDED, c.end_time < bindparam("before")).order_by(c.end_time)
        found = found.limit(bindparam("limit"))
        return found.with_for_update(skip_locked=True) if self._shared else found

    def _update(self, columns: tuple[str, ...]) -> Any:
        changed = update(operations).where(c.id == bindparam("key"))
        return changed.values({name: bindparam(name) for name in columns})


@functools.cache
def statements(shared: bool) -> Statements:
    """Return the statements for a database, the same ones each time."""
    return Statements(shared)


def under_way(conn: Connection, tenants: Collection[str], *, shared: bool) -> Counter[tuple[str, str]]:
    """Return how many operations of these tenants have not ended, by tenant and cluster."""
    found = conn.execute(statements(shared).under_way, {"values_": listed(tenants, shared)})
    return Counter({(tenant, cluster): count for tenant, cluster, count in found})
