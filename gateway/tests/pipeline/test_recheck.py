"""A stream ends when its caller may no longer have it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import grpc
import pytest
from gateway.tests.conftest import Deployment
from gateway.tests.hand_made_adapter import TOOLS, Say
from gateway.tests.known_callers import EAST, ByName, Guarded, as_user, binding, pool, tenant
from gateway.tests.scripted_adapter import waits
from google.longrunning import operations_pb2

from cloudspan.v1 import operation_pb2, operation_pb2_grpc, server_pb2, server_pb2_grpc
from cloudspan_common.errors import Unauthenticated, Unreachable
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.access.store import Changes
from cloudspan_gateway.pipeline.recheck import EACH_S

CODE = grpc.StatusCode
STEP = "/cloudspan.adapter.v1.StepService/Step"
TAGS = (("x-platform", "openstack"), ("x-cluster", "east"))


class Clocked(Guarded):
    """A gateway whose streams are looked at by a clock of the test's."""

    clock: FakeClock
    by_name: ByName

    def _authenticators(self):
        self.by_name = ByName()
        return (self.by_name,)

    def _callers(self):
        self.clock = FakeClock()
        return replace(super()._callers(), clock=self.clock)


@pytest.fixture
async def streaming(deployment: Deployment):
    await deployment.plug_in()
    async with deployment.opened(Clocked):
        await deployment.keep(
            tenant("acme"), pool("acme", "prod", EAST), pool("acme", "dev", EAST),
            binding("acme", "alice", "operator", "prod"), binding("acme", "alice", "viewer", "dev"),
            binding("-", "root", "admin"),
        )  # fmt: skip
        yield deployment


async def chatting(deployment: Deployment, *metadata: tuple[str, str]):
    """Return a stream of both directions that has carried one word."""
    method = deployment.channel.stream_stream(f"/{TOOLS}/Chat", Say.SerializeToString, Say.FromString)
    chat = method(metadata=as_user("alice", *metadata))
    await chat.write(Say(value="hi"))
    assert (await chat.read()).value == "HI"
    await asyncio.wait_for(slept(deployment.gateway.clock), 5)
    return chat


async def slept(clock: FakeClock) -> None:
    while not clock.sleepers:  # noqa: ASYNC110 - a clock tells who sleeps, and no change of it
        await asyncio.sleep(0.001)


async def ended(chat) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await chat.read()
    return failed.value


async def take_role(deployment: Deployment, *names: str) -> None:
    deleted = [f"tenants/acme/bindings/{name}" for name in names]
    await deployment.gateway.policy.change(lambda _policy, _conn: (None, Changes(deleted=deleted)))


async def test_a_stream_ends_with_the_role_that_it_needs(streaming):
    """Within a second; the error says that the stream was ended, and why."""
    chat = await chatting(streaming, *TAGS)
    await streaming.gateway.clock.advance(EACH_S)
    await chat.write(Say(value="still"))
    assert (await chat.read()).value == "STILL"
    await take_role(streaming, "alice-operator-prod")
    await streaming.gateway.clock.advance(EACH_S)
    error = await ended(chat)
    assert error.code() is CODE.PERMISSION_DENIED
    assert "the stream is ended, since its caller may no longer have it: permission `operate`" in error.details()


async def test_a_stream_through_a_pool_ends_with_that_pool(streaming):
    """Though another one would still have its cluster."""
    chat = await chatting(streaming, ("x-pool", "prod"))
    await take_role(streaming, "alice-operator-prod")
    await streaming.gateway.clock.advance(EACH_S)
    assert (await ended(chat)).code() is CODE.NOT_FOUND


async def test_a_stream_ends_with_its_credential(streaming):
    """And lasts while nobody can say: an issuer or a database that is away."""
    chat = await chatting(streaming, *TAGS)

    async def away(_call):
        raise Unreachable("the issuer is away")

    async def gone(_call):
        raise Unauthenticated("the session has ended")

    streaming.gateway.by_name.authenticate = away
    await streaming.gateway.clock.advance(3 * EACH_S)
    await chat.write(Say(value="still"))
    assert (await chat.read()).value == "STILL"
    streaming.gateway.by_name.authenticate = gone
    await streaming.gateway.clock.advance(EACH_S)
    error = await ended(chat)
    assert (error.code(), "the session has ended" in error.details()) == (CODE.UNAUTHENTICATED, True)


async def test_a_watch_ends_with_the_role_on_the_operations_cluster(streaming):
    """Though another role would still let its caller watch something; x-pool means nothing to it."""
    streaming.adapters[0].answers[STEP] = waiting
    await streaming.keep(
        pool("acme", "other", "platforms/openstack/clusters/west"), binding("acme", "alice", "viewer", "other"),
        binding("acme", "bob", "admin"),
    )  # fmt: skip
    await take_role(streaming, "alice-viewer-dev")
    server = server_pb2.Server(display_name="web", flavor=f"{EAST}/flavors/1")
    create = server_pb2_grpc.ServerServiceStub(streaming.channel).CreateServer
    made = await create(server_pb2.CreateServerRequest(parent=EAST, server=server), metadata=as_user("bob"))
    watch = operation_pb2_grpc.OperationServiceStub(streaming.channel).WatchOperation(
        operation_pb2.WatchOperationRequest(name=made.name), metadata=as_user("alice", ("x-pool", "none"))
    )
    assert (await watch.read()).name == made.name
    await asyncio.wait_for(slept(streaming.gateway.clock), 5)
    await take_role(streaming, "alice-operator-prod")
    await streaming.gateway.clock.advance(EACH_S)
    cancel = streaming.channel.unary_unary("/google.longrunning.Operations/CancelOperation")
    await cancel(operations_pb2.CancelOperationRequest(name=made.name).SerializeToString(), metadata=as_user("bob"))
    assert (await last_error(watch)).code() is CODE.NOT_FOUND


async def last_error(watch) -> grpc.aio.AioRpcError:
    """Return how a watch fails; what came before is read."""
    try:
        while not (await watch.read()).done:
            pass
    except grpc.aio.AioRpcError as error:
        return error
    raise AssertionError("the watch went on to the operation's end")


async def waiting(_body, _context):
    return waits(retry_s=60).SerializeToString()


async def test_a_stream_that_its_caller_leaves_ends_at_the_adapter(streaming):
    """Nothing goes on for nobody, and nobody is asked about any more."""
    chat = await chatting(streaming, *TAGS)
    chat.cancel()
    await asyncio.wait_for(streaming.adapters[0].ended.wait(), 5)
    async with asyncio.timeout(5):
        while streaming.gateway.clock.sleepers:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.001)
