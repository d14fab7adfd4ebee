"""What the gateway's tests share: adapters made by hand, a gateway over a memory registry, a channel to it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from gateway.tests.hand_made_adapter import HandMadeAdapter

from cloudspan.v1 import tenant_pb2
from cloudspan_common import errors, grpcs
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway import app
from cloudspan_gateway.access.policy import Row
from cloudspan_gateway.access.store import Changes
from cloudspan_gateway.config import GatewayConfig

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import grpc

    from cloudspan_common.errors import CloudspanError
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.access.principal import Principal


class Deployment:
    """A registry, the adapters in it, and a gateway over them with a channel to it."""

    def __init__(self) -> None:
        self.registry = MemoryRegistry()
        self.adapters: list[HandMadeAdapter] = []
        self.gateway: app.Gateway
        self.channel: grpc.aio.Channel
        self.access_of: Callable[[Principal, str], Access] | None = None
        """What authenticated callers may do, in place of what the database says."""
        self.tls: grpcs.Tls | None = None
        """What the channel shows."""

    async def plug_in(self, **fields: object) -> HandMadeAdapter:
        adapter = HandMadeAdapter(**fields)
        self.registry.put(await adapter.start())
        self.adapters.append(adapter)
        return adapter

    @asynccontextmanager
    async def opened(self, kind: type[app.Gateway] = app.Gateway, **config: object) -> AsyncIterator[Deployment]:
        settings = GatewayConfig(
            **{
                "listen": "127.0.0.1:0",
                "metrics": "",
                "drain_s": 0.0,
                "database": "memory:",
                "no_inventory": True,
                **config,
            }
        )
        self.gateway = kind(settings, self.registry)
        if self.access_of is not None:
            self.gateway._access_of = self.access_of
        async with self.gateway.running():
            self.channel = grpcs.new_channel(f"127.0.0.1:{self.gateway.server.port}", self.tls)
            try:
                yield self
            finally:
                await self.channel.close()

    async def pool(self, pool: str, *clusters: str, tenant: str = "default") -> None:
        """Create a pool, and its tenant unless it is there."""
        rows: list[Row] = [tenant_pb2.Pool(name=f"tenants/{tenant}/pools/{pool}")]
        rows[0].clusters.extend(tenant_pb2.PoolCluster(cluster=cluster) for cluster in clusters)
        await self.keep(tenant_pb2.Tenant(name=f"tenants/{tenant}"), *rows)

    async def keep(self, *rows: Row) -> None:
        """Keep rows of the policy, without asking who may."""
        await self.gateway.policy.change(lambda _policy, _conn: (None, Changes(rows)))

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until the table makes `condition` true."""
        changed = asyncio.Event()
        self.gateway.table.subscribe(lambda _snapshot: changed.set())
        async with asyncio.timeout(10):
            while not condition():
                changed.clear()
                await changed.wait()

    def states(self, platform: str = "openstack") -> str:
        """Return the instances of a platform as the table's repr shows them."""
        return repr(list(self.gateway.table.snapshot.platforms[platform].instances))


@pytest.fixture
async def deployment() -> AsyncIterator[Deployment]:
    """A deployment without adapters, whose gateway is still to be opened."""
    made = Deployment()
    async with AsyncExitStack() as stack:
        yield made
        for adapter in made.adapters:
            stack.push_async_callback(adapter.stop)


@pytest.fixture
def told() -> Callable[[grpc.aio.AioRpcError], CloudspanError]:
    """The error of a failed call, as an error of the tree."""
    return lambda error: errors.from_status(errors.status_of(error))
