"""Inventory: resources, their values and changes, what was listed when; locks and groups of gateways."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_THERE = "deleted_time IS NULL"
_TABLES = (
    "group_members",
    "locks",
    "sync_owners",
    "sync_state",
    "change_sequence",
    "resource_changes",
    "resource_values",
    "resources",
)


def _index(name: str, table: str, *columns: str, where: str = "") -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, list(columns), sqlite_where=condition, postgresql_where=condition)


def _columns(kind: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _optional(kind: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind) for name in names]


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, primary_key=True) for name in names]


def upgrade() -> None:
    """Make the tables."""
    _resources()
    _changes()
    _sync()
    _coordination()


def _resources() -> None:
    op.create_table(
        "resources",
        sa.Column("id", _BIG, primary_key=True, autoincrement=True),
        *_columns(sa.String, "name", "collection", "cluster", "project"),
        *_columns(sa.Boolean(create_constraint=False), "shared"),
        *_columns(sa.String, "display_name", "state", "zone", "flavor"),
        *_optional(sa.Double, "create_time"),
        *_optional(_BIG, "vcpus", "memory_bytes", "disk_bytes"),
        *_columns(sa.String, "search"),
        *_columns(sa.LargeBinary, "payload", "digest"),
        *_columns(sa.Double, "observe_time"),
        *_columns(sa.String, "source"),
        *_optional(sa.Double, "deleted_time"),
        sa.UniqueConstraint("name", name="resources_name"),
    )
    op.create_table(
        "resource_values",
        *_key("path", "value"),
        sa.Column("resource", _BIG, sa.ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
        sqlite_with_rowid=False,
    )
    _index("resources_by_place", "resources", "cluster", "collection", "name", where=_THERE)
    _index("resources_by_display_name", "resources", "collection", "display_name", "name", where=_THERE)
    _index("resources_by_state", "resources", "collection", "state", "name", where=_THERE)
    _index("resources_by_project", "resources", "project", "collection", where=f"{_THERE} AND project <> ''")
    _index("resources_by_create_time", "resources", "collection", "create_time", "name", where=_THERE)
    _index("resources_deleted", "resources", "deleted_time", where="deleted_time IS NOT NULL")
    _index("resource_values_of", "resource_values", "resource")


def _changes() -> None:
    op.create_table(
        "resource_changes",
        sa.Column("sequence", _BIG, primary_key=True, autoincrement=False),
        *_columns(sa.Double, "time"),
        *_columns(_BIG, "resource"),
        *_columns(sa.String, "name", "collection", "cluster", "what"),
        *_optional(sa.LargeBinary, "previous"),
    )
    op.create_table(
        "change_sequence",
        sa.Column("only", sa.Integer, primary_key=True),
        *_columns(_BIG, "sequence", "oldest"),
        *_columns(sa.String, "epoch"),
    )
    _index("resource_changes_by_time", "resource_changes", "time")


def _sync() -> None:
    op.create_table(
        "sync_state",
        *_key("cluster", "collection"),
        *_columns(sa.String, "completeness", "reason", "message"),
        *_columns(_BIG, "row_count"),
        *_optional(sa.Double, "observe_time", "attempt_time", "next_time"),
        *_columns(sa.Double, "took_s", "interval_s"),
        *_optional(sa.Double, "changes_time"),
        *_optional(sa.LargeBinary, "brake"),
        *_columns(sa.String, "owner"),
    )
    op.create_table("sync_owners", *_key("cluster"), *_columns(_BIG, "fence"))


def _coordination() -> None:
    op.create_table(
        "locks",
        *_key("name"),
        *_columns(_BIG, "fence"),
        *_columns(sa.String, "holder"),
        *_columns(sa.Double, "lease_until"),
    )
    op.create_table(
        "group_members",
        *_key("group_name", "member"),
        *_columns(sa.String, "data"),
        *_columns(_BIG, "fence"),
        *_columns(sa.String, "holder"),
        *_columns(sa.Double, "lease_until"),
    )


def downgrade() -> None:
    """Take the tables away."""
    for table in _TABLES:
        op.drop_table(table)
