"""What PostgreSQL says of its own state is waited out, and is no defect of ours."""

from __future__ import annotations

import asyncpg
import pytest
from gateway.tests import postgres_server
from sqlalchemy import text

from cloudspan_common.errors import QuotaExceeded, Unreachable
from cloudspan_gateway.storage import postgres
from cloudspan_gateway.storage.engine import open_database


@pytest.fixture
async def database():
    opened = await open_database(postgres_server.needed().new_database())
    yield opened
    await opened.close()


@pytest.mark.parametrize("way", ["read", "transact"])
async def test_a_statement_that_the_server_cancels_is_tried_again(database, way: str) -> None:
    """By an operator, or since an administrator has set a limit of time."""
    tries: list[int] = []

    def ask(conn) -> int:
        tries.append(1)
        if len(tries) == 1:
            conn.execute(text("SET statement_timeout = '20ms'"))
            conn.execute(text("SELECT pg_sleep(30)"))
        return len(tries)

    assert await getattr(database, way)(ask) == 2


@pytest.mark.parametrize(
    ("state", "error"),
    [
        ("53200", Unreachable),  # out of memory
        ("58030", Unreachable),  # an I/O error of its disk
        ("57P03", Unreachable),  # starting
        ("53100", QuotaExceeded),  # its disk is full
        ("22012", asyncpg.PostgresError),  # a division by zero, which is ours
    ],
)
async def test_what_does_not_pass_in_time_is_the_callers_error(database, monkeypatch, state: str, error) -> None:
    """A defect is raised as it is, at once."""
    monkeypatch.setattr(postgres, "PATIENCE_S", 0.0)
    raised = asyncpg.PostgresError.new({"C": state, "M": "said the server"})

    def ask(_conn) -> None:
        raise raised

    with pytest.raises(error, match="said the server"):
        await database.read(ask)
