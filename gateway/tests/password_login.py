"""A gateway with `--auth sessions` on a clock that a test moves, and users who log in to it, from several addresses."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyotp
from argon2.profiles import CHEAPEST
from gateway.tests.accesses import Sees

from cloudspan.v1 import session_pb2, session_pb2_grpc, tenant_pb2, user_pb2, user_pb2_grpc
from cloudspan_common import grpcs
from cloudspan_common.errors import NotPermitted
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.testing import FakeClock
from cloudspan_gateway import app
from cloudspan_gateway.access.permissions import EVERYTHING, NOTHING
from cloudspan_gateway.config import GatewayConfig
from cloudspan_gateway.identity.password_login import users
from cloudspan_gateway.identity.password_login.passwords import Passwords
from cloudspan_gateway.storage.tables import tenants

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

PASSWORD = "correct horse battery"
OTHER_PASSWORD = "staple correct horse"
ALICE, BOB, CAROL = "users/alice", "users/bob", "users/carol"


@dataclass(frozen=True)
class InTenant(Sees):
    """An access that administers some tenants; `-` is all of them."""

    administered: frozenset[str] = frozenset()

    def permissions(self, tenant, pool=""):
        return EVERYTHING if not self.administered.isdisjoint({tenant, "-"}) else NOTHING

    def require(self, permission, method, ref=None):
        if not self.administers:
            raise NotPermitted(f"{method} needs to administer tenants/{self.tenant}")


class Roles:
    """Who administers what, said by a test: alice the installation, bob the tenant acme; everybody else nothing."""

    def __init__(self) -> None:
        self.administrators = {(ALICE, "-"), (ALICE, "acme"), (ALICE, "default"), (BOB, "acme")}

    def __call__(self, principal: Any, tenant: str) -> InTenant:
        asked = tenant or principal.tenant
        administers = (principal.subject, asked) in self.administrators
        if asked == "-" and not administers:
            raise NotPermitted("x-tenant is - and the caller has no role in tenants/-", reason="TENANT_UNKNOWN")
        administered = frozenset(of for subject, of in self.administrators if subject == principal.subject)
        roles = ("admin",) if administers else ()
        return InTenant(tenant=asked, administers=administers, roles=roles, administered=administered)


class Caller:
    """Calls with a token, or with none."""

    def __init__(self, channel: grpc.aio.Channel, token: str = "", *metadata: tuple[str, str]) -> None:
        self._channel = channel
        self.metadata = (*((("authorization", f"Bearer {token}"),) if token else ()), *metadata)
        self.token = token
        self._sessions = session_pb2_grpc.SessionServiceStub(channel)
        self._users = user_pb2_grpc.UserServiceStub(channel)

    def anywhere(self) -> Caller:
        """The same, acting in all tenants."""
        return Caller(self._channel, self.token, ("x-tenant", "-"))

    def call(self, method: str, **fields: Any) -> Any:
        """Call a method of SessionService or UserService by its name."""
        module = user_pb2 if hasattr(self._users, method) else session_pb2
        stub = self._users if hasattr(self._users, method) else self._sessions
        return getattr(stub, method)(getattr(module, f"{method}Request")(**fields), metadata=self.metadata, timeout=10)


class Installation:
    """One gateway of it."""

    def __init__(self, gateway: app.Gateway, channel: grpc.aio.Channel, clock: FakeClock) -> None:
        self.gateway = gateway
        self.channel = channel
        self.clock = clock
        self.anonymous = Caller(channel)
        self.open_until_end = AsyncExitStack()

    @property
    def sessions(self):
        return self.gateway.password_login.sessions

    @property
    def hashes(self) -> int:
        return self.gateway.password_login.passwords.hashes

    async def has_user(self, name: str, tenant: str = "acme", password: str = PASSWORD) -> None:
        """Make a user without asking anybody."""
        hashed = await self.gateway.password_login.passwords.hash(password)
        message = user_pb2.User(name=name, tenant=f"tenants/{tenant}")
        row = users.UserRow(name.removeprefix("users/"), tenant, message, hashed)
        await self.gateway.database.transact(lambda conn: users.insert(conn, row))

    async def has_tenant(self, tenant: str) -> None:
        """Make a tenant without asking anybody."""
        row = tenant_pb2.Tenant(name=f"tenants/{tenant}").SerializeToString()
        await self.gateway.database.transact(lambda conn: conn.execute(tenants.insert().values(tenant=tenant, row=row)))

    async def from_address(self, host: str) -> Caller:
        """Return who calls from another address of this machine, such as 127.0.0.2."""
        relay = await asyncio.start_server(_relayed(host, self.gateway.server.port), "127.0.0.1", 0)
        self.open_until_end.push_async_callback(relay.wait_closed)
        self.open_until_end.callback(relay.close)
        channel = grpcs.new_channel(f"127.0.0.1:{relay.sockets[0].getsockname()[1]}")
        self.open_until_end.push_async_callback(channel.close)
        return Caller(channel)

    async def logged_in(self, user: str = ALICE, password: str = PASSWORD, code: str = "") -> Caller:
        """Log in as a user."""
        session = await self.anonymous.call("CreateSession", user=user, password=password, one_time_code=code)
        return Caller(self.channel, session.token)

    async def with_codes(self, caller: Caller, user: str = ALICE) -> tuple[pyotp.TOTP, list[str]]:
        """Set up a user's one-time codes; return its authenticator and its recovery codes."""
        made = await caller.call("SetUpOneTimeCodes", name=user, password=PASSWORD)
        authenticator = pyotp.TOTP(made.secret)
        now = authenticator.at(int(self.clock.now()))
        confirmed = await caller.call("ConfirmOneTimeCodes", name=user, one_time_code=now)
        await self.clock.advance(30)
        return authenticator, list(confirmed.recovery_codes)

    def code(self, authenticator: pyotp.TOTP, steps: int = 0) -> str:
        """What the authenticator shows now, or some steps away."""
        return authenticator.at(int(self.clock.now()) + 30 * steps)


