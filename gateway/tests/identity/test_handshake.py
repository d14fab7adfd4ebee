"""Services log in by a token of their own making, and nobody else does: a real gateway calls a real service back."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from gateway.tests import postgres_server
from sqlalchemy import select
from structlog.testing import capture_logs

from cloudspan.v1 import session_pb2, session_pb2_grpc
from cloudspan_common import errors, grpcs
from cloudspan_common.errors import CloudspanError, Unauthenticated, Unreachable
from cloudspan_common.grpcs import Tls
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.registry.services import ServiceAddress
from cloudspan_common.testing import FakeClock
from cloudspan_common.trial_certificates import Authority
from cloudspan_gateway.access.principal import Method, Principal
from cloudspan_gateway.app import Gateway
from cloudspan_gateway.config import GatewayConfig
from cloudspan_gateway.identity import handshake
from cloudspan_gateway.identity.handshake import HandshakeParts, Handshakes, Pauses
from cloudspan_gateway.services.handshake import HandshakeService
from cloudspan_gateway.services.methods import ServiceMethod, service_methods
from cloudspan_gateway.storage.engine import open_database
from cloudspan_gateway.storage.tables import used_tokens

Session = session_pb2.Session
SERVICE = "cloudspan.v1.SessionService"


class Billing(session_pb2_grpc.HandshakeVerifierServicer):
    """A service that logs in; it withdraws no token, so that the gateway alone keeps one from working twice."""

    def __init__(self) -> None:
        self.tokens: set[str] = set()
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.answer: Callable[[], Any] | None = None

    def new_token(self) -> str:
        token = str(uuid.uuid4())
        self.tokens.add(token)
        return token

    async def VerifyToken(self, request, context):  # noqa: N802 - the rpc's name
        self.asked.append((request.service, request.token, dict(context.invocation_metadata())))
        if self.answer is not None:
            return await self.answer()
        return session_pb2.VerifyTokenResponse(own=request.token in self.tokens)


class Sessions:
    """Those that were made, in memory."""

    def __init__(self) -> None:
        self.made: list[Session] = []

    async def create(self, subject: str, tenant: str, method: Method, peer: str) -> tuple[Session, str]:
        session = Session(name=f"sessions/{len(self.made)}", subject=subject, method=method, peer=peer)
        session.expire_time.FromSeconds(2_000_000_000)
        self.made.append(session)
        return session, f"secret-{len(self.made)}"


class Place:
    """A gateway whose services log in, the service `billing`, and a caller."""

    def __init__(self) -> None:
        self.registry, self.billing, self.sessions, self.clock = MemoryRegistry(), Billing(), Sessions(), FakeClock()
        self.principals: list[Principal] = []
        self.handshakes: Handshakes
        self.gateway: WithServices
        self.channel: grpc.aio.Channel
        self.tls: Tls | None = None

    async def describe(self, session: Session, principal: Principal) -> Session:
        self.principals.append(principal)
        return session

    async def serve(self, servicer: Billing, tls: Tls | None = None) -> str:
        self.server = grpcs.new_server()
        session_pb2_grpc.add_HandshakeVerifierServicer_to_server(servicer, self.server)
        port = grpcs.listen(self.server, "127.0.0.1:0", tls)
        await self.server.start()
        return f"127.0.0.1:{port}"

    async def log_in(self, service: str = "billing", token: str | None = None, **options: Any) -> Session:
        request = session_pb2.CreateServiceSessionRequest(service=service, token=token or self.billing.new_token())
        return await session_pb2_grpc.SessionServiceStub(self.channel).CreateServiceSession(request, **options)

    async def refused(self, *args: Any, **options: Any) -> CloudspanError:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.log_in(*args, **options)
        return errors.from_status(errors.status_of(caught.value))


class WithServices(Gateway):
    """A gateway that has been given sessions from elsewhere."""

    place: Place

    def _services(self) -> list[ServiceMethod]:
        place = self.place
        parts = HandshakeParts(place.registry, place.sessions, self.database, place.clock, place.tls)
        place.handshakes = Handshakes(parts)
        return [*super()._services(), *service_methods(SERVICE, HandshakeService(place.handshakes, place.describe))]


async def opened(stack: AsyncExitStack, place: Place, servicer_tls: Tls | None = None) -> Place:
    address = await place.serve(place.billing, servicer_tls)
    stack.push_async_callback(place.server.stop, None)
    place.registry.put_service("billing", ServiceAddress(address, "billing"))
    config = GatewayConfig(listen="127.0.0.1:0", metrics="", drain_s=0.0, database="memory:", no_inventory=True)
    place.gateway = WithServices(config, place.registry)
    place.gateway.place = place
    await stack.enter_async_context(place.gateway.running())
    place.channel = await stack.enter_async_context(grpcs.new_channel(f"127.0.0.1:{place.gateway.server.port}"))
    return place


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        yield await opened(stack, Place())


@pytest.mark.parametrize("name", ["billing", "services/billing"])
async def test_a_registered_service_logs_in_with_a_token_of_its_own(place: Place, name: str) -> None:
    """It gets a session as its own subject; who it is stands in the audit as well."""
    session = await place.log_in(name)
    assert (session.subject, session.method, session.token) == (
        "services/billing",
        Session.METHOD_HANDSHAKE,
        "secret-1",
    )
    assert place.principals == [
        Principal("services/billing", Method.METHOD_HANDSHAKE, "session/0", session="0", expire_time=2_000_000_000)
    ]
    assert place.sessions.made[0].token == ""


async def test_the_service_hears_its_own_name_and_token_and_nothing_of_the_caller(place: Place) -> None:
    """Neither the caller's metadata nor its credentials go on to a service."""
    metadata = (("authorization", "Bearer secret"), ("x-cloudspan-a", "a"), ("x-request-id", "mine"))
    token = place.billing.new_token()
    await place.log_in(token=token, metadata=metadata)
    ((service, heard, sent),) = place.billing.asked
    assert (service, heard) == ("services/billing", token)
    assert sent.keys() <= {"user-agent", "accept-encoding", "grpc-accept-encoding"}


