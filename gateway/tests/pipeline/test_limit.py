"""What a tenant may use of a gateway at the same time, over real sockets."""

from __future__ import annotations

import asyncio
import functools
import random
import uuid
from contextlib import asynccontextmanager

import grpc
import pytest
from gateway.tests.callers import NAME, get_server, refused
from gateway.tests.hand_made_adapter import CREATE_SERVER, GET_SERVER, LIST_SERVERS, TOOLS, Say
from gateway.tests.known_callers import EAST, WEST, Guarded, as_user, binding, pool, tenant
from google.rpc import error_details_pb2
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import server_pb2, server_pb2_grpc
from cloudspan.v1.tenant_pb2 import Limits
from cloudspan_common import errors
from cloudspan_common.testing import FakeClock, LeapingClock
from cloudspan_gateway.access.limits import Counters
from cloudspan_gateway.pipeline import limit as stages

ACME, BETA = as_user("alice"), as_user("bob")
STEP = "/cloudspan.adapter.v1.StepService/Step"


@pytest.fixture
def clock():
    return FakeClock()


class Limited(Guarded):
    """A gateway that counts by a clock of the test's."""

    def __init__(self, clock, *arguments):
        super().__init__(*arguments)
        self.counters = Counters(clock)
        self._clock_of_limits = clock

    def _limits(self):
        return stages.Limits(self.counters, self._clock_of_limits)


@pytest.fixture
def opened(deployment, clock):
    """Open the deployment's gateway for tenants with these limits, of acme and of its pool prod, which has east."""

    @asynccontextmanager
    async def open_with(limits=None, prod=None):
        async with deployment.opened(functools.partial(Limited, clock), auth=("sessions",)):
            await deployment.keep(
                tenant("acme", limits=limits),
                pool("acme", "prod", EAST, limits=prod),
                pool("acme", "rest", WEST),
                binding("acme", "alice", "member"),
                tenant("beta"),
                pool("beta", "all", "platforms/openstack/clusters/-"),
                binding("beta", "bob", "member"),
            )
            yield

    return open_with


def usage(deployment, name="tenants/acme"):
    """Return calls, streams and bytes that the gateway counts now."""
    counted = deployment.gateway.counters.of(name)
    return counted.calls, counted.streams, counted.request_bytes


def held(adapter, path=GET_SERVER):
    """Have the adapter answer a path once the event is set."""
    go_on = asyncio.Event()

    async def answer(_body, context):
        await go_on.wait()
        adapter.stamp(context)
        return server_pb2.Server(name=NAME).SerializeToString()

    adapter.answers[path] = answer
    return go_on


def started(adapter):
    """Have every step of an operation be under way for good."""

    async def step(body, context):
        request = step_pb2.StepRequest.FromString(body)
        adapter.stamp(context)
        if request.validate_only:
            return step_pb2.StepResponse().SerializeToString()
        await asyncio.Event().wait()
        return b""

    adapter.answers[STEP] = step
    adapter.answers[CREATE_SERVER] = step


def create(deployment, metadata=ACME, parent=EAST, **fields):
    server = server_pb2.Server(display_name="web", flavor=f"{parent}/flavors/1", image=f"{parent}/images/1")
    request = server_pb2.CreateServerRequest(parent=parent, server=server, **fields)
    return server_pb2_grpc.ServerServiceStub(deployment.channel).CreateServer(request, metadata=metadata)


def retry_s(error):
    """Return what RetryInfo says, None without."""
    for detail in errors.status_of(error).details:
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return info.retry_delay.ToNanoseconds() / 1e9
    return None


async def under_way(deployment, number, name="tenants/acme"):
    async with asyncio.timeout(5):
        while deployment.gateway.counters.of(name).calls != number:  # noqa: ASYNC110 - it tells no change of it
            await asyncio.sleep(0.001)


