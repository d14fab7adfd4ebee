"""Waiting for an operation's end within a budget, and reporting it: shared by `x-wait`, WaitOperation and Get."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudspan_gateway.operations.model import to_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.longrunning import operations_pb2

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


async def shown_to_caller(store: OperationStore, row: Row) -> operations_pb2.Operation:
    """Return the operation as its caller gets it: the secrets of its result once, to whoever comes first."""
    if not row.secret:
        return to_message(row)
    return to_message(await store.reveal(row.intent.id), reveal=True)
