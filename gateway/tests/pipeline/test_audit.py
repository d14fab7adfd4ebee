"""What is recorded of calls through a real gateway, and what is not."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from gateway.tests import calls
from gateway.tests.access_by_header import ByHeader, TenantAccess, authenticating
from gateway.tests.audit_chains import broken_at, rows
from google.longrunning import operations_pb2
from structlog.testing import capture_logs
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.client import errors, result_of, waiting
from cloudspan.v1 import audit_pb2, orphan_pb2, server_pb2, session_pb2, user_pb2
from cloudspan_common.contract import Permission
from cloudspan_common.errors import CloudspanError, Unauthenticated, Unreachable
from cloudspan_gateway.audit import flood
from cloudspan_gateway.audit.store import AuditStore
from cloudspan_gateway.call import Call
from cloudspan_gateway.operations import accept
from cloudspan_gateway.pipeline import audit as stage
from cloudspan_gateway.pipeline.metrics import GatewayMetrics
from cloudspan_gateway.pipeline.route import Route
from cloudspan_gateway.pipeline.stages import compose
from cloudspan_gateway.services.methods import service_methods
from cloudspan_gateway.storage.engine import open_database

SERVERS = "cloudspan.v1.ServerService"


def as_(user: str):
    return (("authorization", f"Bearer {user}"),)


@pytest.fixture
async def running() -> AsyncIterator[Deployment]:
    async with deployment(memory_cluster()) as opened:
        yield opened


async def recorded(running: Deployment, *columns: str, ends: bool = False):
    found = await rows(running.gateway.database)
    assert broken_at(found) is None
    found = [row for row in found if ends or row["type"] != "TYPE_OPERATION_ENDED"]
    return [tuple(row[column] for column in columns) for row in found]


async def events(running: Deployment, **request):
    asked = audit_pb2.ListAuditEventsRequest(**request)
    return (await running.client.audits.ListAuditEvents(asked)).events


async def test_who_deleted_a_server_is_one_question(running: Deployment) -> None:
    """The request, with who, from where and by what; and its end."""
    authenticating(running.gateway, ByHeader())
    created = await running.client.servers.CreateServer(
        create_request(), metadata=(*as_("alice@acme"), *waiting(5), ("x-request-id", "mine"))
    )
    name = result_of(created).name
    deleted = await running.client.servers.DeleteServer(
        server_pb2.DeleteServerRequest(name=name), metadata=(*as_("bob@acme"), *waiting(5))
    )
    asked = audit_pb2.ListAuditEventsRequest(filter=f'resource = "{name}" AND method:DeleteServer')
    end, asked_for = (await running.client.audits.ListAuditEvents(asked, metadata=as_("root@acme"))).events
    assert (asked_for.type, asked_for.subject, asked_for.credential, asked_for.peer, asked_for.tenant) == (
        audit_pb2.AuditEvent.TYPE_MUTATION, "users/bob", "session/bob", "127.0.0.1", "acme",
    )  # fmt: skip
    assert (asked_for.operation, asked_for.cluster, asked_for.outcome) == (deleted.name, MAIN, "OK")
    assert (end.type, end.subject, end.outcome) == (audit_pb2.AuditEvent.TYPE_OPERATION_ENDED, "users/bob", "OK")
    mine = (await running.client.audits.ListAuditEvents(
        audit_pb2.ListAuditEventsRequest(filter="request_id = mine"), metadata=as_("root@acme")
    )).events  # fmt: skip
    assert [event.resource for event in mine] == [""]


async def test_reads_are_not_recorded_and_refused_ones_are(running: Deployment) -> None:
    """Without a credential, with a bad one, without the permission; never what is merely not there."""
    lacking = TenantAccess("acme", lacks=frozenset({Permission.PERMISSION_READ}))
    authenticating(running.gateway, ByHeader({"users/eve": lacking}))
    listing = server_pb2.ListServersRequest(parent=MAIN)
    await running.client.servers.ListServers(listing, metadata=as_("alice@acme"))
    missing = server_pb2.GetServerRequest(name=f"{MAIN}/servers/none")
    with pytest.raises(errors.NotFound):
        await running.client.servers.GetServer(missing, metadata=as_("alice@acme"))
    for metadata in ((), as_("bad"), as_("eve@acme")):
        with pytest.raises(errors.CloudspanError):
            await running.client.servers.ListServers(listing, metadata=metadata)
    assert await recorded(running, "type", "subject", "method", "cluster", "outcome") == [
        ("TYPE_REFUSAL", "", f"{SERVERS}/ListServers", "", "UNAUTHENTICATED"),
        ("TYPE_REFUSAL", "", f"{SERVERS}/ListServers", "", "UNAUTHENTICATED"),
        ("TYPE_REFUSAL", "users/eve", f"{SERVERS}/ListServers", MAIN, "PERMISSION_DENIED"),
    ]


async def test_a_mutation_is_recorded_also_when_it_is_not_accepted(
    running: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With why; validate_only changes nothing and is not recorded."""
    monkeypatch.setattr(accept, "AT_ONCE_S", 20.0)  # on a busy machine the adapter takes more than a second
    await running.client.servers.CreateServer(create_request(validate_only=True))
    wrong = create_request()
    wrong.server.flavor = f"{MAIN}/flavors/none"
    with pytest.raises(errors.CloudspanError) as refused:
        await running.client.servers.CreateServer(wrong)
    (event,) = await events(running)
    assert (event.type, event.outcome, event.reason) == (
        audit_pb2.AuditEvent.TYPE_MUTATION, refused.value.code.name, refused.value.reason,
    )  # fmt: skip
    assert event.message == refused.value.message
    assert not event.operation


