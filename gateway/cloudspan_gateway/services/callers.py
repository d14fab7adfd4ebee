"""What `--auth sessions` runs with, put together: sessions, logins, users, and the services that show them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_common.listing.page_token import authenticated
from cloudspan_gateway.identity.handshake import HandshakeParts, Handshakes
from cloudspan_gateway.identity.password_login import bootstrap
from cloudspan_gateway.identity.password_login.logins import Logins
from cloudspan_gateway.identity.sessions import Sessions
from cloudspan_gateway.services.handshake import HandshakeService
from cloudspan_gateway.services.methods import service_methods
from cloudspan_gateway.services.sessions import Directory, NoSessionService, SessionService
from cloudspan_gateway.services.users import NoUserService, UserParts, UserService

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cloudspan_common.clock import Clock
    from cloudspan_common.grpcs import Tls
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.access.principal import Principal
    from cloudspan_gateway.identity.handshake import Services
    from cloudspan_gateway.identity.password_login.grants import Grants
    from cloudspan_gateway.identity.password_login.passwords import Passwords
    from cloudspan_gateway.identity.session_rows import Lifetime
    from cloudspan_gateway.services.methods import ServiceMethod
    from cloudspan_gateway.services.users import KeepEvents
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database

_SESSION_SERVICE, _USER_SERVICE = "cloudspan.v1.SessionService", "cloudspan.v1.UserService"


@dataclass(frozen=True, slots=True)
class CallerParts:
    """What the services about callers are made from."""

    database: Database
    cipher: Cipher
    clock: Clock
    grants: Grants
    access_of: Callable[[Principal, str], Access]
    installation: str
    registry: Services
    """Where services are that log in by a handshake."""
    tls: Tls | None = None
    """What they are called with."""
    keep: KeepEvents | None = None
    """Keeps what the audit is to record of users in the transaction of their change."""


class PasswordLogin:
    """Users who log in with a password, and the sessions that they and services get."""

    def __init__(self, parts: CallerParts, lifetime: Lifetime, passwords: Passwords) -> None:
        self.sessions = Sessions(parts.database, parts.clock, lifetime)
        self.passwords = passwords
        self.logins = Logins(parts.database, self.passwords, parts.cipher, parts.clock)
        self._parts = parts

    def __repr__(self) -> str:
        return f"<PasswordLogin {self.sessions!r}, {self.passwords!r}>"

    def services(self) -> Iterator[ServiceMethod]:
        """Return the methods of SessionService and UserService."""
        parts, check = self._parts, authenticated(self._parts.cipher.digest)
        directory = Directory(parts.database, parts.grants, parts.access_of)
        sessions = SessionService(self.sessions, self.logins, directory, parts.clock, check)
        users = UserService(
            UserParts(
                parts.database, self.logins, self.passwords, parts.grants, parts.cipher, parts.clock,
                parts.installation, check, parts.keep,
            )
        )  # fmt: skip
        yield from service_methods(_SESSION_SERVICE, sessions)
        handshakes = Handshakes(HandshakeParts(parts.registry, self.sessions, parts.database, parts.clock, parts.tls))
        yield from service_methods(_SESSION_SERVICE, HandshakeService(handshakes, directory.describe))
        yield from service_methods(_USER_SERVICE, users)

    async def offer_administrator(self) -> None:
        """Print the token for the first administrator, while there is no user.

        To the terminal, not into the log: that is kept, and read by others.
        """
        now, database = self._parts.clock.now(), self._parts.database
        token = await database.transact(lambda conn: bootstrap.offer(conn, now, shared=database.shared))
        if token is not None:
            text = "There is no user yet. Make yourself the administrator with this token; it works once, within a day:"
            sys.stderr.write(f"\n{text}\n\n    {token}\n\n")
            sys.stderr.flush()

    def close(self) -> None:
        """Let go of threads and announcements."""
        self.passwords.close()
        self.sessions.close()


def no_password_login(parts: CallerParts | None) -> Iterator[ServiceMethod]:
    """Return the methods of both services for a gateway without sessions; `parts` where it knows its callers."""
    directory = Directory(parts.database, parts.grants, parts.access_of) if parts is not None else None
    yield from service_methods(_SESSION_SERVICE, NoSessionService(directory))
    yield from service_methods(_USER_SERVICE, NoUserService())
