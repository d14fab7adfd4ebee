"""A client that follows resources goes on where it was cut off and says what it missed; blocking and with asyncio."""
# ruff: noqa: N802 - a servicer's functions have the names of the rpcs

from __future__ import annotations

import asyncio
import itertools

import pytest

from cloudspan.client import AsyncClient, Client, Resync, Unauthenticated, Unreachable, answers, errors
from cloudspan.v1 import inventory_pb2, inventory_pb2_grpc, volume_pb2
from cloudspan_common import errors as server_errors
from cloudspan_common import grpcs

Request, Response = inventory_pb2.WatchRequest, inventory_pb2.WatchResponse
Type = Response.Change.Type
EXISTING, ADDED, UPDATED, REMOVED = "EXISTING", "ADDED", "UPDATED", "REMOVED"
CUT = server_errors.Unreachable("the gateway is shutting down")
TOO_OLD = server_errors.Resync("no longer kept")
LIMIT = server_errors.TooManyRequests("too many streams", reason="TENANT_LIMIT", retry_after_s=0.01)
BUSY = server_errors.Busy("another stream reads", retry_after_s=0.01)
GONE = server_errors.NotFound("the consumer was deleted")
ENDED = server_errors.Unauthenticated("the session has ended")


class Inventory(inventory_pb2_grpc.InventoryServiceServicer):
    """Answers each watch with the next script: messages, and perhaps an error; waits for ever behind the last one."""

    def __init__(self):
        self.scripts = []
        self.tokens = []
        self.credentials = []

    async def Watch(self, request, context):
        self.tokens.append(request.resume_token)
        self.credentials.append(dict(context.invocation_metadata()).get("authorization", ""))
        for step in self.scripts.pop(0) if self.scripts else [CUT]:
            if isinstance(step, server_errors.CloudspanError):
                message, trailers = server_errors.ending(step, "call-1")
                context.set_trailing_metadata(trailers)
                await context.abort(step.code, message)
            yield step
        await asyncio.Event().wait()


def says(*changes, token="", complete=False):
    message = Response(resume_token=token, snapshot_complete=complete)
    for kind, name, display_name in changes:
        resource = inventory_pb2.StoredResource(name=name, display_name=display_name)
        message.changes.add(type=f"TYPE_{kind}", resource=resource)
    return message


def seen(change):
    return Type.Name(change.type).removeprefix("TYPE_"), change.resource.name, change.resource.display_name


@pytest.fixture
async def inventory():
    server = grpcs.new_server()
    server.inventory = Inventory()
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(server.inventory, server)
    server.inventory.address = f"127.0.0.1:{grpcs.listen(server, '127.0.0.1:0')}"
    await server.start()
    yield server.inventory
    await server.stop(None)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(answers, "_FIRST_PAUSE_S", 0.001)


@pytest.fixture(params=["asyncio", "blocking"])
def follow(request, inventory):
    """Return what takes so many changes of a watch, and the watch."""

    async def aio(count, asked, token="", **options):
        async def later():
            return token()

        options["token"] = later if callable(token) else token
        async with AsyncClient(inventory.address, **options) as client:
            watch, found = client.watch(asked), []
            async for change in watch:
                found.append(seen(change))
                if len(found) == count:
                    break
            return found, watch

    def block(count, asked, options):
        with Client(inventory.address, **options) as client:
            watch = client.watch(asked)
            return [seen(change) for change in itertools.islice(watch, count)], watch

    async def blocking(count, asked, **options):
        return await asyncio.to_thread(block, count, asked, options)

    return aio if request.param == "asyncio" else blocking


async def test_it_goes_on_behind_the_last_message(follow, inventory):
    """With the token of that message, as often as it is cut off."""
    inventory.scripts = [
        [says((EXISTING, "a", "1"), token="t1"), says(token="t2", complete=True), CUT],
        [CUT],
        [says((UPDATED, "a", "2"), token="t3"), CUT],
        [says((REMOVED, "a", "2"), token="t4"), says((ADDED, "b", "1"), token="t5")],
    ]
    found, watch = await follow(4, Request())
    assert found == [(EXISTING, "a", "1"), (UPDATED, "a", "2"), (REMOVED, "a", "2"), (ADDED, "b", "1")]
    assert inventory.tokens == ["", "t2", "t2", "t3"]
    assert list(watch.resources) == ["b"]


async def test_what_it_missed_comes_as_what_it_is(follow, inventory):
    """When changes are no longer kept: all is read anew, and only what makes a difference is yielded."""
    first = [(EXISTING, "a", "1"), (EXISTING, "b", "1"), (EXISTING, "c", "1")]
    anew = [(EXISTING, "a", "1"), (EXISTING, "b", "2"), (EXISTING, "d", "1")]
    inventory.scripts = [
        [says(*first, token="t1", complete=True), TOO_OLD],
        [says(*anew, token="t2"), says(token="t3", complete=True)],
    ]
    found, watch = await follow(6, Request())
    assert found[3:] == [(UPDATED, "b", "2"), (ADDED, "d", "1"), (REMOVED, "c", "1")]
    assert inventory.tokens == ["", ""]
    assert repr(watch).endswith("Watch of 3 resources>")


