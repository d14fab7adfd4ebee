"""Sessions: which tokens work, for how long, what they cost, and how fast their end reaches every gateway."""

from __future__ import annotations

import asyncio
import re

import grpc
import pytest
from gateway.tests import postgres_server
from gateway.tests.callers import refused
from gateway.tests.calls import call
from gateway.tests.password_login import ALICE, BOB, PASSWORD, Caller, installation, peopled

from cloudspan.v1 import session_pb2
from cloudspan_common.errors import Unauthenticated, Unreachable
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.access.principal import Method
from cloudspan_gateway.identity import session_rows, sessions
from cloudspan_gateway.identity.session_rows import Lifetime
from cloudspan_gateway.identity.sessions import Sessions
from cloudspan_gateway.storage.engine import open_database

CODE = grpc.StatusCode
HOUR_S, DAY_S = 3600.0, 86_400.0
GET_SESSION = "/cloudspan.v1.SessionService/GetSession"


@pytest.fixture
async def running():
    async with peopled() as opened:
        yield opened


@pytest.fixture
async def store():
    """Sessions without a gateway around them, and their clock."""
    clock = FakeClock()
    database = await open_database("memory:", clock)
    made = Sessions(database, clock, Lifetime(12 * HOUR_S, 7 * DAY_S))
    yield made, clock, database
    made.close()
    await database.close()


def with_token(token, key="authorization"):
    return call(GET_SESSION, metadata=((key, f"Bearer {token}" if key == "authorization" else token),))


async def begun(made, subject=ALICE):
    return await made.create(subject, "acme", Method.METHOD_PASSWORD, "ipv4:192.0.2.1:5")


async def test_a_token_is_random_and_recognisable_and_only_its_digest_is_kept(store):
    """Scanners find the prefix; 256 bits follow it."""
    made, _, database = store
    session, token = await begun(made)
    assert re.fullmatch(r"cs_[A-Za-z0-9_-]{43}", token)
    assert not session.token
    assert re.fullmatch("sessions/[0-9a-f]{32}", session.name)
    row = await database.read(lambda conn: session_rows.find(conn, session.name[9:]))
    assert row.digest == session_rows.digest_of(token)
    assert not any(token[3:] in str(value) for value in row)
    assert token not in repr(made.lifetime.new(session_rows.principal_of(session), "", 0.0))


async def test_a_token_says_who_calls(store):
    """By either metadata; the credential in the audit is the session's id."""
    made, clock, _ = store
    session, token = await begun(made)
    for key in ("authorization", "x-auth-session"):
        principal = await made.authenticate(with_token(token, key))
        assert (principal.subject, principal.tenant, principal.session) == (ALICE, "acme", session.name[9:])
        assert (principal.credential, principal.method) == (f"session/{session.name[9:]}", Method.METHOD_PASSWORD)
        assert principal.expire_time == clock.now() + 7 * DAY_S


@pytest.mark.parametrize("token", ["eyJhbGciOi.eyJz.c2ln", "CS_" + "x" * 43, "cs-" + "x" * 43])
async def test_a_bearer_token_of_another_kind_is_left_to_others(store, token):
    """A JWT, for example; as x-auth-session nothing but a session is meant."""
    made, _, _ = store
    assert await made.authenticate(with_token(token)) is None
    with pytest.raises(Unauthenticated):
        await made.authenticate(with_token(token, "x-auth-session"))
    assert await made.authenticate(call(GET_SESSION)) is None
    assert made.reads == 0


