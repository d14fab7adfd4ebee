"""Users as callers meet them: created, read, disabled, given passwords and one-time codes.

Answers cloudspan.v1.UserService. Users do a few things for themselves, by proving again who they are; everything else
is for administrators of their tenant. A user of another tenant is not found, in the words for one that is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, TypeVar

from google.protobuf import empty_pb2

from cloudspan.v1 import user_pb2
from cloudspan_common.contract import Permission
from cloudspan_common.errors import (
    AlreadyExists,
    InvalidRequest,
    NotFound,
    NotPermitted,
    PreconditionFailed,
    Violation,
)
from cloudspan_common.listing.page_token import Check, decode_token, effective_page_size, encode_token, hash_query
from cloudspan_common.update_mask import changed_fields
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.names import EVERY as EVERY_POOL
from cloudspan_gateway.identity import session_rows
from cloudspan_gateway.identity.password_login import bootstrap, lockout, one_time_codes, users
from cloudspan_gateway.identity.password_login.grants import DEFAULT_TENANT
from cloudspan_gateway.identity.password_login.logins import Claim
from cloudspan_gateway.identity.password_login.passwords import check_new
from cloudspan_gateway.identity.password_login.users import UserRow
from cloudspan_gateway.services.sessions import no_password_login

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.audit.event import Event
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.identity.password_login.grants import Grants
    from cloudspan_gateway.identity.password_login.logins import Logins
    from cloudspan_gateway.identity.password_login.passwords import Passwords
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database

T = TypeVar("T")

KeepEvents = Callable[["Connection", "Sequence[Event]"], object]
"""Keeps events of the audit within a transaction."""

User = user_pb2.User
_ADMINISTER = Permission.PERMISSION_ADMINISTER
_MAX_DISPLAY_NAME = 256


@dataclass(frozen=True, slots=True)
class UserParts:
    """What UserService works with."""

    database: Database
    logins: Logins
    passwords: Passwords
    grants: Grants
    cipher: Cipher
    clock: Clock
    installation: str
    """Its name, for authenticators to show."""
    check: Check
    """Proves that a page token is one of this installation's own."""
    keep: KeepEvents | None = None
    """Keeps what the audit is to record of a change in its transaction; None where it is recorded afterwards."""


