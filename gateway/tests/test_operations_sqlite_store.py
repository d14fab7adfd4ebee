"""Operations in a SQLite file: the shared suite, and what only a file brings."""

from __future__ import annotations

import pytest
from gateway.tests.operation_store_suite import LEASE_S, OperationStoreSuite

from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.sql import open_store
from cloudspan_gateway.storage.cipher import Cipher


class TestSqliteStore(OperationStoreSuite):
    """The suite over a file."""

    @pytest.fixture
    async def store(self, clock: FakeClock, tmp_path):
        store = await open_store(f"sqlite:{tmp_path}/some/folder/gateway.db", Cipher.new(), clock, LEASE_S)
        yield store
        await store.close()
