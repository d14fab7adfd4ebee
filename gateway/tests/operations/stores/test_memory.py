"""The store that keeps operations in memory: the shared suite, and what only it does."""

from __future__ import annotations

import pytest
from gateway.tests.operation_store_suite import DONE, LEASE_S, PROGRESS, OperationStoreSuite, intent

from cloudspan_common.errors import NotFound
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.stores import memory
from cloudspan_gateway.operations.stores.memory import MemoryStore


class TestMemoryStore(OperationStoreSuite):
    """The suite over memory."""

    @pytest.fixture
    async def store(self, clock: FakeClock) -> MemoryStore:
        return MemoryStore(clock, LEASE_S)


async def test_the_oldest_finished_ones_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unfinished ones never, however old."""
    monkeypatch.setattr(memory, "MAX_DONE_KEPT", 2)
    store = MemoryStore(FakeClock())
    ids = [(await store.accept(intent())).intent.id for _ in range(5)]
    claims = [claim for claim, _ in await store.claim(10)]
    for claim in claims[1:]:
        await store.finish(claim, PROGRESS, DONE)
    assert [row.intent.id for row in await store.page(10)] == [ids[4], ids[3], ids[0]]
    with pytest.raises(NotFound):
        await store.get(ids[1])
    assert repr(store) == "<MemoryStore 1 open, 2 done>"
