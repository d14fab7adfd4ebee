"""Operations in PostgreSQL: the shared suite, and what only a database shared by many gateways brings."""

from __future__ import annotations

import pytest
from gateway.tests import postgres_server
from gateway.tests.operation_store_suite import LEASE_S, OperationStoreSuite
from gateway.tests.postgres_server import PostgresServer

from cloudspan_common.testing import FakeClock
from cloudspan_gateway.operations.sql import open_store
from cloudspan_gateway.storage.cipher import Cipher


TABLES = "operations, operation_names, operation_explanations, gateways, writers"


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    return postgres_server.needed()


@pytest.fixture(scope="module")
def url(server: PostgresServer) -> str:
    return server.new_database()


class TestPostgresStore(OperationStoreSuite):
    """The suite over a database."""

    @pytest.fixture
    async def store(self, clock: FakeClock, url: str):
        self.url = url
        store = await open_store(url, Cipher.new(), clock, LEASE_S)
        postgres_server.needed().query(f"TRUNCATE {TABLES} RESTART IDENTITY", url)
        yield store
        await store.close()

    async def lapse(self, store, clock, seconds=LEASE_S + 1):
        postgres_server.needed().query(f"UPDATE gateways SET lease_until = lease_until - {seconds}", self.url)
        await clock.advance(seconds)
