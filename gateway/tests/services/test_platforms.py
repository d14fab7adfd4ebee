"""What is plugged in, as callers see it."""

from __future__ import annotations

import grpc
from gateway.tests.callers import refused

from cloudspan.v1 import platform_pb2, platform_pb2_grpc

CODE = grpc.StatusCode


async def test_platforms_show_their_instances_clusters_and_services(deployment):
    """GetPlatform reports the state of each instance with its reason; ListPlatforms all of them."""
    await deployment.plug_in()
    await deployment.plug_in(instance_id="os-2", contract=(7, 9))
    await deployment.plug_in(instance_id="z-1", platform="zstack", clusters=())
    async with deployment.opened():
        stub = platform_pb2_grpc.PlatformServiceStub(deployment.channel)
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
