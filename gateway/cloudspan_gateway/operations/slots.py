"""How many steps are under way at once: a limit for each cluster, and a fair share of it for each tenant.

Executions take a slot for each step, never while they wait.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan_common.names import ClusterRef

PER_CLUSTER = 32


class Slots:
    """The slots of every cluster."""

    def __init__(self, per_cluster: int = PER_CLUSTER, per_tenant: int = 0) -> None:
        self._per_cluster = per_cluster
        self._per_tenant = per_tenant or per_cluster
        self._clusters: dict[ClusterRef, _Cluster] = {}

    def __repr__(self) -> str:
        taken = ", ".join(f"{ref}: {cluster!r}" for ref, cluster in self._clusters.items())
        return f"<Slots {taken or 'all free'}>"

    @asynccontextmanager
    async def taken(self, ref: ClusterRef, tenant: str) -> AsyncIterator[None]:
        """Hold a slot inside the `with` block; comes behind its own tenant, and in turn with the others."""
        cluster = self._clusters.setdefault(ref, _Cluster(self._per_cluster, self._per_tenant))
        await cluster.take(tenant)
        try:
            yield
        finally:
            cluster.give_back(tenant)
            if cluster.is_idle:
                self._clusters.pop(ref, None)


class _Cluster:
    """The slots of one cluster. Tenants that wait are served round robin, each in its own order."""

    def __init__(self, limit: int, per_tenant: int) -> None:
        self._limit = limit
        self._per_tenant = per_tenant
        self._taken: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def __repr__(self) -> str:
        return f"{self._taken.total()} of {self._limit}, {sum(map(len, self._waiting.values()))} wait"

    @property
    def is_idle(self) -> bool:
        return not self._taken.total() and not self._waiting

    async def take(self, tenant: str) -> None:
        if self._has_room(tenant) and tenant not in self._waiting:
            self._taken[tenant] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(tenant)  # it was its turn in the same moment
            else:
                self._leave(tenant, turn)
            raise

    def give_back(self, tenant: str) -> None:
        self._taken[tenant] -= 1
        if not self._taken[tenant]:
            del self._taken[tenant]
        self._serve()

    def _has_room(self, tenant: str) -> bool:
        return self._taken.total() < self._limit and self._taken[tenant] < self._per_tenant

    def _serve(self) -> None:
        """Give what is free to who waits, one for each tenant in turn."""
        while (tenant := next(filter(self._has_room, self._waiting), None)) is not None:
            turn = self._waiting[tenant].popleft()
            if self._waiting[tenant]:
                self._waiting.move_to_end(tenant)
            else:
                del self._waiting[tenant]
            self._taken[tenant] += 1
            turn.set_result(None)

    def _leave(self, tenant: str, turn: asyncio.Future[None]) -> None:
        self._waiting[tenant].remove(turn)
        if not self._waiting[tenant]:
            del self._waiting[tenant]
