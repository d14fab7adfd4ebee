"""Health, reflection and channelz of a gateway that asks who its callers are."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import grpc
import pytest
from gateway.tests.accesses import Known, Tokens
from gateway.tests.audit_chains import rows
from gateway.tests.callers import refused
from gateway.tests.hand_made_adapter import TOOLS, tool_file
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

CODE = grpc.StatusCode
Status = health_pb2.HealthCheckResponse
ALICE, BOB, ROOT, BAD = (("authorization", f"Bearer s_{who}") for who in ("alice", "bob", "root", "nobody"))
SECRET = "zstack"


@pytest.fixture(autouse=True)
def users(monkeypatch):
    """Three whom gateways of this file know."""
    tokens = Tokens(s_alice="alice", s_bob="bob", s_root="root")
    monkeypatch.setattr("cloudspan_gateway.app.Gateway._authenticators", lambda _self: (tokens,))


@pytest.fixture
async def running(deployment):
    """Two platforms: alice sees the one, bob the other, and only it brings a service of its own."""
    known = Known(alice="openstack", bob=SECRET, root=f"openstack {SECRET}")
    known.administrators.add("root")
    deployment.access_of = known
    await deployment.plug_in(files=(), services=("cloudspan.v1.ServerService",))
    await deployment.plug_in(platform=SECRET, instance_id="zs-1", clusters=("main",))
    async with deployment.opened(auth=("sessions",)):
        await deployment.until(lambda: "READY" in deployment.states() and "READY" in deployment.states(SECRET))
        yield deployment


def check(running, service, *metadata):
    stub = health_pb2_grpc.HealthStub(running.channel)
    return stub.Check(health_pb2.HealthCheckRequest(service=service), metadata=metadata)


def watch(running, service, *metadata):
    stub = health_pb2_grpc.HealthStub(running.channel)
    return stub.Watch(health_pb2.HealthCheckRequest(service=service), metadata=metadata)


async def serving(running, service, *metadata):
    async with asyncio.timeout(5):
        while (await check(running, service, *metadata)).status != Status.SERVING:  # noqa: ASYNC110 - as probes do
            await asyncio.sleep(0.005)


async def test_a_probe_needs_no_credential_and_a_bad_one_does_not_matter(running):
    """The gateway's own health has nothing to hide."""
    for service in ("", "gateway/table", "gateway/runner"):
        for metadata in ((), (BAD,), (ALICE,)):
            assert (await check(running, service, *metadata)).status == Status.SERVING
    assert running.access_of.asked == []


async def test_the_health_of_a_platform_is_for_those_who_see_it(running):
    """For the others it is as one that never was: the same code, the same words, the same trailers."""
    await serving(running, "platforms/openstack", ALICE)
    await serving(running, f"platforms/{SECRET}", BOB)
    hidden = [await refused(check(running, f"platforms/{SECRET}", *metadata)) for metadata in ((ALICE,), ())]
    absent = [await refused(check(running, "platforms/none", *metadata)) for metadata in ((ALICE,), (), (ROOT,))]
    said = {(error.code(), error.details(), str(error.trailing_metadata())) for error in (*hidden, *absent)}
    assert len(said) == 1
    assert hidden[0].code() is CODE.NOT_FOUND
    assert (await refused(check(running, f"platforms/{SECRET}", BAD))).code() is CODE.UNAUTHENTICATED


@pytest.mark.parametrize(
    "service", [SECRET, f"platforms/{SECRET}/", f"PLATFORMS/{SECRET}", f"platforms//{SECRET}", "platforms/", "gateway"]
)
async def test_another_spelling_is_another_service(running, service):
    assert (await refused(check(running, service, ALICE))).code() is CODE.NOT_FOUND


async def test_a_watch_of_a_hidden_platform_says_once_that_it_is_unknown(running):
    """Whatever happens to it."""
    await serving(running, f"platforms/{SECRET}", BOB)
    seen, hidden, absent = (
        watch(running, f"platforms/{SECRET}", BOB),
        watch(running, f"platforms/{SECRET}", ALICE),
        watch(running, "platforms/none"),
    )
    async with asyncio.timeout(5):
        assert [(await each.read()).status for each in (seen, hidden, absent)] == [
            Status.SERVING,
            *2 * [Status.SERVICE_UNKNOWN],
        ]
        await running.adapters[1].stop()
        assert (await seen.read()).status == Status.NOT_SERVING
    more = asyncio.ensure_future(hidden.read())
    await asyncio.sleep(0.02)
    assert not more.done()
    for each in (seen, hidden, absent):
        each.cancel()
    await asyncio.wait({more})


