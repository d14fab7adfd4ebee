"""What Prometheus sees of the gateway."""

from __future__ import annotations

from gateway.tests.callers import NAME, get_server, refused
from gateway.tests.hand_made_adapter import LIST_SERVERS
from prometheus_client import generate_latest

from cloudspan.v1 import platform_pb2, platform_pb2_grpc, server_pb2, server_pb2_grpc
from cloudspan_gateway.pipeline.metrics import GatewayMetrics

GET = "cloudspan.v1.ServerService/GetServer"
LIST = "cloudspan.v1.ServerService/ListServers"


def value(deployment, name, **labels):
    return deployment.gateway.metrics.registry.get_sample_value(f"cloudspan_gateway_{name}", labels)


def calls(deployment, method, platform, cluster, code):
    return value(deployment, "calls_total", method=method, platform=platform, cluster=cluster, code=code)


async def nothing(_body, _context):
    return b""


async def listed(deployment, parent):
    stub = server_pb2_grpc.ServerServiceStub(deployment.channel)
    return await stub.ListServers(server_pb2.ListServersRequest(parent=parent))


async def test_calls_are_counted_by_method_cluster_and_code(deployment):
    """Names that callers invent make no series; instances are counted by state."""
    await deployment.plug_in()
    async with deployment.opened():
        await get_server(deployment.channel)
        for invented in ("nowhere", "nothing"):
            await refused(get_server(deployment.channel, f"platforms/{invented}/clusters/x/servers/1"))
            await refused(get_server(deployment.channel, f"platforms/openstack/clusters/{invented}/servers/1"))
            await refused(deployment.channel.unary_unary(f"/made.up.Service/{invented}")(b""))
        text = generate_latest(deployment.gateway.metrics.registry).decode()
        assert calls(deployment, GET, "openstack", "east", "OK") == 1.0
        assert calls(deployment, GET, "unknown", "unknown", "NOT_FOUND") == 2.0
        assert calls(deployment, GET, "openstack", "unknown", "NOT_FOUND") == 2.0
        assert value(deployment, "call_seconds_count", method=GET) == 5.0
        assert value(deployment, "cluster_seconds_count", platform="openstack", cluster="east") == 1.0
    assert 'cloudspan_gateway_instances{platform="openstack",state="READY"} 1.0' in text
    assert "cloudspan_gateway_in_flight 0.0" in text
    assert "cloudspan_gateway_ejections_total 0.0" in text
    assert 'method="other"' in text
    assert "cloudspan_build_info{" in text
    assert not any(word in text for word in ("made.up", "nowhere", "nothing"))


async def test_a_list_over_many_clusters_counts_once_and_each_of_its_parts(deployment):
    """A star stands for all; a cluster that does not answer is counted by what it failed with."""
    for adapter in (
        await deployment.plug_in(),
        await deployment.plug_in(platform="zstack", instance_id="zs-1", clusters=("lab",)),
    ):
        adapter.answers[LIST_SERVERS] = nothing
    async with deployment.opened():
        await deployment.until(lambda: "READY" in deployment.states() and "READY" in deployment.states("zstack"))
        await listed(deployment, "platforms/-/clusters/-")
        await listed(deployment, "platforms/openstack/clusters/-")
        await refused(listed(deployment, "platforms/-/clusters/nowhere"))
        assert calls(deployment, LIST, "*", "*", "OK") == 1.0
        assert calls(deployment, LIST, "openstack", "*", "OK") == 1.0
        assert calls(deployment, LIST, "*", "unknown", "NOT_FOUND") == 1.0
        parts = {"method": LIST, "code": "OK"}
        assert value(deployment, "list_parts_total", platform="openstack", cluster="east", **parts) == 2.0
        assert value(deployment, "list_parts_total", platform="zstack", cluster="lab", **parts) == 1.0
        assert value(deployment, "cluster_seconds_count", platform="openstack", cluster="east") == 2.0


async def test_a_mutation_carries_its_cluster_and_a_call_about_none_does_not(deployment):
    """Whether an adapter was asked or not."""
    adapter = await deployment.plug_in()
    adapter.answers["/cloudspan.adapter.v1.StepService/Step"] = nothing
    async with deployment.opened():
        stub = server_pb2_grpc.ServerServiceStub(deployment.channel)
        await stub.StartServer(server_pb2.StartServerRequest(name=NAME))
        platforms = platform_pb2_grpc.PlatformServiceStub(deployment.channel)
        await platforms.ListPlatforms(platform_pb2.ListPlatformsRequest())
        assert calls(deployment, "cloudspan.v1.ServerService/StartServer", "openstack", "east", "OK") == 1.0
        assert calls(deployment, "cloudspan.v1.PlatformService/ListPlatforms", "", "", "OK") == 1.0


def test_two_gateways_in_one_process_keep_their_metrics_apart():
    """Each has a registry of its own."""
    assert GatewayMetrics().registry is not GatewayMetrics().registry
