"""Sessions as callers meet them: logged in, asked about, listed, logged out. Answers cloudspan.v1.SessionService."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from google.protobuf import empty_pb2

from cloudspan.v1 import session_pb2
from cloudspan_common.contract import Permission
from cloudspan_common.errors import InvalidRequest, NotFound, NotPermitted, PreconditionFailed, Violation
from cloudspan_common.listing.page_token import Check, decode_token, effective_page_size, encode_token, hash_query
from cloudspan_common.names import malformed
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.principal import Method, Principal
from cloudspan_gateway.identity import session_rows
from cloudspan_gateway.identity.password_login import users
from cloudspan_gateway.identity.password_login.logins import Claim
from cloudspan_gateway.identity.sessions import token_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection, Row

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.identity.password_login.grants import Grants
    from cloudspan_gateway.identity.password_login.logins import Logins
    from cloudspan_gateway.identity.password_login.users import UserRow
    from cloudspan_gateway.identity.session_rows import NewSession
    from cloudspan_gateway.identity.sessions import Sessions
    from cloudspan_gateway.storage.engine import Database

Session = session_pb2.Session
_ADMINISTER = Permission.PERMISSION_ADMINISTER
_ID = re.compile(r"[0-9a-f]{32}")


def no_password_login(method: str) -> PreconditionFailed:
    """Return the error of a gateway without `--auth sessions`."""
    text = f"{method} needs a gateway that was started with `--auth sessions`, and this one was not"
    return PreconditionFailed(f"{text}; use a certificate or a JWT, or ask the operator", reason="NO_PASSWORD_LOGIN")


@dataclass(frozen=True, slots=True)
class Directory:
    """What services about callers need to know of callers."""

    database: Database
    grants: Grants
    access_of: Callable[[Principal, str], Access]
    """What a principal may do in the tenant that it asks for; in its own for an empty one."""

    async def tenants_of(self, principal: Principal) -> list[str]:
        """Return the names of the tenants in which a principal has a role."""
        found = await self.database.read(lambda conn: self.grants.tenants_of(conn, principal.members))
        return [f"tenants/{tenant}" for tenant in sorted(found)]

    async def describe(self, message: Session, principal: Principal, access: Access | None = None) -> Session:
        """Fill in what a principal may do: in the tenant of `access`, else in its own."""
        message.tenants.extend(await self.tenants_of(principal))
        access = access or self._own_access(principal)
        if access is not None:
            message.tenant = f"tenants/{access.tenant}" if access.tenant else message.tenant
            message.roles.extend(f"roles/{role}" for role in access.roles)
        return message

    def _own_access(self, principal: Principal) -> Access | None:
        try:
            return self.access_of(principal, "")
        except (InvalidRequest, NotFound, NotPermitted):
            return None  # no tenant of its own, or one in which it may do nothing: there are no roles to show


class SessionService:
    """Answers cloudspan.v1.SessionService where there are sessions."""

    def __init__(self, sessions: Sessions, logins: Logins, directory: Directory, clock: Clock, check: Check) -> None:
        """Make it; `check` proves that a page token is one of this installation's own."""
        self._sessions = sessions
        self._logins = logins
        self._directory = directory
        self._clock = clock
        self._check = check

    def __repr__(self) -> str:
        return f"<SessionService over {self._sessions!r}>"

    async def create_session(self, request: session_pb2.CreateSessionRequest, call: Call) -> Session:
        """Log a user in.

        Raises:
            Unauthenticated: LOGIN_FAILED, whichever part is wrong.
            TooManyRequests: LOGIN_PAUSED, or too many log in just now.
        """
        peer = call.peer()
        user = request.user.removeprefix("users/")
        new = await self._logins.proven(
            Claim(user, peer, request.password, request.one_time_code),
            lambda conn, row: self._begin(conn, row, peer),
        )
        call.principal = session_rows.principal_of(new.message)  # from here on it is known who calls
        answer = await self._directory.describe(new.message, call.principal)
        answer.token = new.token
        return answer

    def _begin(self, conn: Connection, row: UserRow, peer: str) -> NewSession:
        now = self._clock.now()
        principal = Principal(row.name, Method.METHOD_PASSWORD, tenant=row.tenant)
        new = self._sessions.lifetime.new(principal, peer, now)
        session_rows.insert(conn, self._directory.database, new)
        row.message.login_time.FromNanoseconds(int(now * 1e9))
        users.change(conn, row, message=row.message)
        return new

    async def get_session(self, request: session_pb2.GetSessionRequest, call: Call) -> Session:
        """Return who the caller is, or whose session a token is of.

        Raises:
            NotFound: The session has ended, or is not the one of `name`.
        """
        token = request.token or (token_of(call) if call.principal.session else None)
        if token is None:
            return await own_credential(request, call, self._directory)
        found = await self._sessions.get(token)
        if found is None or request.name not in ("", found[0].name):
            raise _not_there(request.name or "the session of that token")
        return await self._directory.describe(*found, access=None if request.token else call.access)

    async def list_sessions(
        self, request: session_pb2.ListSessionsRequest, call: Call
    ) -> session_pb2.ListSessionsResponse:
        """Return the sessions of a tenant that go on, the newest first."""
        tenant = call.access.tenant
        size = effective_page_size(request.page_size)
        query = hash_query(f"{call.path} {tenant}", request)
        after = _position(decode_token(request.page_token, query, self._check))
        asked = session_rows.Asked(None if tenant == EVERY_TENANT else tenant, request.subject, after, size + 1)
        lifetime, now = self._sessions.lifetime, self._clock.now()
        rows = await self._directory.database.read(lambda conn: session_rows.page(conn, asked, lifetime, now))
        response = session_pb2.ListSessionsResponse(sessions=[self._shown(row) for row in rows[:size]])
        if len(rows) > size:
            last = rows[size - 1]
            response.next_page_token = encode_token(query, f"{last.expire_time!r} {last.session}", self._check)
        return response

    def _shown(self, row: Row[Any]) -> Session:
        message = Session.FromString(row.row)
        self._sessions.lifetime.show(message, row.used_time)
        return message

    async def delete_session(self, request: session_pb2.DeleteSessionRequest, call: Call) -> empty_pb2.Empty:
        """End a session: the caller's own, or as an administrator of its tenant another one.

        Raises:
            NotFound: There is none, or not in the caller's tenant.
            NotPermitted: It is another caller's, or there is none, and the caller is not an administrator.
        """
        own = call.principal.session
        session = _session_id(request.name) if request.name else own
        if not session:
            text = "name is empty and the call's credential is not a session; set name to `sessions/{session}`"
            raise InvalidRequest(text, reason="REQUIRED_FIELD_MISSING", violations=[Violation("name", text)])
        database = self._directory.database
        if session != own:
            row = await database.read(lambda conn: session_rows.find(conn, session))
            _check_may_end(row, request.name, call)
        await database.transact(lambda conn: session_rows.end(conn, database, session))
        return empty_pb2.Empty()


