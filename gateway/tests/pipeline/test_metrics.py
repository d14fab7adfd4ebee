"""What Prometheus sees of the gateway."""

from __future__ import annotations

from gateway.tests.callers import get_server, refused
from prometheus_client import generate_latest


async def test_calls_are_counted_by_method_cluster_and_code(deployment):
    """Names that callers invent make no series; instances are counted by state."""
    await deployment.plug_in()
    async with deployment.opened():
        await get_server(deployment.channel)
        await refused(get_server(deployment.channel, "platforms/nowhere/clusters/x/servers/1"))
        await refused(deployment.channel.unary_unary("/made.up.Service/Method7")(b""))
        text = generate_latest(deployment.gateway.metrics.registry).decode()
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
