"""What users need of the policy's rows: who is an administrator, and that there is always one."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from gateway.tests import postgres_server
from gateway.tests.password_login import ALICE, BOB, Caller, installation, peopled

from cloudspan.v1 import policy_pb2
from cloudspan_common.errors import PreconditionFailed, from_status, status_of
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.identity.password_login.grants import Grants
from cloudspan_gateway.storage.engine import open_database
from cloudspan_gateway.storage.tables import bindings, roles

CI = "certificates/ci.example"


@pytest.fixture
async def database():
    opened = await open_database("memory:", FakeClock())
    yield opened
    await opened.close()


def bind(conn, member, role="roles/admin", tenant="-", pool=""):
    count = len(conn.execute(bindings.select()).all())
    name = f"tenants/{tenant}/bindings/b{count}"
    row = policy_pb2.Binding(name=name, member=member, role=role, pool=pool).SerializeToString()
    conn.execute(bindings.insert().values(tenant=tenant, binding=f"b{count}", member=member, row=row))


def own_role(conn, role, *permissions):
    row = policy_pb2.Role(name=f"roles/{role}", permissions=permissions).SerializeToString()
    conn.execute(roles.insert().values(role=role, row=row))


async def test_the_tenants_of_a_caller_are_those_of_all_its_names(database):
    """A JWT's groups count; `-` stands for every tenant."""
    grants = Grants(database, FakeClock())

    def write(conn):
        bind(conn, "subjects/ann", tenant="acme")
        bind(conn, "groups/ops", tenant="-")
        bind(conn, "groups/other", tenant="beta")

    await database.transact(write)
    found = await database.read(lambda conn: grants.tenants_of(conn, ("subjects/ann", "groups/ops")))
    assert found == {"acme", "-"}
    assert await database.read(lambda conn: grants.tenants_of(conn, ())) == set()


@pytest.mark.parametrize(
    ("others", "stays"),
    [
        ([], False),
        ([(CI, "roles/admin", "")], True),
        ([(CI, "roles/admin", "-")], True),
        ([(CI, "roles/keeper", "")], True),
        ([(CI, "roles/admin", "prod")], False),
        ([(CI, "roles/operator", "")], False),
        ([(CI, "roles/gone", "")], False),
        ([("users/gone", "roles/admin", "")], False),
    ],
)
async def test_somebody_else_has_to_be_able_to_administer_the_installation(database, others, stays):
    """By a role that has `administer`, on all pools, and who can log in as far as is known here."""
    grants = Grants(database, FakeClock())

    def write(conn):
        own_role(conn, "keeper", "read", "administer")
        bind(conn, ALICE)
        bind(conn, CI, tenant="acme")
        for member, role, pool in others:
            bind(conn, member, role, pool=pool)

    await database.transact(write)
    if stays:
        await database.read(lambda conn: grants.check_not_last(conn, ALICE))
    else:
        with pytest.raises(PreconditionFailed) as refused:
            await database.read(lambda conn: grants.check_not_last(conn, ALICE))
        assert refused.value.reason == "LAST_ADMINISTRATOR"
    await database.read(lambda conn: grants.check_not_last(conn, BOB))


async def test_two_administrators_who_delete_each_other_at_two_gateways_leave_one(tmp_path):
    """Whichever is first."""
    key = tmp_path / "operations.key"
    key.write_text("A" * 43 + "=\n")
    shared = {"database": postgres_server.needed().new_database(), "operations_key": key}
    async with peopled(**shared) as one, installation(one.clock, **shared) as other:
        for running in (one, other):
            running.gateway._access_of.administrators |= {(BOB, "-")}

        def write(conn):
            bind(conn, ALICE)
            bind(conn, BOB)

        await one.gateway.database.transact(write)
        alice, bob = await one.logged_in(ALICE), await one.logged_in(BOB)
        calls = (
            alice.anywhere().call("DeleteUser", name=BOB),
            Caller(other.channel, bob.token).anywhere().call("DeleteUser", name=ALICE),
        )
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        failed = [outcome for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
        left = await one.gateway.database.read(lambda conn: [row.member for row in conn.execute(bindings.select())])
        assert len(left) == 1
        reasons = {from_status(status_of(error)).reason for error in failed}
        assert reasons <= {"LAST_ADMINISTRATOR", "UNAUTHENTICATED", "NOT_FOUND"}
        assert len(failed) == 1
