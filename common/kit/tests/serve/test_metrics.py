"""What Prometheus sees of the calls that an adapter answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from common.kit.tests.acme import EAST, PARENT, AcmeCluster, serving
from common.kit.tests.serve.test_servicer import Servers, refused
from prometheus_client import CollectorRegistry

from cloudspan.adapter.v1 import step_pb2, step_pb2_grpc
from cloudspan.client import AsyncClient
from cloudspan.v1 import platform_pb2, server_pb2
from cloudspan_common import errors, grpcs
from cloudspan_common.telemetry import new_registry

SERVERS = "cloudspan.v1.ServerService"
HERE, NOWHERE = (EAST.platform, EAST.cluster), ("", "")


@pytest.fixture
def registry() -> CollectorRegistry:
    return new_registry()


@pytest.fixture
def cluster() -> AcmeCluster[Servers]:
    return AcmeCluster(Servers())


@pytest.fixture
async def address(cluster: AcmeCluster[Servers], registry: CollectorRegistry) -> AsyncIterator[str]:
    async with serving(cluster, metrics=registry) as bound:
        yield bound


@pytest.fixture
async def client(address: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(address, timeout_s=5, retries=False) as opened:
        yield opened


def count(registry: CollectorRegistry, method: str, where: tuple[str, str], code: str) -> float | None:
    labels = {"method": method, "platform": where[0], "cluster": where[1], "code": code}
    return registry.get_sample_value("cloudspan_adapter_calls_total", labels)


async def test_calls_are_counted_by_method_cluster_and_how_they_ended(client, cluster, registry):
    """A cluster that does not exist is nobody's; a defect is INTERNAL."""
    await client.servers.GetServer(server_pb2.GetServerRequest(name=f"{PARENT}/servers/1"))
    await client.servers.ListServers(server_pb2.ListServersRequest(parent=PARENT))
    await client.platforms.ListPlatforms(platform_pb2.ListPlatformsRequest())
    await refused(client.servers.GetServer(server_pb2.GetServerRequest(name="platforms/acme/clusters/no/servers/1")))
    for fault in (errors.NotFound("gone"), KeyError("x")):
        cluster.servers.fault = fault
        await refused(client.servers.GetServer(server_pb2.GetServerRequest(name=f"{PARENT}/servers/1")))
    assert count(registry, f"{SERVERS}/GetServer", HERE, "OK") == 1.0
    assert count(registry, f"{SERVERS}/ListServers", HERE, "OK") == 1.0
    assert count(registry, f"{SERVERS}/GetServer", NOWHERE, "NOT_FOUND") == 1.0
    assert count(registry, f"{SERVERS}/GetServer", HERE, "NOT_FOUND") == 1.0
    async with asyncio.timeout(5):  # a failed call is counted once its status has left
        while count(registry, f"{SERVERS}/GetServer", HERE, "INTERNAL") is None:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.002)
    assert count(registry, f"{SERVERS}/GetServer", HERE, "INTERNAL") == 1.0
    assert count(registry, "cloudspan.v1.PlatformService/ListPlatforms", NOWHERE, "OK") == 1.0
    where = {"method": f"{SERVERS}/GetServer", "platform": "acme", "cluster": "east"}
    assert registry.get_sample_value("cloudspan_adapter_call_seconds_count", where) == 3.0


async def test_steps_and_the_gateways_other_questions_are_counted(address, registry):
    """By the cluster that they are about, too."""
    async with grpcs.new_channel(address) as channel:
        request = server_pb2.DeleteServerRequest(name=f"{PARENT}/servers/1").SerializeToString()
        step = step_pb2.StepRequest(operation_id="1", attempt=1, method=f"{SERVERS}/DeleteServer", request=request)
        await step_pb2_grpc.StepServiceStub(channel).Step(step)
    assert count(registry, "cloudspan.adapter.v1.StepService/Step", HERE, "OK") == 1.0


async def test_an_adapter_says_what_it_runs(address, registry):
    """As the gateway does."""
    (family,) = [each for each in registry.collect() if each.name == "cloudspan_build_info"]
    assert family.samples[0].labels["distribution"] == "none"
