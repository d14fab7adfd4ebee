"""Logs registered services in: the gateway calls the service back and asks whether the token is its own.

`services.handshake` answers CreateServiceSession with it. The address that is called comes from the registry and from
nowhere else. What fails is answered in the same words whatever it was; the log has the reason.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import grpc
from google.protobuf.message import DecodeError
from sqlalchemy import update

from cloudspan.v1 import session_pb2
from cloudspan_common import grpcs, logs
from cloudspan_common.errors import CloudspanError, TooManyRequests, Unauthenticated, Unreachable
from cloudspan_common.registry.services import is_service_name
from cloudspan_gateway.access.principal import Method
from cloudspan_gateway.identity.password_login.lockout import source_of
from cloudspan_gateway.identity.session_rows import principal_of
from cloudspan_gateway.storage.tables import used_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from cloudspan_common.clock import Clock
    from cloudspan_common.registry.services import ServiceAddress
    from cloudspan_gateway.access.principal import Principal
    from cloudspan_gateway.storage.engine import Database

log = logs.get_logger(__name__)

VERIFY_S = 2.0
TOKEN_S = 60.0
"""How long a token is remembered that was not verified; its service withdraws it within that time."""
USED_S = 86_400.0
"""How long one is that was: should its service forget to withdraw it, it still works once."""
AT_ONCE, AT_ONCE_OF_SERVICE = 16, 4
FREE_FAILURES, LONGEST_PAUSE_S, FORGET_S = 3, 60.0, 600.0
_MOST_SOURCES = 10_000
_MOST_ADDRESSES = 8
# A service that was started again must not inherit the back-off of a call before; an answer has one field.
_OPTIONS: grpcs.Options = (("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 1024))
_BUSY_RETRY_S = 1.0
_VERIFY = "/cloudspan.v1.HandshakeVerifier/VerifyToken"
_FAILED = (
    "the handshake failed: a service must be registered under exactly the name that it gives, answer "
    "cloudspan.v1.HandshakeVerifier at its registered address within 2 s, and send a new token (a UUID in lower case) "
    "for each login"
)


class Sessions(Protocol):
    """Where sessions come from."""

    async def create(self, subject: str, tenant: str, method: Method, peer: str) -> tuple[session_pb2.Session, str]:
        """Begin a session; return it, and its token."""
        ...


class Services(Protocol):
    """The registry, as far as it is needed here."""

    async def service(self, name: str) -> Sequence[ServiceAddress]:
        """Return where a service is registered; nowhere if it is not."""
        ...


@dataclass(frozen=True, slots=True)
class _Failures:
    count: int
    at: float
    """Monotonic seconds."""

    @property
    def pause_s(self) -> float:
        beyond = self.count - FREE_FAILURES
        return min(2.0**beyond, LONGEST_PAUSE_S) if 0 <= beyond < 10 else LONGEST_PAUSE_S if beyond > 0 else 0.0


class Pauses:
    """Failed handshakes by where they came from and for which service: each pause is twice the one before.

    By both, so that nobody can pause another machine's logins, nor those of other services on the same one.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Pauses of {len(self._failures)} sources>"

    def left_s(self, key: tuple[str, str]) -> float:
        """Return for how many seconds a source has to wait."""
        failures = self._failures.get(key)
        return max(0.0, failures.at + failures.pause_s - self._clock.monotonic()) if failures else 0.0

    def failed(self, key: tuple[str, str]) -> None:
        """Count a failure."""
        now = self._clock.monotonic()
        before = self._failures.pop(key, None)
        count = before.count + 1 if before is not None and now - before.at < FORGET_S else 1
        self._failures[key] = _Failures(count, now)
        if len(self._failures) > _MOST_SOURCES:
            self._failures.popitem(last=False)

    def succeeded(self, key: tuple[str, str]) -> None:
        """Forget the failures of a source."""
        self._failures.pop(key, None)


@dataclass(frozen=True, slots=True)
class HandshakeParts:
    """What handshakes need of the gateway."""

    registry: Services
    sessions: Sessions
    database: Database
    clock: Clock
    tls: grpcs.Tls | None = None
    """The gateway's certificate; with it services are called by TLS, and must have one that names them."""