class UserService:
    """Answers cloudspan.v1.UserService where there are sessions."""

    def __init__(self, parts: UserParts) -> None:
        self._parts = parts
        self._database = parts.database

    def __repr__(self) -> str:
        return f"<UserService of {self._parts.installation}>"

    async def bootstrap_administrator(self, request: user_pb2.BootstrapAdministratorRequest, call: Call) -> User:
        """Create the first administrator.

        Raises:
            PreconditionFailed: BOOTSTRAP_CLOSED.
        """
        now, grants = self._parts.clock.now(), self._parts.grants
        await self._database.read(lambda conn: bootstrap.check(conn, request.token, now))  # before it costs a hash
        row = await self._new_row(request.user_id, User(tenant=f"tenants/{DEFAULT_TENANT}"), request.password)

        def write(conn: Connection) -> None:
            bootstrap.use(conn, request.token, now)
            grants.grant_installation_admin(conn, row.name)
            users.insert(conn, row)

        await self._transact(call, write)
        return row.shown()

    async def create_user(self, request: user_pb2.CreateUserRequest, call: Call) -> User:
        """Create a user in the caller's tenant; in any for an administrator of the installation.

        Raises:
            AlreadyExists: There is one, whatever tenant it is in: names are those of the installation.
        """
        asked = User(tenant=request.user.tenant or _own_tenant(call), display_name=request.user.display_name)
        asked.disabled = request.user.disabled
        await self._database.read(lambda conn: self._check_new(conn, request.user_id, asked.tenant, call))
        row = await self._new_row(request.user_id, asked, request.password)

        def write(conn: Connection) -> None:
            self._check_new(conn, row.id, asked.tenant, call)  # again: this time nobody comes in between
            users.insert(conn, row)

        await self._transact(call, write)
        return row.shown()

    async def get_user(self, request: user_pb2.GetUserRequest, call: Call) -> User:
        """Return a user: the caller, or one of a tenant that it administers."""
        user = users.id_of(request.name)
        if not _is_self(request.name, call):
            call.access.require(_ADMINISTER, call.path[1:])
        row = await self._database.read(lambda conn: users.find(conn, user))
        if row is None or not (_is_self(request.name, call) or _is_in_reach(row, call)):
            raise _not_there(request.name)
        return row.shown()

    async def list_users(self, request: user_pb2.ListUsersRequest, call: Call) -> user_pb2.ListUsersResponse:
        """Return the users of a tenant by name."""
        tenant, size = call.access.tenant, effective_page_size(request.page_size)
        query = hash_query(f"{call.path} {tenant}", request)
        after = decode_token(request.page_token, query, self._parts.check)
        of = None if tenant == EVERY_TENANT else tenant
        rows = await self._database.read(lambda conn: users.page(conn, of, after, size + 1))
        response = user_pb2.ListUsersResponse(users=[row.shown() for row in rows[:size]])
        if len(rows) > size:
            response.next_page_token = encode_token(query, rows[size - 1].id, self._parts.check)
        return response

    async def update_user(self, request: user_pb2.UpdateUserRequest, call: Call) -> User:
        """Change what others see of a user; one that is disabled is logged out."""
        user = users.id_of(request.user.name, "user.name")
        fields = changed_fields(request, "user")
        _check_display_name(request.user)

        def write(conn: Connection, row: UserRow) -> User:
            for name in fields:
                setattr(row.message, name, getattr(request.user, name))
            if row.message.disabled and "disabled" in fields:
                self._parts.grants.check_not_last(conn, row.name)
                session_rows.end_of(conn, self._database, row.name)
            users.change(conn, row, message=row.message)
            return row.shown()

        return await self._changed(user, call, write)

    async def delete_user(self, request: user_pb2.DeleteUserRequest, call: Call) -> empty_pb2.Empty:
        """Delete a user with its sessions and bindings.

        Raises:
            PreconditionFailed: LAST_ADMINISTRATOR.
        """

        def write(conn: Connection, row: UserRow) -> empty_pb2.Empty:
            self._parts.grants.check_not_last(conn, row.name)
            self._parts.grants.revoke_all(conn, row.name)
            session_rows.end_of(conn, self._database, row.name)
            lockout.forget(conn, row.id)
            users.remove(conn, row.id)
            return empty_pb2.Empty()

        return await self._changed(users.id_of(request.name), call, write)

    async def set_password(self, request: user_pb2.SetPasswordRequest, call: Call) -> empty_pb2.Empty:
        """Set a password and end the user's other sessions.

        Raises:
            Unauthenticated: LOGIN_FAILED: it is the caller's own, and the present one is wrong.
        """
        user = users.id_of(request.name)
        check_new(request.new_password, user, "new_password")
        if not _is_self(request.name, call):
            call.access.require(_ADMINISTER, call.path[1:])
        elif not request.password:
            text = "password is empty; give the present one to set a new one of your own"
            raise InvalidRequest(text, reason="REQUIRED_FIELD_MISSING", violations=[Violation("password", text)])
        hashed = await self._parts.passwords.hash(request.new_password)

        def write(conn: Connection, row: UserRow) -> empty_pb2.Empty:
            users.change(conn, row, password=hashed)
            session_rows.end_of(conn, self._database, row.name, but=call.principal.session)
            return empty_pb2.Empty()

        def write_and_forgive(conn: Connection, row: UserRow) -> empty_pb2.Empty:
            lockout.forgive(conn, row.id)
            return write(conn, row)

        if not _is_self(request.name, call):
            return await self._changed(user, call, write_and_forgive)
        return await self._proven(call, Claim(user, call.peer(), request.password, with_code=False), write)

    async def set_up_one_time_codes(
        self, request: user_pb2.SetUpOneTimeCodesRequest, call: Call
    ) -> user_pb2.SetUpOneTimeCodesResponse:
        """Return the secret of new one-time codes, which nothing uses before they are confirmed.

        Raises:
            Unauthenticated: LOGIN_FAILED: the password, or the code of those that are set up already, is wrong.
        """
        user = _own_user(request.name, call)
        secret, cipher, now = one_time_codes.new_secret(), self._parts.cipher, self._parts.clock.now()

        def write(conn: Connection, row: UserRow) -> None:
            sealed = users.seal_secret(cipher, row.id, secret, pending=True)
            users.change(conn, row, codes_pending=sealed, codes_pending_time=now)

        await self._proven(call, Claim(user, call.peer(), request.password, request.one_time_code), write)
        uri = one_time_codes.uri(secret, user, self._parts.installation)
        return user_pb2.SetUpOneTimeCodesResponse(secret=secret, uri=uri)

    async def confirm_one_time_codes(
        self, request: user_pb2.ConfirmOneTimeCodesRequest, call: Call
    ) -> user_pb2.ConfirmOneTimeCodesResponse:
        """Make the new one-time codes those that a login needs; return recovery codes.

        Raises:
            PreconditionFailed: ONE_TIME_CODES_NOT_SET_UP: nothing is to be confirmed, or no more.
            Unauthenticated: LOGIN_FAILED: it is not a code of the new secret.
        """
        user = _own_user(request.name, call)
        row = await self._database.read(lambda conn: users.find(conn, user))
        secret = self._pending_secret(row)
        codes = one_time_codes.new_recovery_codes()

        def write(conn: Connection, locked: UserRow) -> list[str] | None:
            now = self._parts.clock.now()
            step = one_time_codes.matching_step(secret, request.one_time_code, now, 0)
            if step is None or row is None or locked.codes_pending != row.codes_pending:
                return None
            sealed = users.seal_secret(self._parts.cipher, user, secret)
            kept = {"codes_secret": sealed, "codes_step": step, "recovery_codes": one_time_codes.kept(codes)}
            users.change(conn, locked, **kept, codes_pending=None, codes_pending_time=None)
            return self._kept(call, conn, codes)

        found = await self._parts.logins.confirmed(user, call.peer(), write)
        return user_pb2.ConfirmOneTimeCodesResponse(recovery_codes=self._recorded(call, found))

    def _pending_secret(self, row: UserRow | None) -> str:
        pending = users.open_secret(self._parts.cipher, row, pending=True) if row is not None else None
        begun = row.codes_pending_time if row is not None else None
        if pending is None or begun is None or self._parts.clock.now() - begun > one_time_codes.PENDING_S:
            text = "there is no set-up of one-time codes to confirm, or it is older than 10 minutes"
            raise PreconditionFailed(f"{text}; call SetUpOneTimeCodes first", reason="ONE_TIME_CODES_NOT_SET_UP")
        return pending

    async def remove_one_time_codes(self, request: user_pb2.RemoveOneTimeCodesRequest, call: Call) -> empty_pb2.Empty:
        """Let a user log in with the password alone."""

        def write(conn: Connection, row: UserRow) -> empty_pb2.Empty:
            gone = {"codes_secret": None, "codes_step": 0, "recovery_codes": ""}
            users.change(conn, row, **gone, codes_pending=None, codes_pending_time=None)
            return empty_pb2.Empty()

        return await self._changed(users.id_of(request.name), call, write)

    # -------------------------------------------------------------- what they have in common

    async def _new_row(self, user: str, asked: User, password: str) -> UserRow:
        if not users.is_id(user):
            raise users.bad_name(user, "user_id", "{user}")
        check_new(password, user)
        _check_display_name(asked)
        asked.name = f"users/{user}"
        asked.create_time.FromNanoseconds(int(self._parts.clock.now() * 1e9))
        hashed = await self._parts.passwords.hash(password)
        return UserRow(user, asked.tenant.removeprefix("tenants/"), asked, hashed)

    def _check_new(self, conn: Connection, user: str, tenant: str, call: Call) -> None:
        """Return if the caller may create a user of this name in this tenant."""
        wanted = tenant.removeprefix("tenants/")
        managed = tenant.startswith("tenants/") and _administers(call, wanted)
        if not managed or not self._parts.grants.has_tenant(conn, wanted):
            text = f"{tenant[:120]} was not found among the tenants that the caller manages; see ListTenants"
            raise NotFound(text, reason="TENANT_UNKNOWN")
        if users.find(conn, user) is not None:
            raise AlreadyExists(f"users/{user} exists already; choose another name", resource=f"users/{user}")
        self._check_roles(conn, f"users/{user}", call)  # a binding may have been there before its user

    async def _changed(self, user: str, call: Call, write: Callable[[Connection, UserRow], T]) -> T:
        """Run `write` in a transaction on a user that the caller administers."""
        # What is refused without a transaction costs no other caller its connection.
        await self._database.read(lambda conn: self._administered(conn, user, call))
        return await self._transact(call, lambda conn: write(conn, self._administered(conn, user, call, lock=True)))

    async def _proven(self, call: Call, claim: Claim, write: Callable[[Connection, UserRow], T]) -> T:
        """Run `write` in the transaction in which the caller has proven again who it is."""
        done = await self._parts.logins.proven(claim, lambda conn, row: self._kept(call, conn, write(conn, row)))
        return self._recorded(call, done)

    async def _transact(self, call: Call, write: Callable[[Connection], T]) -> T:
        done = await self._database.transact(lambda conn: self._kept(call, conn, write(conn)))
        return self._recorded(call, done)

    def _kept(self, call: Call, conn: Connection, done: T) -> T:
        """Keep the event of a change with the change, so that neither is there without the other."""
        if self._parts.keep is not None and call.event is not None:
            self._parts.keep(conn, [call.event])
        return done

    def _recorded(self, call: Call, done: T) -> T:
        if self._parts.keep is not None:
            call.event = None
        return done

    def _administered(self, conn: Connection, user: str, call: Call, *, lock: bool = False) -> UserRow:
        row = users.find(conn, user, lock=lock)
        if row is None or not _is_in_reach(row, call):
            raise _not_there(f"users/{user}")
        self._check_roles(conn, row.name, call)
        return row

    def _check_roles(self, conn: Connection, name: str, call: Call) -> None:
        """A tenant's administrator must not become, by a new password, who has roles beyond that tenant."""
        tenant = call.access.tenant
        if _administers(call, EVERY_TENANT) or _is_self(name, call):
            return
        if self._parts.grants.tenants_of(conn, [name]) - {tenant}:
            text = f"{name} has roles beyond tenants/{tenant}, so an administrator of the installation changes it"
            raise NotPermitted(f"{text}: one with `administer` on tenants/-", reason="MORE_THAN_OWN")


