"""Whom an adapter answers once a gateway signs its calls, over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import grpc
import pytest
import structlog
from common.kit.tests.acme import PARENT, AcmeCluster, serving
from common.kit.tests.signing_gateway import SigningGateway
from structlog.testing import capture_logs

from cloudspan.adapter.v1 import adapter_pb2, step_pb2, step_pb2_grpc
from cloudspan.v1 import cluster_pb2, server_pb2
from cloudspan_common import errors, grpcs
from cloudspan_common.caller_context import Bound
from cloudspan_common.errors import Unreachable
from cloudspan_common.registry.context_keys import ContextKeys, MemoryKeys
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.testing import FakeClock
from cloudspan_kit import Call, Caller, Capability
from cloudspan_kit.serve.context import ON_DEMAND_S, READ_EVERY_S, ContextGuard

GET, DESCRIBE = "cloudspan.v1.ServerService/GetServer", "cloudspan.adapter.v1.AdapterService/Describe"
NAME = f"{PARENT}/servers/1"
ALICE = Caller("team", "users/alice", ("member", "viewer"), "p1")


class Servers:
    """A driver that notes who calls."""

    capabilities: ClassVar[dict[str, Capability]] = {}

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.logged: list[dict[str, Any]] = []

    async def get_server(self, call: Call, request: server_pb2.GetServerRequest) -> server_pb2.Server:
        self.calls.append(call)
        self.logged.append(structlog.contextvars.get_contextvars())
        return server_pb2.Server(name=request.name, project=call.project)


class Place:
    """A running adapter and the registry that it reads."""

    def __init__(self) -> None:
        self.registry, self.gateway, self.servers = MemoryRegistry(), SigningGateway(), Servers()
        self.channel: grpc.aio.Channel

    async def call(self, method: str, body: bytes = b"", sent: dict[str, str] | None = None) -> bytes:
        return await self.channel.unary_unary(f"/{method}")(body, metadata=tuple((sent or {}).items()), timeout=5)

    async def get(self, sent: dict[str, str] | None = None) -> bytes:
        return await self.call(GET, server_pb2.GetServerRequest(name=NAME).SerializeToString(), sent)


@asynccontextmanager
async def running(*, published: bool = True, mode: str = "auto") -> AsyncIterator[Place]:
    """Run an adapter with its option `--context`, and a gateway's key in its registry or none."""
    made = Place()
    if published:
        await made.gateway.publish(made.registry.context_keys)
    adapter = serving(AcmeCluster(made.servers), registry=made.registry, context=mode)
    async with adapter as address, grpcs.new_channel(address) as made.channel:
        yield made


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """An adapter whose registry has a gateway's key."""
    async with running() as made:
        yield made


@pytest.fixture
async def unsigned() -> AsyncIterator[Place]:
    """An adapter whose registry has none."""
    async with running(published=False) as made:
        yield made


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert errors.from_status(errors.status_of(caught.value)).reason == "CONTEXT_REFUSED"
    return caught.value


async def test_a_driver_hears_on_whose_behalf_it_is_called(place: Place) -> None:
    """Tenant, user, roles and project, and the request id that the context is for."""
    await place.get(place.gateway.whole(Bound(GET, "request-1", "00-a")))
    assert [(call.caller, call.request_id) for call in place.servers.calls] == [(ALICE, "request-1")]
    assert place.servers.logged == [{"request_id": "request-1", "tenant": "team", "cluster": "east"}]


async def test_an_adapter_tells_the_key_for_proofs_and_takes_them(place: Place) -> None:
    """To a gateway alone: its description needs a context like all else."""
    described = await place.call(DESCRIBE, b"", place.gateway.whole(Bound(DESCRIBE)))
    key = adapter_pb2.DescribeResponse.FromString(described).context_key
    await place.get(place.gateway.proved(Bound(GET, "request-2"), key))
    assert place.servers.calls[0].caller == ALICE


