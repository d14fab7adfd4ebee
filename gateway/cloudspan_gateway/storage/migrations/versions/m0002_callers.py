"""Callers: tenants, pools, roles, bindings, users, sessions and the audit; who asked for an operation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_REFUSED = "audit_events is append-only: nothing in it is changed or deleted"


def _index(name: str, table: str, *columns: str, where: str = "") -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, list(columns), sqlite_where=condition, postgresql_where=condition)


def _text(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, nullable=False) for name in names]


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.String, primary_key=True) for name in names]


def _row() -> sa.Column[bytes]:
    return sa.Column("row", sa.LargeBinary, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    for name in ("caller", "roles", "project", "code", "reason"):
        op.add_column("operations", sa.Column(name, sa.String, nullable=False, server_default=""))
    _index("operations_by_tenant", "operations", "tenant", "sequence")
    _index("operations_open_by_tenant", "operations", "tenant", "cluster", where="end_time IS NULL")
    _policy()
    _identity()
    _audit()


def _policy() -> None:
    op.create_table("tenants", *_key("tenant"), _row())
    tenant = sa.Column("tenant", sa.String, sa.ForeignKey("tenants.tenant"), primary_key=True)
    op.create_table("pools", tenant, *_key("pool"), _row())
    op.create_table("roles", *_key("role"), _row())
    op.create_table("bindings", *_key("tenant", "binding"), *_text("member"), _row())
    _index("bindings_by_member", "bindings", "member")
    op.create_table(
        "policy_revision",
        sa.Column("only", sa.Integer, primary_key=True),
        sa.Column("revision", _BIG, nullable=False),
    )


def _identity() -> None:
    op.create_table(
        "users",
        *_key("user"),
        *_text("tenant"),
        _row(),
        *_text("password"),
        sa.Column("codes_secret", sa.LargeBinary),
        sa.Column("codes_step", _BIG, nullable=False, server_default="0"),
        sa.Column("codes_pending", sa.LargeBinary),
        sa.Column("codes_pending_time", sa.Double),
        sa.Column("recovery_codes", sa.String, nullable=False, server_default=""),
    )
    op.create_table(
        "logins_from",
        *_key("user", "source"),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("paused_until", sa.Double, nullable=False),
        sa.Column("succeeded_time", sa.Double),
        sa.Column("failed_time", sa.Double),
    )
    op.create_table(
        "sessions",
        *_key("digest"),
        *_text("session", "subject", "tenant"),
        _row(),
        sa.Column("used_time", sa.Double, nullable=False),
        sa.Column("expire_time", sa.Double, nullable=False),
        sa.UniqueConstraint("session", name="sessions_session"),
    )
    _index("sessions_by_subject", "sessions", "subject")
    _index("sessions_ended", "sessions", "expire_time")
    op.create_table("used_tokens", *_key("digest"), sa.Column("expire_time", sa.Double, nullable=False))


def _audit() -> None:
    op.create_table(
        "audit_events",
        sa.Column("sequence", _BIG, primary_key=True, autoincrement=False),
        sa.Column("create_time", sa.Double, nullable=False),
        *_text("type", "subject", "tenant", "method", "cluster", "resource", "operation", "outcome"),
        *_text("record", "hash", "previous_hash"),
    )
    _index("audit_by_tenant", "audit_events", "tenant", "sequence", where="tenant <> ''")
    _index("audit_by_resource", "audit_events", "resource", "sequence", where="resource <> ''")
    _index("audit_by_subject", "audit_events", "subject", "sequence", where="subject <> ''")
    _index("audit_by_operation", "audit_events", "operation", where="operation <> ''")
    _index("audit_failed", "audit_events", "sequence", where="outcome <> 'OK'")
    _index("audit_by_time", "audit_events", "create_time", "sequence")
    if op.get_bind().dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_events_no_{change.lower()} BEFORE {change} ON audit_events "
                f"BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse()"
    )


def downgrade() -> None:
    """Take them away, with everything in them."""
    for table in (
        "audit_events", "used_tokens", "sessions", "logins_from", "users", "policy_revision", "bindings", "roles",
        "pools", "tenants",
    ):  # fmt: skip
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_events_refuse()")
    op.drop_index("operations_open_by_tenant", "operations")
    op.drop_index("operations_by_tenant", "operations")
    for name in ("reason", "code", "project", "roles", "caller"):
        op.drop_column("operations", name)
