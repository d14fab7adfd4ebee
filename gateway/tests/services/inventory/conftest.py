"""A gateway with an inventory that tests fill by hand, and two tenants that share a cluster by projects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from gateway.tests.kept_resources import KeptResources
from gateway.tests.known_callers import EAST, WEST, Guarded, as_user, binding, pool, role, tenant

from cloudspan.client import AsyncClient
from cloudspan.v1 import server_pb2
from cloudspan_common import contract
from cloudspan_common.clock import SystemClock
from cloudspan_common.listing.page_token import authenticated
from cloudspan_gateway.services.inventory.parts import NAME
from cloudspan_gateway.services.inventory.scopes import Scopes
from cloudspan_gateway.services.inventory.service import InventoryService, Sources
from cloudspan_gateway.services.methods import service_methods

DC1 = "platforms/zstack/clusters/dc1"
ROWS = (
    tenant("acme"), pool("acme", "prod", EAST, WEST), binding("acme", "alice", "admin"),
    binding("acme", "vera", "viewer"),
    tenant("beta"), pool("beta", "part", EAST, project="p2"), pool("beta", "own", DC1),
    binding("beta", "carol", "admin"),
    role("syncs", "cloudspan.v1.InventoryService/SyncNow"), binding("beta", "sven", "syncs", "own"),
    binding("-", "root", "admin"),
)  # fmt: skip


class WithInventory(Guarded):
    """Its inventory is a test's."""

    kept: KeptResources

    def _services(self) -> Any:
        self.kept = KeptResources(self.database)
        sources = Sources(self.kept, self.kept, self.kept, self.kept, SystemClock())
        scopes = Scopes(self.table, self.router.tags)
        service = InventoryService(sources, scopes, authenticated(self._cipher.digest))
        others = [method for method in super()._services() if not method.path.startswith(f"/{NAME}/")]
        return (*others, *service_methods(NAME, service))


@dataclass
class Running:
    """What runs, and how each caller asks it."""

    gateway: WithInventory
    kept: KeptResources
    client: AsyncClient

    async def ask(self, rpc: str, request: Any, user: str = "alice", *metadata: tuple[str, str]) -> Any:
        """Call `Search` as a user."""
        return await getattr(self.client.inventory, rpc)(request, metadata=as_user(user, *metadata))

    async def names(self, request: Any, user: str = "alice", *metadata: tuple[str, str]) -> list[str]:
        """Return the last segments of what one page of a Search finds."""
        found = await self.ask("Search", request, user, *metadata)
        return [resource.name.rpartition("/")[2] for resource in found.resources]


@pytest.fixture
async def running(deployment):
    absent = {contract.lister("images").full_name: "images are made elsewhere"}
    await deployment.plug_in(clusters=("east", "west"), absent=absent)
    await deployment.plug_in(instance_id="z-1", platform="zstack", clusters=("dc1",), absent=absent)
    async with deployment.opened(WithInventory):
        await deployment.keep(*ROWS)
        kept = deployment.gateway.kept
        for cluster, name, project in ((EAST, "a", "p1"), (EAST, "b", "p2"), (WEST, "c", "p1"), (DC1, "d", "q")):
            kept.put(server(cluster, name, project=f"{cluster}/projects/{project}"))
        async with AsyncClient(f"127.0.0.1:{deployment.gateway.server.port}", retries=False) as client:
            yield Running(deployment.gateway, kept, client)


def server(cluster: str, name: str, **fields: Any) -> server_pb2.Server:
    state = server_pb2.Server.STATE_RUNNING
    return server_pb2.Server(**{"name": f"{cluster}/servers/{name}", "display_name": name, "state": state, **fields})
