"""What the audit keeps of operations, whatever store keeps them; and that tenants learn nothing of each other there."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest
from gateway.tests import postgres_server
from gateway.tests.audit_chains import broken_at, event, rows
from gateway.tests.operations_for_stores import CANCELLED, DONE, PROGRESS, SERVER, claimed, intent, on_server, twin
from sqlalchemy import text

from cloudspan_common.errors import AlreadyExists, Busy, NotFound, PreconditionFailed
from cloudspan_gateway.audit.store import AuditStore
from cloudspan_gateway.operations.stores.base import OperationStore, Wanted
from cloudspan_gateway.operations.stores.sql import open_store
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.engine import open_database


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def audit(request: pytest.FixtureRequest, tmp_path):
    url = {"memory": "memory:", "sqlite": f"sqlite:{tmp_path}/gateway.db"}.get(request.param)
    url = url or postgres_server.needed().new_database()
    database = await open_database(url)
    opened = AuditStore(database)
    opened.url = url
    yield opened
    await opened.close()
    await database.close()


@pytest.fixture
async def store(audit: AuditStore):
    opened = await open_store(audit.url, Cipher.new(), audit=audit)
    yield opened
    await opened.close()


async def kept(audit: AuditStore, *columns: str) -> list[tuple[Any, ...]]:
    found = await rows(audit.chain.database)
    assert broken_at(found) is None
    return [tuple(row[column] for column in columns) for row in found]


async def test_an_operation_is_recorded_when_it_is_accepted_and_when_it_ends(
    store: OperationStore, audit: AuditStore
) -> None:
    """The end is its caller's and its tenant's, with the resource that was made."""
    row = await store.accept(intent(caller="users/alice"), event())
    await store.finish(await claimed(store, row.intent.id), PROGRESS, DONE)
    assert await kept(audit, "type", "subject", "tenant", "operation", "resource", "outcome") == [
        ("TYPE_MUTATION", "users/alice", "", row.name, "", "OK"),
        ("TYPE_OPERATION_ENDED", "users/alice", "t", row.name, SERVER, "OK"),
    ]


async def test_however_an_operation_ends_it_is_recorded_once(store: OperationStore, audit: AuditStore) -> None:
    """By its runner, by hand, or a second time, which changes nothing."""
    first, second = await store.accept(intent()), await store.accept(intent())
    await store.request_cancel(first.intent.id, event(method="cancel"))
    claims = {claim.id: claim for claim, _ in await store.claim(10)}
    await store.finish(claims[first.intent.id], PROGRESS, CANCELLED)
    for _ in range(2):
        await store.end(second.intent.id, PROGRESS, CANCELLED, event(method="abandon"))
    await store.delete(first.intent.id, event(method="delete"))
    ends = [found for found in await kept(audit, "type", "operation", "outcome") if found[0] == "TYPE_OPERATION_ENDED"]
    assert ends == [("TYPE_OPERATION_ENDED", row.name, "CANCELLED") for row in (first, second)]
    methods = [method for (method,) in await kept(audit, "method") if "/" not in method]
    assert methods == ["cancel", "abandon", "abandon", "delete"]


async def test_what_is_refused_is_not_recorded_by_the_store(store: OperationStore, audit: AuditStore) -> None:
    """Its call is: the store has kept nothing."""
    await store.accept(on_server("UpdateServer"))
    with pytest.raises(Busy):
        await store.accept(on_server("UpdateServer"), event())
    with pytest.raises(NotFound):
        await store.request_cancel(str(uuid.uuid4()), event())
    with pytest.raises(PreconditionFailed):
        await store.delete((await store.page(1))[0].intent.id, event())
    assert await kept(audit, "type") == []


async def test_the_same_request_again_is_an_event_without_a_new_operation(
    store: OperationStore, audit: AuditStore
) -> None:
    """Both name the one operation."""
    first = intent()
    rows_ = await asyncio.gather(store.accept(first, event()), store.accept(twin(first), event()))
    assert {row.intent.id for row in rows_} == {rows_[0].intent.id}
    assert await kept(audit, "operation") == [(rows_[0].name,)] * 2


async def test_two_tenants_may_use_the_same_request_id(store: OperationStore) -> None:
    """Neither finds the other's operation, nor is refused because of it."""
    first = intent(tenant="acme", caller="users/a")
    other = twin(first, tenant="umbrella", caller="users/b", digest=b"other")
    mine, theirs = await store.accept(first), await store.accept(other)
    assert mine.intent.id != theirs.intent.id
    assert (await store.known(first), await store.known(other)) == (mine, theirs)
    assert (mine.intent.request_id, theirs.intent.request_id) == (first.request_id,) * 2
    with pytest.raises(AlreadyExists, match=mine.name):
        await store.accept(twin(first, digest=b"x"))
    assert await store.page(9, wanted=Wanted(tenant="acme")) == [mine]
    assert await store.page(9, wanted=Wanted(caller="users/a", created_since=mine.create_time)) == [mine]
    assert not await store.page(9, wanted=Wanted(created_since=mine.create_time + 5))


async def test_operations_of_versions_before_are_found_by_their_bare_request_id(
    store: OperationStore, audit: AuditStore
) -> None:
    """Of their own tenant alone."""
    if audit.url == "memory:":
        return  # nothing of a version before is there
    first = intent(tenant="acme", caller="users/a")
    row = await store.accept(first)
    bare = text("UPDATE operations SET request_id = :bare")
    await audit.chain.database.transact(lambda conn: conn.execute(bare, {"bare": first.request_id}))
    assert (await store.known(twin(first))).intent.id == row.intent.id
    assert (await store.accept(twin(first))).intent.id == row.intent.id
    assert (await store.accept(twin(first, tenant="umbrella"))).intent.id != row.intent.id


async def test_another_tenants_operation_in_the_way_is_not_named(store: OperationStore) -> None:
    """That there is one has to be said; which one is nobody's business."""
    mine = await store.accept(on_server("UpdateServer", tenant="acme", caller="users/a"))
    with pytest.raises(Busy, match="of another tenant") as caught:
        await store.accept(on_server("UpdateServer", tenant="umbrella", caller="users/b"))
    assert mine.intent.id not in f"{caught.value.message}{caught.value.metadata}"
    with pytest.raises(Busy, match=mine.name):
        await store.accept(on_server("UpdateServer", tenant="acme", caller="users/a"))
    with pytest.raises(Busy, match=mine.name):  # where callers are not authenticated the tenant is anybody's word
        await store.accept(on_server("UpdateServer", tenant="umbrella"))
