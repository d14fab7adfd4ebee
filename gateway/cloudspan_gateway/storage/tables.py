"""The tables of the gateway's database, as SQLAlchemy sees them; `migrations` makes them.

Read and written by the stores above (`operations.sql`). Times are Unix seconds. What may hold secrets is sealed by
`cipher`. A column is added with a default and read by nobody for one release before it is needed (`migrations`).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

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
"""A chain: never changed, never deleted from; `schema` has the database refuse both."""

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
"""What changed, in the order of commits: `change_sequence` is locked by who numbers (`outbox`)."""

change_sequence = Table(
    "change_sequence",
    metadata,
    Column("only", Integer, primary_key=True),  # 1: one row
    Column("sequence", _BIG, nullable=False),  # the last one given, to a change or an event
    Column("oldest", _BIG, nullable=False),  # changes and events up to it are no longer kept
    Column("epoch", String, nullable=False),  # another one when the inventory is made anew
)

events = Table(
    "events",
    metadata,
    Column("sequence", _BIG, primary_key=True, autoincrement=False),
    Column("time", Double, nullable=False),
    Column("type", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("cluster", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("project", String, nullable=False),
    Column("data", LargeBinary, nullable=False),  # cloudspan.v1.Event with its `oneof` alone
)
"""What happened beside `resource_changes`, numbered together with those (`outbox`)."""

event_consumers = Table(
    "event_consumers",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("consumer", String, primary_key=True),
    Column("sequence", _BIG, nullable=False),  # everything up to it is processed, or was passed over
    Column("epoch", String, nullable=False),  # of `change_sequence`
    Column("create_time", Double, nullable=False),
    Column("acknowledge_time", Double),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("webhook", String, primary_key=True),
    Column("row", LargeBinary, nullable=False),  # Webhook, without what is derived and without its secret
    Column("secret", LargeBinary, nullable=False),  # sealed
    Column("previous_secret", LargeBinary),  # sealed; signs too, until `previous_until`
    Column("previous_until", Double),
    Column("revision", _BIG, nullable=False),  # grows with each change by a caller
    Column("sequence", _BIG, nullable=False),  # everything up to it was received, or passed over
    Column("epoch", String, nullable=False),
    Column("attempt", LargeBinary),  # Webhook.Attempt, the last one
    Column("attempts", Integer, nullable=False),  # of the event behind `sequence`
    Column("received_time", Double),
    Column("failing_since", Double),
    Column("next_attempt_time", Double),
    Column("dead", Boolean(create_constraint=False), nullable=False),
)

cluster_states = Table(
    "cluster_states",
    metadata,
    Column("cluster", String, primary_key=True),
    Column("state", String, nullable=False),  # as the last event said
)
"""What `cluster.*` events have told: a state is told once, whichever gateway sees it first."""


def _of_sweeps() -> list[Column[Any]]:
    return [
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
    ]


sync_state = Table(
    "sync_state",
    metadata,
    Column("cluster", String, primary_key=True),
    Column("collection", String, primary_key=True),
    *_of_sweeps(),
)
"""What is known of the collections as a cluster's credentials list them: their own project's, where there are some."""

project_sync_state = Table(
    "project_sync_state",
    metadata,
    Column("cluster", String, primary_key=True),
    Column("collection", String, primary_key=True),
    Column("project", String, primary_key=True),  # its resource name
    *_of_sweeps(),
)
"""The same of other projects that pools have, each of which is listed by itself."""

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