async def test_an_open_gateway_records_too(running: Deployment) -> None:
    """Nobody's name, but from where; a repeated request is an event of the same operation."""
    request = create_request(request_id=str(uuid.uuid4()))
    first, again = [await running.client.servers.CreateServer(request) for _ in range(2)]
    assert first.name == again.name
    found = await recorded(running, "type", "subject", "operation")
    assert found == [("TYPE_MUTATION", "", first.name)] * 2
    second, *_ = [event for event in await events(running) if event.type == audit_pb2.AuditEvent.TYPE_MUTATION]
    assert (second.peer, second.message) == ("127.0.0.1", "the same request_id as before: no new operation")


async def test_changes_of_operations_and_orphans_are_recorded(running: Deployment) -> None:
    """Cancel, Delete, Abandon with the resource that the operation is about; a failed DeleteOrphan with its reason."""
    created = await running.client.servers.CreateServer(create_request(), metadata=waiting(5))
    name = result_of(created).name
    await running.client.operations.CancelOperation(operations_pb2.CancelOperationRequest(name=created.name))
    await running.client.operations.DeleteOperation(operations_pb2.DeleteOperationRequest(name=created.name))
    orphan = orphan_pb2.DeleteOrphanRequest(name=name, operation=created.name)
    with pytest.raises(errors.CloudspanError):
        await running.client.orphans.DeleteOrphan(orphan)
    found = await recorded(running, "method", "operation", "resource", "cluster", "outcome")
    longrunning = "google.longrunning.Operations"
    assert found[1:3] == [
        (f"{longrunning}/CancelOperation", created.name, name, MAIN, "OK"),
        (f"{longrunning}/DeleteOperation", created.name, name, MAIN, "OK"),
    ]
    assert found[3][::3] == ("cloudspan.v1.OrphanService/DeleteOrphan", MAIN)
    assert found[3][4] != "OK"


