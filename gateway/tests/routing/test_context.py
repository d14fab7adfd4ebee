"""On whose behalf adapters are called: what a gateway that authenticates signs, and with which keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from gateway.tests.accesses import Tokens
from gateway.tests.callers import get_server
from gateway.tests.hand_made_adapter import GET_SERVER, LIST_SERVERS, TOOLS, Say
from gateway.tests.known_callers import EAST, Guarded, as_user, binding, pool, tenant
from gateway.tests.scripted_adapter import DONE

from cloudspan.v1 import server_pb2, server_pb2_grpc
from cloudspan_common.caller_context import LIFE_S, Bound, Claims, kid_of, pair_key, proof, verified
from cloudspan_common.errors import Unreachable
from cloudspan_common.registry.context_keys import ContextKeys, MemoryKeys
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.access.access import OpenAccess
from cloudspan_gateway.access.behalf import GATEWAY, Behalf
from cloudspan_gateway.metadata import CONTEXT, PROOF
from cloudspan_gateway.routing.context import RENEW_S, ROTATE_S, ContextSigner

GET = "/cloudspan.v1.ServerService/GetServer"
ALICE = Behalf("users/alice", "team", ("member", "viewer"), "p1")
STEP = "/cloudspan.adapter.v1.StepService/Step"
SENT = (("x-request-id", "request-1"), ("traceparent", "00-a"))


class Place:
    """A signer, its clock, and the registry that it publishes in."""

    def __init__(self) -> None:
        self.clock, self.store = FakeClock(), MemoryKeys()
        self.keys = ContextKeys(self.store, self.clock)
        self.signer = ContextSigner(self.keys, "main", self.clock)
        self.adapter = X25519PrivateKey.generate()

    def signed(self, behalf: Behalf = ALICE, platform: str = "acme", *, proved: bool = True) -> dict[str, Any]:
        key = self.adapter.public_key().public_bytes_raw() if proved else b""
        return dict(self.signer.signed(SENT, behalf, GET, (platform, key)))

    async def claims(self, **how: Any) -> Claims:
        return await self.read(self.signed(**how)[CONTEXT])

    async def read(self, context: str) -> Claims:
        return verified(context, (await self.keys.read())[kid_of(context)].signing)

    async def kids(self) -> set[str]:
        return set(await self.keys.read())

    @property
    def kid(self) -> str:
        return kid_of(self.signed(proved=False)[CONTEXT])


@pytest.fixture
async def place() -> Place:
    made = Place()
    await made.signer.start()
    return made


async def test_a_context_says_who_for_whom_and_how_long(place: Place) -> None:
    """Half a minute, for one platform; what differs from call to call is in the proof."""
    now = int(place.clock.now())
    assert await place.claims() == Claims(
        iss="main", aud="acme", sub="users/alice", iat=now, exp=now + LIFE_S,
        tenant="team", roles=("member", "viewer"), project="p1",
    )  # fmt: skip


async def test_a_proof_is_of_one_call_to_one_instance(place: Place) -> None:
    """Made with a key that only this gateway and that instance can make."""
    sent = place.signed()
    (published,) = (await place.keys.read()).values()
    shared = pair_key(place.adapter, published.agreement, published.agreement)
    bound = Bound(GET[1:], "request-1", "00-a")
    assert sent[PROOF] == proof(shared, sent[CONTEXT], 1, bound)
    assert place.signed()[PROOF] == proof(shared, sent[CONTEXT], 2, bound)


async def test_a_context_is_signed_anew_for_another_behalf_another_platform_and_after_some_seconds(
    place: Place,
) -> None:
    """Signing costs ten times what a proof does; a context that is sent has 25 s to live at least."""
    first = place.signed()[CONTEXT]
    assert place.signed()[CONTEXT] == first
    others = [place.signed(ALICE._replace(roles=()))[CONTEXT], place.signed(platform="zstack")[CONTEXT]]
    await place.clock.advance(6)
    assert len({first, *others, place.signed()[CONTEXT]}) == 4


@pytest.mark.parametrize("key", [b"", bytes(32), b"short", b"x" * 33])
async def test_without_a_good_key_of_the_adapter_each_call_has_a_context_of_its_own(place: Place, key: bytes) -> None:
    """A description may hold anything; the call is signed all the same, with all that a proof would say."""
    sent = dict(place.signer.signed(SENT, ALICE, GET, ("acme", key)))
    claims = await place.read(sent[CONTEXT])
    assert (claims.method, claims.request_id, claims.traceparent, claims.number) == (GET[1:], "request-1", "00-a", 1)
    assert PROOF not in sent


async def test_a_caller_with_very_many_roles_can_still_call(place: Place) -> None:
    """Metadata is bounded; what an adapter is told of roles is for its information."""
    many = ALICE._replace(roles=tuple(f"role-{number:058}" for number in range(1000)))
    assert len(place.signed(many)[CONTEXT]) < 6144
    assert len((await place.claims(behalf=many)).roles) == 32


async def test_keys_rotate_without_a_call_that_an_adapter_could_not_verify(place: Place) -> None:
    """A new key is published a minute before it is used, and the old one goes when its contexts have expired."""
    running = asyncio.create_task(place.signer.run())
    await place.clock.settle()
    first = place.kid
    await place.clock.advance(ROTATE_S)
    assert (first in await place.kids(), len(await place.kids()), place.kid) == (True, 2, first)
    await place.clock.advance(RENEW_S)
    second = place.kid
    assert second != first
    assert await place.kids() == {first, second}
    await place.clock.advance(3 * RENEW_S)
    assert await place.kids() == {second}
    await place.clock.advance(3 * ROTATE_S)
    assert place.kid in await place.kids()
    assert first not in await place.kids()
    running.cancel()


class Away(MemoryKeys):
    """A store that may be away."""

    away = False

    async def put(self, holder: str, entry: bytes) -> None:
        if self.away:
            raise Unreachable("the registry is away", reason="REGISTRY_UNREACHABLE")
        await super().put(holder, entry)


async def test_a_key_that_could_not_be_published_is_not_used() -> None:
    """While the registry is away the gateway signs with what adapters know; they go on knowing it."""
    place = Place()
    place.store = Away()
    place.keys = ContextKeys(place.store, place.clock)
    place.signer = ContextSigner(place.keys, "main", place.clock)
    running = asyncio.create_task(place.signer.run())
    await place.clock.settle()
    first, place.store.away = place.kid, True
    await place.clock.advance(2 * ROTATE_S)
    assert place.kid == first
    assert "away" in repr(place.signer)
    place.store.away = False
    await place.clock.advance(5)
    assert place.kid == first
    await place.clock.advance(RENEW_S)
    assert place.kid != first
    running.cancel()


def test_neither_keys_nor_contexts_stand_in_a_repr() -> None:
    """A log line or a traceback may print it."""
    place = Place()
    sent = place.signed()
    assert sent[CONTEXT] not in f"{place.signer!r}{place.signer._current!r}"


async def _nothing(_body: bytes, _context: object) -> bytes:
    return b""


async def contexts_of(deployment: Any, adapter: Any) -> list[tuple[str, Claims]]:
    keys = await deployment.registry.context_keys.read()
    sent = [(path, metadata[CONTEXT]) for path, metadata, _ in adapter.calls]
    return [(path, verified(context, keys[kid_of(context)].signing)) for path, context in sent]


AS_ALICE = ("authorization", "Bearer s_alice")


@pytest.fixture
def known(deployment: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alice may do everything in any tenant."""
    tokens = Tokens(s_alice="alice")
    monkeypatch.setattr("cloudspan_gateway.app.Gateway._authenticators", lambda _self: (tokens,))
    deployment.access_of = lambda _principal, tenant: OpenAccess(tenant)


