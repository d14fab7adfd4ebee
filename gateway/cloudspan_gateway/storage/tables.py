"""The tables of the gateway's database, as SQLAlchemy sees them; `migrations` makes them.

Read and written by the stores above (`operations.sql`). Times are Unix seconds. What may hold secrets is sealed by
`cipher`. A column is added with a default and read by nobody for one release before it is needed (`migrations`).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

metadata = MetaData()

# By code point, as SQLite and Python have it, whatever the database's own collation.
_TEXT = String().with_variant(String(collation="C"), "postgresql")
_BIG = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by INTEGER PRIMARY KEY alone


operations = Table(
    "operations",
    metadata,
    Column("sequence", _BIG, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False),
    Column("request_id", String, nullable=False),
    Column("method", String, nullable=False),
    Column("cluster", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("traceparent", String, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("target", String, nullable=False),
    Column("also", String, nullable=False),  # a JSON list; `operation_names` finds by it
    Column("request", LargeBinary),  # sealed; null once it has ended
    Column("resource", String, nullable=False),  # what it works on, as far as is known
    Column("progress", LargeBinary, nullable=False),  # OperationMetadata
    Column("cursor", LargeBinary),  # sealed
    Column("outcome", LargeBinary),  # sealed
    Column("secret", Boolean(create_constraint=False), nullable=False),
    Column("cancel_requested", Boolean(create_constraint=False), nullable=False),
    Column("waits_for", String, nullable=False),
    Column("preempted_by", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("epoch", _BIG, nullable=False),
    Column("revision", _BIG, nullable=False),
    Column("create_time", Double, nullable=False),
    Column("update_time", Double, nullable=False),
    Column("contact_time", Double),
    Column("end_time", Double),
    Column("owner", String, nullable=False, server_default=""),  # who holds the claim; one of `gateways`
    Column("caller", String, nullable=False, server_default=""),  # the subject that asked for it
    Column("roles", String, nullable=False, server_default=""),  # its roles then, a JSON list
    Column("project", String, nullable=False, server_default=""),  # the only one that it may touch
    Column("code", String, nullable=False, server_default=""),  # what it ended with; empty before, and of old ones
    Column("reason", String, nullable=False, server_default=""),  # why it failed
    UniqueConstraint("id", name="operations_id"),
    UniqueConstraint("request_id", name="operations_request_id"),
    sqlite_autoincrement=True,  # a page token's sequence is never given twice
)

operation_names = Table(
    "operation_names",
    metadata,
    Column("name", String, primary_key=True),
    Column("operation_id", String, ForeignKey(operations.c.id, ondelete="CASCADE"), primary_key=True),
)
"""What operations under way name beside their resource: `Intent.also`."""

explanations = Table(
    "operation_explanations",
    metadata,
    Column("operation_id", String, ForeignKey(operations.c.id, ondelete="CASCADE"), primary_key=True),
    Column("explained", LargeBinary, nullable=False),  # sealed
)

gateways = Table(
    "gateways",
    metadata,
    Column("owner", String, primary_key=True),
    Column("lease_until", Double, nullable=False),
)
"""Who may hold claims, and how long: the database's clock on PostgreSQL, the process's on SQLite."""

writers = Table(
    "writers",
    metadata,
    Column("writer", String, primary_key=True),
    Column("batch", _BIG, nullable=False),
    Column("seen", Double, nullable=False),
)
"""The last batch that each writer committed: shows after a lost connection whether a COMMIT took effect."""

tenants = Table(
    "tenants",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("row", LargeBinary, nullable=False),  # Tenant
)

pools = Table(
    "pools",
    metadata,
    Column("tenant", String, ForeignKey(tenants.c.tenant), primary_key=True),
    Column("pool", String, primary_key=True),
    Column("row", LargeBinary, nullable=False),  # Pool
)

roles = Table(
    "roles",
    metadata,
    Column("role", String, primary_key=True),
    Column("row", LargeBinary, nullable=False),  # Role; built-in ones are in none
)

bindings = Table(
    "bindings",
    metadata,
    Column("tenant", String, primary_key=True),  # `-` for every tenant
    Column("binding", String, primary_key=True),
    Column("member", String, nullable=False),
    Column("row", LargeBinary, nullable=False),  # Binding
)

policy_revision = Table(
    "policy_revision",
    metadata,
    Column("only", Integer, primary_key=True),  # 1: one row
    Column("revision", _BIG, nullable=False),
)
"""Grows with each change of tenants, pools, roles and bindings: what gateways compare."""

users = Table(
    "users",
    metadata,
    Column("user", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("row", LargeBinary, nullable=False),  # User
    Column("password", String, nullable=False),  # argon2id, in its own encoding
    Column("codes_secret", LargeBinary),  # sealed; of confirmed one-time codes
    Column("codes_step", _BIG, nullable=False, server_default="0"),  # the last time step that was used
    Column("codes_pending", LargeBinary),  # sealed; a set-up that is not confirmed
    Column("codes_pending_time", Double),
    Column("recovery_codes", String, nullable=False, server_default=""),  # a JSON list of digests
)

logins_from = Table(
    "logins_from",
    metadata,
    Column("user", String, primary_key=True),
    Column("source", String, primary_key=True),  # the address that it came from
    Column("failures", Integer, nullable=False),
    Column("paused_until", Double, nullable=False),
    Column("succeeded_time", Double),
    Column("failed_time", Double),
)
"""Failed and successful logins by user and address: what pauses are made from."""

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String, primary_key=True),  # of the token, SHA-256
    Column("session", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("row", LargeBinary, nullable=False),  # Session
    Column("used_time", Double, nullable=False),
    Column("expire_time", Double, nullable=False),
    UniqueConstraint("session", name="sessions_session"),
)

used_tokens = Table(
    "used_tokens",
    metadata,
    Column("digest", String, primary_key=True),
    Column("expire_time", Double, nullable=False),
)
"""What works once and was used: tokens of the service handshake, and the bootstrap token."""

audit_events = Table(
    "audit_events",
    metadata,
    Column("sequence", _BIG, primary_key=True, autoincrement=False),
    Column("create_time", Double, nullable=False),
    Column("type", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("method", String, nullable=False),
    Column("cluster", String, nullable=False),
    Column("resource", String, nullable=False),
    Column("operation", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("record", String, nullable=False),  # the event as it was hashed
    Column("hash", String, nullable=False),
    Column("previous_hash", String, nullable=False),
)
"""A chain: never changed, never deleted from; `_APPEND_ONLY` has the database refuse both."""

_REFUSED = "audit_events is append-only: nothing in it is changed or deleted"
_APPEND_ONLY = {
    "sqlite": tuple(
        f"CREATE TRIGGER audit_events_no_{change.lower()} BEFORE {change} ON audit_events "
        f"BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
        for change in ("UPDATE", "DELETE")
    ),
    "postgresql": (
        (
            "CREATE FUNCTION audit_events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$"
        ),
        (
            "CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_events "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_events_refuse()"
        ),
    ),
}

resources = Table(
    "resources",
    metadata,
    Column("id", _BIG, primary_key=True, autoincrement=True),
    Column("name", _TEXT, nullable=False),
    Column("collection", _TEXT, nullable=False),
    Column("cluster", _TEXT, nullable=False),
    Column("project", _TEXT, nullable=False),
    Column("shared", Boolean(create_constraint=False), nullable=False),  # read by all projects
    Column("display_name", _TEXT, nullable=False),
    Column("state", _TEXT, nullable=False),  # without its enum's prefix
    *(Column(name, _TEXT, nullable=False) for name in ("zone", "flavor")),
    Column("create_time", Double),
    *(Column(name, _BIG) for name in ("vcpus", "memory_bytes", "disk_bytes")),
    Column("search", _TEXT, nullable=False),  # what Search looks for, in lower case, each text between line feeds
    Column("payload", LargeBinary, nullable=False),  # the resource, without observe_time; a deleted one's last
    Column("digest", LargeBinary, nullable=False),
    Column("observe_time", Double, nullable=False),  # when this row was read; unchanged rows are not written again
    Column("source", String, nullable=False),  # sweep, changes; operation, read: of what no listing ever had
    Column("deleted_time", Double),  # kept for a while, so that what was read before can't bring it back
    UniqueConstraint("name", name="resources_name"),
)
"""What the clouds hold, as last read (`inventory`)."""

resource_values = Table(
    "resource_values",
    metadata,
    Column("path", _TEXT, primary_key=True),  # a filter's: `labels.team`, `security_groups`, `addresses`
    Column("value", _TEXT, primary_key=True),
    Column("resource", _BIG, ForeignKey(resources.c.id, ondelete="CASCADE"), primary_key=True),
    sqlite_with_rowid=False,
)
"""The labels, addresses and references of resources that are there: what filters find by."""

resource_changes = Table(
    "resource_changes",
    metadata,
    Column("sequence", _BIG, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("resource", _BIG, nullable=False),
    Column("name", String, nullable=False),
    Column("collection", String, nullable=False),
    Column("cluster", String, nullable=False),
    Column("what", String, nullable=False),  # added, updated, removed
    Column("previous", LargeBinary),  # the payload before; none of what was added
)
"""What changed, in the order of commits: `change_sequence` is locked by who numbers."""

change_sequence = Table(
    "change_sequence",
    metadata,
    Column("only", Integer, primary_key=True),  # 1: one row
    Column("sequence", _BIG, nullable=False),  # the last one given
    Column("oldest", _BIG, nullable=False),  # changes up to it are no longer kept
    Column("epoch", String, nullable=False),  # another one when the inventory is made anew
)

sync_state = Table(
    "sync_state",
    metadata,
    Column("cluster", String, primary_key=True),
    Column("collection", String, primary_key=True),
    Column("completeness", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("message", String, nullable=False),
    Column("row_count", _BIG, nullable=False),
    Column("observe_time", Double),  # when the last complete sweep began: rows it did not change are as of then
    Column("attempt_time", Double),
    Column("next_time", Double),
    Column("took_s", Double, nullable=False),
    Column("interval_s", Double, nullable=False),
    Column("changes_time", Double),  # up to when changes were asked for; none where the collection can't tell them
    Column("brake", LargeBinary),  # SyncState.Brake, while deletions are held back
    Column("owner", String, nullable=False),
)

sync_owners = Table(
    "sync_owners",
    metadata,
    Column("cluster", String, primary_key=True),
    Column("fence", _BIG, nullable=False),  # of its lock: what an older holder writes is refused
)

locks = Table(
    "locks",
    metadata,
    Column("name", String, primary_key=True),
    Column("fence", _BIG, nullable=False),  # grows with each holder
    Column("holder", String, nullable=False),
    Column("lease_until", Double, nullable=False),
)
"""Locks and leaders of gateways without Consul, and the row that counts fences, of members too."""

group_members = Table(
    "group_members",
    metadata,
    Column("group_name", String, primary_key=True),
    Column("member", String, primary_key=True),
    Column("data", String, nullable=False),
    Column("fence", _BIG, nullable=False),
    Column("holder", String, nullable=False),
    Column("lease_until", Double, nullable=False),
)
"""Members of groups of gateways without Consul."""

# What is asked for and summed up most stands in the indices that are gone through: a look at each row takes ten times
# as long.
_OF_PLACE = ("cluster", "collection", "name", "state", "display_name", "vcpus", "memory_bytes", "disk_bytes")
_OF_NAME = ("collection", "name", "cluster", "project", "state", "display_name")

_INDEXES = (
    ("resources_by_place", resources, _OF_PLACE, "deleted_time IS NULL"),
    ("resources_by_name", resources, _OF_NAME, "deleted_time IS NULL"),
    ("resources_by_display_name", resources, ("collection", "display_name", "name", "cluster"), "deleted_time IS NULL"),
    ("resources_by_state", resources, ("collection", "state", "name", "cluster"), "deleted_time IS NULL"),
    ("resources_by_project", resources, ("project", "collection", "name", "cluster"), "deleted_time IS NULL"),
    ("resources_by_create_time", resources, ("collection", "create_time", "name"), "deleted_time IS NULL"),
    ("resources_deleted", resources, ("deleted_time",), "deleted_time IS NOT NULL"),
    ("resource_values_of", resource_values, ("resource",), ""),
    ("resource_changes_by_time", resource_changes, ("time",), ""),
    ("resource_changes_of", resource_changes, ("resource", "sequence"), ""),
    ("operations_free", operations, ("sequence",), "end_time IS NULL AND owner = '' AND waits_for = ''"),
    ("operations_held", operations, ("owner",), "end_time IS NULL AND owner <> ''"),
    ("operations_queued", operations, ("waits_for",), "waits_for <> ''"),
    ("operations_preempted", operations, ("preempted_by",), "end_time IS NULL AND preempted_by <> ''"),
    ("operations_open", operations, ("resource",), "end_time IS NULL AND resource <> ''"),
    ("operations_ended", operations, ("end_time",), "end_time IS NOT NULL"),
    ("operations_ended_by_tenant", operations, ("tenant", "end_time"), "end_time IS NOT NULL"),
    ("operations_by_cluster", operations, ("cluster", "sequence"), ""),
    ("operations_by_resource", operations, ("resource", "sequence"), "resource <> ''"),
    ("operation_names_of", operation_names, ("operation_id",), ""),
    ("operations_by_tenant", operations, ("tenant", "sequence"), ""),
    ("operations_open_by_tenant", operations, ("tenant", "cluster"), "end_time IS NULL"),
    ("bindings_by_member", bindings, ("member",), ""),
    ("sessions_by_subject", sessions, ("subject",), ""),
    ("sessions_ended", sessions, ("expire_time",), ""),
    ("audit_by_tenant", audit_events, ("tenant", "sequence"), "tenant <> ''"),
    ("audit_by_resource", audit_events, ("resource", "sequence"), "resource <> ''"),
    ("audit_by_subject", audit_events, ("subject", "sequence"), "subject <> ''"),
    ("audit_by_operation", audit_events, ("operation",), "operation <> ''"),
    ("audit_failed", audit_events, ("sequence",), "outcome <> 'OK'"),
)


def create(conn: Connection) -> None:
    """Make all tables and indices in an empty database."""
    metadata.create_all(conn)
    for table in with_indexes(conn.dialect.name).tables.values():
        for index in table.indexes:
            index.create(conn)
    for statement in _APPEND_ONLY[conn.dialect.name]:
        conn.execute(text(statement))


@functools.cache
def with_indexes(dialect: str) -> MetaData:
    """Return a copy of the tables that has their indices.

    Apart from `metadata`, since a partial index makes SQLAlchemy import its database's driver: 2 MB for nobody's use.
    """
    made = MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(made)
    for name, table, columns, where in _INDEXES:
        condition: dict[str, Any] = {f"{dialect}_where": text(where)} if where else {}
        Index(name, *(made.tables[table.name].c[column] for column in columns), **condition)
    return made
