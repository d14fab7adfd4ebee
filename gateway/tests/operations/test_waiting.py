"""Waiting within a caller's time."""

from __future__ import annotations

import dataclasses

import pytest
from gateway.tests.access_by_header import TenantAccess
from gateway.tests.calls import call
from gateway.tests.operation_store_suite import intent
from gateway.tests.operations_for_stores import DONE, PROGRESS, claimed
from google.protobuf import any_pb2

from cloudspan.v1 import server_pb2
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.access.access import OPEN
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.operations.stores.memory import MemoryStore
from cloudspan_gateway.operations.waiting import before_deadline, shown_to_caller, until_ended, without_others


@pytest.mark.parametrize(("deadline_s", "budget_s"), [(100.0, 99.5), (1.0, 0.9)])
def test_a_wait_ends_before_the_callers_deadline(deadline_s: float, budget_s: float) -> None:
    """A tenth of it, half a second at most, is kept for the way back."""
    assert before_deadline(call("/a.B/C", deadline_s=deadline_s)) == pytest.approx(budget_s, abs=0.05)


async def test_an_operation_comes_back_ended_or_as_it_is_when_time_is_up() -> None:
    """Never an error: the caller can go on waiting."""
    store = MemoryStore(FakeClock())
    row = await store.accept(intent())
    assert not (await until_ended(store, row, 0.01)).done
    await store.finish(await claimed(store, row.intent.id), PROGRESS, DONE)
    assert (await until_ended(store, row, 5.0)).done


async def test_the_secrets_of_a_result_are_for_who_asked_for_it() -> None:
    """Not for a colleague who may read the operation, who also takes them from nobody; then once."""
    store = MemoryStore(FakeClock())
    row = await store.accept(intent(caller="users/alice", tenant="acme"))
    outcome = any_pb2.Any()
    outcome.Pack(server_pb2.Server(generated_password="c4n4ry"))
    row = await store.finish(await claimed(store, row.intent.id), PROGRESS, outcome)
    shown = []
    for subject in ("users/bob", "users/alice", "users/alice"):
        asked = call("/a.B/C")
        asked.principal, asked.access = Principal(subject), TenantAccess("acme")
        operation = await shown_to_caller(store, await store.get(row.intent.id), asked)
        shown.append(b"c4n4ry" in operation.SerializeToString())
    assert shown == [False, True, False]


async def test_operations_that_a_caller_can_not_see_are_not_named_by_those_it_can() -> None:
    """Neither what one waits for, nor what ended it; whoever sees all tenants sees both."""
    store = MemoryStore(FakeClock())
    theirs = await store.accept(intent(caller="users/eve", tenant="umbrella"))
    mine = await store.accept(intent(caller="users/alice", tenant="acme"))
    row = dataclasses.replace(mine, waits_for=theirs.intent.id, preempted_by=mine.intent.id)
    (seen,) = await without_others(store, [row], TenantAccess("acme"))
    assert (seen.waits_for, seen.preempted_by) == ("", mine.intent.id)
    for access in (TenantAccess("-"), OPEN):
        assert await without_others(store, [row], access) == [row]
