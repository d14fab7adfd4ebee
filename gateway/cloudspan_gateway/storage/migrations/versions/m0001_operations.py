"""Operations, who holds them, and what they took."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _index(name: str, table: str, *columns: str, where: str = "") -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, list(columns), sqlite_where=condition, postgresql_where=condition)


def upgrade() -> None:
    """Make the tables."""
    _operations()
    _index("operations_free", "operations", "sequence", where="end_time IS NULL AND owner = '' AND waits_for = ''")
    _index("operations_held", "operations", "owner", where="end_time IS NULL AND owner <> ''")
    _index("operations_queued", "operations", "waits_for", where="waits_for <> ''")
    _index("operations_preempted", "operations", "preempted_by", where="end_time IS NULL AND preempted_by <> ''")
    _index("operations_open", "operations", "resource", where="end_time IS NULL AND resource <> ''")
    _index("operations_ended", "operations", "end_time", where="end_time IS NOT NULL")
    _index("operations_by_cluster", "operations", "cluster", "sequence")
    _index("operations_by_resource", "operations", "resource", "sequence", where="resource <> ''")
    op.create_table(
        "operation_names",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("operation_id", sa.String, sa.ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True),
    )
    _index("operation_names_of", "operation_names", "operation_id")
    op.create_table(
        "operation_explanations",
        sa.Column("operation_id", sa.String, sa.ForeignKey("operations.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("explained", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "gateways",
        sa.Column("owner", sa.String, primary_key=True),
        sa.Column("lease_until", sa.Double, nullable=False),
    )
    op.create_table(
        "writers",
        sa.Column("writer", sa.String, primary_key=True),
        sa.Column("batch", _BIG, nullable=False),
        sa.Column("seen", sa.Double, nullable=False),
    )


def _operations() -> None:
    op.create_table(
        "operations",
        sa.Column("sequence", _BIG, primary_key=True, autoincrement=True),
        *(sa.Column(name, sa.String, nullable=False) for name in ("id", "request_id", "method", "cluster", "tenant")),
        sa.Column("traceparent", sa.String, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("target", sa.String, nullable=False),
        sa.Column("also", sa.String, nullable=False),
        sa.Column("request", sa.LargeBinary),
        sa.Column("resource", sa.String, nullable=False),
        sa.Column("progress", sa.LargeBinary, nullable=False),
        sa.Column("cursor", sa.LargeBinary),
        sa.Column("outcome", sa.LargeBinary),
        sa.Column("secret", sa.Boolean, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
        sa.Column("waits_for", sa.String, nullable=False),
        sa.Column("preempted_by", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("epoch", _BIG, nullable=False),
        sa.Column("revision", _BIG, nullable=False),
        sa.Column("create_time", sa.Double, nullable=False),
        sa.Column("update_time", sa.Double, nullable=False),
        sa.Column("contact_time", sa.Double),
        sa.Column("end_time", sa.Double),
        sa.Column("owner", sa.String, nullable=False, server_default=""),
        sa.UniqueConstraint("id", name="operations_id"),
        sa.UniqueConstraint("request_id", name="operations_request_id"),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Take them away, with everything in them."""
    for table in ("writers", "gateways", "operation_explanations", "operation_names", "operations"):
        op.drop_table(table)
