"""Pauses after failed logins: who is slowed down by whom."""

from __future__ import annotations

import pytest

from cloudspan_common.testing import FakeClock
from cloudspan_gateway.identity.password_login import lockout
from cloudspan_gateway.identity.password_login.lockout import source_of
from cloudspan_gateway.storage.engine import open_database

HOME, OFFICE, ATTACKER = "192.0.2.1", "192.0.2.2", "203.0.113.9"
DAY_S = 86_400.0


class Counters:
    """The counters of a database, and the time by which they go."""

    def __init__(self, database, clock):
        self.database = database
        self.clock = clock

    async def begin(self, source=HOME, user="alice"):
        now = self.clock.now()
        return await self.database.transact(lambda conn: lockout.begin(conn, user, source, now))

    async def succeed(self, source=HOME, user="alice"):
        attempt = await self.begin(source, user)
        assert not isinstance(attempt, float), attempt
        await self.database.transact(lambda conn: lockout.succeed(conn, attempt, self.clock.now()))

    async def fail(self, times, source=HOME, user="alice"):
        """Fail as often, waiting out each pause; return the pauses."""
        pauses = []
        for _ in range(times):
            assert not isinstance(await self.begin(source, user), float)
            pauses.append(await self.pause(source, user))
            await self.clock.advance(pauses[-1])
        return pauses

    async def pause(self, source=HOME, user="alice"):
        now = self.clock.now()
        return await self.database.read(lambda conn: lockout.paused_s(conn, user, source, now))

    async def purge(self):
        await self.database.transact(lambda conn: lockout.purge(conn, self.clock.now()))

    async def rows(self):
        return await self.database.read(lambda conn: conn.execute(lockout.logins_from.select()).all())


@pytest.fixture
async def counters():
    clock = FakeClock()
    database = await open_database("memory:", clock)
    yield Counters(database, clock)
    await database.close()


async def test_pauses_begin_with_the_fifth_failure_and_grow_to_a_quarter_of_an_hour(counters):
    """Of one user from one address."""
    assert await counters.fail(16) == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


async def test_a_login_during_a_pause_is_not_looked_at_and_makes_it_no_longer(counters):
    """Who keeps on trying waits as long as who does not."""
    await counters.fail(7)
    assert not isinstance(await counters.begin(), float)
    for _ in range(50):
        assert await counters.begin() == 8
    await counters.clock.advance(8)
    assert await counters.fail(1) == [16]


async def test_an_attempt_counts_before_it_is_looked_at(counters):
    """A hundred at once are five."""
    begun = [await counters.begin() for _ in range(100)]
    assert [isinstance(attempt, float) for attempt in begun] == [False] * 5 + [True] * 95


async def test_a_login_begins_the_count_anew(counters):
    """The user's own; a day without failures does too."""
    await counters.fail(8)
    await counters.succeed()
    assert await counters.fail(5) == [0, 0, 0, 0, 1]
    await counters.clock.advance(DAY_S)
    assert await counters.fail(5) == [0, 0, 0, 0, 1]


async def test_failures_elsewhere_never_pause_a_login_from_where_the_user_has_logged_in(counters):
    """Nobody locks the owner out: not from one address, not from a thousand."""
    await counters.succeed(HOME)
    await counters.fail(40, ATTACKER)
    for number in range(200):
        await counters.begin(f"198.51.100.{number}")
    assert await counters.pause(ATTACKER) > 0
    assert await counters.pause(HOME) == 0
    await counters.succeed(HOME)


async def test_an_attack_from_many_addresses_slows_down_those_that_the_user_never_came_from(counters):
    """One guess from each of many addresses: the user's own counter pauses them, for a minute at the most."""
    await counters.succeed(HOME)
    for number in range(19):
        assert not isinstance(await counters.begin(f"198.51.100.{number}"), float)
        assert await counters.pause("198.51.100.99") == 0
    pauses = []
    for number in range(19, 30):
        assert not isinstance(await counters.begin(f"198.51.100.{number}"), float)
        pauses.append(await counters.pause("198.51.100.99"))
        await counters.clock.advance(pauses[-1])
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]
    assert await counters.pause("198.51.100.99", "bob") == 0


