"""Logins at a real gateway: what a failed one tells, which codes work, and who has to wait."""

from __future__ import annotations

import asyncio

import argon2
import grpc
import pytest
from argon2.profiles import CHEAPEST
from gateway.tests import postgres_server
from gateway.tests.callers import refused
from gateway.tests.password_login import ALICE, BOB, CAROL, OTHER_PASSWORD, PASSWORD, Caller, installation, peopled
from google.rpc import error_details_pb2

from cloudspan_common.errors import Unauthenticated, status_of
from cloudspan_gateway.identity.password_login import logins, users
from cloudspan_gateway.identity.password_login.logins import Claim

CODE = grpc.StatusCode


@pytest.fixture
async def running():
    async with peopled() as opened:
        yield opened


def login(caller, user=ALICE, password=PASSWORD, code=""):
    return caller.call("CreateSession", user=user, password=password, one_time_code=code)


def said(error):
    """Everything that a caller hears, but for the request id and how long to wait."""
    details = []
    for detail in status_of(error).details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            details.append((info.reason, info.domain, *sorted(info.metadata.items())))
        elif not detail.Is(error_details_pb2.RequestInfo.DESCRIPTOR):
            details.append(detail.type_url)
    return error.code(), error.details(), tuple(details), tuple(sorted(key for key, _ in error.trailing_metadata()))


def reason(error):
    return said(error)[2][0][0]


async def test_a_user_logs_in_by_either_form_of_its_name(running):
    """`alice` and `users/alice`."""
    for name in ("alice", ALICE):
        session = await login(running.anonymous, name)
        assert (session.subject, session.tenant) == (ALICE, "tenants/default")


class Counted:
    """A database that counts transactions."""

    def __init__(self, database):
        self.database = database
        self.read = database.read
        self.count = 0

    async def transact(self, batch):
        self.count += 1
        return await self.database.transact(batch)


async def test_nobody_hears_which_part_of_a_login_was_wrong(running):
    """Code, message and details are the same, and so is the number of hashes and of transactions."""
    await running.with_codes(await running.logged_in())
    await running.has_user("users/erin", "acme")
    row = await running.gateway.database.read(lambda conn: users.find(conn, "erin"))
    row.message.disabled = True
    await running.gateway.database.transact(lambda conn: users.change(conn, row, message=row.message))
    attempts = {
        "wrong password": (BOB, "not the password", ""),
        "unknown user": ("users/nobody", PASSWORD, ""),
        "not a user's name": ("Robert'); DROP TABLE users;--", PASSWORD, ""),
        "another collection": ("services/alice", PASSWORD, ""),
        "empty name": ("users/", PASSWORD, ""),
        "wildcard": ("-", PASSWORD, ""),
        "case": ("Alice", PASSWORD, ""),
        "no code": (ALICE, PASSWORD, ""),
        "wrong code": (ALICE, PASSWORD, "000000"),
        "wrong password and code": (ALICE, OTHER_PASSWORD, "000000"),
        "disabled": ("users/erin", PASSWORD, ""),
        "password too long": (CAROL, PASSWORD * 100, ""),
    }
    transacted = Counted(running.gateway.database)
    running.gateway.password_login.logins._database = transacted
    heard, work = set(), set()
    for attempt in attempts.values():
        before = running.hashes, transacted.count
        heard.add(said(await refused(login(running.anonymous, *attempt))))
        work.add((running.hashes - before[0], transacted.count - before[1]))
    assert len(heard) == 1, heard
    assert work == {(1, 2)}
    code, text, details, _ = heard.pop()
    assert (code, details[0][0]) == (CODE.UNAUTHENTICATED, "LOGIN_FAILED")
    assert "alice" not in text


async def test_a_code_works_once_and_none_before_it_any_more(running):
    """Whoever reads it over a shoulder is too late, also on the way back."""
    authenticator, _ = await running.with_codes(await running.logged_in())
    old, present, next_one = (running.code(authenticator, steps) for steps in (-1, 0, 1))
    assert (await login(running.anonymous, code=present)).token
    for code in (present, old):
        assert reason(await refused(login(running.anonymous, code=code))) == "LOGIN_FAILED"
    assert (await login(running.anonymous, code=next_one)).token
    assert reason(await refused(login(running.anonymous, code=next_one))) == "LOGIN_FAILED"
    await running.clock.advance(60)
    assert (await login(running.anonymous, code=running.code(authenticator))).token


