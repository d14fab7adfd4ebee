"""Sweeps of projects other than the credentials' own: what is known of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudspan_gateway.storage.migrations.columns import BIG, columns, key, optional

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table; gateways of the version before know nothing of it."""
    op.create_table(
        "project_sync_state",
        *key("cluster", "collection", "project"),
        *columns(sa.String, "completeness", "reason", "message"),
        *columns(BIG, "row_count"),
        *optional(sa.Double, "observe_time", "attempt_time", "next_time"),
        *columns(sa.Double, "took_s", "interval_s"),
        *optional(sa.Double, "changes_time"),
        *optional(sa.LargeBinary, "brake"),
        *columns(sa.String, "owner"),
    )


def downgrade() -> None:
    """Take the table away."""
    op.drop_table("project_sync_state")