async def test_an_address_that_guesses_names_is_paused_for_all_of_them(counters):
    """From the twentieth failure on; whoever has logged in from there before goes on."""
    await counters.succeed(ATTACKER, "bob")
    for number in range(20):
        assert await counters.pause(ATTACKER, "dave") == 0
        await counters.begin(ATTACKER, f"user{number}")
    assert await counters.pause(ATTACKER, "dave") == 1
    assert await counters.pause(ATTACKER, "") == 1
    assert await counters.pause(HOME, "dave") == 0
    assert await counters.pause(ATTACKER, "bob") == 0


async def test_an_attacker_with_an_account_of_its_own_does_not_clear_the_count_of_its_address(counters):
    """It logs in as itself after each guess."""
    await counters.succeed(ATTACKER, "mallory")
    for number in range(20):
        await counters.begin(ATTACKER, f"user{number}")
        await counters.succeed(ATTACKER, "mallory")
    assert await counters.pause(ATTACKER, "dave") == 1


async def test_a_name_that_no_user_can_have_counts_for_the_address_alone(counters):
    """So nobody fills the table with names."""
    for _ in range(20):
        await counters.begin(ATTACKER, "")
    assert [(row.user, row.source, row.failures) for row in await counters.rows()] == [("", ATTACKER, 20)]
    assert await counters.pause(ATTACKER, "") == 1


async def test_what_no_longer_counts_is_deleted_and_what_is_known_stays(counters):
    """Failures for a day, addresses with a login for 90."""
    await counters.succeed(HOME)
    await counters.fail(1, ATTACKER)
    await counters.purge()
    assert {(row.user, row.source) for row in await counters.rows()} >= {("alice", HOME), ("alice", ATTACKER)}
    await counters.clock.advance(DAY_S + 1)
    await counters.purge()
    assert [(row.user, row.source) for row in await counters.rows()] == [("alice", HOME)]
    await counters.clock.advance(90 * DAY_S)
    await counters.purge()
    assert await counters.rows() == []


async def test_the_table_is_bounded_and_keeps_known_addresses(counters, monkeypatch):
    """The oldest failures go first."""
    monkeypatch.setattr(lockout, "MOST_ROWS", 10)
    await counters.succeed(HOME)
    for number in range(30):
        await counters.clock.advance(1)
        await counters.begin(f"198.51.100.{number}", f"user{number}")
    await counters.purge()
    rows = await counters.rows()
    assert ("alice", HOME) in {(row.user, row.source) for row in rows}
    assert len(rows) <= 11


async def test_a_new_password_forgives_and_keeps_the_known_addresses(counters):
    """An administrator lets a locked-out user in; who attacks the name goes on being told from its owner."""
    await counters.succeed(HOME)
    for source in (HOME, OFFICE):
        await counters.fail(10, source)
        await counters.begin(source)
        assert await counters.pause(source) > 0
    await counters.database.transact(lambda conn: lockout.forgive(conn, "alice"))
    assert (await counters.pause(HOME), await counters.pause(OFFICE)) == (0, 0)
    for number in range(30):
        await counters.begin(f"198.51.100.{number}")
    assert await counters.pause(OFFICE) > 0
    assert await counters.pause(HOME) == 0
    await counters.database.transact(lambda conn: lockout.forget(conn, "alice"))
    assert not [row for row in await counters.rows() if row.user == "alice"]


@pytest.mark.parametrize(
    ("peer", "source"),
    [
        ("ipv4:192.0.2.7:51234", "192.0.2.7"),
        ("ipv6:%5B2001:db8:1:2:3:4:5:6%5D:51234", "2001:db8:1:2::/64"),
        ("ipv6:[2001:db8:1:2::1]:51234", "2001:db8:1:2::/64"),
        ("ipv6:%5B::ffff:192.0.2.7%5D:51234", "192.0.2.7"),
        ("ipv6:%5Bfe80::1%25eth0%5D:51234", "fe80::/64"),
        ("unix:/run/cloudspan.sock", "unix:/run/cloudspan.sock"),
        ("unix:" + "x" * 99, "unix:" + "x" * 59),
        ("", "unknown"),
    ],
)
def test_sources_are_ipv4_addresses_and_subscribers_of_ipv6(peer, source):
    """A subscriber has at least a /64 to send from; an IPv4 address that is written as IPv6 is one source."""
    assert source_of(peer) == source
