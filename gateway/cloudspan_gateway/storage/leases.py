"""Who is alive of those that hold claims: one lease for all that a holder has, renewed by one write.

A store has one and calls it within its transactions. Time is the database's (`Database.now`), so that no clock of a
gateway's host decides about another's.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from cloudspan_gateway.storage.tables import gateways

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.storage.engine import Database


class Leases:
    """The leases of all holders as seen by one of them, whose own it renews."""

    def __init__(self, database: Database, clock: Clock, lease_s: float) -> None:
        self.owner = uuid.uuid4().hex[:16]
        self._database = database
        self._clock = clock
        self._lease_s = lease_s
        self._ends: dict[str, float] = {}  # on our monotonic clock, as last seen

    def __repr__(self) -> str:
        return f"<Leases {len(self._ends)} alive, own {self.owner}>"

    @property
    def first_end(self) -> float | None:
        """When the first of the leases ends, on our monotonic clock, unless it is renewed meanwhile."""
        return min(self._ends.values(), default=None)

    def sweep(self, conn: Connection) -> list[str]:
        """End the leases that have run out, our own included; return whose."""
        now = self._database.now(conn)
        alive = conn.execute(select(gateways.c.owner, gateways.c.lease_until).where(gateways.c.lease_until > 0)).all()
        here = self._clock.monotonic() - now
        self._ends = {owner: until + here for owner, until in alive if until > now}
        if len(self._ends) == len(alive):
            return []
        ended = (
            update(gateways)
            .where(gateways.c.lease_until > 0, gateways.c.lease_until <= now)
            .values(lease_until=0.0)
            .returning(gateways.c.owner)
        )
        return list(conn.execute(ended).scalars())

    def renew(self, conn: Connection) -> None:
        """Make our own lease last its full time from now on."""
        until = self._database.now(conn) + self._lease_s
        known = conn.execute(update(gateways).where(gateways.c.owner == self.owner).values(lease_until=until))
        if not known.rowcount:
            conn.execute(gateways.insert().values(owner=self.owner, lease_until=until))
        self._ends = {**self._ends, self.owner: self._clock.monotonic() + self._lease_s}

    def start(self, conn: Connection) -> None:
        """Have a lease, without renewing one that runs."""
        if self.owner not in self._ends:
            self.renew(conn)

    def leave(self, conn: Connection) -> None:
        """Give our own lease up."""
        conn.execute(gateways.delete().where(gateways.c.owner == self.owner))
        self._ends = {}