async def test_a_watch_ends_its_news_when_the_platform_is_taken_from_the_caller(running):
    """Effective with the next change."""
    await serving(running, f"platforms/{SECRET}", BOB)
    seen = watch(running, f"platforms/{SECRET}", BOB)
    async with asyncio.timeout(5):
        assert (await seen.read()).status == Status.SERVING
        running.access_of.platforms["bob"] = frozenset()
        await running.adapters[1].stop()
        assert (await seen.read()).status == Status.SERVICE_UNKNOWN
    seen.cancel()


def questions():
    """Every way to ask for the service of an adapter."""
    ask = reflection_pb2.ServerReflectionRequest
    yield ask(file_containing_symbol=TOOLS)
    yield ask(file_containing_symbol=f"{TOOLS}.Echo")
    yield ask(file_containing_symbol="acme.v1.Word")
    yield ask(file_containing_symbol="acme.v1.Word.value")
    yield ask(file_by_filename=tool_file().name)


async def answers(running, requests, *metadata):
    """One stream; its answers without the question, which each repeats."""
    stub = reflection_pb2_grpc.ServerReflectionStub(running.channel)
    stream = stub.ServerReflectionInfo(iter(list(requests)), metadata=metadata)
    return [reflection_pb2.ServerReflectionResponse.FromString(each.SerializeToString()) async for each in stream]


def listed(response):
    return {service.name for service in response.list_services_response.service}


LIST = reflection_pb2.ServerReflectionRequest(list_services="*")


async def test_the_contract_is_for_everybody_and_an_adapters_service_for_who_sees_its_platform(running):
    """A reflection client may send a credential, and needs none."""
    (own,) = await answers(running, [LIST])
    (alices,), (bobs,) = await answers(running, [LIST], ALICE), await answers(running, [LIST], BOB)
    assert {"cloudspan.v1.ServerService", "grpc.health.v1.Health"} < listed(own)
    assert (listed(alices), listed(bobs)) == (listed(own), listed(own) | {TOOLS})
    for each in await answers(running, questions(), BOB):
        assert each.file_descriptor_response.file_descriptor_proto


async def test_what_is_hidden_from_reflection_is_as_what_is_not_there(running):
    """In every way of asking; the words differ by the name that was asked for alone."""
    for metadata in ((ALICE,), ()):
        for each in await answers(running, questions(), *metadata):
            kind = each.original_request.WhichOneof("message_request")
            absent = reflection_pb2.ServerReflectionRequest(**{kind: "none.v1.None"})
            (not_there,) = await answers(running, [absent], *metadata)
            name = getattr(each.original_request, kind)
            assert each.error_response.error_code == CODE.NOT_FOUND.value[0]
            assert each.error_response.error_message == not_there.error_response.error_message.replace(
                "none.v1.None", name
            )


async def test_reflection_is_asked_anew_with_each_question(running):
    """A stream may live long; a service that was taken away is gone at its next question."""
    first, second = asyncio.Event(), asyncio.Event()

    async def ask():
        yield LIST
        first.set()
        await second.wait()
        yield LIST

    stub = reflection_pb2_grpc.ServerReflectionStub(running.channel)
    stream = stub.ServerReflectionInfo(ask(), metadata=(BOB,))
    assert TOOLS in listed(await stream.read())
    await first.wait()
    running.access_of.platforms["bob"] = frozenset()
    second.set()
    assert TOOLS not in listed(await stream.read())
    stream.cancel()


async def test_reflection_refuses_a_bad_credential(running, told):
    stub = reflection_pb2_grpc.ServerReflectionStub(running.channel)
    error = await refused(stub.ServerReflectionInfo(iter([LIST]), metadata=(BAD,)).read())
    assert (error.code(), told(error).reason) == (CODE.UNAUTHENTICATED, "UNAUTHENTICATED")


