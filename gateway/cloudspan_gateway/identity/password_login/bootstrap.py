"""The one-time token by which an installation gets its first administrator, while it has no user.

A gateway with `--auth sessions` calls `offer` when it starts and prints what comes back; UserService uses it up. Only
its digest is kept, among the tokens that work once.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from cloudspan_common.errors import PreconditionFailed
from cloudspan_gateway.identity.password_login import users
from cloudspan_gateway.storage.tables import used_tokens

if TYPE_CHECKING:
    from sqlalchemy import Connection

LASTS_S = 86_400.0
_PREFIX = "csb_"  # told apart from a session's token
_TOKEN_BYTES = 32
_OFFERED = "bootstrap"
"""The row that says that a token was offered, which two gateways at once can't both write, and the beginning of the row
that has its digest; other rows are digests alone."""

_MINE = used_tokens.c.digest.startswith(_OFFERED)


def offer(conn: Connection, now: float, *, shared: bool) -> str | None:
    """Return a token for a gateway to print; None when there are users, or another gateway has printed one.

    Args:
        conn: In a transaction.
        now: Unix seconds.
        shared: Whether other gateways work on this database. Where none does, a new token takes the place of one that
            an earlier start has printed; where several do, they agree on the first one for a day.
    """
    if users.any_there(conn):
        return None
    if shared and conn.execute(select(used_tokens.c.digest).where(_MINE, used_tokens.c.expire_time > now)).first():
        return None
    conn.execute(delete(used_tokens).where(_MINE))
    token = _PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
    for key in (_OFFERED, _digest(token)):
        conn.execute(used_tokens.insert().values(digest=key, expire_time=now + LASTS_S))
    return token


def check(conn: Connection, token: str, now: float) -> None:
    """Return if the token is the one that was printed, and there is no user.

    Raises:
        PreconditionFailed: BOOTSTRAP_CLOSED, in the same words whatever is wrong.
    """
    asked = select(used_tokens.c.digest).where(used_tokens.c.digest == _digest(token), used_tokens.c.expire_time > now)
    if conn.execute(asked).first() is None or users.any_there(conn):
        raise _closed()


def use(conn: Connection, token: str, now: float) -> None:
    """Use the token up, in the transaction that makes the first user; of two gateways one has it.

    Raises:
        PreconditionFailed: As `check`.
    """
    check(conn, token, now)
    if not conn.execute(delete(used_tokens).where(used_tokens.c.digest == _digest(token))).rowcount:
        raise _closed()


def _digest(token: str) -> str:
    return f"{_OFFERED} " + hashlib.sha256(token.encode()).hexdigest()


def _closed() -> PreconditionFailed:
    text = "the token is not the one that was printed at the first start, or was used, or has expired after a day"
    return PreconditionFailed(
        f"{text}; log in as an administrator, or see docs/security.md if there is none", reason="BOOTSTRAP_CLOSED"
    )
