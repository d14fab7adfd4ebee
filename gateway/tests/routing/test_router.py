"""The routed field, pools and tags say where a call goes; a wrong target is refused with what to do."""

from __future__ import annotations

import grpc
import pytest
from gateway.tests.hand_made_adapter import CREATE_SERVER, GET_SERVER, LIST_SERVERS, TOOLS

from cloudspan.v1 import server_pb2, server_pb2_grpc
from cloudspan_common import errors

CODE = grpc.StatusCode
EAST = "platforms/openstack/clusters/east"


def stub(deployment):
    return server_pb2_grpc.ServerServiceStub(deployment.channel)


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value


async def test_an_unknown_platform_is_refused_with_the_known_ones(deployment, told):
    """NOT_FOUND lists what is plugged in, and carries reason and request id."""
    await deployment.plug_in()
    await deployment.plug_in(instance_id="z-1", platform="zstack")
    async with deployment.opened():
        error = await refused(
            stub(deployment).GetServer(server_pb2.GetServerRequest(name="platforms/vmware/clusters/a/servers/1"))
        )
    assert (error.code(), told(error).reason) == (CODE.NOT_FOUND, "PLATFORM_UNKNOWN")
    assert "known now: openstack, zstack" in error.details()


async def test_an_unknown_cluster_is_refused_with_those_of_the_platform(deployment, told):
    """NOT_FOUND lists the clusters of that platform."""
    await deployment.plug_in(clusters=("east", "west"))
    async with deployment.opened():
        error = await refused(
            stub(deployment).ListServers(server_pb2.ListServersRequest(parent="platforms/openstack/clusters/north"))
        )
    assert (error.code(), told(error).reason) == (CODE.NOT_FOUND, "CLUSTER_UNKNOWN")
    assert "its clusters are: east, west" in error.details()


@pytest.mark.parametrize(
    "metadata",
    [
        (("x-platform", "openstack"), ("x-cluster", "east")),
        (("x-pool", "gold"),),
        (("x-pool", "gold"), ("x-platform", "openstack")),
    ],
)
async def test_an_empty_parent_is_filled_from_tags(deployment, metadata):
    """The adapter gets the parent that the tags or the pool mean."""
    adapter = await deployment.plug_in()
    async with deployment.opened():
        await deployment.pool("gold", EAST)
        await stub(deployment).ListServers(server_pb2.ListServersRequest(page_size=5), metadata=metadata)
    request = server_pb2.ListServersRequest.FromString(adapter.calls[0][2])
    assert (request.parent, request.page_size) == (EAST, 5)


@pytest.mark.parametrize(
    ("parent", "metadata", "reason"),
    [
        (EAST, (("x-platform", "zstack"),), "TAG_DISAGREES"),
        (EAST, (("x-cluster", "west"),), "TAG_DISAGREES"),
        ("platforms/openstack/clusters/west", (("x-pool", "gold"),), "TAG_DISAGREES"),
        ("", (("x-pool", "gold"), ("x-platform", "zstack")), "TAG_DISAGREES"),
        ("openstack/east", (), "MALFORMED_NAME"),
        ("platforms/Open Stack/clusters/east", (), "MALFORMED_NAME"),
        ("", (("x-platform", "Open_Stack"), ("x-cluster", "east")), "MALFORMED_NAME"),
        ("", (), "REQUIRED_FIELD_MISSING"),
    ],
)
async def test_a_request_without_a_valid_target_is_an_invalid_argument(deployment, told, parent, metadata, reason):
    """No guess is made between a field and a tag that disagree, nor what a malformed name may have meant."""
    adapter = await deployment.plug_in(clusters=("east", "west"))
    async with deployment.opened():
        await deployment.pool("gold", EAST)
        request = server_pb2.ListServersRequest(parent=parent)
        error = await refused(stub(deployment).ListServers(request, metadata=metadata))
    assert (error.code(), told(error).reason) == (CODE.INVALID_ARGUMENT, reason)
    assert adapter.calls == []