class NoUserService:
    """Answers cloudspan.v1.UserService where there are no sessions."""

    async def bootstrap_administrator(self, _request: object, call: Call) -> NoReturn:
        raise no_password_login(call.path[1:])

    create_user = get_user = list_users = update_user = delete_user = bootstrap_administrator
    set_password = set_up_one_time_codes = confirm_one_time_codes = remove_one_time_codes = bootstrap_administrator


def _is_self(name: str, call: Call) -> bool:
    return call.principal.subject == name


def _is_in_reach(row: UserRow, call: Call) -> bool:
    return _administers(call, row.tenant)


def _administers(call: Call, tenant: str) -> bool:
    """Whether the caller administers a tenant, whichever its call acts in; `-` for the installation."""
    return call.access.permissions(tenant, EVERY_POOL).cover(_ADMINISTER, call.path[1:])


def _own_user(name: str, call: Call) -> str:
    user = users.id_of(name)
    if not _is_self(name, call):
        raise NotPermitted(f"one-time codes are set up by the user itself; {name} is not the caller")
    return user


def _own_tenant(call: Call) -> str:
    if call.access.tenant == EVERY_TENANT:
        text = "user.tenant is empty and the call acts in all tenants; set it, such as tenants/default"
        raise InvalidRequest(text, reason="REQUIRED_FIELD_MISSING", violations=[Violation("user.tenant", text)])
    return f"tenants/{call.access.tenant}"


def _check_display_name(user: User) -> None:
    if len(user.display_name) > _MAX_DISPLAY_NAME:
        text = f"display_name has {len(user.display_name)} characters; at most {_MAX_DISPLAY_NAME}"
        raise InvalidRequest(text, violations=[Violation("user.display_name", text)])


def _not_there(name: str) -> NotFound:
    return NotFound(f"{name} was not found among the users that the caller manages; see ListUsers", resource=name)
