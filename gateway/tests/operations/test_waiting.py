"""Waiting within a caller's time."""

from __future__ import annotations

import pytest
from gateway.tests.calls import call
from gateway.tests.operation_store_suite import intent
from gateway.tests.operations_for_stores import DONE, PROGRESS, claimed

from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.stores.memory import MemoryStore
from cloudspan_gateway.operations.waiting import before_deadline, until_ended


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