async def test_an_unknown_pool_is_refused_with_the_known_ones(deployment, told):
    """NOT_FOUND lists those of the tenant."""
    await deployment.plug_in()
    async with deployment.opened():
        await deployment.pool("gold", EAST)
        error = await refused(
            stub(deployment).ListServers(server_pb2.ListServersRequest(), metadata=(("x-pool", "tin"),))
        )
    assert (error.code(), told(error).reason) == (CODE.NOT_FOUND, "POOL_UNKNOWN")
    assert "those are: gold" in error.details()


async def test_a_wildcard_is_for_lists_only(deployment):
    """A create under `clusters/-` names nothing."""
    await deployment.plug_in()
    async with deployment.opened():
        request = server_pb2.GetServerRequest(name="platforms/openstack/clusters/-/servers/1")
        error = await refused(stub(deployment).GetServer(request))
    assert error.code() is CODE.INVALID_ARGUMENT
    assert "only lists take" in error.details()


async def test_a_method_that_the_cluster_lacks_is_refused_with_the_adapters_reason(deployment, told):
    """UNIMPLEMENTED before the call; the adapter is not even asked."""
    adapter = await deployment.plug_in(absent={GET_SERVER[1:]: "this cloud keeps no servers"})
    async with deployment.opened():
        error = await refused(stub(deployment).GetServer(server_pb2.GetServerRequest(name=f"{EAST}/servers/1")))
        create = server_pb2.CreateServerRequest(parent=EAST, server=server_pb2.Server())
        await stub(deployment).ListServers(server_pb2.ListServersRequest(parent=EAST))
        unlisted = await refused(
            stub(deployment).StopServer(server_pb2.StopServerRequest(name=f"{EAST}/servers/1", request_id="1"))
        )
    assert create.parent == EAST
    assert (error.code(), told(error).reason) == (CODE.UNIMPLEMENTED, "METHOD_ABSENT")
    assert "this cloud keeps no servers" in error.details()
    assert unlisted.code() is CODE.UNIMPLEMENTED
    assert [path for path, _, _ in adapter.calls] == [LIST_SERVERS]


async def test_of_two_versions_side_by_side_the_one_that_can_is_asked(deployment):
    """A method that only the newer instance has goes to that one, each time."""
    await deployment.plug_in(absent={GET_SERVER[1:]: "since 2.0"})
    newer = await deployment.plug_in(instance_id="os-2", build="2.0")
    async with deployment.opened():
        for _ in range(6):
            await stub(deployment).GetServer(server_pb2.GetServerRequest(name=f"{EAST}/servers/1"))
    assert len(newer.calls) == 6


async def test_bytes_that_are_not_a_request_are_refused(deployment, told):
    """A body that does not parse is the caller's mistake, not a defect."""
    await deployment.plug_in()
    async with deployment.opened():
        error = await refused(deployment.channel.unary_unary(CREATE_SERVER)(b"\xff\xff"))
    assert (error.code(), told(error).reason) == (CODE.INVALID_ARGUMENT, "MALFORMED_MESSAGE")


async def test_an_unknown_service_without_a_tag_says_what_is_missing(deployment, told):
    """UNIMPLEMENTED mentions x-platform; with a platform that lacks the service it says so."""
    await deployment.plug_in(services=("cloudspan.v1.ServerService",))
    async with deployment.opened():
        untagged = await refused(deployment.channel.unary_unary(f"/{TOOLS}/Echo")(b""))
        lacking = await refused(
            deployment.channel.unary_unary(f"/{TOOLS}/Echo")(b"", metadata=(("x-platform", "openstack"),))
        )
    assert (untagged.code(), lacking.code()) == (CODE.UNIMPLEMENTED, CODE.UNIMPLEMENTED)
    assert "x-platform" in untagged.details()
    assert "platform 'openstack' serves no acme.v1.ToolService" in lacking.details()
    assert errors.status_of(untagged).details