async def test_a_call_beyond_the_tenants_limit_is_refused_with_what_limits_it(deployment, opened, told):
    """The message names limit, value and use; another tenant's call goes on, and so does the next one after an end."""
    adapter = await deployment.plug_in()
    go_on = held(adapter)
    async with opened(Limits(calls=2)):
        running = [asyncio.ensure_future(get_server(deployment.channel, metadata=ACME)) for _ in range(2)]
        await under_way(deployment, 2)
        failed = await refused(get_server(deployment.channel, metadata=ACME))
        other = asyncio.ensure_future(get_server(deployment.channel, metadata=BETA))
        await under_way(deployment, 1, "tenants/beta")
        go_on.set()
        assert [answer.name for answer in await asyncio.gather(*running, other)] == [NAME] * 3
        assert (await get_server(deployment.channel, metadata=ACME)).name == NAME
        await under_way(deployment, 0)
    error = told(failed)
    assert (failed.code(), error.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TENANT_LIMIT")
    assert error.message == (
        "tenants/acme may have 2 calls at the same time and has 2; retry after the time in RetryInfo, or ask an "
        "administrator for a higher limit"
    )
    assert (error.metadata["limit"], error.metadata["of"]) == ("calls", "tenants/acme")
    assert retry_s(failed) == pytest.approx(1.5)
    assert "beta" not in str(failed)


async def test_a_refused_call_reaches_nobody_and_its_request_is_not_read(deployment, opened, told):
    """Junk for a method of the contract is refused by the limit, not by what is wrong with it."""
    adapter = await deployment.plug_in()
    go_on = held(adapter)
    async with opened(Limits(calls=1)):
        running = asyncio.ensure_future(get_server(deployment.channel, metadata=ACME))
        await under_way(deployment, 1)
        junk = deployment.channel.unary_unary(GET_SERVER)
        assert told(await refused(junk(b"\xff", metadata=ACME))).reason == "TENANT_LIMIT"
        go_on.set()
        await running
        assert told(await refused(junk(b"\xff", metadata=ACME))).reason == "MALFORMED_MESSAGE"


async def test_a_pools_limit_holds_for_its_clusters_alone(deployment, opened, told):
    """Another cluster of the same tenant goes on; the message names the pool."""
    adapter = await deployment.plug_in(clusters=("east", "west"))
    go_on = held(adapter)
    async with opened(prod=Limits(calls=1)):
        running = asyncio.ensure_future(get_server(deployment.channel, metadata=ACME))
        await under_way(deployment, 1, "tenants/acme/pools/prod")
        error = told(await refused(get_server(deployment.channel, metadata=ACME)))
        west = asyncio.ensure_future(get_server(deployment.channel, NAME.replace("east", "west"), metadata=ACME))
        await under_way(deployment, 2)
        go_on.set()
        await asyncio.gather(running, west)
        assert usage(deployment, "tenants/acme/pools/prod") == (0, 0, 0)
    assert error.message.startswith("tenants/acme/pools/prod may have 1 call at the same time and has 1;")


async def test_request_bytes_count_while_a_call_is_answered(deployment, opened, told):
    """A request that never fits says so, and has no RetryInfo."""
    adapter = await deployment.plug_in()
    go_on = held(adapter)
    async with opened(Limits(request_bytes=100)):
        running = asyncio.ensure_future(get_server(deployment.channel, metadata=ACME))
        await under_way(deployment, 1)
        assert usage(deployment) == (1, 0, len(NAME) + 2)
        failed = await refused(get_server(deployment.channel, metadata=ACME, name=f"{NAME}{'1' * 20}"))
        assert "100 bytes of requests at the same time and has 45, this request has 65;" in told(failed).message
        assert retry_s(failed) is not None
        never = await refused(get_server(deployment.channel, metadata=ACME, name=f"{NAME}{'1' * 99}"))
        assert "it never fits: send a smaller one" in told(never).message
        assert retry_s(never) is None
        go_on.set()
        await running


async def test_streams_count_with_the_message_that_is_handled(deployment, opened, told):
    """A passed-through stream is one of the tenant's; a message that does not fit ends it, and the adapter stays."""
    await deployment.plug_in()
    tags = (*ACME, ("x-platform", "openstack"), ("x-cluster", "east"))
    async with opened(Limits(streams=1, request_bytes=1000)):
        chat = deployment.channel.stream_stream(f"/{TOOLS}/Chat", Say.SerializeToString, Say.FromString)(metadata=tags)
        await chat.write(Say(value="hello"))
        assert (await chat.read()).value
        assert usage(deployment) == (1, 1, 0)  # it was handled once the next message is asked for
        second = deployment.channel.stream_stream(f"/{TOOLS}/Chat")(metadata=tags)
        assert "1 stream at the same time" in told(await refused(second.read())).message
        await chat.write(Say(value="x" * 2000))
        failed = await refused(chat.read())
        assert told(failed).reason == "TENANT_LIMIT"
        await under_way(deployment, 0)
        assert usage(deployment) == (0, 0, 0)
        assert deployment.states() == "[<os-1 READY>]"


async def test_a_list_over_many_clusters_is_one_call(deployment, opened):
    """However many clusters are asked for it."""
    adapter = await deployment.plug_in(clusters=("east", "west"))
    calls = []

    async def answer(_body, context):
        calls.append(usage(deployment)[0])
        adapter.stamp(context)
        return server_pb2.ListServersResponse().SerializeToString()

    adapter.answers[LIST_SERVERS] = answer
    async with opened(Limits(calls=1)):
        request = server_pb2.ListServersRequest(parent="platforms/-/clusters/-")
        await server_pb2_grpc.ServerServiceStub(deployment.channel).ListServers(request, metadata=ACME)
    assert calls == [1, 1]


async def test_creates_have_a_bucket_that_a_minute_fills(deployment, opened, clock, told):
    """RetryInfo is when the next one is allowed; what was not accepted takes nothing from the bucket."""
    adapter = await deployment.plug_in(services=("cloudspan.v1.ServerService", "cloudspan.adapter.v1.StepService"))
    started(adapter)
    async with opened(Limits(creates_per_minute=2)):
        for _ in range(3):
            unknown = {"options": {"none": 1}}
            assert told(await refused(create(deployment, **unknown))).reason == "UNKNOWN_OPTION"
        first = str(uuid.uuid4())
        await create(deployment, request_id=first)
        await create(deployment)
        failed = await refused(create(deployment))
        assert told(failed).message.startswith("tenants/acme may have 2 creates a minute and has 2;")
        assert retry_s(failed) == pytest.approx(30.0)
        assert (await create(deployment, request_id=first)).name  # it was accepted before: asked again, not anew
        await create(deployment, BETA)
        await clock.advance(29.0)
        assert retry_s(await refused(create(deployment))) == pytest.approx(1.0)
        await clock.advance(1.0)
        await create(deployment)
        await refused(create(deployment))


async def test_operations_that_have_not_ended_are_limited_by_tenant_and_pool(deployment, opened, told):
    """Another tenant's don't count; one that is known is answered; validate_only begins none."""
    serves = ("cloudspan.v1.ServerService", "cloudspan.adapter.v1.StepService")
    adapter = await deployment.plug_in(clusters=("east", "west"), services=serves)
    started(adapter)
    async with opened(Limits(operations=2), prod=Limits(operations=1)):
        first = str(uuid.uuid4())
        await create(deployment, BETA)
        await create(deployment, request_id=first)
        error = told(await refused(create(deployment)))
        assert error.message.startswith("tenants/acme/pools/prod may have 1 unfinished operation and has 1;")
        await create(deployment, parent=WEST)
        error = told(await refused(create(deployment, parent=WEST)))
        assert error.message.startswith("tenants/acme may have 2 unfinished operations and has 2;")
        assert (await create(deployment, request_id=first)).name
        assert (await create(deployment, validate_only=True)).done
        await create(deployment, BETA)


async def test_racing_creates_are_counted_in_the_accepting_write(deployment, opened):
    """Of many at once exactly as many are accepted as may be."""
    adapter = await deployment.plug_in(services=("cloudspan.v1.ServerService", "cloudspan.adapter.v1.StepService"))
    started(adapter)
    async with opened(Limits(operations=5)):
        answers = await asyncio.gather(*(create(deployment) for _ in range(14)), return_exceptions=True)
    assert sum(not isinstance(answer, Exception) for answer in answers) == 5


async def test_the_first_refusal_of_a_minute_is_logged_and_the_rest_are_counted(deployment, opened, clock):
    """Whoever floods fills no log; the metrics have each of them, by tenant and limit."""
    adapter = await deployment.plug_in()
    go_on = held(adapter)
    async with opened(Limits(calls=1)):
        running = asyncio.ensure_future(get_server(deployment.channel, metadata=ACME))
        await under_way(deployment, 1)
        with capture_logs() as logged:
            for _ in range(5):
                await refused(get_server(deployment.channel, metadata=ACME))
        text = generate_latest(deployment.gateway.metrics.registry).decode()
        go_on.set()
        await running
    assert [line["event"] for line in logged if line["log_level"] == "warning"] == [
        "calls are refused, a limit is reached",
        "call failed",
    ]
    assert 'cloudspan_gateway_tenant_in_flight{pool="",tenant="acme"} 1.0' in text
    assert 'cloudspan_gateway_tenant_refused_total{limit="calls",pool="",tenant="acme"} 5.0' in text


async def test_whoever_goes_on_after_refusals_is_answered_later(deployment, opened, clock):
    """Ten are refused at once, the next ones wait longer and longer, and RetryInfo grows; nobody else waits."""
    adapter = await deployment.plug_in()
    go_on = held(adapter)
    async with opened(Limits(calls=1)):
        running = asyncio.ensure_future(get_server(deployment.channel, metadata=ACME))
        await under_way(deployment, 1)
        pauses = [retry_s(await refused(get_server(deployment.channel, metadata=ACME))) for _ in range(10)]
        assert pauses == [pytest.approx(2.0 + number) for number in range(10)]
        later = asyncio.ensure_future(refused(get_server(deployment.channel, metadata=ACME)))
        async with asyncio.timeout(5):
            while not clock.sleepers:  # noqa: ASYNC110 - the clock tells how many sleep, and no change of it
                await asyncio.sleep(0.001)
        assert usage(deployment)[0] == 1  # one that is refused counts no more
        go_on.set()
        await running
        assert not later.done()
        assert (await get_server(deployment.channel, metadata=ACME)).name == NAME
        await clock.advance(0.05)
        assert retry_s(await later) == pytest.approx(12.0)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("clock", [LeapingClock(FakeClock())])
async def test_nothing_stays_counted_however_calls_end(deployment, opened, seed):
    """Answers, errors, cancels, deadlines, broken and refused streams in any order: all is free at the end."""
    adapter = await deployment.plug_in(clusters=("east", "west"))
    choice = random.Random(seed)  # noqa: S311 - which way it goes is no secret
    tags = (*ACME, ("x-platform", "openstack"), ("x-cluster", "east"))

    async def answer(_body, context):
        adapter.stamp(context)
        if choice.random() < 0.3:
            await context.abort(grpc.StatusCode.NOT_FOUND, "none")
        await asyncio.sleep(choice.random() * 0.02)
        return server_pb2.Server(name=NAME).SerializeToString()

    async def chat():
        stream = deployment.channel.stream_stream(f"/{TOOLS}/Chat", Say.SerializeToString)(metadata=tags)
        for _ in range(choice.randrange(4)):
            await stream.write(Say(value="x" * choice.randrange(900)))
            await stream.read()
        if choice.random() < 0.5:
            stream.cancel()
        else:
            await stream.done_writing()
            await stream.read()

    async def get():
        call = get_server(deployment.channel, metadata=ACME, timeout=choice.choice([0.001, 0.01, 5.0]))
        if choice.random() < 0.3:
            await asyncio.sleep(0.005)
            call.cancel()
        await call

    adapter.answers[GET_SERVER] = answer
    async with opened(Limits(calls=8, streams=3, request_bytes=1500), Limits(calls=6, request_bytes=900)):
        works = [choice.choice([chat, get])() for _ in range(60)]
        await asyncio.gather(*works, return_exceptions=True)
        await under_way(deployment, 0)
        assert usage(deployment) == usage(deployment, "tenants/acme/pools/prod") == (0, 0, 0)
