"""A gateway whose inventory a test fills by hand: nothing is swept, and adapters made by hand are the platforms."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from gateway.tests.hand_made_adapter import GET_SERVER, LIST_SERVERS, HandMadeAdapter
from gateway.tests.known_callers import Guarded

from cloudspan.client import AsyncClient
from cloudspan.v1 import server_pb2
from cloudspan_gateway import app
from cloudspan_gateway.inventory.model import CollectionState, Completeness, Observed, Origin
from cloudspan_gateway.operations.stores.base import OperationStore

EAST, WEST = "platforms/openstack/clusters/east", "platforms/openstack/clusters/west"
Request, Response = server_pb2.ListServersRequest, server_pb2.ListServersResponse


class NotSwept(app.Gateway):
    """Its sweeps never begin; `swept` is what SyncNow does instead."""

    swept: Callable[[Sequence[str], Sequence[str]], Awaitable[None]] | None = None

    def _assemble(self, store: OperationStore) -> None:
        super()._assemble(store)
        if self.inventory is not None:
            self.inventory.sync.run = asyncio.Event().wait
            self.inventory.sync.now = self._now

    async def _now(self, clusters: Sequence[str], collections: Sequence[str], **_how: Any) -> None:
        if self.swept is not None:
            await self.swept(clusters, collections)


class GuardedNotSwept(NotSwept, Guarded):
    """The same, and it knows its callers."""


@asynccontextmanager
async def opened(deployment: Any, kind: type[app.Gateway] = NotSwept) -> Any:
    """Run a gateway with an inventory, and a client of it that tries nothing twice."""
    async with deployment.opened(kind, no_inventory=False):
        address = f"127.0.0.1:{deployment.gateway.server.port}"
        async with AsyncClient(address, retries=False, timeout_s=5) as client:
            yield deployment.gateway, client


def server(name: str, cluster: str = EAST, **fields: Any) -> server_pb2.Server:
    """Return a server as a listing has it."""
    state = server_pb2.Server.STATE_RUNNING
    return server_pb2.Server(name=f"{cluster}/servers/{name}", **{"display_name": name, "state": state, **fields})


async def keep(
    gateway: app.Gateway, cluster: str, *servers: server_pb2.Server, age_s: float = 10.0, **state: Any
) -> None:
    """Have a cluster's servers listed so long ago; a state without `observe_time` was never listed whole."""
    at = time.time() - age_s
    store = gateway.inventory.store
    origin = Origin.PROJECT if state.get("project") else Origin.SWEEP
    await store.apply("servers", [Observed.of(one) for one in servers], at, origin)
    known = {"completeness": Completeness.COMPLETE, "observe_time": at, **state}
    await store.save_state(CollectionState(cluster, "servers", **known))


def lists(adapter: HandMadeAdapter, *servers: server_pb2.Server) -> None:
    """Have an adapter list these servers, whichever cluster is asked."""

    async def answer(body: bytes, _context: Any) -> bytes:
        parent = Request.FromString(body).parent
        return Response(servers=[one for one in servers if one.name.startswith(f"{parent}/")]).SerializeToString()

    adapter.answers[LIST_SERVERS] = answer


def asked(adapter: HandMadeAdapter) -> int:
    """Return how often an adapter was asked for servers."""
    return sum(path in (GET_SERVER, LIST_SERVERS) for path, _, _ in adapter.calls)


def ids(response: Response) -> list[str]:
    """Return the last segments of the names in a page."""
    return [one.name.rpartition("/")[2] for one in response.servers]