async def test_what_can_not_be_a_token_costs_no_read_and_says_the_same(store):
    """Cut, padded, longer: the same words as for an unknown and for an ended one."""
    made, clock, database = store
    session, token = await begun(made)
    await made.authenticate(with_token(token))
    words = set()
    for wrong in (token[:-1], token + "=", "cs_", "cs_" + "x" * 100_000):
        with pytest.raises(Unauthenticated) as failed:
            await made.authenticate(with_token(wrong))
        words.add((failed.value.message, failed.value.reason, *failed.value.metadata.items()))
    assert made.reads == 1
    await database.transact(lambda conn: session_rows.end(conn, database, session.name[9:]))
    _, other = await begun(made)
    for wrong in (token, f"cs_{token[3:].swapcase()}", f"{other[:-1]}{'A' if other[-1] != 'A' else 'E'}", other):
        if wrong == other:
            await clock.advance(8 * DAY_S)
        with pytest.raises(Unauthenticated) as failed:
            await made.authenticate(with_token(wrong))
        words.add((failed.value.message, failed.value.reason, *failed.value.metadata.items()))
    assert len(words) == 1


async def test_a_session_ends_when_it_is_not_used_and_goes_on_while_it_is(store):
    """Twelve hours after its last use, seven days after its beginning whatever happens."""
    made, clock, _ = store
    _, unused = await begun(made)
    _, used = await begun(made)
    await clock.advance(11 * HOUR_S)
    assert await made.authenticate(with_token(used))
    await clock.advance(HOUR_S)
    with pytest.raises(Unauthenticated):
        await made.authenticate(with_token(unused))
    for _ in range(12):
        assert await made.authenticate(with_token(used))
        await clock.advance(11 * HOUR_S)
    assert await made.authenticate(with_token(used))
    await clock.advance(DAY_S)
    with pytest.raises(Unauthenticated):
        await made.authenticate(with_token(used))


async def test_a_use_that_another_gateway_has_seen_counts(store):
    """And is written by one, once a minute at the most."""
    here, clock, database = store
    there = Sessions(database, clock, here.lifetime)
    _, token = await begun(here)
    await there.authenticate(with_token(token))
    await clock.advance(11 * HOUR_S)
    await here.authenticate(with_token(token))
    await here.flush()
    await clock.advance(11 * HOUR_S)
    assert await there.authenticate(with_token(token))
    there.close()


async def test_uses_are_written_at_most_once_a_minute(store):
    """However many calls there are."""
    made, clock, database = store
    _, token = await begun(made)

    async def noted():
        await made.flush()
        return (await database.read(lambda conn: session_rows.by_digest(conn, [digest], shared=False)))[0].used_time

    digest, began = session_rows.digest_of(token), clock.now()
    for _ in range(59):
        await clock.advance(1)
        await made.authenticate(with_token(token))
    assert await noted() == began
    await clock.advance(1)
    await made.authenticate(with_token(token))
    assert await noted() == began + 60


async def test_an_authenticated_call_costs_no_read_for_a_second_and_then_one_for_all(store):
    """A thousand calls of a hundred sessions."""
    made, clock, _ = store
    tokens = [(await begun(made))[1] for _ in range(100)]
    for token in tokens:
        await made.authenticate(with_token(token))
    before = made.reads
    for _ in range(10):
        await asyncio.gather(*(made.authenticate(with_token(token)) for token in tokens))
    assert made.reads == before
    await clock.advance(1.5)
    for token in tokens:
        await made.authenticate(with_token(token))
    assert made.reads == before + 1


async def test_what_is_remembered_of_sessions_is_bounded(store, monkeypatch):
    """The ones used longest ago are looked up again."""
    monkeypatch.setattr(sessions, "MOST_KNOWN", 3)
    made, _, _ = store
    tokens = [(await begun(made))[1] for _ in range(5)]
    for token in tokens:
        await made.authenticate(with_token(token))
    assert repr(made) == "<Sessions 3 known, 5 reads>"
    await made.authenticate(with_token(tokens[-1]))
    assert made.reads == 5
    await made.authenticate(with_token(tokens[0]))
    assert made.reads == 6


