"""The history of the tables: how a database of any version becomes one of this.

Run when a database is opened, under a lock. Gateways of two versions work on one database while they are replaced, so a
change comes in two releases: **expand** adds what is new (a column with a default, a table, an index), and the version
before goes on beside it; **contract**, one release later, takes away what nobody reads any more. A database that is
newer than this build is therefore used as it is. A new one is made straight from `schema`, which a test holds equal to
the whole history: `alembic` costs 0.2 s and 10 MB, and is imported only where there is something to migrate.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, inspect, select

from cloudspan_gateway.storage import schema

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

HEAD = "0005"
"""The version that this build makes; versions grow as texts do."""
VERSION_TABLE = "alembic_version"

_versions = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def version_of(conn: Connection) -> str:
    """Return the version of a database; empty when it is new."""
    if not inspect(conn).has_table(VERSION_TABLE):
        return ""
    return conn.execute(select(_versions.c.version_num)).scalar() or ""


def upgrade(conn: Connection) -> bool:
    """Make the tables those of this build within the transaction of `conn`; return whether there was anything to do."""
    version = version_of(conn)
    if version >= HEAD:
        return False
    if version:
        migrate(conn)
    else:
        schema.create(conn)
        _versions.create(conn, checkfirst=True)
        conn.execute(_versions.insert().values(version_num=HEAD))
    return True


def migrate(conn: Connection) -> None:
    """Go through the history from where the database is."""
    from alembic import command  # noqa: PLC0415 - see above

    command.upgrade(config(conn), "head")


def downgrade(conn: Connection, to: str) -> None:
    """Take the tables back to an earlier version; `base` takes them away."""
    from alembic import command  # noqa: PLC0415 - see above

    command.downgrade(config(conn), to)


def config(conn: Connection) -> Config:
    """Return alembic's configuration for a connection."""
    from alembic.config import Config  # noqa: PLC0415 - see above

    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = conn
    return made
