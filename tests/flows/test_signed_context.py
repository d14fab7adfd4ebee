"""A gateway that signs and adapters that verify: everything works as before, and nobody gets past the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
import pytest
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.client import AsyncClient, errors, result_of, waiting
from cloudspan.v1 import cluster_pb2, orphan_pb2, server_pb2
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway.access.access import Access, OpenAccess
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.app import Gateway, build
from cloudspan_gateway.call import Call
from cloudspan_gateway.config import GatewayConfig

ALL = "platforms/-/clusters/-"
Lists = server_pb2.ListServersRequest


class _Alice:
    """Takes every caller for alice."""

    name = "sessions"

    async def authenticate(self, _call: Call) -> Principal:
        return Principal("users/alice")


class Signing(Gateway):
    """A gateway that knows its callers, who may do everything, and so signs what it asks adapters."""

    def __init__(self, config: GatewayConfig, registry: MemoryRegistry) -> None:
        super().__init__(replace(config, auth=("sessions",)), registry)

    def _authenticators(self) -> tuple[_Alice]:
        return (_Alice(),)

    def _access_of(self, _principal: Principal, tenant: str) -> Access:
        return OpenAccess(tenant)


@pytest.fixture
async def running() -> AsyncIterator[Deployment]:
    """A gateway that signs, and one adapter."""
    async with deployment(memory_cluster(), kind=Signing, token="alice") as opened:
        yield opened


async def test_a_users_day_goes_through_signed_calls(running: Deployment) -> None:
    """Reads, lists, steps of operations, checks and orphans: nothing is called without a context."""
    cloud = running.client
    server = result_of(await cloud.servers.CreateServer(create_request(), metadata=waiting(5)))
    assert (await cloud.servers.GetServer(server_pb2.GetServerRequest(name=server.name))).name == server.name
    assert len((await cloud.servers.ListServers(Lists(parent=ALL))).servers) == 1
    assert len((await cloud.servers.ListServers(Lists(parent=MAIN))).servers) == 1
    assert (await cloud.clusters.CheckCluster(cluster_pb2.CheckClusterRequest(name=MAIN))).ok
    assert not (await cloud.orphans.ListOrphans(orphan_pb2.ListOrphansRequest(parent=MAIN))).orphans
    many = [cloud.servers.CreateServer(create_request(f"s{n}")) for n in range(20)]  # they share their waits
    await asyncio.gather(*[operation.result(10) for operation in await asyncio.gather(*many)])
    delete = server_pb2.DeleteServerRequest(name=server.name)
    result_of(await cloud.servers.DeleteServer(delete, metadata=waiting(5)))


async def test_whoever_calls_the_adapter_itself_is_refused(running: Deployment) -> None:
    """Its port is no way around the gateway, whatever is sent there."""
    (seen,) = running.gateway.table.snapshot.platforms["memory"].instances
    async with AsyncClient(seen.instance.address, timeout_s=5) as direct:
        for metadata in ((), (("x-cloudspan-context", "forged"),), (("authorization", "Bearer token"),)):
            with pytest.raises(errors.CloudspanError, match="needs a context signed by a gateway") as refused:
                await direct.servers.ListServers(Lists(parent=MAIN), metadata=metadata)
            assert (refused.value.code, refused.value.reason) == (
                grpc.StatusCode.PERMISSION_DENIED,
                "CONTEXT_REFUSED",
            )


async def test_an_adapter_that_starts_again_is_called_with_its_new_key(running: Deployment) -> None:
    """It made another key; the gateway hears of it with the description, before the first call."""
    await running.client.servers.ListServers(Lists(parent=MAIN))
    await running.stop("memory-1")
    await running.plug([memory_cluster()])
    for _ in range(3):
        assert not (await running.client.servers.ListServers(Lists(parent=MAIN))).servers


async def test_an_open_gateway_beside_it_says_why_it_can_t_call_the_adapter(running: Deployment) -> None:
    """Two gateways on one registry must agree; the one that does not sign is told, and takes nothing down."""
    config = GatewayConfig(listen="127.0.0.1:0", metrics="", drain_s=0.0, database="memory:", no_inventory=True)
    shared: Any = _NotClosed(running.registry)
    gateway = build(config, shared)
    async with gateway.running(), AsyncClient(f"127.0.0.1:{gateway.server.port}", timeout_s=5) as client:
        platforms = gateway.table.snapshot.platforms
        reason = platforms["memory"].instances[0].reason if platforms else ""
        assert "needs a context signed by a gateway" in reason
        with pytest.raises(errors.CloudspanError):
            await client.servers.ListServers(Lists(parent=MAIN))
    await running.client.servers.ListServers(Lists(parent=MAIN))


class _NotClosed:
    """A registry that another gateway goes on using."""

    def __init__(self, registry: MemoryRegistry) -> None:
        self.watch, self.register, self.context_keys = registry.watch, registry.register, registry.context_keys
        self.coordinator = None

    async def close(self) -> None:
        """It is not this gateway's."""
