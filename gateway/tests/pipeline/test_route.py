"""A call's target is known before anything is judged or done."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from gateway.tests.calls import call

from cloudspan.v1 import orphan_pb2, platform_pb2, server_pb2
from cloudspan_common.errors import InvalidRequest, Unsupported
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway.call import Call
from cloudspan_gateway.pipeline.route import Route
from cloudspan_gateway.routing.router import Router
from cloudspan_gateway.routing.table import Table
from cloudspan_gateway.services.methods import service_methods

EAST = "platforms/p/clusters/east"


class Platforms:
    async def get_platform(self, request: object, call: Call) -> object: ...


class Orphans:
    async def list_orphans(self, request: object, call: Call) -> object: ...


async def routed(asked: Call) -> Call:
    """Pass the stage; what is behind it finds the target set."""
    own = (*service_methods("cloudspan.v1.PlatformService", Platforms()),)
    own += (*service_methods("cloudspan.v1.OrphanService", Orphans()),)
    seen: list[Call] = []

    async def proceed(passed: Call) -> None:
        seen.append(passed)

    route = Route(Router(Table(MemoryRegistry())), {method.path: method for method in own})
    await route(asked, proceed)
    assert seen == [asked]
    return asked


async def test_a_request_of_the_contract_names_its_cluster_and_its_resources() -> None:
    """Of an attachment both, the server and the volume: a policy may ask about either."""
    server, volume = f"{EAST}/servers/s", f"{EAST}/volumes/v"
    body = server_pb2.AttachVolumeRequest(name=server, volume=volume).SerializeToString()
    target = (await routed(call("/cloudspan.v1.ServerService/AttachVolume", body))).target
    assert (target.method, target.ref) == ("cloudspan.v1.ServerService/AttachVolume", ClusterRef("p", "east"))
    assert target.names == (server, volume)


async def test_tags_fill_an_empty_parent_in_what_is_sent_on() -> None:
    """The adapter gets the request as if the caller had filled it."""
    asked = call("/cloudspan.v1.ServerService/ListServers")
    asked.tags = {"x-platform": "p", "x-cluster": "east"}
    target = (await routed(asked)).target
    assert server_pb2.ListServersRequest.FromString(target.body).parent == EAST
    assert target.names == (EAST,)


async def test_the_gateways_own_services_have_targets_too() -> None:
    """With a cluster where the request names one."""
    platform = platform_pb2.GetPlatformRequest(name="platforms/p").SerializeToString()
    target = (await routed(call("/cloudspan.v1.PlatformService/GetPlatform", platform))).target
    assert (target.ref, target.names) == (None, ("platforms/p",))
    orphans = orphan_pb2.ListOrphansRequest(parent=EAST).SerializeToString()
    target = (await routed(call("/cloudspan.v1.OrphanService/ListOrphans", orphans))).target
    assert (target.ref, target.names) == (ClusterRef("p", "east"), (EAST,))


async def test_a_service_outside_the_contract_is_routed_by_its_tags() -> None:
    """Its messages are not read."""
    asked = call("/acme.v1.ToolService/Echo", b"\xff")
    asked.tags = {"x-platform": "p"}
    target = (await routed(asked)).target
    assert (target.ref, target.tags, asked.payload) == (ClusterRef("p", ""), (("x-platform", "p"),), b"\xff")


async def test_a_stream_without_a_message_is_refused() -> None:
    """Its first message would have said where to."""

    async def nothing() -> AsyncIterator[bytes]:
        for message in ():
            yield message

    with pytest.raises(InvalidRequest) as refused:
        await routed(call("/cloudspan.v1.PlatformService/GetPlatform", nothing()))
    assert refused.value.reason == "NO_MESSAGE"


async def test_an_unknown_method_of_a_reserved_name_is_refused() -> None:
    """No adapter may serve it."""
    with pytest.raises(Unsupported):
        await routed(call("/google.unknown.Service/Do"))
