"""A new adapter is plugged in and pulled out again while the gateway runs, over a file and over a real Consul."""

from __future__ import annotations

import json
import uuid

import pytest
from common.base.tests.registry.conftest import ConsulServer, find_consul
from tests.flows.conftest import buf_curl, gateway, program

from cloudspan.client import NotFound, Unreachable
from cloudspan.v1 import platform_pb2, server_pb2
from cloudspan_memory.seed.v1 import seed_pb2, seed_pb2_grpc

MAIN = "platforms/acme/clusters/main"
SEED = "cloudspan_memory.seed.v1.SeedService"


@pytest.fixture(scope="module")
def consul_address(tmp_path_factory):
    """A real agent of our own."""
    agent = ConsulServer(find_consul(), tmp_path_factory.mktemp("consul"))
    agent.start()
    yield f"127.0.0.1:{agent.http_port}"
    agent.stop()


@pytest.fixture(params=["static", "consul"])
def registry(request, tmp_path):
    """The registry's URL, each driver in turn."""
    if request.param == "static":
        return f"static:{tmp_path / 'registry.yaml'}"
    return f"consul://{request.getfixturevalue('consul_address')}?service=adapters-{uuid.uuid4().hex[:8]}"


def _acme(registry):
    arguments = ("--platform", "acme", "--listen", "127.0.0.1:0", "--registry", registry, "--drain", "0")
    return program("-m", "cloudspan_memory", *arguments)


async def _platforms(cloud):
    answer = await cloud.platforms.ListPlatforms(platform_pb2.ListPlatformsRequest())
    return {platform.name.partition("/")[2]: platform for platform in answer.platforms}


async def test_an_adapter_is_added_and_removed_while_the_gateway_runs(registry, until):
    """Unknown before; listed, reflected, called with its own service, remembered when gone, called again when back."""
    async with gateway(registry) as cloud:
        await _is_unknown(cloud)
        async with _acme(registry):
            await until(lambda: _is_ready(cloud))
            await _is_reflected(cloud)
            await _is_called(cloud)
        await until(lambda: _is_away(cloud))
        await _is_refused_with_a_time_to_come_back(cloud)
        async with _acme(registry):
            await until(lambda: _is_ready(cloud))
            listing = cloud.each(cloud.servers.ListServers, server_pb2.ListServersRequest(parent=MAIN))
            assert [server async for server in listing] == []


async def test_a_platform_that_is_listed_as_ready_answers_its_first_call(registry, until):
    """READY is said when calls are served, not before."""
    async with gateway(registry) as cloud, _acme(registry):
        await until(lambda: _is_ready(cloud))
        answer = await cloud.servers.ListServers(server_pb2.ListServersRequest(parent=MAIN))
        assert answer.cluster_status[0].cluster == MAIN


async def _is_unknown(cloud):
    assert "acme" not in await _platforms(cloud)
    with pytest.raises(NotFound, match="platform 'acme' is not plugged in"):
        await cloud.servers.ListServers(server_pb2.ListServersRequest(parent=MAIN))


async def _is_ready(cloud):
    platform = (await _platforms(cloud)).get("acme")
    return platform is not None and platform.state == platform_pb2.Platform.STATE_READY


async def _is_away(cloud):
    platform = (await _platforms(cloud)).get("acme")
    return platform is not None and platform.state == platform_pb2.Platform.STATE_UNAVAILABLE


async def _is_reflected(cloud):
    """Buf finds the adapter's own service at the gateway and calls it by what it found."""
    assert SEED in (await buf_curl("--list-services", f"http://{cloud.address}")).split()
    arguments = ("-H", "x-platform: acme", "-d", '{"servers":2}', f"http://{cloud.address}/{SEED}/Seed")
    assert json.loads(await buf_curl(*arguments)) == {"servers": 2}


async def _is_called(cloud):
    listing = cloud.each(cloud.servers.ListServers, server_pb2.ListServersRequest(parent="platforms/-/clusters/-"))
    assert [server.display_name async for server in listing] == ["server-00000", "server-00001"]
    seeds = seed_pb2_grpc.SeedServiceStub(cloud.channel)
    answer = await seeds.Seed(seed_pb2.SeedRequest(servers=1), metadata=(("x-platform", "acme"),))
    assert answer.servers == 3


async def _is_refused_with_a_time_to_come_back(cloud):
    with pytest.raises(Unreachable, match="acme") as raised:
        await cloud.servers.ListServers(server_pb2.ListServersRequest(parent=MAIN))
    assert raised.value.retry_after_s is not None
