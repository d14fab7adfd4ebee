"""Reading the audit: pages by what the database can tell."""

from __future__ import annotations

import pytest
from gateway.tests.audit_chains import event

from cloudspan_gateway.audit import store as audit_store
from cloudspan_gateway.audit.store import AuditStore, Search
from cloudspan_gateway.storage.engine import open_database


@pytest.fixture
async def store():
    database = await open_database("memory:")
    opened = AuditStore(database)
    await opened.keep([event(f"users/u{n % 3}", method=f"m{n % 2}", create_time=1000.0 * n) for n in range(1, 31)])
    await opened.keep([event("users/eve", outcome="PERMISSION_DENIED", resource="r", create_time=31_000.0)])
    yield opened
    await opened.close()
    await database.close()


async def sequences(store: AuditStore, limit: int, search: Search, beyond: int | None = None) -> tuple[list[int], int]:
    found, reached = await store.page(limit, search, beyond)
    return [row.sequence for row in found], reached


async def test_pages_go_from_the_newest_or_from_the_oldest(store: AuditStore) -> None:
    """Each says where the next one begins; 0 says that there is none."""
    assert await sequences(store, 2, Search()) == ([31, 30], 30)
    assert await sequences(store, 30, Search(), 30) == (list(range(29, 0, -1)), 0)
    assert await sequences(store, 2, Search(oldest_first=True)) == ([1, 2], 2)
    assert await sequences(store, 3, Search(oldest_first=True), 29) == ([30, 31], 0)


async def test_columns_failures_and_times_narrow_it(store: AuditStore) -> None:
    """Resource, subject and operation by an index, the others within what was looked through."""
    assert (await sequences(store, 9, Search((("subject", "users/u1"), ("method", "m0")))))[0] == [28, 22, 16, 10, 4]
    assert await sequences(store, 9, Search(failed=True)) == ([31], 0)
    assert await sequences(store, 9, Search((("resource", "r"),))) == ([31], 0)
    assert await sequences(store, 9, Search(since=29_000.0)) == ([31, 30, 29], 0)


async def test_a_search_without_an_index_looks_through_so_many_and_goes_on(
    store: AuditStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page may hold nothing and still not be the last one."""
    monkeypatch.setattr(audit_store, "LOOKED_THROUGH", 10)
    search = Search((("method", "m9"),))
    assert await sequences(store, 5, search) == ([], 21)
    assert await sequences(store, 5, search, 21) == ([], 10)
    assert await sequences(store, 5, search, 10) == ([], 0)
    ahead = Search((("method", "m9"),), oldest_first=True)
    assert await sequences(store, 5, ahead) == ([], 11)
    assert await sequences(store, 5, ahead, 22) == ([], 0)
