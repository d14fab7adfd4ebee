"""Events: what happened, who has heard of it, where it is sent to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cloudspan_gateway.storage.migrations.columns import BIG, columns, key, optional

revision = "0004"
down_revision = "0003"

_TABLES = ("cluster_states", "webhooks", "event_consumers", "events")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "events",
        sa.Column("sequence", BIG, primary_key=True, autoincrement=False),
        *columns(sa.Double, "time"),
        *columns(sa.String, "type", "subject", "cluster", "tenant", "project"),
        *columns(sa.LargeBinary, "data"),
    )
    op.create_index("events_by_time", "events", ["time"])
    op.create_table(
        "event_consumers",
        *key("tenant", "consumer"),
        *columns(BIG, "sequence"),
        *columns(sa.String, "epoch"),
        *columns(sa.Double, "create_time"),
        *optional(sa.Double, "acknowledge_time"),
    )
    op.create_table(
        "webhooks",
        *key("tenant", "webhook"),
        *columns(sa.LargeBinary, "row", "secret"),
        *optional(sa.LargeBinary, "previous_secret"),
        *optional(sa.Double, "previous_until"),
        *columns(BIG, "revision", "sequence"),
        *columns(sa.String, "epoch"),
        *optional(sa.LargeBinary, "attempt"),
        *columns(sa.Integer, "attempts"),
        *optional(sa.Double, "received_time", "failing_since", "next_attempt_time"),
        *columns(sa.Boolean(create_constraint=False), "dead"),
    )
    op.create_table("cluster_states", *key("cluster"), *columns(sa.String, "state"))


def downgrade() -> None:
    """Take the tables away."""
    for table in _TABLES:
        op.drop_table(table)