class Handshakes:
    """The logins of services at one gateway."""

    def __init__(self, parts: HandshakeParts) -> None:
        self._parts = parts
        self._pauses = Pauses(parts.clock)
        self._under_way: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Handshakes {sum(self._under_way.values())} under way | {self._pauses!r}>"

    async def log_in(self, service: str, token: str, peer: str) -> tuple[session_pb2.Session, Principal]:
        """Return a new session of a service, with its token, and who it is.

        Args:
            service: `billing` or `services/billing`.
            token: What the service has made for this login.
            peer: The gRPC peer that it came from.

        Raises:
            Unauthenticated: HANDSHAKE_FAILED, whichever part of it failed.
            TooManyRequests: LOGIN_PAUSED, with the time to wait.
        """
        name = service.removeprefix("services/")
        key = (source_of(peer), name if is_service_name(name) else "")
        self._check_pause(key)
        self._under_way[name] = self._under_way.get(name, 0) + 1
        try:
            why = await self._refusal(name, token)
        finally:
            self._under_way[name] -= 1
            if not self._under_way[name]:
                del self._under_way[name]
        if why:
            self._pauses.failed(key)
            log.warning("service not logged in", service=name[:64], why=why, peer=peer)
            raise Unauthenticated(_FAILED, reason="HANDSHAKE_FAILED")
        self._pauses.succeeded(key)
        return await self._session(f"services/{name}", peer)

    def _check_pause(self, key: tuple[str, str]) -> None:
        wait_s = self._pauses.left_s(key)
        if not wait_s and (
            sum(self._under_way.values()) >= AT_ONCE or self._under_way.get(key[1], 0) >= AT_ONCE_OF_SERVICE
        ):
            wait_s = _BUSY_RETRY_S
        if wait_s:
            text = f"too many logins of services; log in again in {wait_s:.0f} s"
            raise TooManyRequests(text, reason="LOGIN_PAUSED", retry_after_s=wait_s)

    async def _refusal(self, name: str, token: str) -> str:
        """Return why a service may not log in; empty when it may."""
        if not is_service_name(name):
            return "no service can have that name"
        if not _is_token(token):
            return "its token is not a UUID in lower case"
        addresses = await self._addresses(name)
        if not addresses:
            return "no service is registered under that name"
        digest = _digest(name, token)
        if not await self._parts.database.transact(lambda conn: _begin_use(conn, digest, self._until(TOKEN_S))):
            return "its token was used before"
        why = await self._asked_all(name, token, addresses)
        if not why:
            await self._parts.database.transact(lambda conn: _keep_used(conn, digest, self._until(USED_S)))
        return why

    async def _addresses(self, name: str) -> Sequence[ServiceAddress]:
        try:
            return (await self._parts.registry.service(name))[:_MOST_ADDRESSES]
        except CloudspanError as error:  # its words are for the operator: nobody has logged in yet
            log.warning("services can't be looked up", reason=error.reason, message=error.message)
            text = "services can't be looked up just now; log in again in a moment, the gateway's log says why"
            raise Unreachable(text, reason="REGISTRY_UNREACHABLE", retry_after_s=_BUSY_RETRY_S) from error

    def _until(self, seconds: float) -> float:
        return self._parts.clock.now() + seconds

    async def _asked_all(self, name: str, token: str, addresses: Sequence[ServiceAddress]) -> str:
        """Ask every instance, since only the one that made the token knows it; return why none said yes."""
        answers = await asyncio.gather(*(self._asked(name, token, address) for address in addresses))
        return "" if "" in answers else "; ".join(answers)

    async def _asked(self, name: str, token: str, at: ServiceAddress) -> str:
        request = session_pb2.VerifyTokenRequest(service=f"services/{name}", token=token)
        try:
            async with asyncio.timeout(VERIFY_S), self._channel(at) as channel:
                verify: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_VERIFY)
                body = await verify(request.SerializeToString(), timeout=VERIFY_S)
            own = session_pb2.VerifyTokenResponse.FromString(body).own
        except grpc.aio.AioRpcError as error:
            return f"{at.address} answered {error.code().name}: {(error.details() or '')[:200]}"
        except (TimeoutError, DecodeError, CloudspanError) as error:
            return f"{at.address} did not answer in {VERIFY_S:.0f} s, or not with a VerifyTokenResponse: {error!r:.200}"
        return "" if own else f"{at.address} says that the token is not its own"

    def _channel(self, at: ServiceAddress) -> grpc.aio.Channel:
        tls = self._parts.tls
        named = () if tls is None else (("grpc.ssl_target_name_override", at.identity),)
        return grpcs.new_channel(at.address, tls, options=(*_OPTIONS, *named))

    async def _session(self, subject: str, peer: str) -> tuple[session_pb2.Session, Principal]:
        session, token = await self._parts.sessions.create(subject, "", Method.METHOD_HANDSHAKE, peer)
        answer = session_pb2.Session()
        answer.CopyFrom(session)
        answer.token = token
        return answer, principal_of(session)


def _is_token(text: str) -> bool:
    """One spelling alone: another one of the same UUID would be another token to whoever compares texts."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _digest(name: str, token: str) -> str:
    return "handshake " + hashlib.sha256(f"{name}\n{token}".encode()).hexdigest()


def _begin_use(conn: Connection, digest: str, until: float) -> bool:
    """Enter a token that is not there; of two requests at once one succeeds, at whichever gateway."""
    if conn.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415 - only the one in use: they import a driver
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]  # noqa: PLC0415 - same
    entered = insert(used_tokens).values(digest=digest, expire_time=until).on_conflict_do_nothing()
    return bool(conn.execute(entered).rowcount)


def _keep_used(conn: Connection, digest: str, until: float) -> None:
    conn.execute(update(used_tokens).where(used_tokens.c.digest == digest).values(expire_time=until))
