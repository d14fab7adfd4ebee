"""Whether somebody is the user that it says: password, one-time code, and the pauses after failures.

Called by the services for logins, and wherever a user has to prove again who it is. Whichever part is wrong, a caller
hears the same, after the same work: a count in the database, a hash, and another look into the database.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from weakref import WeakValueDictionary

from cloudspan_common.errors import TooManyRequests, Unauthenticated
from cloudspan_gateway.identity.password_login import lockout, one_time_codes, users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy import Connection

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.identity.password_login.lockout import Attempt
    from cloudspan_gateway.identity.password_login.passwords import Passwords
    from cloudspan_gateway.identity.password_login.users import UserRow
    from cloudspan_gateway.storage.cipher import Cipher
    from cloudspan_gateway.storage.engine import Database

T = TypeVar("T")

MOST_OF_SOURCE = 8
"""Attempts from one address that may be under way at a gateway."""
_RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says of itself."""

    user: str
    """The name of the user: `alice`; whatever it is, it may be wrong."""
    peer: str
    """The gRPC peer that says it."""
    password: str = field(repr=False)
    code: str = field(default="", repr=False)
    """A one-time code or a recovery code."""
    with_code: bool = True
    """Whether a user who has one-time codes needs one."""


@dataclass(frozen=True, slots=True)
class _Proof:
    """What is known of a claim before its transaction."""

    attempt: Attempt
    row: UserRow
    secret: str | None = field(repr=False)
    """Of its one-time codes."""
    rehashed: str = field(default="", repr=False)


class Logins:
    """Looks at claims, as many at once as the machine can take."""

    def __init__(self, database: Database, passwords: Passwords, cipher: Cipher, clock: Clock) -> None:
        self._database = database
        self._passwords = passwords
        self._cipher = cipher
        self._clock = clock
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()
        self._of_source: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Logins {self._of_source.total()} under way>"

    async def proven(self, claim: Claim, then: Callable[[Connection, UserRow], T]) -> T:
        """Return what `then` returns, in the transaction that takes a claim for true; a code works once.

        Raises:
            Unauthenticated: LOGIN_FAILED: something of it is wrong, or the user is disabled.
            TooManyRequests: LOGIN_PAUSED after failures; or too many are looked at just now.
        """
        user = claim.user if users.is_id(claim.user) else ""
        async with self._counted(user, lockout.source_of(claim.peer)) as (attempt, row):
            there = row is not None and not row.message.disabled
            matches = await self._passwords.matches(row.password if row and there else None, claim.password)
            proof = await self._proof(attempt, row, claim) if row and matches else None
            done = await self._database.transact(partial(self._end, proof, claim, then))
        if done is None:
            raise _failed()
        return done[0]

    async def confirmed(self, user: str, peer: str, then: Callable[[Connection, UserRow], T | None]) -> T:
        """Return what `then` returns of a user that is logged in; None from it counts as a failed login.

        Raises:
            Unauthenticated: LOGIN_FAILED: it returned None.
            TooManyRequests: As `proven`.
        """
        async with self._counted(user, lockout.source_of(peer)) as (attempt, _):
            done = await self._database.transact(partial(self._end_confirmed, attempt, then))
        if done is None:
            raise _failed()
        return done[0]

    @asynccontextmanager
    async def _counted(self, user: str, source: str) -> AsyncIterator[tuple[Attempt, UserRow | None]]:
        """Count an attempt as failed and find its user; one of a user and source at a time, so that none is missed."""
        if self._of_source[source] >= MOST_OF_SOURCE:
            text = f"{MOST_OF_SOURCE} logins from this address are being checked, which is the limit; retry in 1 s"
            raise TooManyRequests(text, retry_after_s=_RETRY_AFTER_S)
        self._of_source[source] += 1
        turn = self._turns.setdefault((user, source), asyncio.Lock())
        try:
            async with turn:
                yield await self._begin(user, source)
        finally:
            self._of_source[source] -= 1
            self._of_source += Counter()  # forgets what is zero

    async def _begin(self, user: str, source: str) -> tuple[Attempt, UserRow | None]:
        now = self._clock.now()
        wait_s = await self._database.read(lambda conn: lockout.paused_s(conn, user, source, now))
        if wait_s > 0:  # most of what an attacker sends ends here, without a write
            raise _paused(wait_s)
        attempt, row = await self._database.transact(
            lambda conn: (lockout.begin(conn, user, source, now), users.find(conn, user))
        )
        if isinstance(attempt, float):
            raise _paused(attempt)
        return attempt, row

    async def _proof(self, attempt: Attempt, row: UserRow, claim: Claim) -> _Proof:
        outdated = self._passwords.is_outdated(row.password)
        rehashed = await self._passwords.hash(claim.password) if outdated else ""
        return _Proof(attempt, row, users.open_secret(self._cipher, row) if claim.with_code else None, rehashed)

    def _end(
        self, proof: _Proof | None, claim: Claim, then: Callable[[Connection, UserRow], T], conn: Connection
    ) -> tuple[T] | None:
        row = users.find(conn, claim.user, lock=True)
        if proof is None or row is None or row.message.disabled or row.password != proof.row.password:
            return None  # wrong, or changed meanwhile
        if claim.with_code and row.codes_secret != proof.row.codes_secret:
            return None
        if proof.secret is not None and not self._use_code(conn, row, proof.secret, claim.code):
            return None
        if proof.rehashed:
            users.change(conn, row, password=proof.rehashed)
        lockout.succeed(conn, proof.attempt, self._clock.now())
        return (then(conn, row),)

    def _end_confirmed(
        self, attempt: Attempt, then: Callable[[Connection, UserRow], T | None], conn: Connection
    ) -> tuple[T] | None:
        row = users.find(conn, attempt.user, lock=True)
        done = then(conn, row) if row is not None and not row.message.disabled else None
        if done is None:
            return None
        lockout.succeed(conn, attempt, self._clock.now())
        return (done,)

    def _use_code(self, conn: Connection, row: UserRow, secret: str, code: str) -> bool:
        """Use up a one-time code or a recovery code; the row is locked, so each works once on all gateways."""
        step = one_time_codes.matching_step(secret, code, self._clock.now(), row.codes_step)
        if step is not None:
            users.change(conn, row, codes_step=step)
            return True
        left = one_time_codes.without(row.recovery_codes, code)
        if left is not None:
            users.change(conn, row, recovery_codes=left)
        return left is not None


def _failed() -> Unauthenticated:
    text = "user, password or one-time code is wrong, or the user can't log in"
    return Unauthenticated(
        f"{text}; check them, or ask an administrator of the tenant for a new password", reason="LOGIN_FAILED"
    )


def _paused(wait_s: float) -> TooManyRequests:
    text = f"logins from here wait for {math.ceil(wait_s)} s after repeated failures; nothing was checked, retry then"
    return TooManyRequests(text, reason="LOGIN_PAUSED", retry_after_s=wait_s)