async def test_a_subject_has_a_bounded_number_of_sessions(store, monkeypatch):
    """A program that logs in for each call ends its own oldest ones, and nobody else's."""
    monkeypatch.setattr(session_rows, "MOST_OF_SUBJECT", 3)
    made, clock, _ = store
    _, of_bob = await begun(made, BOB)
    tokens = []
    for _ in range(5):
        await clock.advance(1)
        tokens.append((await begun(made))[1])
    found = [await made.get(token) is not None for token in (of_bob, *tokens)]
    assert found == [True, False, False, True, True, True]


async def test_a_row_that_somebody_deletes_by_hand_ends_its_session_within_a_second(store):
    """Without an announcement."""
    made, clock, database = store
    _, token = await begun(made)
    await made.authenticate(with_token(token))
    await database.transact(lambda conn: conn.execute(session_rows.sessions.delete()))
    assert await made.authenticate(with_token(token))
    await clock.advance(1.01)
    with pytest.raises(Unauthenticated):
        await made.authenticate(with_token(token))


class Away:
    """A database that stops answering."""

    shared = False

    def __init__(self, database):
        self.database = database
        self.answers = True

    def subscribe(self, heard):
        return self.database.subscribe(heard)

    async def transact(self, batch):
        if not self.answers:
            raise Unreachable("the store of operations does not answer", reason="STORE_UNAVAILABLE")
        return await self.database.transact(batch)

    async def read(self, ask, *, long=False):
        if not self.answers:
            raise Unreachable("the store of operations does not answer", reason="STORE_UNAVAILABLE")
        return await self.database.read(ask, long=long)


async def test_known_sessions_work_for_a_minute_while_the_database_is_away_and_unknown_ones_are_told_to_retry(store):
    """Nobody could be logged out meanwhile either; and who is not known is not called a stranger."""
    _, clock, database = store
    away = Away(database)
    made = Sessions(away, clock, Lifetime(12 * HOUR_S, 7 * DAY_S))
    _, known = await begun(made)
    _, unknown = await begun(made)
    await made.authenticate(with_token(known))
    away.answers = False
    await clock.advance(30)
    assert await made.authenticate(with_token(known))
    assert "the database does not answer" in repr(made)
    with pytest.raises(Unreachable) as failed:
        await made.authenticate(with_token(unknown))
    assert failed.value.retry_after_s == 1
    reads = made.reads
    assert await made.authenticate(with_token(known))
    assert made.reads == reads  # it is not asked again at each call
    await clock.advance(31)
    with pytest.raises(Unreachable):
        await made.authenticate(with_token(known))
    away.answers = True
    await clock.advance(1)
    assert await made.authenticate(with_token(known))
    assert await made.authenticate(with_token(unknown))
    made.close()


async def test_an_end_that_was_announced_counts_even_if_the_database_is_away_right_then(store):
    """Nothing that was read before it is believed."""
    _, clock, database = store
    away = Away(database)
    made = Sessions(away, clock, Lifetime(12 * HOUR_S, 7 * DAY_S))
    session, token = await begun(made)
    await made.authenticate(with_token(token))
    away.answers = False
    await database.transact(lambda conn: session_rows.end(conn, database, session.name[9:]))
    with pytest.raises(Unreachable):
        await made.authenticate(with_token(token))
    made.close()


async def test_a_caller_that_leaves_while_it_is_looked_up_costs_the_others_nothing(store):
    """They share its read."""
    made, _, database = store
    tokens = [(await begun(made))[1] for _ in range(3)]
    go = asyncio.Event()
    read = database.read

    async def slow(ask, *, long=False):
        await go.wait()
        return await read(ask, long=long)

    database.read = slow
    calls = [asyncio.ensure_future(made.authenticate(with_token(token))) for token in tokens]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    calls[0].cancel()
    go.set()
    assert [principal.subject for principal in await asyncio.gather(*calls[1:])] == [ALICE, ALICE]
    database.read = read
    assert await made.authenticate(with_token(tokens[0]))