CHANNELZ = [
    ("GetTopChannels", channelz_pb2.GetTopChannelsRequest()),
    ("GetServers", channelz_pb2.GetServersRequest()),
    ("GetServer", channelz_pb2.GetServerRequest(server_id=1)),
    ("GetServerSockets", channelz_pb2.GetServerSocketsRequest(server_id=1)),
    ("GetChannel", channelz_pb2.GetChannelRequest(channel_id=1)),
    ("GetSubchannel", channelz_pb2.GetSubchannelRequest(subchannel_id=1)),
    ("GetSocket", channelz_pb2.GetSocketRequest(socket_id=1)),
]


@pytest.mark.parametrize(("method", "request_"), CHANNELZ)
async def test_channelz_is_for_those_who_administer_the_installation(running, method, request_):
    """Not for whom a tenant trusts, whatever tenant they name; it shows everybody's connections."""
    ask = getattr(channelz_pb2_grpc.ChannelzStub(running.channel), method)
    for metadata, code in (
        ((), CODE.UNAUTHENTICATED),
        ((BAD,), CODE.UNAUTHENTICATED),
        ((ALICE,), CODE.PERMISSION_DENIED),
        ((ALICE, ("x-tenant", "-")), CODE.PERMISSION_DENIED),
    ):
        assert (await refused(ask(request_, metadata=metadata))).code() is code
    administrator = (ROOT, ("x-tenant", "acme"))
    assert await _code(ask(request_, metadata=administrator)) in (CODE.OK, CODE.NOT_FOUND)
    assert {tenant for principal, tenant in running.access_of.asked if principal.subject == "users/root"} == {"-"}


async def _code(call):
    with suppress(grpc.aio.AioRpcError):
        await call
    return await call.code()


def test_every_method_of_channelz_is_guarded():
    """One that a new version brings is tried here as well."""
    methods = channelz_pb2.DESCRIPTOR.services_by_name["Channelz"].methods
    assert {each.name for each in methods} == {method for method, _ in CHANNELZ}


async def test_what_no_side_service_serves_is_no_way_around_them(running):
    """Paths that look like theirs, with and without a credential."""
    for path in (
        "/grpc.health.v1.Health/List",
        "/grpc.health.v1.Health/check",
        "/grpc.reflection.v1.ServerReflection/x",
    ):
        for metadata in ((), (ALICE,), (("x-platform", SECRET),), (ALICE, ("x-platform", SECRET))):
            error = await refused(running.channel.unary_unary(path)(b"", metadata=metadata))
            assert error.code() in (CODE.UNIMPLEMENTED, CODE.PERMISSION_DENIED)
            assert "zs-1" not in error.details()
    assert running.adapters[1].calls == []


async def test_what_is_asked_of_side_services_is_not_recorded_and_what_is_refused_is(running):
    """Anybody may ask as often as it likes: the audit is not to be filled by it."""
    await serving(running, "platforms/openstack", ALICE)
    for _ in range(3):
        await refused(check(running, f"platforms/{SECRET}"))
        await answers(running, [LIST, *questions()], ALICE)
        await answers(running, [LIST])
    channels = channelz_pb2_grpc.ChannelzStub(running.channel)
    await channels.GetServers(channelz_pb2.GetServersRequest(), metadata=(ROOT,))
    await refused(channels.GetServers(channelz_pb2.GetServersRequest(), metadata=(ALICE,)))
    await refused(check(running, "platforms/openstack", BAD))
    recorded = [(row["type"], row["subject"], row["method"]) for row in await rows(running.gateway.database)]
    assert recorded == [
        ("TYPE_REFUSAL", "users/alice", "grpc.channelz.v1.Channelz/GetServers"),
        ("TYPE_REFUSAL", "", "grpc.health.v1.Health/Check"),
    ]


async def test_an_open_gateway_serves_them_as_they_are(deployment, monkeypatch):
    """To everybody."""
    monkeypatch.setattr("cloudspan_gateway.app.Gateway._authenticators", lambda _self: ())
    await deployment.plug_in()
    async with deployment.opened():
        await serving(deployment, "platforms/openstack")
        (services,) = await answers(deployment, [LIST])
        assert TOOLS in listed(services)
        await channelz_pb2_grpc.ChannelzStub(deployment.channel).GetServers(channelz_pb2.GetServersRequest())
        assert repr(deployment.gateway.server._side_services) == "<SideServices for everybody>"
