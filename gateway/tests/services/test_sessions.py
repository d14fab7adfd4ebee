"""SessionService over a real gateway: who is told what about which session, and what never leaves it."""

from __future__ import annotations

import io
import logging
import sqlite3

import grpc
import pytest
import structlog
from gateway.tests.callers import refused
from gateway.tests.calls import call
from gateway.tests.password_login import ALICE, BOB, CAROL, OTHER_PASSWORD, PASSWORD, Caller, peopled

from cloudspan.v1 import session_pb2
from cloudspan_common import logs
from cloudspan_common.errors import from_status, status_of
from cloudspan_gateway.access.principal import Method
from cloudspan_gateway.identity import session_rows

CODE = grpc.StatusCode


@pytest.fixture
async def running():
    async with peopled() as opened:
        yield opened


def heard(error):
    """What a caller hears of an error, without its names."""
    found = from_status(status_of(error))
    return found.code, found.reason, found.message


async def test_a_login_tells_once_the_token_and_who_it_is(running):
    """Afterwards the token is nowhere to be read."""
    session = await running.anonymous.call("CreateSession", user="bob", password=PASSWORD)
    assert (session.subject, session.tenant, list(session.roles)) == (BOB, "tenants/acme", ["roles/admin"])
    assert (session.method, session.peer) == (Method.METHOD_PASSWORD, "127.0.0.1")
    assert session.expire_time.seconds - session.create_time.seconds == 7 * 86_400
    assert session.idle_expire_time.seconds - session.create_time.seconds == 12 * 3600
    bob = Caller(running.channel, session.token)
    shown = await bob.call("GetSession")
    session.token = ""
    assert shown == session
    listed = await bob.call("ListSessions")
    assert [each.token for each in listed.sessions] == [""]


async def test_from_a_login_on_it_is_known_who_calls(running):
    """For what is recorded of the call: the user and its session, never its token."""
    request = session_pb2.CreateSessionRequest(user="bob", password=PASSWORD)
    asking = call("/cloudspan.v1.SessionService/CreateSession", request.SerializeToString())
    session = session_pb2.Session.FromString(await running.gateway.pipeline.answer(asking))
    assert asking.principal.subject == BOB
    assert asking.principal.credential == session.name.replace("sessions/", "session/")
    assert session.token not in repr(asking.principal)


async def test_a_backend_asks_whose_session_it_was_handed(running):
    """With the token in the request and a credential of its own; asking keeps no session alive."""
    carol, bob = await running.logged_in(CAROL), await running.logged_in(BOB)
    found = await bob.call("GetSession", token=carol.token)
    assert (found.subject, found.tenant, list(found.roles), found.token) == (CAROL, "tenants/acme", [], "")
    assert (await bob.call("GetSession", token=carol.token, name=found.name)).subject == CAROL
    for _ in range(11):
        await running.clock.advance(3600)
        await bob.call("GetSession", token=carol.token)
    await running.clock.advance(3600)
    assert heard(await refused(bob.call("GetSession", token=carol.token)))[0] == CODE.NOT_FOUND


async def test_a_token_that_is_not_one_and_one_that_has_ended_are_not_found_in_the_same_words(running):
    """And so is a session that is not the one of the name."""
    carol, bob = await running.logged_in(CAROL), await running.logged_in(BOB)
    ended = await running.logged_in(CAROL)
    await ended.call("DeleteSession")
    wrong = (ended.token, "cs_" + "x" * 43, "nonsense", carol.token[:-1])
    answers = {heard(await refused(bob.call("GetSession", token=token))) for token in wrong}
    assert [answer[:2] for answer in answers] == [(CODE.NOT_FOUND, "NOT_FOUND")]
    name = (await bob.call("GetSession")).name
    for fields in ({"token": carol.token, "name": name}, {"name": "sessions/" + "0" * 32}, {"name": "x"}):
        error = await refused(bob.call("GetSession", **fields))
        assert error.code() == CODE.NOT_FOUND
        assert carol.token not in error.details()