async def test_a_code_is_not_used_up_by_a_wrong_password(running):
    """Else whoever knows the name could burn the owner's codes."""
    authenticator, recovery = await running.with_codes(await running.logged_in())
    for code in (running.code(authenticator), recovery[0]):
        assert reason(await refused(login(running.anonymous, password=OTHER_PASSWORD, code=code))) == "LOGIN_FAILED"
        assert (await login(running.anonymous, code=code)).token


async def test_each_recovery_code_works_once(running):
    """And the user sees how many are left."""
    alice = await running.logged_in()
    _, recovery = await running.with_codes(alice)
    assert len(recovery) == 10
    assert (await login(running.anonymous, code=recovery[0].upper())).token
    assert reason(await refused(login(running.anonymous, code=recovery[0]))) == "LOGIN_FAILED"
    assert (await login(running.anonymous, code=recovery[1])).token
    assert (await alice.call("GetUser", name=ALICE)).recovery_codes_left == 8


async def test_a_user_without_codes_may_send_one(running):
    """Its client does not know."""
    assert (await login(running.anonymous, BOB, code="123456")).token


async def test_failed_logins_wait_longer_and_longer_whether_or_not_the_user_is_there(running):
    """RetryInfo says how long; a login meanwhile is not looked at, however right it is."""
    for name in (BOB, "users/nobody"):
        waits = []
        for _ in range(8):
            await refused(login(running.anonymous, name, "wrong password"))
            paused = await refused(login(running.anonymous, name, PASSWORD)) if len(waits) >= 4 else None
            wait = next(_delays(paused)) if paused is not None else 0
            waits.append(wait)
            await running.clock.advance(wait)
        assert waits == [0, 0, 0, 0, 1, 2, 4, 8]


async def test_a_paused_login_costs_no_hash_and_says_the_same_for_whoever_it_is(running):
    """Nobody learns from a pause that a name is one."""
    heard = set()
    for name in (BOB, "users/nobody"):
        for _ in range(5):
            await refused(login(running.anonymous, name, "wrong password"))
        before = running.hashes
        heard.add(said(await refused(login(running.anonymous, name))))
        assert running.hashes == before
    (said_of_all,) = heard
    assert said_of_all[:2] == (
        CODE.RESOURCE_EXHAUSTED,
        "logins from here wait for 1 s after repeated failures; nothing was checked, retry then",
    )
    assert said_of_all[2][0][0] == "LOGIN_PAUSED"


async def test_an_attacker_can_not_lock_the_owner_out(running):
    """From one address as often as it likes: the owner logs in from where it has before, and from elsewhere too."""
    await running.logged_in()
    attacker, elsewhere = await running.from_address("127.0.0.66"), await running.from_address("127.0.0.2")
    for _ in range(12):
        await refused(login(attacker, password="wrong password"))
    assert reason(await refused(login(attacker))) == "LOGIN_PAUSED"
    assert (await login(running.anonymous)).token
    assert (await login(elsewhere)).token


async def test_an_attack_from_everywhere_stops_only_those_who_come_from_nowhere_known(running):
    """The owner's own address goes on."""
    await running.logged_in()
    proofs = running.gateway.password_login.logins
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await proofs.proven(Claim("alice", f"ipv4:198.51.100.{number}:1", "wrong password"), lambda *_: None)
    stranger = await running.from_address("127.0.0.66")
    assert reason(await refused(login(stranger))) == "LOGIN_PAUSED"
    assert (await login(running.anonymous)).token
    await running.clock.advance(1)
    assert (await login(stranger)).token


async def test_many_right_logins_at_once_all_succeed_and_many_wrong_ones_are_five(running):
    """A build farm behind one address is not an attack; a hundred guesses at once are one after the other."""
    sessions = await asyncio.gather(*(login(running.anonymous, BOB) for _ in range(logins.MOST_OF_SOURCE)))
    assert len({session.token for session in sessions}) == logins.MOST_OF_SOURCE
    before = running.hashes
    guesses = [refused(login(running.anonymous, CAROL, f"guess number {n}")) for n in range(logins.MOST_OF_SOURCE)]
    reasons = [reason(error) for error in await asyncio.gather(*guesses)]
    assert sorted(reasons) == ["LOGIN_FAILED"] * 5 + ["LOGIN_PAUSED"] * (logins.MOST_OF_SOURCE - 5)
    assert running.hashes == before + 5


