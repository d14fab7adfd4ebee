"""The tables' history: a database of any version becomes one of this, and goes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from gateway.tests import postgres_server
from gateway.tests.operation_store_suite import intent
from sqlalchemy import Connection, inspect, text

from cloudspan_gateway.operations.sql import open_store
from cloudspan_gateway.storage import migrations
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.engine import Database, open_database
from cloudspan_gateway.storage.tables import metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:{tmp_path}/gateway.db"
    return postgres_server.needed().new_database()


@pytest.fixture
async def database(url: str):
    opened = await open_database(url)
    yield opened
    await opened.close()


def _differences(conn: Connection) -> list[object]:
    return compare_metadata(MigrationContext.configure(conn), metadata)


async def test_the_migrations_make_the_tables_of_the_code(database: Database) -> None:
    """Column by column, index by index."""
    assert await database.transact(_differences) == []
    assert await database.transact(migrations.version_of) == migrations.HEAD


async def test_the_tables_can_be_taken_back_and_made_again(database: Database) -> None:
    """Down to nothing and up, within a transaction each."""

    def down_and_up(conn: Connection) -> tuple[set[str], bool, bool, list[object]]:
        migrations.downgrade(conn, "base")
        left = set(inspect(conn).get_table_names())
        return left, migrations.upgrade(conn), migrations.upgrade(conn), _differences(conn)

    left, changed, again, differences = await database.transact(down_and_up)
    assert left <= {migrations.VERSION_TABLE}
    assert (changed, again, differences) == (True, False, [])


async def test_a_newer_database_is_used_as_it_is(url: str) -> None:
    """Expand first, contract a release later: the version before goes on beside the next one."""
    database = await open_database(url)

    def expand(conn: Connection) -> None:
        conn.execute(text("ALTER TABLE operations ADD COLUMN later VARCHAR DEFAULT 'x' NOT NULL"))
        conn.execute(text("UPDATE alembic_version SET version_num = '9000'"))

    await database.transact(expand)
    await database.close()
    store = await open_store(url, Cipher.new())
    row = await store.accept(intent())
    assert await store.get(row.intent.id) == row
    await store.close()


def test_the_newest_migration_is_the_head_that_is_compared_with() -> None:
    """`HEAD` spares each start the import of alembic, so it must be right."""
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert scripts.get_current_head() == migrations.HEAD
    assert [script.revision for script in scripts.walk_revisions()] == sorted(
        (script.revision for script in scripts.walk_revisions()), reverse=True
    )
