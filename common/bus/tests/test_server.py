"""Messages become calls of the gateway, and their answers replies: over a real broker and a real gateway."""

from __future__ import annotations

import asyncio
import time
import uuid

import oslo_messaging
import pytest
from common.bus.tests.conftest import CLUSTER, OPERATIONS, SERVERS, VOLUMES

from cloudspan_bus.errors import RemoteError

pytestmark = pytest.mark.timeout(120)

OURS = ("cloudspan_bus.errors",)
SEED = f"{CLUSTER}/servers/seed-000000"
VOLUME = {"display_name": "data", "size_bytes": str(1024**3)}


async def test_a_call_of_getserver_answers_the_server_as_proto_json(bus):
    """With the names of the .proto."""
    found = await bus.caller().call(SERVERS, "GetServer", name=SEED)
    assert found["name"] == SEED
    assert found["state"] == "STATE_RUNNING"
    assert "display_name" in found


async def test_a_list_answers_the_page_that_was_asked_for(bus):
    """And the token of the next one."""
    caller = bus.caller()
    first = await caller.call(SERVERS, "ListServers", parent="platforms/-/clusters/-", page_size=2)
    rest = await caller.call(
        SERVERS, "ListServers", parent="platforms/-/clusters/-", page_size=2, page_token=first["next_page_token"]
    )
    assert [len(page["servers"]) for page in (first, rest)] == [2, 1]
    assert "next_page_token" not in rest


async def test_a_call_of_a_create_answers_its_operation_with_the_result_once_it_has_ended(bus):
    """One shape for all changes: google.longrunning.Operation."""
    found = await bus.caller().call(VOLUMES, "CreateVolume", parent=CLUSTER, volume=VOLUME)
    assert found["done"] is True
    assert found["response"]["@type"].endswith("cloudspan.v1.Volume")
    assert found["response"]["display_name"] == "data"
    assert found["metadata"]["phase"] == "PHASE_DONE"


async def test_a_change_that_takes_longer_than_its_caller_waits_answers_the_operation_before_that(bus):
    """`done` is false, and the caller asks again by the operation's name."""
    bus.slow(1.8)
    caller = bus.caller()
    began = time.monotonic()
    client = caller.client(VOLUMES, timeout=2)
    found = await asyncio.to_thread(lambda: client.call({}, "CreateVolume", parent=CLUSTER, volume=VOLUME))
    assert found["done"] is False
    assert time.monotonic() - began < 2
    ended = await caller.call(OPERATIONS, "WaitOperation", name=found["name"], timeout="10s")
    assert ended["done"] is True
    assert ended["response"]["display_name"] == "data"


async def test_a_change_that_failed_answers_its_operation_with_the_error(bus):
    """It is an answer and no exception: it was accepted."""
    bus.slow(3.0)
    caller = bus.caller()
    begun = await asyncio.to_thread(
        lambda: caller.client(VOLUMES, timeout=2).call({}, "CreateVolume", parent=CLUSTER, volume=VOLUME)
    )
    await caller.call(OPERATIONS, "CancelOperation", name=begun["name"])
    found = await caller.call(OPERATIONS, "WaitOperation", name=begun["name"], timeout="10s")
    assert found["done"] is True
    assert found["error"]["code"] == 1
    assert found["error"]["details"][0]["reason"] == "CANCELLED"


async def test_a_cast_returns_at_once_and_its_operation_is_found_by_request_id(bus):
    """Which the caller chose."""
    caller, request_id = bus.caller(), str(uuid.uuid4())
    await caller.cast(VOLUMES, "CreateVolume", parent=CLUSTER, volume=VOLUME, request_id=request_id)
    listing = {"name": "operations", "filter": f'request_id = "{request_id}"'}
    async with asyncio.timeout(10):
        found: dict = {}
        while not found.get("operations"):
            found = await caller.call(OPERATIONS, "ListOperations", **listing)
    assert [each["metadata"]["request_id"] for each in found["operations"]] == [request_id]


async def test_the_same_request_id_twice_is_one_volume(bus):
    """By call and by cast."""
    caller, request_id = bus.caller(), str(uuid.uuid4())
    request = {"parent": CLUSTER, "volume": VOLUME, "request_id": request_id}
    await caller.cast(VOLUMES, "CreateVolume", **request)
    first = await caller.call(VOLUMES, "CreateVolume", **request)
    second = await caller.call(VOLUMES, "CreateVolume", **request)
    assert first["name"] == second["name"]
    listed = await caller.call(VOLUMES, "ListVolumes", parent=CLUSTER)
    assert [each["display_name"] for each in listed["volumes"]] == ["data"]


async def test_what_the_gateway_refuses_is_one_exception_with_code_reason_recovery_and_details(bus):
    """For callers who have the package of it."""
    with pytest.raises(RemoteError) as caught:
        await bus.caller(exmods=OURS).call(SERVERS, "GetServer", name=f"{CLUSTER}/servers/none")
    error = caught.value
    assert (error.code, error.recovery) == ("NOT_FOUND", "fix_request")
    assert error.reason
    assert {each["@type"].rpartition(".")[2] for each in error.details} >= {"ErrorInfo", "ResourceInfo"}
    assert error.request_id


