"""The door itself: what is plugged in, health, metrics, log, defects, and how it closes."""

from __future__ import annotations

import asyncio
import sys

import grpc
import pytest
from gateway.tests.hand_made_adapter import GET_SERVER, HandMadeAdapter
from grpc_health.v1 import health_pb2, health_pb2_grpc
from prometheus_client import generate_latest

from cloudspan.v1 import cluster_pb2, cluster_pb2_grpc, platform_pb2, platform_pb2_grpc, server_pb2, server_pb2_grpc
from cloudspan_common import grpcs
from cloudspan_common.errors import CloudspanError
from cloudspan_common.registry import open_registry
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway import app
from cloudspan_gateway.config import GatewayConfig
from cloudspan_gateway.routing.forward import Forwarder

NAME = "platforms/openstack/clusters/east/servers/1"
CODE = grpc.StatusCode


def get_server(channel, name=NAME, **options):
    return server_pb2_grpc.ServerServiceStub(channel).GetServer(server_pb2.GetServerRequest(name=name), **options)


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value


async def test_platforms_show_their_instances_clusters_and_services(house):
    """GetPlatform tells the state of each instance with its reason; ListPlatforms all of them."""
    await house.plug_in()
    await house.plug_in(instance_id="os-2", contract=(7, 9))
    await house.plug_in(instance_id="z-1", platform="zstack", clusters=())
    async with house.opened():
        stub = platform_pb2_grpc.PlatformServiceStub(house.channel)
        one = await stub.GetPlatform(platform_pb2.GetPlatformRequest(name="platforms/openstack"))
        every = await stub.ListPlatforms(platform_pb2.ListPlatformsRequest())
        wrong = [
            (await refused(stub.GetPlatform(platform_pb2.GetPlatformRequest(name=name)))).code()
            for name in ("platforms/vmware", "openstack", "platforms/-", "")
        ]
    assert [platform.name for platform in every.platforms] == ["platforms/openstack", "platforms/zstack"]
    assert (one.state, one.display_name) == (platform_pb2.Platform.STATE_READY, "Openstack")
    assert list(one.clusters) == ["platforms/openstack/clusters/east"]
    assert "acme.v1.ToolService" in one.services
    states = {instance.id: instance.state for instance in one.instances}
    assert states == {
        "os-1": platform_pb2.AdapterInstance.STATE_READY,
        "os-2": platform_pb2.AdapterInstance.STATE_QUARANTINED,
    }
    assert "contract versions 7 to 9" in one.instances[1].reason
    assert one.instances[0].describe_time.seconds > 0
    assert wrong == [CODE.NOT_FOUND, CODE.INVALID_ARGUMENT, CODE.INVALID_ARGUMENT, CODE.INVALID_ARGUMENT]


async def test_clusters_are_told_from_the_last_description(house):
    """Get one, list a platform's, list all; CheckCluster alone goes to the adapter."""
    await house.plug_in(clusters=("east", "west"))
    await house.plug_in(instance_id="z-1", platform="zstack", clusters=("dc1",))
    async with house.opened():
        stub = cluster_pb2_grpc.ClusterServiceStub(house.channel)
        name = "platforms/openstack/clusters/west"
        one = await stub.GetCluster(cluster_pb2.GetClusterRequest(name=name))
        parents = ("platforms/openstack", "platforms/-", "")
        lists = [await stub.ListClusters(cluster_pb2.ListClustersRequest(parent=parent)) for parent in parents]
        wrong = await refused(stub.GetCluster(cluster_pb2.GetClusterRequest(name=name + "/servers/1")))
        asked = await refused(stub.CheckCluster(cluster_pb2.CheckClusterRequest(name=name)))
    assert (one.name, one.state) == (name, cluster_pb2.Cluster.STATE_READY)
    assert [len(each.clusters) for each in lists] == [2, 3, 3]
    assert wrong.code() is CODE.INVALID_ARGUMENT
    assert asked.details() == "Method not found!"  # the adapter's own words: this one has no CheckCluster


async def test_health_is_told_for_the_gateway_and_each_platform(house):
    """A platform without a serving instance is NOT_SERVING; the gateway stays SERVING."""
    adapter = await house.plug_in()
    async with house.opened(), asyncio.timeout(10):
        stub = health_pb2_grpc.HealthStub(house.channel)
        assert (await stub.Check(health_pb2.HealthCheckRequest())).status == 1
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="platforms/openstack"))
        while (await watch.read()).status != health_pb2.HealthCheckResponse.SERVING:
            pass
        await adapter.stop()
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


