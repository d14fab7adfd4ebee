"""The pipeline serves any door: here a dict in and a dict out, through every stage, with no gRPC server for callers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.longrunning import operations_pb2
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.json_format import MessageToDict, ParseDict
from google.rpc import status_pb2
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from tests.harness.clouds import MAIN, memory_cluster
from tests.harness.in_process import Deployment

from cloudspan_common.deadlines import Deadline
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway import app
from cloudspan_gateway.call import Call
from cloudspan_gateway.config import GatewayConfig
from cloudspan_gateway.metadata import Metadata

SERVERS, OPERATIONS = "cloudspan.v1.ServerService", "cloudspan.v1.OperationService"
SMALL = {"displayName": "web", "flavor": f"{MAIN}/flavors/small"}


class DictDoor:
    """The whole door. It keeps the messages of a streamed answer, as a Writer."""

    def __init__(self, gateway: app.Gateway) -> None:
        self._answer = gateway.pipeline.answer
        self._messages: list[bytes] = []

    async def begin(self, metadata: Metadata) -> None:
        self._head = dict(metadata)

    async def write(self, message: bytes) -> None:
        self._messages.append(message)

    async def ask(self, service: str, method: str, request: dict[str, Any], **headers: str) -> dict[str, Any]:
        descriptor = descriptor_pool.Default().FindServiceByName(service).FindMethodByName(method)
        asked, answered = map(message_factory.GetMessageClass, (descriptor.input_type, descriptor.output_type))
        payload = ParseDict(request, asked()).SerializeToString()
        metadata = tuple((key.replace("_", "-"), value) for key, value in headers.items())
        self._head, self._messages = {}, []
        call = Call(f"/{service}/{method}", payload, metadata, lambda: "a test", Deadline.after(10), self)
        answer = await self._answer(call)
        if call.ending is not None:
            details = status_pb2.Status.FromString(dict(call.ending.trailers)["grpc-status-details-bin"])
            return {"code": call.ending.code.name, "details": MessageToDict(details)["details"]}
        messages = self._messages if answer is None else [answer]
        told = [MessageToDict(answered.FromString(message)) for message in messages]
        return {"messages": told, "metadata": {**self._head, **dict(call.trailers)}}


@pytest.fixture
async def running() -> AsyncIterator[Deployment]:
    """A gateway without its gRPC door, over one memory adapter."""
    registry = MemoryRegistry()
    gateway = app.build(
        GatewayConfig(metrics="", wait_for_adapters=0.2, database="memory:", no_inventory=True), registry
    )
    async with gateway.working():
        running = Deployment(gateway, registry, None)
        await running.plug([memory_cluster()])
        try:
            yield running
        finally:
            await running.close()


@pytest.fixture
def door(running: Deployment) -> DictDoor:
    return DictDoor(running.gateway)


async def test_a_list_of_one_cluster_and_of_all_is_answered(door: DictDoor) -> None:
    """A forwarded read and a list over many clusters, each with its request id behind the answer."""
    for parent in (MAIN, "platforms/-/clusters/-"):
        answer = await door.ask(SERVERS, "ListServers", {"parent": parent}, x_request_id="mine")
        (page,) = answer["messages"]
        assert page["clusterStatus"][0]["cluster"] == MAIN
        assert answer["metadata"]["x-request-id"] == "mine"


async def test_a_create_that_waits_is_finished_and_its_operation_can_be_watched(door: DictDoor) -> None:
    """A mutation with x-wait, then a streamed answer of one of the gateway's own services."""
    created = await door.ask(SERVERS, "CreateServer", {"parent": MAIN, "server": SMALL}, x_wait="8s")
    (operation,) = created["messages"]
    assert operation["done"]
    assert operation["response"]["displayName"] == "web"
    watched = await door.ask(OPERATIONS, "WatchOperation", {"name": operation["name"]})
    assert [told["name"] for told in watched["messages"]] == [operation["name"]]
    assert watched["metadata"]["x-request-id"]


async def test_a_watch_reports_each_change_until_the_end(door: DictDoor) -> None:
    """A cast, watched from its first phase on."""
    created = await door.ask(SERVERS, "CreateServer", {"parent": MAIN, "server": SMALL})
    watched = await door.ask(OPERATIONS, "WatchOperation", {"name": created["messages"][0]["name"]})
    assert [told.get("done", False) for told in watched["messages"]][-2:] == [False, True]


async def test_the_log_leads_from_the_callers_request_id_to_the_operation(door: DictDoor) -> None:
    """One event for each accepted mutation, with both."""
    with capture_logs(processors=[merge_contextvars]) as logged:
        created = await door.ask(SERVERS, "CreateServer", {"parent": MAIN, "server": SMALL}, x_request_id="mine")
    (event,) = [told for told in logged if told["event"] == "operation accepted"]
    assert event["request_id"] == "mine"
    assert event["operation"] == created["messages"][0]["name"]


async def test_a_failure_is_an_ending_with_its_details(door: DictDoor) -> None:
    """Adapter errors, the gateway's own errors and unknown methods end alike, and are counted alike."""
    missing = await door.ask(SERVERS, "GetServer", {"name": f"{MAIN}/servers/none"})
    elsewhere = await door.ask(SERVERS, "GetServer", {"name": "platforms/none/clusters/c/servers/s"})
    malformed = await door.ask(OPERATIONS, "WatchOperation", {"name": "nonsense"})
    assert [told["code"] for told in (missing, elsewhere, malformed)] == ["NOT_FOUND", "NOT_FOUND", "INVALID_ARGUMENT"]
    assert elsewhere["details"][0]["reason"] == "PLATFORM_UNKNOWN"
    assert missing["details"][0]["metadata"]["recovery"] == "fix_request"


async def test_tags_fill_an_empty_parent_whatever_the_door(door: DictDoor) -> None:
    """Routing metadata means the same here as on gRPC."""
    answer = await door.ask(SERVERS, "ListServers", {}, x_platform="memory", x_cluster="main")
    assert answer["messages"][0]["clusterStatus"][0]["cluster"] == MAIN


async def test_an_operation_is_read_through_the_services_of_google(door: DictDoor) -> None:
    """What is not in the contract's package is served all the same."""
    created = await door.ask(SERVERS, "CreateServer", {"parent": MAIN, "server": SMALL}, x_wait="8s")
    name = created["messages"][0]["name"]
    service = operations_pb2.DESCRIPTOR.services_by_name["Operations"].full_name
    assert (await door.ask(service, "GetOperation", {"name": name}))["messages"][0]["done"]
