"""Operations belong to their tenant: another one's do not exist, in any call that names or lists them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from functools import partial

import pytest
from gateway.tests.access_by_header import ByHeader, TenantAccess, authenticating
from google.longrunning import operations_pb2
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import Deployment, deployment, metadata_of

from cloudspan.client import errors, result_of, waiting
from cloudspan.v1 import operation_pb2, orphan_pb2, server_pb2
from cloudspan_common.contract import Permission


def as_(user: str):
    return (("authorization", f"Bearer {user}"),)


@pytest.fixture
async def running() -> AsyncIterator[Deployment]:
    async with deployment(memory_cluster()) as opened:
        lacking = TenantAccess("acme", lacks=frozenset({Permission.PERMISSION_OPERATE, Permission.PERMISSION_DELETE}))
        elsewhere = TenantAccess("acme", clusters=frozenset({"platforms/memory/clusters/other"}))
        other_project = TenantAccess("acme", only="other")
        accesses = {"users/viewer": lacking, "users/elsewhere": elsewhere, "users/apart": other_project}
        authenticating(opened.gateway, ByHeader(accesses))
        yield opened


async def created(running: Deployment, who: str = "alice@acme", **fields):
    """Return an operation that has ended."""
    return await running.client.servers.CreateServer(create_request(**fields), metadata=(*as_(who), *waiting(5)))


async def _watched(running: Deployment, name: str, metadata) -> None:
    request = operation_pb2.WatchOperationRequest(name=name)
    async for _ in running.client.operations.WatchOperation(request, metadata=metadata):
        pass


CALLS = {
    "Get": operations_pb2.GetOperationRequest,
    "Wait": operations_pb2.WaitOperationRequest,
    "Cancel": operations_pb2.CancelOperationRequest,
    "Delete": operations_pb2.DeleteOperationRequest,
    "Watch": operation_pb2.WatchOperationRequest,
    "Explain": operation_pb2.ExplainOperationRequest,
    "Abandon": partial(operation_pb2.AbandonOperationRequest, reason="no longer wanted"),
}
"""Every method that names an operation, and its request."""


async def ask(running: Deployment, verb: str, name: str, metadata) -> None:
    """Call one of `CALLS`."""
    if verb == "Watch":
        await _watched(running, name, metadata)
    else:
        await getattr(running.client.operations, f"{verb}Operation")(CALLS[verb](name=name), metadata=metadata)


@pytest.mark.parametrize("who", ["bob@umbrella", "elsewhere@acme", "apart@acme"])
async def test_an_operation_that_is_not_ones_own_is_not_there(running: Deployment, who: str) -> None:
    """Another tenant's, or one on a cluster or in a project that the caller does not have: as one that never was."""
    operation = await created(running)
    never = f"operations/{uuid.uuid4()}"
    for verb in CALLS:
        with pytest.raises(errors.NotFound) as hidden:
            await ask(running, verb, operation.name, as_(who))
        with pytest.raises(errors.NotFound) as missing:
            await ask(running, verb, never, as_(who))
        assert hidden.value.message.replace(operation.name, never) == missing.value.message, verb
        assert (hidden.value.reason, hidden.value.metadata.keys()) == (
            missing.value.reason, missing.value.metadata.keys(),
        )  # fmt: skip
    listed = await running.client.operations.ListOperations(operations_pb2.ListOperationsRequest(), metadata=as_(who))
    assert not listed.operations
    mine = await running.client.operations.ListOperations(
        operations_pb2.ListOperationsRequest(), metadata=as_("alice@acme")
    )
    assert [one.name for one in mine.operations] == [operation.name]


async def test_who_may_only_read_changes_nothing(running: Deployment) -> None:
    """It is there, so the refusal may say what is missing."""
    operation = await created(running)
    for verb in ("Get", "Wait", "Watch", "Explain"):
        await ask(running, verb, operation.name, as_("viewer@acme"))
    for verb in ("Cancel", "Delete", "Abandon"):
        with pytest.raises(errors.CloudspanError) as refused:
            await ask(running, verb, operation.name, as_("viewer@acme"))
        assert refused.value.reason == "PERMISSION_MISSING"


async def test_a_page_token_of_operations_is_good_in_its_tenant_alone(running: Deployment) -> None:
    """The same request from another tenant is another query."""
    for _ in range(2):
        await created(running)
    page = operations_pb2.ListOperationsRequest(page_size=1)
    answer = await running.client.operations.ListOperations(page, metadata=as_("alice@acme"))
    page.page_token = answer.next_page_token
    with pytest.raises(errors.InvalidRequest) as refused:
        await running.client.operations.ListOperations(page, metadata=as_("bob@umbrella"))
    assert refused.value.reason == "PAGE_TOKEN_OTHER_QUERY"