class NoSessionService:
    """Answers cloudspan.v1.SessionService where there are none: GetSession works for other credentials."""

    def __init__(self, directory: Directory | None = None) -> None:
        """Take what knows callers, if they are authenticated in another way."""
        self._directory = directory

    async def create_session(self, _request: session_pb2.CreateSessionRequest, call: Call) -> NoReturn:
        raise no_password_login(call.path[1:])

    async def create_service_session(self, _request: session_pb2.CreateServiceSessionRequest, call: Call) -> NoReturn:
        raise no_password_login(call.path[1:])

    async def get_session(self, request: session_pb2.GetSessionRequest, call: Call) -> Session:
        """Return who the caller is; an empty one where nobody is asked."""
        if request.token:
            raise no_password_login(f"token of {call.path[1:]}")
        return await own_credential(request, call, self._directory)

    async def list_sessions(self, _request: session_pb2.ListSessionsRequest, call: Call) -> NoReturn:
        raise no_password_login(call.path[1:])

    async def delete_session(self, _request: session_pb2.DeleteSessionRequest, call: Call) -> NoReturn:
        raise no_password_login(call.path[1:])


async def own_credential(request: session_pb2.GetSessionRequest, call: Call, directory: Directory | None) -> Session:
    """Return who the caller is by a credential that is not a session.

    Raises:
        NotFound: A session is asked for by name.
    """
    if request.name:
        raise _not_there(request.name)
    principal = call.principal
    message = Session(subject=principal.subject, method=principal.method)
    if principal.expire_time is not None:
        message.expire_time.FromNanoseconds(int(principal.expire_time * 1e9))
    if directory is None or not principal.authenticated:
        return message
    return await directory.describe(message, principal, call.access)


def _check_may_end(row: Row[Any] | None, name: str, call: Call) -> None:
    if row is not None and row.subject == call.principal.subject:
        return
    call.access.require(_ADMINISTER, call.path[1:])
    if row is None or call.access.tenant not in (row.tenant, EVERY_TENANT):
        raise _not_there(name)


def _session_id(name: str) -> str:
    session = name.removeprefix("sessions/")
    if not name.startswith("sessions/") or not _ID.fullmatch(session):
        raise malformed(name, "name", "sessions/{session}")
    return session


def _not_there(what: str) -> NotFound:
    return NotFound(f"{what} was not found: it has ended, or there never was one; log in again")


def _position(cursor: str) -> tuple[float, str] | None:
    """Return where the page before has ended; its token was made here, or it would have been refused."""
    if not cursor:
        return None
    time, _, session = cursor.partition(" ")
    return float(time), session