@pytest.mark.parametrize(
    "method",
    [
        GET,
        DESCRIBE,
        "cloudspan.v1.PlatformService/ListPlatforms",
        "cloudspan.v1.ClusterService/CheckCluster",
        "cloudspan.v1.ServerService/CreateServer",
        "cloudspan.adapter.v1.StepService/Step",
        "cloudspan.adapter.v1.StepService/Observe",
        "cloudspan.adapter.v1.MarkService/ListMarked",
        "cloudspan.adapter.v1.MarkService/RemoveMarked",
        "cloudspan.adapter.v1.SweepService/SweepPage",
        "grpc.channelz.v1.Channelz/GetServers",
    ],
)
async def test_without_a_context_nothing_is_answered(place: Place, method: str) -> None:
    """Whoever reaches the port of an adapter; the refusal is stamped, so that a gateway does not take it for a loss."""
    error = await refused(place.call(method))
    assert ("x-served-by", "acme-1") in tuple(error.trailing_metadata())
    assert method in error.details()


@pytest.mark.parametrize("mark", ["cloudspan.adapter.v1.StepService/Step", DESCRIBE])
async def test_a_context_for_a_get_serves_for_nothing_else(place: Place, mark: str) -> None:
    """It is signed for one method."""
    sent = place.gateway.whole(Bound(GET))
    error = await refused(place.call(mark, b"", sent))
    assert mark in error.details()
    await place.get(sent)
    assert len(place.servers.calls) == 1


async def test_health_and_reflection_stay_open(place: Place) -> None:
    """Supervisors have no gateway; what they can read is the same for every caller."""
    assert await place.call("grpc.health.v1.Health/Check") == b"\x08\x01"
    reflect = place.channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")(iter((b"",)))
    assert [answer async for answer in reflect]


async def test_a_refusal_says_why_and_is_logged_without_the_context(place: Place) -> None:
    """The message is for whoever called the adapter by mistake; a context is as good as a credential."""
    sent = place.gateway.whole(Bound(GET), aud="openstack")
    with capture_logs() as logs:
        error = await refused(place.get(sent))
    assert "for adapters of 'openstack'" in error.details()
    assert [line["event"] for line in logs] == ["call refused"]
    assert sent["x-cloudspan-context"].rpartition(".")[2] not in f"{logs}{error}"


async def test_without_a_gateway_that_signs_everybody_is_answered(unsigned: Place) -> None:
    """As ever: a caller is nobody, and a description has no key."""
    await unsigned.get()
    assert unsigned.servers.calls[0].caller == Caller()
    assert adapter_pb2.DescribeResponse.FromString(await unsigned.call(DESCRIBE)).context_key == b""


async def test_a_context_of_a_gateway_that_nobody_knows_names_nobody(unsigned: Place) -> None:
    """Its key is in no registry: the call is as good as one without a context."""
    await unsigned.get(unsigned.gateway.whole(Bound(GET)))
    assert unsigned.servers.calls[0].caller == Caller()


async def test_an_adapter_may_be_told_not_to_ask() -> None:
    """Option `--context off`: everybody who reaches it is answered, and nobody is believed to be anybody."""
    async with running(mode="off") as place:
        await place.get(place.gateway.whole(Bound(GET)))
        assert place.servers.calls[0].caller == Caller()


async def test_an_adapter_may_be_told_to_wait_for_a_gateway_that_signs() -> None:
    """Option `--context required`: nobody is answered before there is a key."""
    async with running(published=False, mode="required") as place:
        await refused(place.get())
        assert place.servers.calls == []


async def test_marks_and_steps_are_taken_on_somebodys_behalf_too(place: Place) -> None:
    """What only gateways ask is signed like the rest."""
    path = "cloudspan.adapter.v1.MarkService/ListMarked"
    stub = step_pb2_grpc.MarkServiceStub(place.channel)
    sent = tuple(place.gateway.whole(Bound(path), sub="gateway").items())
    answer = await stub.ListMarked(step_pb2.ListMarkedRequest(cluster=PARENT, installation="main"), metadata=sent)
    assert list(answer.marked) == []