@pytest.mark.usefixtures("known")
async def test_every_call_to_an_adapter_is_signed(deployment: Any) -> None:
    """A read, a list over all clusters and a stream of a service that only the adapter knows."""
    adapter = await deployment.plug_in()
    adapter.answers[LIST_SERVERS] = _nothing
    async with deployment.opened(auth=("sessions",)):
        await get_server(deployment.channel, metadata=(AS_ALICE, ("x-tenant", "blue")))
        servers = server_pb2_grpc.ServerServiceStub(deployment.channel)
        await servers.ListServers(server_pb2.ListServersRequest(parent="platforms/-/clusters/-"), metadata=(AS_ALICE,))
        codec = {"request_serializer": Say.SerializeToString, "response_deserializer": Say.FromString}
        echo = deployment.channel.unary_unary(f"/{TOOLS}/Echo", **codec)
        await echo(Say(value="a"), metadata=(AS_ALICE, ("x-platform", "openstack")))
        found = await contexts_of(deployment, adapter)
    assert [path for path, _ in found] == [GET_SERVER, LIST_SERVERS, f"/{TOOLS}/Echo"]
    assert [claims.method for _, claims in found] == [path[1:] for path, _ in found]
    assert [claims.tenant for _, claims in found] == ["blue", "", ""]
    assert {claims.sub for _, claims in found} == {"users/alice"}
    assert {(claims.aud, claims.iss) for _, claims in found} == {("openstack", "main")}


