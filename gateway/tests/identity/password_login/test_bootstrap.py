"""The first administrator: one token, printed once, that works once and only while there is no user."""

from __future__ import annotations

import asyncio
import re

import grpc
import pytest
from gateway.tests import postgres_server
from gateway.tests.callers import refused
from gateway.tests.password_login import ALICE, PASSWORD, Caller, installation

from cloudspan.v1 import policy_pb2, tenant_pb2
from cloudspan_common.errors import from_status, status_of
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.storage.tables import audit_events, bindings, policy_revision, tenants, used_tokens

CODE = grpc.StatusCode
DAY_S = 86_400.0


def printed(capsys):
    """The tokens on the standard error so far."""
    return re.findall(r"csb_[\w-]{43}", capsys.readouterr().err)


def bootstrap(running, token, user="alice"):
    return running.anonymous.call("BootstrapAdministrator", token=token, user_id=user, password=PASSWORD)


def reason(error):
    return from_status(status_of(error)).reason


async def test_the_token_makes_an_administrator_of_the_installation_and_its_tenant(capsys):
    """Who then logs in; the policy has grown by one revision and says so to all gateways."""
    async with installation() as running:
        (token,) = printed(capsys)
        announced = []
        running.gateway.database.subscribe(announced.append)
        user = await bootstrap(running, token)
        assert (user.name, user.tenant) == (ALICE, "tenants/default")
        assert announced == ["policy||"]

        def rows(conn):
            return (
                [tenant_pb2.Tenant.FromString(row.row).name for row in conn.execute(tenants.select())],
                [policy_pb2.Binding.FromString(row.row) for row in conn.execute(bindings.select())],
                conn.execute(policy_revision.select()).all(),
            )

        made, (binding,), revision = await running.gateway.database.read(rows)
        assert made == ["tenants/default"]
        assert (binding.member, binding.role, binding.pool) == (ALICE, "roles/admin", "")
        assert binding.name == "tenants/-/bindings/first-administrator"
        assert revision == [(1, 1)]
        session = await running.anonymous.call("CreateSession", user="alice", password=PASSWORD)
        assert list(session.tenants) == ["tenants/-"]


async def test_the_first_administrator_may_do_everything_and_the_next_user_nothing(capsys):
    """By the policy of the database, from the first login on; what was done is recorded, and the token is not."""
    async with installation(roles=False) as running:
        (token,) = printed(capsys)
        await bootstrap(running, token)
        session = await running.anonymous.call("CreateSession", user="alice", password=PASSWORD)
        assert (list(session.tenants), list(session.roles)) == (["tenants/-"], ["roles/admin"])
        alice = Caller(running.channel, session.token)
        await alice.call("CreateUser", user_id="bob", password=PASSWORD)
        assert [user.name for user in (await alice.call("ListUsers")).users] == [ALICE, "users/bob"]
        session = await running.anonymous.call("CreateSession", user="bob", password=PASSWORD)
        assert (session.tenant, list(session.tenants), list(session.roles)) == ("tenants/default", [], [])
        bob = Caller(running.channel, session.token)
        assert (await bob.call("GetUser", name="users/bob")).name == "users/bob"
        assert (await refused(bob.call("ListUsers"))).code() == CODE.PERMISSION_DENIED
        assert reason(await refused(alice.call("DeleteUser", name=ALICE))) == "LAST_ADMINISTRATOR"
        records = await running.gateway.database.read(lambda conn: conn.execute(audit_events.select()).all())
        kinds = [(row.method.rpartition("/")[2], row.subject, row.outcome) for row in records]
        assert kinds == [
            ("BootstrapAdministrator", "", "OK"),
            ("CreateSession", ALICE, "OK"),
            ("CreateUser", ALICE, "OK"),
            ("CreateSession", "users/bob", "OK"),
            ("ListUsers", "users/bob", "PERMISSION_DENIED"),
            ("DeleteUser", ALICE, "FAILED_PRECONDITION"),
        ]
        said = "".join(row.record for row in records)
        assert not any(secret in said for secret in (token, session.token, alice.token, PASSWORD))