@asynccontextmanager
async def installation(
    clock: FakeClock | None = None, *, keep: Any = None, roles: Any = None, **config: Any
) -> AsyncIterator[Installation]:
    """Run a gateway whose hashes cost nothing; `keep` takes what the audit is to record of users.

    Who may do what is said by `roles`, `Roles()` if not given; by the policy of the database where it is False.
    """
    clock = clock or FakeClock()
    settings = {
        "listen": "127.0.0.1:0",
        "metrics": "",
        "drain_s": 0.0,
        "database": "memory:",
        "no_inventory": True,
        "auth": ("sessions",),
    }
    gateway = app.build(GatewayConfig(**{**settings, **config}), MemoryRegistry())
    gateway._time = clock
    if roles is not False:
        gateway._access_of = roles or Roles()
    gateway._passwords = Passwords(CHEAPEST)
    if keep is not None:
        parts = gateway._caller_parts
        gateway._caller_parts = lambda: dataclasses.replace(parts(), keep=keep)
    async with gateway.running():
        channel = grpcs.new_channel(f"127.0.0.1:{gateway.server.port}")
        running = Installation(gateway, channel, clock)
        async with running.open_until_end:
            running.open_until_end.push_async_callback(channel.close)
            yield running


def _relayed(host: str, port: int) -> Any:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(host, 0))
        await asyncio.gather(_pumped(reader, far_writer), _pumped(far_reader, writer))

    return serve


async def _pumped(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@asynccontextmanager
async def peopled(clock: FakeClock | None = None, **config: Any) -> AsyncIterator[Installation]:
    """Run a gateway that has alice, in the tenant default, and bob and carol in acme."""
    async with installation(clock, **config) as running:
        await running.has_tenant("default")
        await running.has_tenant("acme")
        await running.has_user(ALICE, "default")
        await running.has_user(BOB)
        await running.has_user(CAROL)
        yield running
