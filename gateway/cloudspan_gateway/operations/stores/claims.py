"""Who may work on what, and what is forgotten: the statements that go over many operations at once.

Run by `batch` in its transaction, after the changes to single rows are in the tables.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.operations.stores import rows
from cloudspan_gateway.operations.stores.base import Claim
from cloudspan_gateway.operations.stores.commands import Forget, Leave, Purge, Release, Renew, Take
from cloudspan_gateway.operations.stores.statements import statements
from cloudspan_gateway.storage.engine import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection

    from cloudspan_gateway.operations.model import Row
    from cloudspan_gateway.operations.stores.commands import Command, Effects
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database
    from cloudspan_gateway.storage.leases import Leases


class Claims:
    """The claims of one owner, within one transaction."""

    def __init__(self, conn: Connection, database: Database, cipher: Cipher, leases: Leases, kept: Effects) -> None:
        self._conn = conn
        self._shared = database.shared
        self._memo = database.memo
        self._say = statements(database.shared)
        self._cipher = cipher
        self._leases = leases
        self._kept = kept

    def run(self, command: Command) -> Any:
        """Carry out a command that is none of a single row."""
        if isinstance(command, Take):
            return self._take(command)
        if isinstance(command, Forget):
            return self._delete([command.id])
        if isinstance(command, Purge):
            return self._purge(command)
        if isinstance(command, Release):
            return self._release(command.claims)
        if isinstance(command, Renew):
            self._free_lapsed()
            return self._leases.renew(self._conn)
        return self._leave() if isinstance(command, Leave) else None

    def _take(self, command: Take) -> list[tuple[Claim, Row]]:
        self._free_lapsed()
        found = self._free(command)
        if found:
            self._leases.start(self._conn)
            ids = [row.intent.id for row in found]
            self._conn.execute(self._say.own, {**self._listed(ids), "owner": self._leases.owner})
            self._memo.keep({row.intent.id: (row, len(row.intent.request)) for row in found})
        self._kept.work |= len(found) == command.limit  # there may be more than was asked for
        return [(Claim(row.intent.id, row.epoch), row) for row in found]

    def _free(self, command: Take) -> list[Row]:
        """Return the oldest that are free, claimed; look again for as long as some turn out to be unreadable."""
        while True:
            known = len(command.unreadable)
            values = {"limit": command.limit, "unreadable": listed(command.unreadable, self._shared)}
            records = self._conn.execute(self._say.free, values).all()
            found = [row for record in records if (row := self._readable(record, command.unreadable))]
            if len(command.unreadable) == known:
                return found

    def _readable(self, record: Any, unreadable: set[str]) -> Row | None:
        try:
            row = self._memo.get(record.id) or rows.to_row(record, self._cipher)
        except CloudspanError:
            unreadable.add(record.id)  # nobody can work on it: it must not keep others from being claimed
            return None
        return dataclasses.replace(row, epoch=row.epoch + 1)

    def _listed(self, values: Collection[str]) -> dict[str, Any]:
        return {"values_": listed(values, self._shared)}

    def _free_lapsed(self) -> None:
        lapsed = self._leases.sweep(self._conn)
        if lapsed:
            self._free_of(lapsed)

    def _free_of(self, owners: Collection[str]) -> None:
        self._kept.work |= bool(self._conn.execute(self._say.free_of, self._listed(owners)).rowcount)

    def _release(self, claims: Sequence[Claim]) -> None:
        if claims:
            self._conn.execute(self._say.release, [{"key": claim.id, "of": claim.epoch} for claim in claims])
            self._kept.work = True

    def _leave(self) -> None:
        self._free_of([self._leases.owner])
        self._leases.leave(self._conn)

    def _purge(self, command: Purge) -> int:
        old = self._conn.execute(self._say.ended, {"before": command.ended_before, "limit": command.limit})
        ids = list(old.scalars())
        self._delete(ids)
        return len(ids)

    def _delete(self, ids: Sequence[str]) -> None:
        self._conn.execute(self._say.delete, self._listed(ids))
        self._kept.gone += ids