async def test_a_request_id_of_another_tenant_says_nothing(running: Deployment) -> None:
    """Neither that it was used, nor for what."""
    request_id = str(uuid.uuid4())
    first = await created(running, request_id=request_id)
    request = create_request(request_id=request_id)
    request.server.display_name = "other"
    other = await running.client.servers.CreateServer(request, metadata=as_("bob@umbrella"))
    assert other.name != first.name
    with pytest.raises(errors.AlreadyExists):
        await running.client.servers.CreateServer(request, metadata=as_("alice@acme"))


async def test_an_operation_of_another_tenant_in_the_way_is_not_named(running: Deployment) -> None:
    """A Delete that ends another tenant's change: neither learns the other's operation."""
    server = result_of(await created(running))
    stop = server_pb2.StopServerRequest(name=server.name)
    held = await running.client.servers.StopServer(stop, metadata=as_("alice@acme"))
    delete = server_pb2.DeleteServerRequest(name=server.name)
    deleting = await running.client.servers.DeleteServer(delete, metadata=(*as_("bob@umbrella"), *waiting(5)))
    shown = await running.client.operations.GetOperation(
        operations_pb2.GetOperationRequest(name=held.name), metadata=as_("alice@acme")
    )
    assert deleting.name not in str(shown)
    assert not metadata_of(shown).preempted_by
    row = await running.gateway.store.get(held.name.partition("/")[2])
    if row.preempted_by:  # what an administrator over all tenants sees
        seen = await running.client.operations.GetOperation(
            operations_pb2.GetOperationRequest(name=held.name), metadata=as_("root@-")
        )
        assert metadata_of(seen).preempted_by == deleting.name


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("caller = users/alice", 2),
        ("caller = users/bob", 0),
        ("tenant = umbrella", 0),
        ("outcome = OK", 1),
        ('outcome != "OK"', 1),
        ("error_summary.reason = MADE_UP", 0),
        ('create_time >= "2020-01-01T00:00:00Z"', 2),
        ('end_time >= "2120-01-01T00:00:00Z"', 0),
        ("error_summary.code = INTERNAL", 0),
    ],
)
async def test_operations_are_found_by_caller_outcome_and_time(running: Deployment, text: str, count: int) -> None:
    """What failed last night is one filter."""
    server = result_of(await created(running))
    await created(running, who="bob@umbrella")
    delete = server_pb2.DeleteServerRequest(name=server.name)
    first = await running.client.servers.DeleteServer(delete, metadata=as_("alice@acme"))
    await running.client.operations.CancelOperation(
        operations_pb2.CancelOperationRequest(name=first.name), metadata=as_("alice@acme")
    )
    wait = operations_pb2.WaitOperationRequest(name=first.name)
    ended = await running.client.operations.WaitOperation(wait, metadata=as_("alice@acme"))
    listing = operations_pb2.ListOperationsRequest(filter=text)
    found = (await running.client.operations.ListOperations(listing, metadata=as_("alice@acme"))).operations
    if text.startswith("outcome") and not ended.HasField("error"):
        count = 2 if text == "outcome = OK" else 0  # it was done before it could be cancelled
    assert len(found) == count


async def test_orphans_are_those_of_ones_own_operations(running: Deployment) -> None:
    """What an unknown operation made exists for who sees all tenants."""
    server = result_of(await created(running))
    operation = (
        await running.client.operations.ListOperations(
            operations_pb2.ListOperationsRequest(), metadata=as_("alice@acme")
        )
    ).operations[0]
    listing = orphan_pb2.ListOrphansRequest(parent=MAIN)
    counts = {
        who: (await running.client.orphans.ListOrphans(listing, metadata=as_(who))).marked
        for who in ("alice@acme", "bob@umbrella", "root@-")
    }
    assert counts == {"alice@acme": 1, "bob@umbrella": 0, "root@-": 1}
    delete = operations_pb2.DeleteOperationRequest(name=operation.name)
    await running.client.operations.DeleteOperation(delete, metadata=as_("alice@acme"))
    assert not (await running.client.orphans.ListOrphans(listing, metadata=as_("alice@acme"))).orphans
    (orphan,) = (await running.client.orphans.ListOrphans(listing, metadata=as_("root@-"))).orphans
    assert orphan.kind == orphan_pb2.Orphan.KIND_OPERATION_UNKNOWN
    remove = orphan_pb2.DeleteOrphanRequest(name=server.name, operation=operation.name, even_unknown=True)
    with pytest.raises(errors.NotFound):
        await running.client.orphans.DeleteOrphan(remove, metadata=as_("alice@acme"))
    assert metadata_of(operation).caller == "users/alice"