async def test_a_change_that_can_not_be_recorded_is_not_made(
    running: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call fails as it does when the operation can't be kept; a refusal is a refusal all the same."""
    gateway = running.gateway
    created = await running.client.servers.CreateServer(create_request(), metadata=waiting(5))

    async def away(_batch):
        raise Unreachable("the store does not answer", reason="STORE_UNAVAILABLE")

    monkeypatch.setattr(gateway.database, "transact", away)
    delete = server_pb2.DeleteServerRequest(name=result_of(created).name)
    with pytest.raises(errors.CloudspanError) as failed, capture_logs() as logged:
        await running.client.servers.DeleteServer(delete)
    assert failed.value.reason == "STORE_UNAVAILABLE"
    assert "audit event can't be written" in [event["event"] for event in logged]
    assert (
        gateway.metrics.registry.get_sample_value("cloudspan_gateway_audit_failures_total", {"where": "database"}) >= 1
    )
    authenticating(gateway, ByHeader())
    with pytest.raises(errors.CloudspanError) as refused:
        await running.client.servers.ListServers(server_pb2.ListServersRequest(parent=MAIN))
    assert refused.value.reason == "UNAUTHENTICATED"


async def test_a_flood_of_refusals_is_counted_and_not_kept(
    running: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of one source; the next that is kept says how many were left out."""
    authenticating(running.gateway, ByHeader())
    auditing = running.gateway._auditing
    now = 1000.0
    monkeypatch.setattr(auditing._clock, "monotonic", lambda: now)
    asked = [running.client.servers.ListServers(server_pb2.ListServersRequest(parent=MAIN)) for _ in range(40)]
    assert {error.reason for error in await asyncio.gather(*asked, return_exceptions=True)} == {"UNAUTHENTICATED"}
    assert len(await recorded(running, "type")) == flood.AT_ONCE
    now = 1005.0
    with pytest.raises(errors.CloudspanError):
        await running.client.servers.ListServers(server_pb2.ListServersRequest(parent=MAIN))
    ((record,),) = (await recorded(running, "record"))[-1:]
    assert "30 failures before it were not recorded" in record
    value = running.gateway.metrics.registry.get_sample_value
    assert value("cloudspan_gateway_audit_left_out_total") == 30
    assert value("cloudspan_gateway_audit_length") == flood.AT_ONCE + 1


@pytest.mark.parametrize("after_s", [0.0, 0.002, 0.004, 0.008])
async def test_a_caller_that_leaves_is_recorded_once(running: Deployment, after_s: float) -> None:
    """Whether its mutation was accepted or not: an operation and its event are there, or neither."""
    call = running.client.servers.CreateServer(create_request())
    task = asyncio.ensure_future(call)
    await asyncio.sleep(after_s)
    task.cancel()
    await asyncio.wait([task])
    async with asyncio.timeout(5):
        while running.gateway.metrics.in_flight:  # noqa: ASYNC110 - a counter tells nobody
            await asyncio.sleep(0.01)
    await running.gateway._auditing.close()
    listed = await running.client.operations.ListOperations(operations_pb2.ListOperationsRequest())
    accepted = {operation.name for operation in listed.operations}
    found = await recorded(running, "operation", "outcome")
    assert {operation for operation, _ in found if operation} == accepted


async def test_a_database_that_hangs_does_not_hold_up_those_who_are_refused(
    running: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their events are written when it answers again."""
    monkeypatch.setattr(stage, "_FAILURES_WAIT_S", 0.01)
    authenticating(running.gateway, ByHeader())
    answers, transact = asyncio.Event(), running.gateway.database.transact

    async def hanging(batch):
        await answers.wait()
        return await transact(batch)

    monkeypatch.setattr(running.gateway.database, "transact", hanging)
    with pytest.raises(errors.CloudspanError) as refused:
        await running.client.servers.ListServers(server_pb2.ListServersRequest(parent=MAIN), timeout=5)
    assert refused.value.reason == "UNAUTHENTICATED"
    assert await recorded(running, "type") == []
    answers.set()
    await running.gateway._auditing.close()
    assert await recorded(running, "type") == [("TYPE_REFUSAL",)]


class _Login:
    """A SessionService that knows one password."""

    async def create_session(self, request: session_pb2.CreateSessionRequest, _call: Call) -> session_pb2.Session:
        if request.password != "right":
            raise LoginFailed("no such user, or another password")
        return session_pb2.Session(name="sessions/1", token="c4n4ry")


class LoginFailed(Unauthenticated):
    default_reason = "LOGIN_FAILED"


async def recorded_of(method: str, request: object, servicer: object) -> dict[str, object]:
    """Return what is recorded of one call of a service, through all stages."""
    database = await open_database("memory:")
    store = AuditStore(database)
    auditing = stage.Audit(store, GatewayMetrics().audit)
    service, _, name = method.partition("/")
    own = {one.path: one for one in service_methods(f"cloudspan.v1.{service}", servicer)}
    answer = compose([auditing, Route(None, own), auditing.describe], lambda asked: own[asked.path].answer(asked))
    asked = calls.call(f"/cloudspan.v1.{service}/{name}", request.SerializeToString())
    with suppress(CloudspanError):
        await answer(asked)
    (row,) = await rows(database)
    await store.close()
    await database.close()
    return row


@pytest.mark.parametrize(("password", "outcome"), [("right", "OK"), ("wrong-c4n4ry", "UNAUTHENTICATED")])
async def test_a_login_is_recorded_with_whom_it_was_for(password: str, outcome: str) -> None:
    """Whether or not it succeeded; neither the password nor the token is in it."""
    request = session_pb2.CreateSessionRequest(user="alice", password=password)
    row = await recorded_of("SessionService/CreateSession", request, _Login())
    assert (row["type"], row["resource"], row["outcome"]) == ("TYPE_LOGIN", "users/alice", outcome)
    assert ("LOGIN_FAILED" in row["record"]) == (outcome != "OK")
    assert "c4n4ry" not in row["record"]


class _Users:
    async def create_user(self, request: user_pb2.CreateUserRequest, _call: Call) -> user_pb2.User:
        return request.user

    async def update_user(self, request: user_pb2.UpdateUserRequest, _call: Call) -> user_pb2.User:
        return request.user


async def test_a_change_of_policy_is_recorded_with_what_it_asked_for() -> None:
    """By the name of what it makes or changes; without secrets."""
    made = user_pb2.CreateUserRequest(user_id="bob", user=user_pb2.User(display_name="Bob"), password="c4n4ry")
    row = await recorded_of("UserService/CreateUser", made, _Users())
    assert (row["type"], row["resource"]) == ("TYPE_POLICY", "users/bob")
    assert "Bob" in row["record"]
    assert "c4n4ry" not in row["record"]
    changed = user_pb2.UpdateUserRequest(user=user_pb2.User(name="users/bob", display_name="Robert"))
    row = await recorded_of("UserService/UpdateUser", changed, _Users())
    assert (row["resource"], "Robert" in row["record"]) == ("users/bob", True)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("bus/rack-4.example", "bus/rack-4.example"),
        ("", ""),
        ("bus/", ""),
        ("BUS/x", ""),
        ("bus/a b", ""),
        ("bus/" + "x" * 101, ""),
    ],
)
async def test_the_way_in_is_shown_as_its_caller_says_it(running: Deployment, said: str, shown: str) -> None:
    """A process of the message bus says it for every call; what is not of its form is left out."""
    await running.client.servers.CreateServer(create_request(), metadata=(("x-cloudspan-via", said),))
    # The operation's end is an event of its own, whenever it comes.
    (event,) = await events(running, filter="type = TYPE_MUTATION")
    assert event.via == shown
    assert event in await events(running, filter=f'via = "{shown}"')
    assert not await events(running, filter='via = "another"')
