"""The rows of users: functions of a connection that `logins` and the services call in their transactions.

What a user logs in with stands in columns of its own, apart from the message that others see.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from cloudspan.v1 import user_pb2
from cloudspan_common.names import malformed
from cloudspan_gateway.identity.password_login import one_time_codes
from cloudspan_gateway.storage.tables import users

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from cloudspan_common.errors import InvalidRequest
    from cloudspan_gateway.storage.cipher import Cipher

_COLLECTION = "users/"
_ID = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_SECRET, _PENDING = "codes_secret", "codes_pending"


@dataclass(frozen=True, slots=True)
class UserRow:
    """One user with what it logs in with."""

    id: str
    """`alice`."""
    tenant: str
    message: user_pb2.User
    password: str = field(repr=False)
    """Its Argon2id hash."""
    codes_secret: bytes | None = field(default=None, repr=False)
    """Sealed; None without one-time codes."""
    codes_step: int = 0
    codes_pending: bytes | None = field(default=None, repr=False)
    """Sealed; of a set-up that is not confirmed."""
    codes_pending_time: float | None = None
    recovery_codes: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """`users/alice`, which is also the subject of its sessions."""
        return f"{_COLLECTION}{self.id}"

    def shown(self) -> user_pb2.User:
        """Return the user as others see it."""
        shown = user_pb2.User()
        shown.CopyFrom(self.message)
        shown.one_time_codes = self.codes_secret is not None
        shown.recovery_codes_left = one_time_codes.count(self.recovery_codes)
        return shown


def is_id(text: str) -> bool:
    """Whether a user can have this name."""
    return _ID.fullmatch(text) is not None


def id_of(name: str, what: str = "name") -> str:
    """Return the last part of `users/{user}`.

    Raises:
        InvalidRequest: Another form.
    """
    user = name.removeprefix(_COLLECTION)
    if not name.startswith(_COLLECTION) or not is_id(user):
        raise bad_name(name, what, "users/{user}")
    return user


def bad_name(text: str, what: str, form: str) -> InvalidRequest:
    """Return the error for what can't be the name of a user."""
    letters = "lower-case letters, digits, `.`, `_`, `-` and `@`, a letter or a digit first, at most 64"
    return malformed(text, what, f"{form} with {letters}")


def seal_secret(cipher: Cipher, user: str, secret: str, *, pending: bool = False) -> bytes:
    """Return the secret of one-time codes as it is kept."""
    return cipher.seal(secret.encode(), f"{_COLLECTION}{user}", _PENDING if pending else _SECRET)


def open_secret(cipher: Cipher, row: UserRow, *, pending: bool = False) -> str | None:
    """Return the secret of a user's one-time codes, if it has any.

    Raises:
        PreconditionFailed: The key that it was sealed with is gone.
        Defect: It was altered in the database.
    """
    sealed = row.codes_pending if pending else row.codes_secret
    return cipher.open(sealed, row.name, _PENDING if pending else _SECRET).decode() if sealed is not None else None


def find(conn: Connection, user: str, *, lock: bool = False) -> UserRow | None:
    """Return a user; `lock` keeps other gateways from changing it before the transaction ends."""
    asked = select(users).where(users.c.user == user)
    row = conn.execute(asked.with_for_update() if lock else asked).first()
    return None if row is None else _read(row)


def page(conn: Connection, tenant: str | None, after: str, count: int) -> Sequence[UserRow]:
    """Return users of a tenant by name, those of all tenants for None."""
    wanted = select(users).where(users.c.user > after)
    if tenant is not None:
        wanted = wanted.where(users.c.tenant == tenant)
    return [_read(row) for row in conn.execute(wanted.order_by(users.c.user).limit(count))]


def any_there(conn: Connection) -> bool:
    """Whether there is a user."""
    return conn.execute(select(users.c.user).limit(1)).first() is not None


def insert(conn: Connection, row: UserRow) -> None:
    """Write a new user."""
    values = {"user": row.id, "tenant": row.tenant, "row": row.message.SerializeToString(), "password": row.password}
    conn.execute(users.insert().values(values))


def change(conn: Connection, row: UserRow, **columns: Any) -> None:
    """Write some columns of a user; `message` is the one that others see."""
    if "message" in columns:
        columns["row"] = columns.pop("message").SerializeToString()
    conn.execute(update(users).where(users.c.user == row.id).values(columns))


def remove(conn: Connection, user: str) -> None:
    """Delete a user."""
    conn.execute(delete(users).where(users.c.user == user))


def _read(row: Row[Any]) -> UserRow:
    return UserRow(
        row.user, row.tenant, user_pb2.User.FromString(row.row), row.password, row.codes_secret, row.codes_step,
        row.codes_pending, row.codes_pending_time, row.recovery_codes,
    )  # fmt: skip