async def test_what_was_only_read_again_is_no_change(follow, inventory):
    """A snapshot tells all of it as of later, in the resource's own message too; labels come in any order."""
    first, again, changed = (Response(resume_token=f"t{time}", snapshot_complete=True) for time in range(3))
    for message, time, size in ((first, 1, 1), (again, 2, 1), (changed, 3, 2)):
        for name in ("a", "b"):
            volume = volume_pb2.Volume(name=name, size_bytes=size, observe_time={"seconds": time})
            labels = dict(sorted({"x": "1", "y": "2"}.items(), reverse=time > 1))
            resource = inventory_pb2.StoredResource(name=name, observe_time={"seconds": time}, labels=labels)
            resource.resource.Pack(volume)
            message.changes.add(type="TYPE_EXISTING", resource=resource)
    inventory.scripts = [[first, TOO_OLD], [again, TOO_OLD], [changed]]
    found, _ = await follow(4, Request())
    assert found == [(EXISTING, "a", ""), (EXISTING, "b", ""), (UPDATED, "a", ""), (UPDATED, "b", "")]


async def test_a_kind_that_is_not_known_yet_is_compared_by_its_bytes(follow, inventory):
    first, again = (Response(resume_token=f"t{time}", snapshot_complete=True) for time in range(2))
    for message, time in ((first, 1), (again, 2)):
        for name, said in (("a", b"same"), ("b", b"now %d" % time)):
            resource = inventory_pb2.StoredResource(name=name, observe_time={"seconds": time})
            resource.resource.type_url, resource.resource.value = "type.googleapis.com/cloudspan.v1.Later", said
            message.changes.add(type="TYPE_EXISTING", resource=resource)
    inventory.scripts = [[first, TOO_OLD], [again]]
    found, _ = await follow(3, Request())
    assert found[2:] == [(UPDATED, "b", "")]


async def test_what_comes_twice_within_a_snapshot_is_yielded_once(follow, inventory):
    """As it may behind a token of a snapshot."""
    inventory.scripts = [
        [says((EXISTING, "a", "1"), token="t1"), CUT],
        [says((ADDED, "a", "1"), (REMOVED, "x", "1"), token="t2"), says((ADDED, "a", "2"), token="t3", complete=True)],
    ]
    found, _ = await follow(2, Request())
    assert found == [(EXISTING, "a", "1"), (UPDATED, "a", "2")]


@pytest.mark.parametrize("asked", [Request(changes_only=True), Request(resume_token="mine")])
async def test_a_watch_without_the_whole_says_that_it_missed_changes(follow, inventory, asked):
    """Since it can't tell which; what it yields is what the gateway sends."""
    inventory.scripts = [[says((UPDATED, "a", "1"), token="t1"), CUT], [TOO_OLD]]
    with pytest.raises(Resync):
        await follow(2, asked)
    assert inventory.tokens == [asked.resume_token, "t1"]


async def test_a_watch_that_never_began_fails(follow, inventory):
    """As a call does: an address may be wrong."""
    with pytest.raises(Unreachable):
        await follow(1, Request(), retries=False)


async def test_a_client_without_retries_goes_on_with_nothing(follow, inventory):
    """Its caller decides."""
    inventory.scripts = [[says((EXISTING, "a", "1"), token="t1"), CUT], [says((ADDED, "b", "1"), token="t2")]]
    with pytest.raises(Unreachable):
        await follow(2, Request(), retries=False)


@pytest.mark.parametrize("refusal", [LIMIT, BUSY])
async def test_it_goes_on_once_its_tenant_may_have_another_stream(follow, inventory, refusal):
    """Not so at its beginning: the caller is to know of it."""
    inventory.scripts = [
        [says((EXISTING, "a", "1"), token="t1"), CUT],
        [refusal],
        [says((ADDED, "b", "1"), token="t2"), CUT],
    ]
    found, _ = await follow(2, Request())
    assert found == [(EXISTING, "a", "1"), (ADDED, "b", "1")]
    assert inventory.tokens == ["", "t1", "t1"]
    inventory.scripts = [[refusal]]
    with pytest.raises(errors.CloudspanError) as refused:
        await follow(1, Request())
    assert refused.value.reason == refusal.reason


async def test_an_error_that_no_time_heals_ends_it(follow, inventory):
    """Also one that comes in the middle."""
    inventory.scripts = [[says((EXISTING, "a", "1"), token="t1"), GONE]]
    with pytest.raises(errors.NotFound):
        await follow(2, Request())


async def test_a_session_that_ends_is_renewed(follow, inventory):
    """By the client's function for tokens, once; a credential that is refused at once is an error."""
    tokens = iter(["first", "second", "third", "fourth"])
    inventory.scripts = [
        [says((EXISTING, "a", "1"), token="t1"), ENDED],
        [ENDED],
        [says((ADDED, "b", "1"), token="t2"), ENDED],
        [ENDED],
        [ENDED],
    ]
    found, _ = await follow(2, Request(), token=lambda: next(tokens))
    assert found == [(EXISTING, "a", "1"), (ADDED, "b", "1")]
    assert inventory.credentials[:3] == ["Bearer first", "Bearer first", "Bearer second"]


async def test_a_refused_credential_ends_it(follow, inventory):
    """Renewed in vain."""
    inventory.scripts = [[says((EXISTING, "a", "1"), token="t1"), ENDED], [ENDED], [ENDED]]
    with pytest.raises(Unauthenticated):
        await follow(2, Request(), token="mine")


async def test_pauses_grow_and_are_as_long_as_the_gateway_asks(monkeypatch):
    """Up to five seconds."""
    monkeypatch.setattr(answers, "_FIRST_PAUSE_S", 0.1)
    cut = errors.Unreachable("away")
    assert [answers.watch_pause_s(failures, cut) for failures in (0, 1, 2, 9, 99)] == [0.1, 0.2, 0.4, 5.0, 5.0]
