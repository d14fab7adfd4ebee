"""Who may work on what, and what is forgotten: the statements that go over many operations at once.

Run by `batch` in its transaction, after the changes to single rows are in the tables.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, select, text, update

from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.operations import rows
from cloudspan_gateway.operations.jobs import Forget, Leave, Purge, Release, Renew, Take
from cloudspan_gateway.operations.store import Claim
from cloudspan_gateway.storage.engine import among, listed
from cloudspan_gateway.storage.tables import operations

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from cloudspan_gateway.operations.jobs import Job, Kept
    from cloudspan_gateway.operations.model import Row
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database
    from cloudspan_gateway.storage.leases import Leases

# In full and not as parameters: only so do the databases see that a partial index serves.
_OPEN = text("end_time IS NULL")
_FREE = text("end_time IS NULL AND owner = '' AND waits_for = ''")
_HELD = text("end_time IS NULL AND owner <> ''")


class Claims:
    """The claims of one owner, within one transaction."""

    def __init__(self, conn: Connection, database: Database, cipher: Cipher, leases: Leases, kept: Kept) -> None:
        self._conn = conn
        self._database = database
        self._cipher = cipher
        self._leases = leases
        self._kept = kept

    def run(self, job: Job) -> Any:
        """Carry out a job that is none of a single row."""
        if isinstance(job, Take):
            return self._take(job)
        if isinstance(job, Forget):
            return self._delete([job.id])
        if isinstance(job, Purge):
            return self._purge(job)
        if isinstance(job, Release):
            return self._release(job.claims)
        if isinstance(job, Renew):
            self._free_lapsed()
            return self._leases.renew(self._conn)
        return self._leave() if isinstance(job, Leave) else None

    def _take(self, job: Take) -> list[tuple[Claim, Row]]:
        self._free_lapsed()
        free = select(*rows.COLUMNS).where(_FREE).order_by(operations.c.sequence).limit(job.limit)
        if job.unreadable:
            free = free.where(~among(operations.c.id, "unreadable", self._conn))
        if self._database.shared:
            free = free.with_for_update(skip_locked=True)
        records = self._conn.execute(free, {"unreadable": listed(self._conn, job.unreadable)} if job.unreadable else {})
        found = [row for record in records.all() if (row := self._readable(record, job.unreadable))]
        if found:
            self._leases.start(self._conn)
            self._own([row.intent.id for row in found])
        self._kept.work |= len(found) == job.limit  # there may be more than was asked for
        return [(Claim(row.intent.id, row.epoch), row) for row in found]

    def _readable(self, record: Any, unreadable: set[str]) -> Row | None:
        try:
            row = rows.to_row(record, self._cipher)
        except CloudspanError:
            unreadable.add(record.id)  # nobody can work on it: it must not keep others from being claimed
            return None
        return dataclasses.replace(row, epoch=row.epoch + 1)

    def _own(self, ids: Collection[str]) -> None:
        c = operations.c
        taken = update(operations).where(among(c.id, "ids", self._conn))
        values = {c.owner: self._leases.owner, c.epoch: c.epoch + 1}
        self._conn.execute(taken.values(values), {"ids": listed(self._conn, ids)})

    def _free_lapsed(self) -> None:
        lapsed = self._leases.sweep(self._conn)
        if lapsed:
            self._free_of(lapsed)

    def _free_of(self, owners: Collection[str]) -> None:
        freed = update(operations).where(_HELD, among(operations.c.owner, "owners", self._conn)).values(owner="")
        self._kept.work |= bool(self._conn.execute(freed, {"owners": listed(self._conn, owners)}).rowcount)

    def _release(self, claims: Sequence[Claim]) -> None:
        if not claims:
            return
        c = operations.c
        freed = update(operations).where(_OPEN, c.id == bindparam("key"), c.epoch == bindparam("of")).values(owner="")
        self._conn.execute(freed, [{"key": claim.id, "of": claim.epoch} for claim in claims])
        self._kept.work = True

    def _leave(self) -> None:
        self._free_of([self._leases.owner])
        self._leases.leave(self._conn)

    def _purge(self, job: Purge) -> int:
        c = operations.c
        old = select(c.id).where(text("end_time IS NOT NULL"), c.end_time < job.ended_before).order_by(c.end_time)
        if self._database.shared:
            old = old.with_for_update(skip_locked=True)
        ids = list(self._conn.execute(old.limit(job.limit)).scalars())
        self._delete(ids)
        return len(ids)

    def _delete(self, ids: Sequence[str]) -> None:
        gone = delete(operations).where(among(operations.c.id, "ids", self._conn))
        self._conn.execute(gone, {"ids": listed(self._conn, ids)})
        self._kept.gone += ids