async def test_a_token_works_once_also_when_its_service_goes_on_calling_it_its_own(place: Place) -> None:
    """Whoever has seen it go by comes too late, at whatever time within a day."""
    token = place.billing.new_token()
    await place.log_in(token=token)
    assert (await place.refused(token=token)).reason == "HANDSHAKE_FAILED"
    assert len(place.billing.asked) == 1
    rows = await place.gateway.database.read(lambda conn: conn.execute(select(used_tokens)).all())
    assert [row.expire_time for row in rows] == [place.clock.now() + handshake.USED_S]


async def test_of_two_requests_with_one_token_one_wins(place: Place) -> None:
    """In the database, so that two gateways agree as well."""
    token = place.billing.new_token()
    outcomes = await asyncio.gather(*(place.log_in(token=token) for _ in range(4)), return_exceptions=True)
    assert sorted(isinstance(outcome, Session) for outcome in outcomes) == [False, False, False, True]
    assert len(place.sessions.made) == 1


TOKEN = "8c5f0b0e-54a1-4f5b-9f58-0a6c1a7d3b10"
BAD_NAMES = [
    "Billing", "BILLING", "billing ", " billing", "billing\n", "services/services/billing", "users/billing", "-", "*",
    "billing/../billing", "b\u0456lling", "127.0.0.1:7090", "billing@127.0.0.1:1", "other", "a" * 10_000, "services/",
]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda name: ascii(name)[:30])
async def test_only_a_registered_name_is_called(place: Place, name: str) -> None:
    """Exactly as it is registered: a name that is like it, or an address, calls nobody."""
    error = await place.refused(name, place.billing.new_token())
    assert (error.reason, error.message) == ("HANDSHAKE_FAILED", handshake._FAILED)
    assert place.billing.asked == []


BAD_TOKENS = [
    TOKEN.upper(), f"{{{TOKEN}}}", f"urn:uuid:{TOKEN}", TOKEN.replace("-", ""), f" {TOKEN}", TOKEN[:-1], "token",
    "x" * 1000, "\u0668" + TOKEN[1:],
]  # fmt: skip


@pytest.mark.parametrize("token", BAD_TOKENS, ids=lambda token: ascii(token)[:30])
async def test_a_token_has_one_spelling(place: Place, token: str) -> None:
    """Another spelling of a used token would be a new one; no service is asked about it."""
    place.billing.tokens |= {token, TOKEN}
    assert (await place.refused(token=token)).reason in ("HANDSHAKE_FAILED", "LIMIT_EXCEEDED")
    assert place.billing.asked == []


async def test_a_failure_says_the_same_whatever_it_was(place: Place) -> None:
    """The log has the reason, and not the token."""
    gone = ServiceAddress("127.0.0.1:1", "gone")
    place.registry.put_service("gone", gone)
    stolen, used = str(uuid.uuid4()), place.billing.new_token()
    await place.log_in(token=used)
    with capture_logs() as logs:
        found = [
            await place.refused("nobody", stolen),
            await place.refused("gone", stolen),
            await place.refused("billing", stolen),
            await place.refused("billing", used),
            await place.refused("billing", "no token"),
        ]
    assert {(error.reason, error.message) for error in found} == {("HANDSHAKE_FAILED", handshake._FAILED)}
    whys = [line["why"] for line in logs if line["event"] == "service not logged in"]
    assert len(set(whys)) == 5
    assert stolen not in f"{logs}"
    assert used not in f"{logs}"