async def _done(_body: bytes, _context: object) -> bytes:
    return DONE.SerializeToString()


async def _of_the_project(body: bytes, _context: object) -> bytes:
    name = server_pb2.GetServerRequest.FromString(body).name
    return server_pb2.Server(name=name, project=f"{EAST}/projects/p1").SerializeToString()


async def test_calls_are_on_behalf_of_their_caller_and_steps_of_whoever_asked_for_the_operation(
    deployment: Any,
) -> None:
    """Who, in which tenant, with which roles, on which project; never with the credential that it came by."""
    adapter = await deployment.plug_in()
    adapter.answers[STEP] = _done
    adapter.answers[GET_SERVER] = _of_the_project
    async with deployment.opened(Guarded, auth=("sessions",)):
        await deployment.keep(
            tenant("acme"), pool("acme", "dev", EAST, project="p1"), binding("acme", "alice", "member", "dev")
        )
        await get_server(deployment.channel, metadata=as_user("alice"))
        servers = server_pb2_grpc.ServerServiceStub(deployment.channel)
        create = server_pb2.CreateServerRequest(
            parent=EAST, server={"display_name": "web", "flavor": f"{EAST}/flavors/small"}
        )
        await servers.CreateServer(create, metadata=as_user("alice", ("x-wait", "5s")))
        found = await contexts_of(deployment, adapter)
    assert [path for path, _ in found] == [GET_SERVER, STEP, STEP]
    assert {(c.sub, c.tenant, c.roles, c.project) for _, c in found} == {("users/alice", "acme", ("member",), "p1")}
    assert all("authorization" not in sent for _, sent, _ in adapter.calls)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("authenticates", [False, True])
async def test_what_a_caller_sends_as_its_context_is_dropped(deployment: Any, *, authenticates: bool) -> None:
    """Only the gateway's own word reaches an adapter, and none where callers are not authenticated."""
    adapter = await deployment.plug_in()
    async with deployment.opened(auth=("sessions",) if authenticates else ()):
        await get_server(deployment.channel, metadata=(AS_ALICE, (CONTEXT, "forged"), (PROOF, "forged")))
        assert bool(await deployment.registry.context_keys.read()) is authenticates
    sent = adapter.calls[0][1]
    assert (CONTEXT in sent, PROOF in sent) == (authenticates, False)
    assert "forged" not in sent.values()


def test_the_gateway_speaks_for_itself_without_a_tenant() -> None:
    """Descriptions and shared waits are nobody's."""
    assert Behalf("gateway") == GATEWAY
