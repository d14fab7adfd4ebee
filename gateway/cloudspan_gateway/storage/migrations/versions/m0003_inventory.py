"""Inventory: resources, their values and changes, what was listed when; locks and groups of gateways."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudspan_gateway.storage.migrations.columns import BIG, TEXT, columns, key, optional

revision = "0003"
down_revision = "0002"

_THERE = "deleted_time IS NULL"
_OF_PLACE = ("cluster", "collection", "name", "state", "display_name", "vcpus", "memory_bytes", "disk_bytes")
_OF_NAME = ("collection", "name", "cluster", "project", "state", "display_name")
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


def upgrade() -> None:
    """Make the tables."""
    _resources()
    _changes()
    _sync()
    _coordination()
    # By what a tenant has changed since a listing, no answer from the inventory is too old.
    _index("operations_ended_by_tenant", "operations", "tenant", "end_time", where="end_time IS NOT NULL")


def _resources() -> None:
    op.create_table(
        "resources",
        sa.Column("id", BIG, primary_key=True, autoincrement=True),
        *columns(TEXT, "name", "collection", "cluster", "project"),
        *columns(sa.Boolean(create_constraint=False), "shared"),
        *columns(TEXT, "display_name", "state", "zone", "flavor"),
        *optional(sa.Double, "create_time"),
        *optional(BIG, "vcpus", "memory_bytes", "disk_bytes"),
        *columns(TEXT, "search"),
        *columns(sa.LargeBinary, "payload", "digest"),
        *columns(sa.Double, "observe_time"),
        *columns(sa.String, "source"),
        *optional(sa.Double, "deleted_time"),
        sa.UniqueConstraint("name", name="resources_name"),
    )
    op.create_table(
        "resource_values",
        sa.Column("path", TEXT, primary_key=True),
        sa.Column("value", TEXT, primary_key=True),
        sa.Column("resource", BIG, sa.ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
        sqlite_with_rowid=False,
    )
    _index("resources_by_place", "resources", *_OF_PLACE, where=_THERE)
    _index("resources_by_name", "resources", *_OF_NAME, where=_THERE)
    _index("resources_by_display_name", "resources", "collection", "display_name", "name", "cluster", where=_THERE)
    _index("resources_by_state", "resources", "collection", "state", "name", "cluster", where=_THERE)
    _index("resources_by_project", "resources", "project", "collection", "name", "cluster", where=_THERE)
    _index("resources_by_create_time", "resources", "collection", "create_time", "name", where=_THERE)
    _index("resources_deleted", "resources", "deleted_time", where="deleted_time IS NOT NULL")
    _index("resource_values_of", "resource_values", "resource")


def _changes() -> None:
    op.create_table(
        "resource_changes",
        sa.Column("sequence", BIG, primary_key=True, autoincrement=False),
        *columns(sa.Double, "time"),
        *columns(BIG, "resource"),
        *columns(sa.String, "name", "collection", "cluster", "what"),
        *optional(sa.LargeBinary, "previous"),
    )
    op.create_table(
        "change_sequence",
        sa.Column("only", sa.Integer, primary_key=True),
        *columns(BIG, "sequence", "oldest"),
        *columns(sa.String, "epoch"),
    )
    _index("resource_changes_by_time", "resource_changes", "time")
    _index("resource_changes_of", "resource_changes", "resource", "sequence")


def _sync() -> None:
    op.create_table(
        "sync_state",
        *key("cluster", "collection"),
        *columns(sa.String, "completeness", "reason", "message"),
        *columns(BIG, "row_count"),
        *optional(sa.Double, "observe_time", "attempt_time", "next_time"),
        *columns(sa.Double, "took_s", "interval_s"),
        *optional(sa.Double, "changes_time"),
        *optional(sa.LargeBinary, "brake"),
        *columns(sa.String, "owner"),
    )
    op.create_table("sync_owners", *key("cluster"), *columns(BIG, "fence"))


def _coordination() -> None:
    op.create_table(
        "locks",
        *key("name"),
        *columns(BIG, "fence"),
        *columns(sa.String, "holder"),
        *columns(sa.Double, "lease_until"),
    )
    op.create_table(
        "group_members",
        *key("group_name", "member"),
        *columns(sa.String, "data"),
        *columns(BIG, "fence"),
        *columns(sa.String, "holder"),
        *columns(sa.Double, "lease_until"),
    )


def downgrade() -> None:
    """Take the tables away."""
    op.drop_index("operations_ended_by_tenant")
    for table in _TABLES:
        op.drop_table(table)