async def test_callers_without_our_package_read_the_same_in_oslos_remote_error(bus):
    """Its text has everything, and nothing of our files."""
    with pytest.raises(oslo_messaging.RemoteError) as caught:
        await bus.caller().call(SERVERS, "GetServer", name=f"{CLUSTER}/servers/none")
    assert caught.value.exc_type == "RemoteError"
    assert "NOT_FOUND" in caught.value.value
    assert "recovery=fix_request" in caught.value.value
    assert "File " not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"nmae": "x"}, "nmae"),
        ({"name": 7}, "name"),
        ({"name": ["x"]}, "name"),
        ({}, "name"),
        ({"namespace": "x"}, "namespace"),
    ],
)
async def test_arguments_that_are_not_the_requests_are_refused_and_named(bus, arguments, word):
    """INVALID_ARGUMENT, whether the bus or the gateway finds out."""
    with pytest.raises(RemoteError) as caught:
        await bus.caller(exmods=OURS).call(SERVERS, "GetServer", **arguments)
    assert caught.value.code == "INVALID_ARGUMENT"
    assert word in caught.value.message


@pytest.mark.parametrize("version", ["1.1", "2.0", "0.9", "one", "1", ""])
async def test_a_version_that_this_contract_is_not_gets_oslos_unsupported_version(bus, version):
    """1.0 is served; an empty one is 1.0 to oslo.messaging."""
    client = bus.caller(exmods=("oslo_messaging.rpc.dispatcher",)).client(SERVERS, version=version or None)
    if not version:
        assert (await asyncio.to_thread(client.call, {}, "GetServer", name=SEED))["name"] == SEED
        return
    with pytest.raises(oslo_messaging.UnsupportedVersion):
        await asyncio.to_thread(client.call, {}, "GetServer", name=SEED)


async def test_a_client_with_a_version_cap_refuses_by_itself_what_is_beyond(bus):
    """RPCVersionCapError is the caller's own, before anything is sent."""
    client = bus.caller().client(SERVERS, version="1.5", version_cap="1.0")
    with pytest.raises(oslo_messaging.RPCVersionCapError):
        client.call({}, "GetServer", name=SEED)


@pytest.mark.parametrize(
    ("namespace", "method", "expected"),
    [
        (SERVERS, "GetServers", oslo_messaging.NoSuchMethod),
        (SERVERS, "__class__", oslo_messaging.NoSuchMethod),
        (SERVERS, "target", oslo_messaging.NoSuchMethod),
        ("cloudspan.v1.NoService", "GetServer", oslo_messaging.UnsupportedVersion),
        ("cloudspan.adapter.v1.StepService", "Step", oslo_messaging.UnsupportedVersion),
        ("cloudspan.v1.HandshakeVerifier", "VerifyToken", oslo_messaging.UnsupportedVersion),
        (None, "GetServer", oslo_messaging.UnsupportedVersion),
    ],
)
async def test_unknown_methods_and_namespaces_get_oslos_own_exceptions(bus, namespace, method, expected):
    """As any server of oslo.messaging answers; adapters' own services can't be reached at all."""
    caller = bus.caller(exmods=("oslo_messaging.rpc.dispatcher",))
    with pytest.raises(expected):
        await caller.call(namespace, method, name=SEED)


async def test_a_stream_is_refused_with_the_reason(bus):
    """A message has one answer."""
    with pytest.raises(RemoteError) as caught:
        await bus.caller(exmods=OURS).call("cloudspan.v1.OperationService", "WatchOperation", name="operations/x")
    assert (caught.value.code, caught.value.reason) == ("UNIMPLEMENTED", "STREAM_REFUSED")


async def test_a_caller_that_monitors_its_call_hears_heartbeats_while_it_is_worked_on(bus):
    """oslo.messaging's call_monitor_timeout: 2 s of silence would end a call of 2.4 s."""
    bus.slow(2.4)
    client = bus.caller().client(VOLUMES, timeout=20).prepare(call_monitor_timeout=2)
    found = await asyncio.to_thread(client.call, {}, "CreateVolume", parent=CLUSTER, volume=VOLUME)
    assert found["done"] is True


async def test_target_server_reaches_one_process_and_without_it_any(world):
    """What is for one that is not there nobody else takes."""
    async with world.bus(host="one"), world.bus(host="two"):
        caller = world.caller()
        client = caller.client(SERVERS)
        for where in ({}, {"server": "one"}, {"server": "two"}):
            answered = await asyncio.to_thread(client.prepare(**where).call, {}, "GetServer", name=SEED)
            assert answered["name"] == SEED
        lost = caller.client(SERVERS, timeout=0.3).prepare(server="three")
        with pytest.raises(oslo_messaging.MessagingTimeout):
            await asyncio.to_thread(lost.call, {}, "GetServer", name=SEED)