async def test_what_has_ended_is_deleted_in_the_background(store):
    """And what goes on stays."""
    made, clock, database = store
    await begun(made)
    work = asyncio.ensure_future(made.run())
    await clock.advance(11 * HOUR_S)
    _, token = await begun(made)
    await clock.advance(2 * HOUR_S)
    async with asyncio.timeout(5):
        while len(rows := await database.read(lambda conn: conn.execute(session_rows.sessions.select()).all())) > 1:
            await clock.advance(60)
            await asyncio.sleep(0.001)
    assert [row.digest for row in rows] == [session_rows.digest_of(token)]
    assert not work.done()
    work.cancel()


async def test_a_use_that_could_not_be_written_is_written_once_the_database_is_back(store):
    """The work in the background goes on."""
    _, clock, database = store
    away = Away(database)
    made = Sessions(away, clock, Lifetime(12 * HOUR_S, 7 * DAY_S))
    _, token = await begun(made)
    work = asyncio.ensure_future(made.run())
    await clock.advance(HOUR_S)
    await made.authenticate(with_token(token))
    away.answers = False
    await clock.advance(30)
    away.answers = True

    async def used_time():
        rows = await database.read(lambda conn: conn.execute(session_rows.sessions.select()).all())
        return rows[0].used_time

    began = clock.now()
    async with asyncio.timeout(5):
        while await used_time() < began - 60:
            await clock.advance(10)
            await asyncio.sleep(0.001)
    assert not work.done()
    work.cancel()
    made.close()


async def test_a_logout_works_at_once_on_the_gateway_that_it_was_made_at(running):
    """No second passes on its clock."""
    alice = await running.logged_in()
    other = Caller(running.channel, alice.token)
    await other.call("GetSession")
    await alice.call("DeleteSession")
    failed = await refused(other.call("GetSession"))
    assert (failed.code(), "ended" in failed.details()) == (CODE.UNAUTHENTICATED, True)


async def test_a_logout_at_one_gateway_works_at_the_other_one_as_soon_as_it_has_heard_of_it(tmp_path):
    """Two gateways on one PostgreSQL: by the announcement, before the second of the cache is over."""
    url = postgres_server.needed().new_database()
    key = tmp_path / "operations.key"
    key.write_text("A" * 43 + "=\n")
    shared = {"database": url, "operations_key": key}
    async with peopled(**shared) as one, installation(one.clock, **shared) as other:
        alice = await one.logged_in()
        at_other = Caller(other.channel, alice.token)
        assert (await at_other.call("GetSession")).subject == ALICE
        heard = asyncio.Event()
        other.gateway.database.subscribe(lambda message: heard.set() if message == session_rows.ENDED else None)
        await alice.call("DeleteSession")
        async with asyncio.timeout(1):
            await heard.wait()
        failed = await refused(at_other.call("GetSession"))
        assert failed.code() == CODE.UNAUTHENTICATED
        bob = await other.logged_in(BOB)
        assert (await Caller(one.channel, bob.token).call("GetSession")).subject == BOB


async def test_two_credentials_in_one_call_are_refused(running):
    """Whichever of them is good."""
    alice, bob = await running.logged_in(), await running.logged_in(BOB)
    both = Caller(running.channel, alice.token, ("x-auth-session", bob.token))
    assert (await refused(both.call("GetSession"))).code() == CODE.UNAUTHENTICATED


async def test_a_session_is_not_found_by_its_digest_its_name_or_its_row(running):
    """What the database holds opens nothing."""
    alice = await running.logged_in()
    session = await alice.call("GetSession")
    digest = session_rows.digest_of(alice.token)
    for token in (digest, f"cs_{digest}"[:46], session.name, session.name[9:], f"cs_{session.name[9:]}"):
        assert (await refused(Caller(running.channel, token).call("GetSession"))).code() == CODE.UNAUTHENTICATED
    assert isinstance(session, session_pb2.Session)
    assert PASSWORD not in str(session)
