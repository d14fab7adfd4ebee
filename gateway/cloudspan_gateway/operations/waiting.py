"""Waiting for an operation's end within a budget, and reporting it: shared by `x-wait`, WaitOperation and Get."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.operations.model import to_message

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from google.longrunning import operations_pb2

    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.operations.model import Row
    from cloudspan_gateway.operations.stores.base import OperationStore

# A wait ends before the caller's deadline, so that it gets the operation and not its own client's time-out.
_KEPT_SHARE, _MOST_KEPT_S = 0.1, 0.5


def before_deadline(call: Call) -> float:
    """Return how long may be waited on behalf of a call, in seconds."""
    remaining = call.deadline.remaining()
    return max(0.0, remaining - min(remaining * _KEPT_SHARE, _MOST_KEPT_S))


@contextmanager
def kept_waiting(call: Call) -> Iterator[None]:
    """Count the time inside the `with` block as what the caller asked to be kept waiting, not as the gateway's own."""
    call.patient = True
    began = time.perf_counter()
    try:
        yield
    finally:
        call.waited_s += time.perf_counter() - began


async def until_ended(store: OperationStore, row: Row, budget_s: float) -> Row:
    """Return the operation once it has ended, or as it is when the budget is used up."""
    try:
        async with asyncio.timeout(budget_s):
            while not row.done:
                row = await store.changed(row.intent.id, row.revision)
    except TimeoutError:
        row = await store.get(row.intent.id)
    return row


async def shown_to_caller(store: OperationStore, row: Row, call: Call) -> operations_pb2.Operation:
    """Return the operation as a caller gets it: the secrets of its result once, to who asked for the operation."""
    is_secret = row.secret and row.intent.caller == call.principal.subject
    if is_secret:
        row = await store.reveal(row.intent.id)
    (seen,) = await without_others(store, [row], call.access)
    return to_message(seen, reveal=is_secret)


async def without_others(store: OperationStore, rows: Sequence[Row], access: Access) -> Sequence[Row]:
    """Return rows without the names of operations that they wait for or gave way to and that the caller can't see."""
    named = {other for row in rows for other in (row.waits_for, row.preempted_by) if other}
    if not named or access.sees(EVERY_TENANT):
        return rows
    found = await store.find(sorted(named))
    known = {other.intent.id for other in found if other.intent.exists_for(access)}
    return [_only_naming(row, known) for row in rows]


def _only_naming(row: Row, known: Collection[str]) -> Row:
    waits_for, preempted_by = (other if other in known else "" for other in (row.waits_for, row.preempted_by))
    return dataclasses.replace(row, waits_for=waits_for, preempted_by=preempted_by)