async def test_only_who_is_logged_in_asks(running):
    """Without a credential nothing is told, whatever token is in the request."""
    carol = await running.logged_in(CAROL)
    for method, fields in (("GetSession", {"token": carol.token}), ("ListSessions", {}), ("DeleteSession", {})):
        assert (await refused(running.anonymous.call(method, **fields))).code() == CODE.UNAUTHENTICATED


async def test_administrators_list_the_sessions_of_their_tenant_the_newest_first(running):
    """In pages that nobody else can go on with, and none of another tenant."""
    bob = await running.logged_in(BOB)
    for _ in range(3):
        await running.clock.advance(1)
        await running.logged_in(CAROL)
    alice = await running.logged_in(ALICE)
    found, token = [], ""
    while True:
        page = await bob.call("ListSessions", page_size=1, page_token=token)
        found += [session.subject for session in page.sessions]
        token = page.next_page_token or token
        if not page.next_page_token:
            break
    assert found == [CAROL, CAROL, CAROL, BOB]
    assert [s.subject for s in (await bob.call("ListSessions", subject=BOB)).sessions] == [BOB]
    assert not (await bob.call("ListSessions", subject=ALICE)).sessions
    assert {s.subject for s in (await alice.anywhere().call("ListSessions")).sessions} == {ALICE, BOB, CAROL}
    stolen = await refused(alice.anywhere().call("ListSessions", page_size=1, page_token=token))
    assert heard(stolen)[1] == "PAGE_TOKEN_OTHER_QUERY"
    for forged in ("AAAA", token[:-4]):
        assert heard(await refused(bob.call("ListSessions", page_token=forged)))[1] == "PAGE_TOKEN_MALFORMED"
    carol = await running.logged_in(CAROL)
    assert (await refused(carol.call("ListSessions"))).code() == CODE.PERMISSION_DENIED


async def test_sessions_that_have_ended_are_not_listed(running):
    """Whether or not they were deleted yet."""
    await running.logged_in(CAROL)
    await running.clock.advance(13 * 3600)
    bob = await running.logged_in(BOB)
    assert [session.subject for session in (await bob.call("ListSessions")).sessions] == [BOB]


async def test_who_logs_out_ends_its_own_session_and_may_end_its_others(running):
    """By name; the one of the call when there is none."""
    first, second = await running.logged_in(CAROL), await running.logged_in(CAROL)
    await second.call("DeleteSession", name=(await first.call("GetSession")).name)
    assert (await refused(first.call("GetSession"))).code() == CODE.UNAUTHENTICATED
    await second.call("DeleteSession")
    assert (await refused(second.call("GetSession"))).code() == CODE.UNAUTHENTICATED


async def test_only_administrators_end_the_sessions_of_others_and_only_in_their_tenant(running):
    """Who is none hears the same of a session that is there and of one that is not; so does the other tenant's."""
    alice, bob, carol = [await running.logged_in(user) for user in (ALICE, BOB, CAROL)]
    names = {caller: (await caller.call("GetSession")).name for caller in (alice, bob, carol)}
    nobody = "sessions/" + "0" * 32
    denied = {heard(await refused(carol.call("DeleteSession", name=name))) for name in (names[bob], nobody)}
    assert [answer[0] for answer in denied] == [CODE.PERMISSION_DENIED]
    missing = []
    for name in (names[alice], nobody):
        error = await refused(bob.call("DeleteSession", name=name))
        missing.append((error.code(), error.details().replace(name, "NAME")))
    assert missing[0] == missing[1]
    assert missing[0][0] == CODE.NOT_FOUND
    assert await alice.call("GetSession")
    await bob.call("DeleteSession", name=names[carol])
    assert (await refused(carol.call("GetSession"))).code() == CODE.UNAUTHENTICATED
    await alice.anywhere().call("DeleteSession", name=names[bob])
    assert (await refused(bob.call("GetSession"))).code() == CODE.UNAUTHENTICATED


@pytest.mark.parametrize("name", ["sessions/", "sessions/-", "sessions/../users/alice", "x", "sessions/" + "0" * 33])
async def test_a_name_of_another_form_is_refused(running, name):
    """Wildcards end nothing."""
    bob = await running.logged_in(BOB)
    assert heard(await refused(bob.call("DeleteSession", name=name)))[1] == "MALFORMED_NAME"


