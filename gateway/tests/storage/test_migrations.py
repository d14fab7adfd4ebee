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

from cloudspan_gateway.operations.stores.sql import open_store
from cloudspan_gateway.storage import migrations
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.engine import Database, open_database
from cloudspan_gateway.storage.schema import with_indexes


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
    return compare_metadata(MigrationContext.configure(conn), with_indexes(conn.dialect.name))


def _described(conn: Connection) -> list[tuple[object, ...]]:
    """Everything that the database knows of its tables, in its own words."""
    if conn.dialect.name == "sqlite":
        asked = ["SELECT type, name, tbl_name, sql FROM sqlite_master"]
    else:
        asked = [
            (
                "SELECT table_name, column_name, data_type, is_nullable, column_default, is_identity "
                "FROM information_schema.columns WHERE table_schema = 'public'"
            ),
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'",
            (
                "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
                "WHERE connamespace = 'public'::regnamespace"
            ),
        ]
    found = [tuple(row) for one in asked for row in conn.execute(text(one))]
    return sorted((tuple(" ".join(str(word).split()) for word in row) for row in found), key=repr)


async def test_the_history_makes_the_tables_of_the_code(database: Database) -> None:
    """A new database and one that went through every migration are the same, in the database's own words."""

    def made_again(conn: Connection) -> tuple[object, ...]:
        new = _described(conn)
        migrations.downgrade(conn, "base")
        left = set(inspect(conn).get_table_names())
        migrations.migrate(conn)
        return new, left, _described(conn), _differences(conn), migrations.version_of(conn)

    new, left, migrated, differences, version = await database.transact(made_again)
    assert left <= {migrations.VERSION_TABLE}
    assert migrated == new
    assert differences == []
    assert version == migrations.HEAD


async def test_the_tables_can_be_dropped_and_created_again(database: Database) -> None:
    """Once they are there nothing is to do."""

    def down_and_up(conn: Connection) -> tuple[bool, bool, str]:
        migrations.downgrade(conn, "base")
        return migrations.upgrade(conn), migrations.upgrade(conn), migrations.version_of(conn)

    assert await database.transact(down_and_up) == (True, False, migrations.HEAD)


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