async def never() -> None:
    await asyncio.Event().wait()


async def too_long() -> session_pb2.VerifyTokenResponse:
    answer = session_pb2.VerifyTokenResponse(own=True)
    answer.MergeFromString(b"\x7a\xff\xff\x01" + b"x" * 32_767)
    return answer


async def fails() -> None:
    raise PermissionError


async def test_a_service_that_repeats_the_token_does_not_get_it_into_the_log(place: Place) -> None:
    """What a service says of a failure is logged, for the operator."""
    token = place.billing.new_token()

    async def repeats() -> None:
        raise PermissionError(token)

    place.billing.answer = repeats
    with capture_logs() as logs:
        await place.refused(token=token)
    assert "its token" in f"{logs}"
    assert token not in f"{logs}"


@pytest.mark.parametrize("answer", [never, too_long, fails], ids=lambda answer: answer.__name__)
async def test_a_service_that_does_not_answer_properly_is_not_logged_in(
    place: Place, answer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its silence nor the size of its answer can hold the gateway up."""
    monkeypatch.setattr(handshake, "VERIFY_S", 0.05)
    place.billing.answer = answer
    assert (await place.refused()).reason == "HANDSHAKE_FAILED"
    assert repr(place.handshakes).startswith("<Handshakes 0 under way")


async def test_each_instance_of_a_service_is_asked_since_one_of_them_made_the_token(place: Place) -> None:
    """One that is down, and one that does not know the token, keep nobody out."""
    first = (await place.registry.service("billing"))[0]
    other = Billing()
    kept = place.server
    address = await place.serve(other)
    try:
        places = (ServiceAddress("127.0.0.1:1", "billing"), ServiceAddress(address, "billing"), first)
        place.registry.put_service("billing", *places)
        assert (await place.log_in()).subject == "services/billing"
        assert len(other.asked) == 1
    finally:
        await place.server.stop(None)
        place.server = kept


async def test_failures_cost_a_growing_pause_where_they_come_from(place: Place) -> None:
    """So nobody can guess on, or have the gateway call services without end; other services' logins go on."""
    reasons = [(await place.refused(token=TOKEN)).reason for _ in range(handshake.FREE_FAILURES + 3)]
    assert reasons == ["HANDSHAKE_FAILED"] * handshake.FREE_FAILURES + ["LOGIN_PAUSED"] * 3
    paused = await place.refused()
    assert paused.retry_after_s == pytest.approx(1.0)
    assert len(place.billing.asked) == 1  # the same token: used up by the first of them
    place.registry.put_service("reports", *await place.registry.service("billing"))
    assert (await place.log_in("reports")).subject == "services/reports"
    await place.clock.advance(1.0)
    assert (await place.log_in()).subject == "services/billing"


def test_pauses_double_up_to_a_minute_and_are_forgotten() -> None:
    """A login that succeeds, or ten quiet minutes, begin anew."""
    clock = FakeClock()
    pauses, key, found = Pauses(clock), ("ipv4:192.0.2.1", "billing"), []
    for _ in range(12):
        pauses.failed(key)
        found.append(pauses.left_s(key))
    assert found == [0.0, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0]
    assert pauses.left_s(("ipv4:192.0.2.2", "billing")) == 0.0
    pauses.succeeded(key)
    assert pauses.left_s(key) == 0.0
    for number in range(20_000):
        pauses.failed((f"ipv4:{number}", "billing"))
    assert repr(pauses) == "<Pauses of 10000 sources>"


async def test_so_many_handshakes_at_once_and_no_more(place: Place) -> None:
    """A service that hangs holds up its own logins alone, and a flood of requests does not become one of calls."""
    going_on = asyncio.Event()

    async def wait() -> session_pb2.VerifyTokenResponse:
        await going_on.wait()
        return session_pb2.VerifyTokenResponse(own=True)

    place.billing.answer = wait
    logins = [asyncio.create_task(place.log_in()) for _ in range(handshake.AT_ONCE_OF_SERVICE)]
    async with asyncio.timeout(5):
        while len(place.billing.asked) < handshake.AT_ONCE_OF_SERVICE:  # noqa: ASYNC110 - a list sets no Event
            await asyncio.sleep(0.005)
    assert (await place.refused()).reason == "LOGIN_PAUSED"
    assert len(place.billing.asked) == handshake.AT_ONCE_OF_SERVICE
    going_on.set()
    assert len(await asyncio.gather(*logins)) == handshake.AT_ONCE_OF_SERVICE
    assert (await place.log_in()).subject == "services/billing"


async def test_a_registry_that_is_away_is_not_the_services_fault(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may try again at once; where the registry is, is nothing to tell to somebody who is not logged in."""

    async def away(_: str) -> None:
        raise Unreachable("Consul agent 192.0.2.1:8500 can't be reached", reason="REGISTRY_UNREACHABLE")

    monkeypatch.setattr(place.registry, "service", away)
    found = [await place.refused() for _ in range(handshake.FREE_FAILURES + 1)]
    assert {error.reason for error in found} == {"REGISTRY_UNREACHABLE"}
    assert "192.0.2.1" not in found[0].message


def tls_of(authority: Authority, folder: Path, identity: str) -> Tls:
    authority.issue(identity, folder)
    return Tls(folder / f"{identity}.pem", folder / f"{identity}.key", folder / "authority.pem")


@pytest.mark.parametrize(("named", "logged_in"), [("billing", True), ("reports", False)])
async def test_with_certificates_the_services_must_name_it(tmp_path: Path, *, named: str, logged_in: bool) -> None:
    """Whoever takes a service's address over needs its certificate too."""
    authority = Authority.new()
    authority.write(tmp_path)
    async with AsyncExitStack() as stack:
        place = Place()
        place.tls = tls_of(authority, tmp_path, "gateway.cloudspan")
        await opened(stack, place, tls_of(authority, tmp_path, named))
        if logged_in:
            assert (await place.log_in()).subject == "services/billing"
        else:
            assert (await place.refused()).reason == "HANDSHAKE_FAILED"
            assert place.billing.asked == []


async def test_a_token_is_kept_as_a_digest(place: Place) -> None:
    """Whoever reads the database learns no token."""
    token = place.billing.new_token()
    await place.log_in(token=token)
    rows = await place.gateway.database.read(lambda conn: conn.execute(select(used_tokens)).all())
    digest = hashlib.sha256(f"billing\n{token}".encode()).hexdigest()
    assert [row.digest for row in rows] == [f"handshake {digest}"]


async def test_the_session_of_a_service_is_one_like_any_other() -> None:
    """With `--auth sessions`: the token authenticates calls, and the service can log out."""
    place = Place()
    async with AsyncExitStack() as stack:
        address = await place.serve(place.billing)
        stack.push_async_callback(place.server.stop, None)
        place.registry.put_service("billing", ServiceAddress(address, "billing"))
        config = GatewayConfig(
            listen="127.0.0.1:0",
            metrics="",
            drain_s=0.0,
            database="memory:",
            no_inventory=True,
            auth=("sessions",),
            wait_for_adapters=0.0,
        )
        gateway = await stack.enter_async_context(Gateway(config, place.registry).running())
        place.channel = await stack.enter_async_context(grpcs.new_channel(f"127.0.0.1:{gateway.server.port}"))
        session = await place.log_in()
        sessions, credential = session_pb2_grpc.SessionServiceStub(place.channel), ("x-auth-session", session.token)
        found = await sessions.GetSession(session_pb2.GetSessionRequest(), metadata=(credential,))
        assert (found.subject, found.method, found.token) == ("services/billing", Session.METHOD_HANDSHAKE, "")
        await sessions.DeleteSession(session_pb2.DeleteSessionRequest(), metadata=(credential,))
        with pytest.raises(grpc.aio.AioRpcError, match="the session has ended"):
            await sessions.GetSession(session_pb2.GetSessionRequest(), metadata=(credential,))


async def test_a_token_works_at_one_of_two_gateways() -> None:
    """They share a database, and ask the service at the same time."""
    place, url = Place(), postgres_server.needed().new_database()
    async with AsyncExitStack() as stack:
        address = await place.serve(place.billing)
        stack.push_async_callback(place.server.stop, None)
        place.registry.put_service("billing", ServiceAddress(address, "billing"))
        gateways = []
        for _ in range(2):
            database = await open_database(url)
            stack.push_async_callback(database.close)
            gateways.append(Handshakes(HandshakeParts(place.registry, place.sessions, database, place.clock)))
        for _ in range(5):
            token = place.billing.new_token()
            logins = (gateway.log_in("billing", token, "ipv4:192.0.2.1:1") for gateway in gateways)
            outcomes = await asyncio.gather(*logins, return_exceptions=True)
            assert sorted(isinstance(outcome, Unauthenticated) for outcome in outcomes) == [False, True]
            await place.clock.advance(handshake.LONGEST_PAUSE_S)
    assert len(place.sessions.made) == 5