async def test_the_token_works_once_and_no_other_one_does(capsys):
    """The same words for a wrong one, a used one and one where there is a user already."""
    async with installation() as running:
        (token,) = printed(capsys)
        heard = [await refused(bootstrap(running, wrong)) for wrong in ("x", f"{token}=", token[:-1], token.lower())]
        await bootstrap(running, token)
        heard += [await refused(bootstrap(running, token)), await refused(bootstrap(running, token, "mallory"))]
        assert {reason(error) for error in heard} == {"BOOTSTRAP_CLOSED"}
        assert len({error.details() for error in heard}) == 1
        assert token not in heard[0].details()
        assert (await refused(Caller(running.channel, token).call("GetSession"))).code() == CODE.UNAUTHENTICATED


async def test_a_wrong_token_costs_no_hash(capsys):
    """Anybody can send one."""
    async with installation() as running:
        await refused(bootstrap(running, "x"))
        assert running.hashes == 0


@pytest.mark.parametrize(("user", "wanted"), [("Alice", "MALFORMED_NAME"), ("-", "MALFORMED_NAME"), ("alice", "")])
async def test_a_request_that_is_refused_leaves_the_token_good(capsys, user, wanted):
    """A typing error must not lock the first administrator out."""
    async with installation() as running:
        (token,) = printed(capsys)
        weak = running.anonymous.call("BootstrapAdministrator", token=token, user_id="alice", password="short")
        assert reason(await refused(weak)) == "WEAK_PASSWORD"
        if wanted:
            assert reason(await refused(bootstrap(running, token, user))) == wanted
        assert (await bootstrap(running, token)).name == ALICE


async def test_nothing_is_printed_once_there_is_a_user(capsys, tmp_path):
    """At any later start; while there is none, each start of a single gateway prints a new one."""
    database = f"sqlite:{tmp_path / 'gateway.db'}"
    async with installation(database=database) as running:
        (first,) = printed(capsys)
    async with installation(database=database) as running:
        (second,) = printed(capsys)
        assert reason(await refused(bootstrap(running, first))) == "BOOTSTRAP_CLOSED"
        await bootstrap(running, second)
    async with installation(database=database):
        assert printed(capsys) == []


async def test_the_token_expires_after_a_day(capsys):
    """Somebody finds it in an old terminal."""
    async with installation() as running:
        (token,) = printed(capsys)
        await running.clock.advance(DAY_S)
        assert reason(await refused(bootstrap(running, token))) == "BOOTSTRAP_CLOSED"


async def test_several_gateways_on_one_database_agree_on_one_token(capsys, tmp_path):
    """The first prints it, any takes it, and of two at once one does."""
    key = tmp_path / "operations.key"
    key.write_text("A" * 43 + "=\n")
    shared = {"database": postgres_server.needed().new_database(), "operations_key": key}
    clock = FakeClock()
    async with installation(clock, **shared) as one, installation(clock, **shared) as other:
        (token,) = printed(capsys)
        calls = (bootstrap(one, token, "alice"), bootstrap(other, token, "bob"))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        (lost,) = (outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError))
        assert reason(lost) == "BOOTSTRAP_CLOSED"


async def test_gateways_that_start_at_once_print_one_token(capsys, tmp_path):
    """The row that says so is written once."""
    key = tmp_path / "operations.key"
    key.write_text("A" * 43 + "=\n")
    shared = {"database": postgres_server.needed().new_database(), "operations_key": key}
    async with installation(**shared) as one, installation(**shared) as other:
        (_,) = printed(capsys)
        await one.gateway.database.transact(lambda conn: conn.execute(used_tokens.delete()))
        await asyncio.gather(*(running.gateway.password_login.offer_administrator() for running in (one, other)))
        assert len(printed(capsys)) == 1


async def test_only_a_digest_is_kept(capsys):
    """Who reads the database can't become the administrator."""
    async with installation() as running:
        (token,) = printed(capsys)
        rows = await running.gateway.database.read(lambda conn: conn.execute(used_tokens.select()).all())
        assert len(rows) == 2
        assert not any(token[4:] in row.digest for row in rows)


async def test_a_gateway_without_sessions_offers_nothing(capsys, deployment):
    """Nobody could use it there."""
    async with deployment.opened():
        assert printed(capsys) == []