async def test_sessions_of_other_services_are_made_by_the_same_means(running):
    """What the service handshake calls: subject and tenant as it says, the token once."""
    session, token = await running.sessions.create(
        "services/billing", "acme", Method.METHOD_HANDSHAKE, "ipv6:%5B2001:db8::7%5D:443", running.clock
    )
    assert (session.token, session.peer) == ("", "2001:db8::7")
    shown = await Caller(running.channel, token).call("GetSession")
    assert (shown.subject, shown.tenant, shown.method) == ("services/billing", "tenants/acme", Method.METHOD_HANDSHAKE)


async def test_a_gateway_without_sessions_says_so_and_tells_other_callers_who_they_are(deployment):
    """An open one tells that it asks nobody."""
    async with deployment.opened():
        caller = Caller(deployment.channel)
        assert await caller.call("GetSession") == session_pb2.Session()
        calls = {
            "CreateSession": {"user": "alice", "password": PASSWORD},
            "GetSession": {"token": "cs_" + "x" * 43},
            "ListSessions": {},
            "DeleteSession": {},
            "GetUser": {"name": ALICE},
            "ListUsers": {},
            "BootstrapAdministrator": {"token": "x", "user_id": "alice", "password": PASSWORD},
            "SetPassword": {"name": ALICE, "new_password": PASSWORD},
        }
        for method, fields in calls.items():
            error = from_status(status_of(await refused(caller.call(method, **fields))))
            assert (error.code, error.reason) == (CODE.FAILED_PRECONDITION, "NO_PASSWORD_LOGIN"), method


@pytest.fixture
def log():
    """All that is logged, at debug level as JSON."""
    root = logging.getLogger()
    before, stream = (root.handlers, root.level), io.StringIO()
    logs.configure("debug", "json", stream)
    yield stream
    root.handlers, level = before
    root.setLevel(level)
    structlog.reset_defaults()


async def test_no_secret_stands_in_the_log_in_an_error_or_in_the_database(tmp_path, log):
    """Passwords, codes, tokens and the secret of one-time codes: looked for in every byte."""
    file = tmp_path / "gateway.db"
    errors = []
    async with peopled(database=f"sqlite:{file}") as running:
        alice = await running.logged_in()
        authenticator, recovery = await running.with_codes(alice)
        code = running.code(authenticator)
        other = await running.logged_in(code=code)
        await alice.call("GetSession", token=other.token)
        await alice.call("SetPassword", name=ALICE, password=PASSWORD, new_password=OTHER_PASSWORD)
        wrong = {"user": ALICE, "password": "canary-password-1", "one_time_code": recovery[0]}
        errors.append(await refused(running.anonymous.call("CreateSession", **wrong)))
        errors.append(await refused(Caller(running.channel, other.token + "canary").call("GetSession")))
        errors.append(await refused(alice.call("GetSession", token="canary-token-3")))
        errors.append(
            await refused(alice.call("SetPassword", name=ALICE, password="canary-4", new_password="canary-password-5"))
        )
        secrets = [PASSWORD, OTHER_PASSWORD, alice.token, other.token, authenticator.secret, code, *recovery]
        secrets += [
            "canary-password",
            "canary-token",
            "canary-4",
            alice.token[3:],
            *(c.replace("-", "") for c in recovery),
        ]
        stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
        assert await running.gateway.database.read(lambda conn: len(conn.execute(session_rows.sessions.select()).all()))
    stored += b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file() and path.suffix != ".key")
    said = log.getvalue() + "".join(f"{error.details()}{status_of(error)}" for error in errors)
    assert '"method":"cloudspan.v1.SessionService/CreateSession"' in said.replace(": ", ":")
    assert [secret for secret in secrets if secret in said] == []
    assert [secret for secret in secrets if len(secret) > 6 and secret.encode() in stored] == []
    assert sqlite3.connect(file).execute("SELECT count(*) FROM users").fetchone() == (3,)
