"""Pauses after failed logins: they grow, and nobody can use them to lock somebody else out.

An attempt is counted before its password is looked at, so that many at once gain nothing, and taken back when it
succeeds. Three counters, each with its pause (docs/security.md has the reasons):

* the user from one address: from the fifth failure on 1, 2, 4 s ... 15 min. Where that user has logged in from the
  address before, this is the only one that counts: nothing that happens elsewhere pauses a login from there.
* one address, whatever the users: from the 20th failure on, likewise; for addresses that guess names.
* one user, from all addresses unknown for that user: from the 20th failure on, up to 1 min; for spread attacks.

Unknown users are counted as known ones are. Functions of a connection: `logins` calls them in its transactions.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, or_, select, update

from cloudspan_gateway.metadata import address_of
from cloudspan_gateway.storage.tables import logins_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection, Row

    _Rows = Mapping[tuple[str, str], Row[Any]]

FIRST, FIRST_IN_GROUP = 5, 20
"""The failure that is followed by the first pause: people make typing errors, and share addresses."""
LONGEST_S, LONGEST_OF_USER_S = 900.0, 60.0
FORGET_S = 86_400.0
"""How long after the last failure the count begins anew."""
KNOWN_S = 90 * 86_400.0
"""How long an address stays known after a login."""
MOST_ROWS = 50_000
"""Of addresses that nobody has logged in from."""
_IPV6_PREFIX = 64  # what one subscriber has, at the least
_IPV4 = 4
_MAX_SOURCE = 64
_ANY = ""
_DOUBLINGS = 30  # far beyond the longest pause


def source_of(peer: str) -> str:
    """Return what failures of a gRPC peer are counted by: an IPv4 address, a /64 of IPv6, else what there is."""
    shown = address_of(peer)
    try:
        address = ipaddress.ip_address(shown.partition("%")[0])
    except ValueError:
        return shown[:_MAX_SOURCE] or "unknown"
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None or address.version == _IPV4:
        return str(mapped or address)
    return str(ipaddress.ip_network((str(address), _IPV6_PREFIX), strict=False))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One login that was counted."""

    user: str
    """Empty where no user can have the name."""
    source: str
    known: bool
    """Whether the user has logged in from there before."""

    @property
    def counters(self) -> tuple[tuple[str, str], ...]:
        """The rows that it counts in."""
        if self.known:
            return ((self.user, self.source),)
        return _keys(self.user, self.source)


def _keys(user: str, source: str) -> tuple[tuple[str, str], ...]:
    return ((user, source), (_ANY, source), (user, _ANY)) if user else ((_ANY, source),)


def paused_s(conn: Connection, user: str, source: str, now: float) -> float:
    """Return for how many seconds no login of `user` from `source` is looked at; 0 when it is."""
    rows = _rows(conn, user, source)
    return _pause_left(_attempt(rows, user, source, now), rows, now)


def begin(conn: Connection, user: str, source: str, now: float) -> Attempt | float:
    """Count an attempt as failed; return it, or for how many seconds it has to wait, without counting it."""
    rows = _rows(conn, user, source, lock=True)
    attempt = _attempt(rows, user, source, now)
    wait_s = _pause_left(attempt, rows, now)
    if wait_s > 0:
        return wait_s
    for key in attempt.counters:
        row = rows.get(key)
        failures = 1 + (row.failures if row is not None and now - (row.failed_time or 0.0) < FORGET_S else 0)
        values = {"failures": failures, "paused_until": now + _pause_s(key, failures), "failed_time": now}
        _put(conn, key, values, new=row is None)
    return attempt


def succeed(conn: Connection, attempt: Attempt, now: float) -> None:
    """Take a counted attempt back: from now on its source is known for its user."""
    own, *groups = attempt.counters
    conn.execute(update(logins_from).where(_is(own)).values(failures=0, paused_until=0.0, succeeded_time=now))
    for key in groups:
        # It was not paused when the attempt began, or it would not have begun.
        counted = update(logins_from).where(_is(key), logins_from.c.failures > 0)
        conn.execute(counted.values(failures=logins_from.c.failures - 1, paused_until=0.0))


def forgive(conn: Connection, user: str) -> None:
    """Forget the failures of a user, and not where it has logged in from: an administrator has set a new password."""
    of_user = logins_from.c.user == user
    conn.execute(delete(logins_from).where(of_user, logins_from.c.succeeded_time.is_(None)))
    conn.execute(update(logins_from).where(of_user).values(failures=0, paused_until=0.0))


def forget(conn: Connection, user: str) -> None:
    """Forget a user that is deleted."""
    conn.execute(delete(logins_from).where(logins_from.c.user == user))


def purge(conn: Connection, now: float) -> None:
    """Delete what no longer counts, and the oldest of what is too much."""
    age, login = logins_from.c.failed_time, logins_from.c.succeeded_time
    old_failure = or_(age.is_(None), age < now - FORGET_S)
    old_login = or_(login.is_(None), login < now - KNOWN_S)
    conn.execute(delete(logins_from).where(old_failure, old_login))
    newest = select(age).where(login.is_(None)).order_by(age.desc()).offset(MOST_ROWS).limit(1)
    limit = conn.execute(newest).scalar()
    if limit is not None:
        conn.execute(delete(logins_from).where(login.is_(None), age <= limit))


def _rows(conn: Connection, user: str, source: str, *, lock: bool = False) -> _Rows:
    asked = select(logins_from).where(or_(*(_is(key) for key in _keys(user, source))))
    # In one order, so that two gateways don't wait for each other.
    asked = asked.order_by(logins_from.c.user, logins_from.c.source)
    return {(row.user, row.source): row for row in conn.execute(asked.with_for_update() if lock else asked)}


def _attempt(rows: _Rows, user: str, source: str, now: float) -> Attempt:
    row = rows.get((user, source)) if user else None
    known = row is not None and now - (row.succeeded_time or 0.0) < KNOWN_S
    return Attempt(user, source, known)


def _pause_left(attempt: Attempt, rows: _Rows, now: float) -> float:
    ends: Iterable[float] = (rows[key].paused_until for key in attempt.counters if key in rows)
    return max(0.0, max(ends, default=0.0) - now)


def _pause_s(key: tuple[str, str], failures: int) -> float:
    user, source = key
    first = FIRST if user and source else FIRST_IN_GROUP
    longest_s = LONGEST_S if source else LONGEST_OF_USER_S
    return min(longest_s, 2.0 ** min(failures - first, _DOUBLINGS)) if failures >= first else 0.0


def _is(key: tuple[str, str]) -> ColumnElement[bool]:
    return (logins_from.c.user == key[0]) & (logins_from.c.source == key[1])


def _put(conn: Connection, key: tuple[str, str], values: Mapping[str, object], *, new: bool) -> None:
    if new:
        user, source = key
        conn.execute(logins_from.insert().values({"user": user, "source": source, **values}))
    else:
        conn.execute(update(logins_from).where(_is(key)).values(values))