async def test_calls_are_counted_by_method_cluster_and_code(house):
    """Names that callers invent make no series; instances are counted by state."""
    await house.plug_in()
    async with house.opened():
        await get_server(house.channel)
        await refused(get_server(house.channel, "platforms/nowhere/clusters/x/servers/1"))
        await refused(house.channel.unary_unary("/made.up.Service/Method7")(b""))
        text = generate_latest(house.gateway.metrics.registry).decode()
    method = 'method="cloudspan.v1.ServerService/GetServer"'
    assert f'cloudspan_gateway_calls_total{{cluster="east",code="OK",{method},platform="openstack"}} 1.0' in text
    assert f'cloudspan_gateway_calls_total{{cluster="",code="NOT_FOUND",{method},platform=""}} 1.0' in text
    assert f"cloudspan_gateway_call_seconds_count{{{method}}} 2.0" in text
    assert 'cloudspan_gateway_instances{platform="openstack",state="READY"} 1.0' in text
    assert "cloudspan_gateway_in_flight 0.0" in text
    assert "cloudspan_gateway_ejections_total 0.0" in text
    assert 'method="other"' in text
    assert "made.up" not in text
    assert "nowhere" not in text


async def test_a_defect_of_the_gateway_is_told_counted_and_survived(house, told, monkeypatch):
    """INTERNAL with the request id; the next call is served."""
    await house.plug_in()

    async def broken(*_arguments, **_options):
        raise KeyError("oops")

    async with house.opened():
        with monkeypatch.context() as patched:
            patched.setattr(Forwarder, "unary", broken)
            error = await refused(get_server(house.channel))
        assert (await get_server(house.channel)).name == NAME
        text = generate_latest(house.gateway.metrics.registry).decode()
    assert (error.code(), told(error).reason) == (CODE.INTERNAL, "INTERNAL")
    assert "the gateway failed with KeyError" in error.details()
    assert "cloudspan_gateway_defects_total 1.0" in text


async def test_a_stop_lets_calls_under_way_end(house):
    """New calls are refused, the one at the adapter is answered."""
    adapter = await house.plug_in()
    release = asyncio.Event()

    async def slow(_body, _context):
        await release.wait()
        return server_pb2.Server(name=NAME).SerializeToString()

    adapter.answers[GET_SERVER] = slow
    async with house.opened(drain=5.0):
        call = get_server(house.channel)
        under_way = asyncio.ensure_future(_answer(call))
        async with asyncio.timeout(5):
            await adapter.reached.wait()
        stopping = asyncio.ensure_future(house.gateway.server.stop(5.0))
        await asyncio.sleep(0.02)
        late = await refused(get_server(house.channel, wait_for_ready=False, timeout=1))
        release.set()
        assert (await under_way).name == NAME
        await stopping
    assert late.code() is CODE.UNAVAILABLE


async def _answer(call):
    return await call


async def test_an_address_in_use_is_a_plain_error():
    """Not an exception group: the process tells it in one line."""
    taken = HandMadeAdapter()
    await taken.start()
    gateway = app.build(
        GatewayConfig(listen=f"127.0.0.1:{taken.port}", metrics="", database="memory:"), MemoryRegistry()
    )
    with pytest.raises(CloudspanError, match="can't listen on"):
        async with gateway.running():
            pass
    await taken.stop()


@pytest.mark.parametrize("pool", ["gold", "gold=east", "Gold=platforms/p/clusters/c", "gold=platforms/p/clusters/-"])
def test_a_malformed_pool_is_told_at_the_start(pool):
    """A pool is NAME=platforms/PLATFORM/clusters/CLUSTER."""
    with pytest.raises(ValueError, match=r"is no pool|expected the form"):
        GatewayConfig(pool=(pool,)).pools  # noqa: B018 - the property is what raises


async def test_the_process_serves_from_a_static_registry_and_drains_at_a_signal(tmp_path):
    """`python -m cloudspan_gateway` answers for the adapter in the file, and exits 0 on SIGTERM."""
    adapter = HandMadeAdapter()
    url = f"static:{tmp_path}/registry.yaml"
    registry = open_registry(url)
    await registry.register(await adapter.start())
    arguments = ("--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--registry", url, "--database", "memory:")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cloudspan_gateway", *arguments, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(30):
            port = await _port_of(process)
            async with grpcs.new_channel(f"127.0.0.1:{port}") as channel:
                assert (await get_server(channel)).name == NAME
            process.terminate()
            await process.stderr.read()
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await registry.close()
        await adapter.stop()


async def _port_of(process):
    async for line in process.stderr:
        if b"gateway started" in line:
            return int(line.split(b'"port":')[1].split(b",")[0])
    raise AssertionError("the gateway ended before it started")


async def test_work_in_the_background_that_fails_ends_the_process(house, monkeypatch):
    """A gateway whose table has died must not go on with an old view: whoever waits for the stop learns why."""
    async with house.opened():
        await house.until(lambda: True)
        house.gateway.table.subscribe(_explode)
        ending = asyncio.ensure_future(house.gateway.until(asyncio.Event()))
        await house.plug_in()
        with pytest.raises(ExceptionGroup) as failed:
            async with asyncio.timeout(5):
                await ending
    assert failed.group_contains(ZeroDivisionError)


def _explode(_snapshot):
    raise ZeroDivisionError
