"""The laws' clouds: one in memory, a fake OpenStack and a fake ZStack, all behind one gateway.

A law holds for every kind of the contract on every platform. Cases are made from the contract's descriptors, so a new
rpc has its cases as soon as it stands in `protos/`. What a cluster's capabilities call absent is skipped by that fact.
"""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from tests.harness.clouds import Memory, OpenStack, ZStack
from tests.harness.in_process import Deployment, deployment, ready
from tests.harness.mutations import CREATES, call, stub

from cloudspan.v1 import cluster_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.harness.clouds import Site

    from cloudspan_common.contract import Method

SITES = {"memory": Memory, "openstack": OpenStack, "zstack": ZStack}
SEEDED = 4
"""How many of each kind that can be created there are at least."""
_WAIT_S = 20.0


@dataclass
class Lab:
    """What a law works with: the clouds of all platforms, behind one gateway."""

    running: Deployment
    sites: dict[str, Site]
    served: dict[str, dict[str, cluster_pb2.MethodCapability]]
    """Of each platform the methods that its capabilities list, by full name."""
    created: dict[tuple[str, str], list[Any]]
    """What was made of each create by platform and rpc, to be read; mutations leave it alone."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    """Makes what may exist once, VLANs and subnets, differ."""

    def stub(self, rpc: str) -> Any:
        """Return the client's method."""
        return stub(self.running.client, rpc)

    def need(self, platform: str, method: Method) -> None:
        """Skip the test where the platform has no such method, and says so."""
        if method.full_name not in self.served[platform]:
            pytest.skip(f"{platform} has no {method.name}")

    async def done(self, operation: Any) -> Any:
        """Return what an operation has made."""
        return await operation.result(_WAIT_S)

    async def create(self, platform: str, rpc: str, name: str) -> Any:
        """Make one, and before it what it needs."""
        return await self.done(await call(self.running.client, await self.request(platform, rpc, name)))

    async def request(self, platform: str, rpc: str, name: str) -> Any:
        """Return a valid request, once what it needs is there."""
        kind, site = CREATES[rpc], self.sites[platform]
        client = self.running.client
        before = [
            await self.done(await call(client, make(site, f"{name}-below-{at}", next(self._numbers))))
            for at, make in enumerate(kind.before)
        ]
        return kind.request(site, name, next(self._numbers), *(made.name for made in before))


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    """All clouds with some of everything that can be created."""
    quick = {"build_s": 0.0, "power_s": 0.0, "delete_s": 0.0, "volume_s": 0.0, "attach_s": 0.0}
    sites = {
        "memory": Memory(0.0),
        "openstack": OpenStack(settle_s=1.0, demo=True, **quick),
        "zstack": ZStack(settle_s=1.0, demo=True),
    }
    async with AsyncExitStack() as stack:
        for site in sites.values():
            await stack.enter_async_context(site.cloud)
        clusters = [site.cluster(tmp_path_factory.mktemp(name)) for name, site in sites.items()]
        running = await stack.enter_async_context(deployment(*clusters))
        await ready(*clusters)
        made = Lab(running, sites, await _served(running), {})
        await asyncio.gather(*(_seed(made, platform) for platform in sites))
        yield made


async def _served(running: Deployment) -> dict[str, dict[str, cluster_pb2.MethodCapability]]:
    absent, found = cluster_pb2.MethodCapability.LEVEL_ABSENT, {}
    for platform, site in SITES.items():
        answer = await running.client.clusters.GetCapabilities(cluster_pb2.GetCapabilitiesRequest(name=site.ref))
        found[platform] = {told.method: told for told in answer.capabilities if told.level != absent}
    return found


async def _seed(lab: Lab, platform: str) -> None:
    for rpc in CREATES:
        if any(method.endswith(f"/{rpc}") for method in lab.served[platform]):
            made = [await lab.create(platform, rpc, f"seeded-{number}") for number in range(SEEDED)]
            lab.created[platform, rpc] = made
