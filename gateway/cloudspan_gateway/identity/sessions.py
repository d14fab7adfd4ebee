"""Sessions: opaque tokens that stand for a caller that has logged in.

`Sessions` is the authenticator of `--auth sessions`. What was looked up is remembered for a second, so that most calls
cost a digest and a look into a dict; what has become older is looked up again, all of it by one read. The end of a
session is announced to every gateway, which then looks again at the next call.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import session_pb2
from cloudspan_common import logs
from cloudspan_common.errors import CloudspanError, Unauthenticated, Unreachable
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.identity import session_rows
from cloudspan_gateway.identity.config import SESSIONS
from cloudspan_gateway.identity.credentials import credential_of
from cloudspan_gateway.identity.password_login import lockout
from cloudspan_gateway.identity.session_rows import ENDED, PREFIX, TOKEN_CHARS, Lifetime, digest_of, principal_of
from cloudspan_gateway.metadata import X_AUTH_SESSION

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Row

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.access.principal import Method
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.storage.engine import Database

log = logs.get_logger(__name__)

IDLE_S, LIFETIME_S, MIN_IDLE_S = 12 * 3600.0, 7 * 86_400.0, 60.0
VERIFIED_S = 1.0
"""How long a session that was looked up counts as valid without another look."""
UNVERIFIED_S = 60.0
"""How long it does while the database does not answer: nobody can be logged out then either."""
MOST_KNOWN = 10_000
_READ_AT_ONCE, _READ_S = 1_000, 1.0
_NOTED_EVERY_S = 60.0  # a use is written at most that often
_FLUSH_S, _FLUSH_AT_ONCE, _PURGE_S = 10.0, 500, 600.0


@dataclass(slots=True, eq=False)
class _Known:
    """One session as this gateway knows it."""

    message: session_pb2.Session
    principal: Principal
    expire_time: float
    used_time: float
    """Its last use, here or elsewhere, Unix seconds."""
    noted_time: float
    """Its last use that is written, or is about to be."""
    read: float
    """When it was last read, on the monotonic clock."""
    heard: int
    """How many announcements had been heard by then."""


class Sessions:
    """All sessions of an installation, as one gateway sees them."""

    name = SESSIONS

    def __init__(self, database: Database, clock: Clock, lifetime: Lifetime) -> None:
        self.lifetime = lifetime
        self._database = database
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()  # the last used at the end
        self._key = os.urandom(32)
        self._digests: dict[bytes, str] = {}
        self._wanted: set[str] = set()
        self._turn = asyncio.Lock()
        self._heard = 0
        self._away_until = 0.0
        self._used: dict[str, float] = {}
        self.reads = 0
        """How often the database was asked."""
        self._unsubscribe = database.subscribe(self._hear)

    def __repr__(self) -> str:
        away = ", the database does not answer" if self._away else ""
        return f"<Sessions {len(self._known)} known, {self.reads} reads{away}>"

    async def create(
        self, subject: str, tenant: str, method: Method, peer: str, clock: Clock | None = None
    ) -> tuple[session_pb2.Session, str]:
        """Begin a session; return it, without its token, and the token, which nobody keeps.

        Args:
            subject: `users/alice`, `services/billing`.
            tenant: The id of the tenant that it belongs to; empty where its bindings alone say it.
            method: How it has proven who it is.
            peer: The gRPC peer that it has done so from.
            clock: What it begins by; the gateway's own if not given.

        Raises:
            Unreachable: The database does not answer.
        """
        new = self.lifetime.new(Principal(subject, method, tenant=tenant), peer, (clock or self._clock).now())
        await self._database.transact(lambda conn: session_rows.insert(conn, self._database, new))
        return new.message, new.token

    async def authenticate(self, call: Call) -> Principal | None:
        """Return whose session the call brings; None when it brings none, or a bearer token of another kind.

        Raises:
            Unauthenticated: It is unknown, expired or ended, in the same words; or the call brings several credentials.
            Unreachable: It was not looked up lately, and the database does not answer.
        """
        token = token_of(call)
        if token is None:
            return None
        digest = self._digest(token)
        known = self._known.get(digest)
        # Without a coroutine for those who called a moment ago: nearly all of them.
        found = known if known is not None and self._is_good(known) else await self._find(digest)
        if found is None:
            text = "the session has ended, or its token is not one of this installation; log in again"
            raise Unauthenticated(f"{text}: `cloudspan login`, or SessionService.CreateSession")
        self._note_use(digest, found)
        return found.principal

    async def get(self, token: str) -> tuple[session_pb2.Session, Principal] | None:
        """Return a session by its token, which does not count as a use; None when there is none, or no more.

        Raises:
            Unreachable: As in `authenticate`.
        """
        found = await self._find(self._digest(token))
        if found is None:
            return None
        shown = session_pb2.Session()
        shown.CopyFrom(found.message)
        self.lifetime.show(shown, found.used_time)
        return shown, found.principal

    async def run(self) -> None:
        """Write what was used, and delete what has ended, until cancelled."""
        purged = -math.inf
        while True:
            try:
                await self.flush()
                if self._clock.monotonic() - purged >= _PURGE_S:
                    await self.purge()
                    purged = self._clock.monotonic()
            except CloudspanError as error:  # the database's state: what was not written waits for the next time
                log.warning("the use of sessions can't be written", reason=error.reason, error=error.message)
            await self._clock.sleep(_FLUSH_S)

    async def flush(self) -> None:
        """Write when sessions were last used."""
        while self._used:
            part = dict(islice(self._used.items(), _FLUSH_AT_ONCE))
            await self._database.transact(partial(session_rows.note_use, used=part))
            for digest, used_time in part.items():
                if self._used.get(digest) == used_time:
                    del self._used[digest]

    async def purge(self) -> None:
        """Delete sessions, used tokens and failed logins that no longer matter."""
        now = self._clock.now()
        await self._database.transact(lambda conn: session_rows.purge(conn, self.lifetime, now))
        await self._database.transact(lambda conn: lockout.purge(conn, now))

    def close(self) -> None:
        """Hear no more announcements."""
        self._unsubscribe()

    # -------------------------------------------------------------- looking up

    def _digest(self, token: str) -> str:
        """Return the digest of a token; empty for what can't be one, which is not worth a read.

        OpenSSL's SHA-256 took 15 us of a call between other work (measured): those of late are found by another digest,
        under a key of this process alone, so that no token is kept.
        """
        if len(token) != TOKEN_CHARS or not token.startswith(PREFIX):
            return ""
        place = hashlib.blake2b(token.encode(), key=self._key, digest_size=16).digest()
        found = self._digests.get(place)
        if found is None:
            if len(self._digests) >= MOST_KNOWN:
                self._digests.clear()
            found = self._digests[place] = digest_of(token)
        return found

    async def _find(self, digest: str) -> _Known | None:
        if not digest:
            return None
        found = self._known.get(digest)
        if found is None or not self._is_fresh(found):
            found = await self._looked_up(digest)
        return found if found is not None and self._lasts(found) else None

    def _is_good(self, found: _Known) -> bool:
        return self._is_fresh(found) and self._lasts(found)

    def _lasts(self, found: _Known) -> bool:
        return self.lifetime.lasts(found.used_time, found.expire_time, self._clock.now())

    def _note_use(self, digest: str, found: _Known) -> None:
        now = self._clock.now()
        found.used_time = max(found.used_time, now)
        if digest in self._known:
            self._known.move_to_end(digest)
        if now - found.noted_time >= min(_NOTED_EVERY_S, self.lifetime.idle_s / 4):
            found.noted_time = self._used[digest] = now

    def _is_fresh(self, found: _Known, for_s: float = VERIFIED_S) -> bool:
        return found.heard == self._heard and self._clock.monotonic() - found.read <= for_s

    @property
    def _away(self) -> bool:
        return self._clock.monotonic() < self._away_until

    async def _looked_up(self, digest: str) -> _Known | None:
        """Return a session as the database has it now; while that is away, as it had it a while ago."""
        if not self._away:
            self._wanted.add(digest)
            async with self._turn:  # one read at a time
                while digest in self._wanted and not self._away:  # else a read before has had it as well
                    await self._read()
        found = self._known.get(digest)
        if self._away and not (found is not None and self._is_fresh(found, UNVERIFIED_S)):
            text = "the session can't be looked up: the database does not answer; nothing was done, retry"
            raise Unreachable(text, reason="STORE_UNAVAILABLE", retry_after_s=VERIFIED_S)
        return found

    async def _read(self) -> None:
        """Read the sessions that calls wait for, and those that others are about to ask for."""
        waiting = set(islice(self._wanted, _READ_AT_ONCE))
        asked = waiting | set(islice(self._in_use(), _READ_AT_ONCE - len(waiting)))
        heard, began, shared = self._heard, self._clock.monotonic(), self._database.shared
        self.reads += 1
        try:
            async with asyncio.timeout(_READ_S):
                rows = await self._database.read(lambda conn: session_rows.by_digest(conn, asked, shared=shared))
        except (Unreachable, TimeoutError) as error:
            log.warning("sessions can't be looked up: the database does not answer", error=repr(error))
            self._away_until = self._clock.monotonic() + VERIFIED_S
            return
        there = {row.digest for row in rows}
        for row in rows:
            self._learn(row, began, heard)
        for digest in asked - there:
            self._known.pop(digest, None)
        self._wanted -= waiting
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)

    def _in_use(self) -> Iterator[str]:
        """The sessions that were used since they were last read, the last used first."""
        since = self._clock.now() - 2 * VERIFIED_S
        for digest, known in reversed(self._known.items()):
            if known.used_time < since:
                return
            yield digest

    def _learn(self, row: Row[Any], began: float, heard: int) -> None:
        known = self._known.get(row.digest)
        if known is None:
            message = session_pb2.Session.FromString(row.row)
            principal = principal_of(message)
            known = _Known(message, principal, row.expire_time, row.used_time, row.used_time, began, heard)
            self._known[row.digest] = known
        known.used_time = max(known.used_time, row.used_time)
        known.noted_time = max(known.noted_time, row.used_time)
        known.read, known.heard = began, heard

    def _hear(self, announced: str | None) -> None:
        if announced is None or announced == ENDED:
            self._heard += 1  # nothing that was read before counts


def token_of(call: Call) -> str | None:
    """Return the session's token that a call brings; None when it brings none, or a bearer token of another kind.

    Raises:
        Unauthenticated: It brings several, or one that can't be read.
    """
    credential = credential_of(call)
    if credential is None or not (credential.key == X_AUTH_SESSION or credential.token.startswith(PREFIX)):
        return None
    return credential.token
