"""The stores' shared suite over PostgreSQL."""

from __future__ import annotations

import pytest
from gateway.tests import postgres_server
from gateway.tests.operation_store_suite import LEASE_S, OperationStoreSuite

from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.stores.sql import open_store
from cloudspan_gateway.storage.cipher import Cipher


@pytest.fixture(scope="module")
def database() -> str:
    return postgres_server.needed().new_database()


class TestPostgresStore(OperationStoreSuite):
    """One database, emptied before each test; leases go by the server's clock."""

    @pytest.fixture
    async def store(self, clock: FakeClock, database: str):
        self.url = database
        postgres_server.needed().empty(database)
        store = await open_store(database, Cipher.new(), clock, LEASE_S)
        yield store
        await store.close()

    async def lapse(self, store, clock, seconds=LEASE_S + 1):
        postgres_server.needed().lapse(self.url, seconds)
        await clock.advance(seconds)