async def test_one_address_has_a_bounded_share_of_what_is_hashed(running):
    """The ninth at once is refused and told to retry; nothing is kept of those that have ended."""
    passwords, go = running.gateway.password_login.passwords, asyncio.Event()
    matches = passwords.matches

    async def held(kept, password):
        await go.wait()
        return await matches(kept, password)

    passwords.matches = held
    many = [asyncio.ensure_future(refused(login(running.anonymous, f"u{n}"))) for n in range(logins.MOST_OF_SOURCE + 1)]
    done, _ = await asyncio.wait(many, return_when=asyncio.FIRST_COMPLETED)
    assert [reason(task.result()) for task in done] == ["TOO_MANY_REQUESTS"]
    go.set()
    errors = await asyncio.gather(*many)
    assert sorted(reason(error) for error in errors) == ["LOGIN_FAILED"] * logins.MOST_OF_SOURCE + ["TOO_MANY_REQUESTS"]
    assert repr(running.gateway.password_login.logins) == "<Logins 0 under way>"


async def test_a_password_with_old_costs_is_hashed_anew_at_its_next_login(running):
    """The user notices nothing."""
    old = argon2.PasswordHasher(time_cost=2, memory_cost=64, parallelism=1).hash(PASSWORD)
    database = running.gateway.database
    row = await database.read(lambda conn: users.find(conn, "bob"))
    await database.transact(lambda conn: users.change(conn, row, password=old))
    await running.logged_in(BOB)
    row = await database.read(lambda conn: users.find(conn, "bob"))
    assert argon2.extract_parameters(row.password) == CHEAPEST
    assert (await login(running.anonymous, BOB)).token


@pytest.mark.parametrize("change", ["password", "disabled", "deleted", "codes"])
async def test_a_login_loses_against_a_change_of_its_user_that_is_made_while_its_password_is_hashed(running, change):
    """No session comes to be that nobody would end."""
    database, passwords = running.gateway.database, running.gateway.password_login.passwords
    matches = passwords.matches

    async def slow(kept, password):
        found = await matches(kept, password)
        await database.transact(changed)
        return found

    def changed(conn):
        row = users.find(conn, "bob")
        if change == "password":
            users.change(conn, row, password="$argon2id$other")
        elif change == "codes":
            users.change(conn, row, codes_secret=b"sealed")
        elif change == "disabled":
            row.message.disabled = True
            users.change(conn, row, message=row.message)
        else:
            users.remove(conn, "bob")

    passwords.matches = slow
    assert reason(await refused(login(running.anonymous, BOB))) == "LOGIN_FAILED"


async def test_a_code_sent_to_two_gateways_at_once_works_at_one(tmp_path):
    """They share a database, and the row decides."""
    key = tmp_path / "operations.key"
    key.write_text("A" * 43 + "=\n")
    shared = {"database": postgres_server.needed().new_database(), "operations_key": key}
    async with peopled(**shared) as one, installation(one.clock, **shared) as other:
        authenticator, _ = await one.with_codes(await one.logged_in())
        code = one.code(authenticator)
        both = (login(gateway.anonymous, code=code) for gateway in (one, other))
        results = await asyncio.gather(*(_outcome(call) for call in both))
        assert sorted(results) == ["LOGIN_FAILED", "token"]
        failing = [refused(login(Caller(g.channel), CAROL, "wrong password")) for g in (one, other) for _ in range(5)]
        reasons = [reason(error) for error in await asyncio.gather(*failing)]
        assert reasons.count("LOGIN_FAILED") == 5


async def _outcome(call):
    try:
        return "token" if (await call).token else "nothing"
    except grpc.aio.AioRpcError as error:
        return reason(error)


def _delays(error):
    for detail in status_of(error).details:
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(retry):
            yield retry.retry_delay.ToNanoseconds() / 1e9
