"""The rows of sessions: functions of a connection that `sessions` and the services call in their transactions."""

from __future__ import annotations

import hashlib
import secrets
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, or_, select, tuple_, update

from cloudspan.v1 import session_pb2
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.metadata import address_of
from cloudspan_gateway.storage.engine import among, listed
from cloudspan_gateway.storage.tables import sessions, used_tokens

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from cloudspan_gateway.storage.engine import Database

PREFIX = "cs_"
"""Of tokens: what scanners for leaked secrets look for."""
TOKEN_CHARS = 46  # the prefix, and 256 bits
_TOKEN_BYTES = 32
ENDED = "sessions||"
"""What is announced with the end of any session, in the form that the operations' store reads."""
MOST_OF_SUBJECT = 1_000
"""Sessions of one user or service: who logs in for each call must not fill the database."""
_ENDED_AT_ONCE = 100
_COLLECTION = "sessions/"
_SLACK_S = 300.0  # a use is written a while after it


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that is to be written, with the token that nobody keeps."""

    message: session_pb2.Session
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long sessions last, in seconds."""

    idle_s: float
    """Without being used."""
    total_s: float
    """At the most."""

    def show(self, message: session_pb2.Session, used_time: float) -> None:
        """Set when a session ends unless it is used before."""
        end = min(used_time + self.idle_s, message.expire_time.ToNanoseconds() / 1e9)
        message.idle_expire_time.FromNanoseconds(int(end * 1e9))

    def lasts(self, used_time: float, expire_time: float, now: float) -> bool:
        """Whether a session goes on."""
        return now < expire_time and now - used_time < self.idle_s

    def new(self, principal: Principal, peer: str, now: float) -> NewSession:
        """Return a session that begins now, for whoever `principal` names: subject, tenant and method."""
        message = session_pb2.Session(
            name=f"{_COLLECTION}{uuid.uuid4().hex}",
            subject=principal.subject,
            tenant=f"tenants/{principal.tenant}" if principal.tenant else "",
            method=principal.method,
            peer=address_of(peer),
        )
        message.create_time.FromNanoseconds(int(now * 1e9))
        message.expire_time.FromNanoseconds(int((now + self.total_s) * 1e9))
        self.show(message, now)
        return NewSession(message, PREFIX + secrets.token_urlsafe(_TOKEN_BYTES))


def digest_of(token: str) -> str:
    """Return what is kept of a token: 256 random bits need neither salt nor a slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def id_of(message: session_pb2.Session) -> str:
    """Return the last part of a session's name."""
    return message.name.removeprefix(_COLLECTION)


def principal_of(message: session_pb2.Session) -> Principal:
    """Return who calls with a session."""
    return Principal(
        subject=message.subject,
        method=message.method,
        credential=f"session/{id_of(message)}",
        tenant=message.tenant.removeprefix("tenants/"),
        session=id_of(message),
        expire_time=message.expire_time.ToNanoseconds() / 1e9,
    )


def insert(conn: Connection, database: Database, new: NewSession) -> None:
    """Write a new session; of too many of one subject those end that were used longest ago."""
    message = new.message
    values = {
        "digest": digest_of(new.token),
        "session": id_of(message),
        "subject": message.subject,
        "tenant": message.tenant.removeprefix("tenants/"),
        "row": message.SerializeToString(),
        "used_time": message.create_time.ToNanoseconds() / 1e9,
        "expire_time": message.expire_time.ToNanoseconds() / 1e9,
    }
    conn.execute(sessions.insert().values(values))
    of_subject = select(sessions.c.digest).where(sessions.c.subject == message.subject)
    too_many = of_subject.order_by(sessions.c.used_time.desc(), sessions.c.expire_time.desc()).offset(MOST_OF_SUBJECT)
    found = conn.execute(too_many.limit(_ENDED_AT_ONCE)).scalars().all()
    if found:
        conn.execute(delete(sessions).where(sessions.c.digest.in_(found)))
        database.announce(conn, ENDED)


def by_digest(conn: Connection, digests: Collection[str], *, shared: bool) -> Sequence[Row[Any]]:
    """Return the rows of tokens, in one read."""
    asked = select(sessions).where(among(sessions.c.digest, "digests", shared))
    return conn.execute(asked, {"digests": listed(digests, shared)}).all()


def find(conn: Connection, session: str) -> Row[Any] | None:
    """Return a session's row by its id."""
    return conn.execute(select(sessions).where(sessions.c.session == session)).first()


@dataclass(frozen=True, slots=True)
class Asked:
    """Which sessions a list is about."""

    tenant: str | None
    """None for those of all tenants."""
    subject: str
    """Empty for those of all subjects."""
    after: tuple[float, str] | None
    """Where the page before has ended: `expire_time` and id."""
    count: int


def page(conn: Connection, asked: Asked, lifetime: Lifetime, now: float) -> Sequence[Row[Any]]:
    """Return sessions that go on, the newest first."""
    order = (sessions.c.expire_time, sessions.c.session)
    wanted = select(sessions).where(sessions.c.expire_time > now, sessions.c.used_time > now - lifetime.idle_s)
    if asked.tenant is not None:
        wanted = wanted.where(sessions.c.tenant == asked.tenant)
    if asked.subject:
        wanted = wanted.where(sessions.c.subject == asked.subject)
    if asked.after is not None:
        wanted = wanted.where(tuple_(*order) < tuple_(*asked.after))
    return conn.execute(wanted.order_by(*(column.desc() for column in order)).limit(asked.count)).all()


def end(conn: Connection, database: Database, session: str) -> None:
    """End a session, on every gateway."""
    conn.execute(delete(sessions).where(sessions.c.session == session))
    database.announce(conn, ENDED)


def end_of(conn: Connection, database: Database, subject: str, but: str = "") -> None:
    """End all sessions of a subject but one, on every gateway."""
    conn.execute(delete(sessions).where(sessions.c.subject == subject, sessions.c.session != but))
    database.announce(conn, ENDED)


_USED = (
    update(sessions)
    .where(sessions.c.digest == bindparam("asked"), sessions.c.used_time < bindparam("used"))
    .values(used_time=bindparam("used"))
)


def note_use(conn: Connection, used: Mapping[str, float]) -> None:
    """Write when sessions were last used, by the digests of their tokens."""
    # In one order, so that two gateways don't wait for each other.
    conn.execute(_USED, [{"asked": digest, "used": used[digest]} for digest in sorted(used)])


def purge(conn: Connection, lifetime: Lifetime, now: float) -> None:
    """Delete what has ended, and the used tokens that could no longer be used again."""
    unused = sessions.c.used_time < now - lifetime.idle_s - _SLACK_S
    conn.execute(delete(sessions).where(or_(sessions.c.expire_time < now, unused)))
    conn.execute(delete(used_tokens).where(used_tokens.c.expire_time < now))