async def test_a_check_of_a_cluster_hears_its_caller() -> None:
    """CheckCluster is not served by a driver; its call has a caller all the same."""
    place, cluster, heard = Place(), AcmeCluster(Servers()), []
    await place.gateway.publish(place.registry.context_keys)

    async def check(call: Call) -> list[Any]:
        heard.append(call.caller)
        return []

    cluster.check = check
    path = "cloudspan.v1.ClusterService/CheckCluster"
    async with serving(cluster, registry=place.registry) as address, grpcs.new_channel(address) as place.channel:
        body = cluster_pb2.CheckClusterRequest(name=PARENT).SerializeToString()
        await place.call(path, body, place.gateway.whole(Bound(path)))
    assert heard == [ALICE]


class Away(MemoryKeys):
    """A store that may be away, and counts how often it is read."""

    away, reads = False, 0

    async def entries(self):
        self.reads += 1
        if self.away:
            raise Unreachable("the registry is away", reason="REGISTRY_UNREACHABLE")
        return await super().entries()


class Followed:
    """A guard with a clock of its own and the store that it reads."""

    def __init__(self) -> None:
        self.clock, self.store, self.gateway = FakeClock(), Away(), SigningGateway()
        self.gateway.now = self.clock.now()
        self.keys = ContextKeys(self.store, self.clock)
        self.guard = ContextGuard("acme", clock=self.clock)

    async def verify(self) -> Caller:
        return await self.guard._verify(GET, self.gateway.whole(Bound(GET)))


@pytest.fixture
async def followed() -> Followed:
    return Followed()


async def test_a_new_gateways_key_is_read_on_demand_and_not_more_than_once_a_second(followed: Followed) -> None:
    """A call with an unknown key is worth one look; a flood of them must not become one of reads."""
    await SigningGateway().publish(followed.keys, "gateway-0")
    await followed.guard.follow(followed.keys)
    await followed.clock.advance(ON_DEMAND_S)
    await followed.gateway.publish(followed.keys)
    assert await followed.verify() == ALICE
    before, stranger = followed.store.reads, SigningGateway()
    for _ in range(100):
        with pytest.raises(ValueError, match="no gateway of this registry"):
            await followed.guard._verify(GET, stranger.whole(Bound(GET)))
    assert followed.store.reads == before


async def test_a_registry_that_is_away_changes_nothing(followed: Followed) -> None:
    """Keys that were read go on counting, past their time as well; what is required stays required."""
    await followed.gateway.publish(followed.keys)
    await followed.guard.follow(followed.keys)
    followed.store.away = True
    await followed.guard._read()
    assert await followed.verify() == ALICE
    assert "away" in repr(followed.guard)


async def test_with_the_last_key_gone_calls_still_need_one(followed: Followed) -> None:
    """Emptying the registry opens no adapter."""
    await followed.gateway.publish(followed.keys)
    await followed.guard.follow(followed.keys)
    await followed.store.remove("gateway-1")
    await followed.guard._read()
    assert repr(followed.guard).startswith("<ContextGuard required")
    with pytest.raises(ValueError, match="no gateway of this registry"):
        await followed.verify()


async def test_keys_are_read_again_and_again(followed: Followed) -> None:
    """So that an adapter is closed soon after its first gateway begins to sign."""
    await followed.guard.follow(followed.keys)
    assert followed.guard.public_key() == b""
    running = asyncio.create_task(followed.guard.run())
    await followed.clock.settle()
    await followed.gateway.publish(followed.keys)
    await followed.clock.advance(READ_EVERY_S)
    assert len(followed.guard.public_key()) == 32
    running.cancel()
