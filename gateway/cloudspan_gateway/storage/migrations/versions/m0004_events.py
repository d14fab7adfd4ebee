"""Events: what happened, who has heard of it, where it is sent to."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TABLES = ("cluster_states", "webhooks", "event_consumers", "events")


def _columns(kind: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind, nullable=False) for name in names]


def _optional(kind: sa.types.TypeEngine[Any] | type[sa.types.TypeEngine[Any]], *names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, kind) for name in names]


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, primary_key=True) for name in names]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "events",
        sa.Column("sequence", _BIG, primary_key=True, autoincrement=False),
        *_columns(sa.Double, "time"),
        *_columns(sa.String, "type", "subject", "cluster", "tenant", "project"),
        *_columns(sa.LargeBinary, "data"),
    )
    op.create_index("events_by_time", "events", ["time"])
    op.create_table(
        "event_consumers",
        *_key("tenant", "consumer"),
        *_columns(_BIG, "sequence"),
        *_columns(sa.String, "epoch"),
        *_columns(sa.Double, "create_time"),
        *_optional(sa.Double, "acknowledge_time"),
    )
    op.create_table(
        "webhooks",
        *_key("tenant", "webhook"),
        *_columns(sa.LargeBinary, "row", "secret"),
        *_optional(sa.LargeBinary, "previous_secret"),
        *_optional(sa.Double, "previous_until"),
        *_columns(_BIG, "revision", "sequence"),
        *_columns(sa.String, "epoch"),
        *_optional(sa.LargeBinary, "attempt"),
        *_columns(sa.Integer, "attempts"),
        *_optional(sa.Double, "received_time", "failing_since", "next_attempt_time"),
        *_columns(sa.Boolean(create_constraint=False), "dead"),
    )
    op.create_table("cluster_states", *_key("cluster"), *_columns(sa.String, "state"))


def downgrade() -> None:
    """Take the tables away."""
    for table in _TABLES:
        op.drop_table(table)
