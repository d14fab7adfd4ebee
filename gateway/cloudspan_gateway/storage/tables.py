"""The tables of the gateway's database, as SQLAlchemy sees them; `migrations` makes them.

Read and written by the stores above (`operations.sql`). Times are Unix seconds. What may hold secrets is sealed by
`cipher`. A column is added with a default and read by nobody for one release before it is needed (`migrations`).
"""

from __future__ import annotations

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

metadata = MetaData()

_BIG = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by INTEGER PRIMARY KEY alone


def _index(name: str, *columns: str, where: str = "") -> Index:
    if not where:
        return Index(name, *columns)
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


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
    UniqueConstraint("id", name="operations_id"),
    UniqueConstraint("request_id", name="operations_request_id"),
    _index("operations_free", "sequence", where="end_time IS NULL AND owner = '' AND waits_for = ''"),
    _index("operations_held", "owner", where="end_time IS NULL AND owner <> ''"),
    _index("operations_queued", "waits_for", where="waits_for <> ''"),
    _index("operations_preempted", "preempted_by", where="end_time IS NULL AND preempted_by <> ''"),
    _index("operations_open", "resource", where="end_time IS NULL AND resource <> ''"),
    _index("operations_ended", "end_time", where="end_time IS NOT NULL"),
    _index("operations_by_cluster", "cluster", "sequence"),
    _index("operations_by_resource", "resource", "sequence", where="resource <> ''"),
    sqlite_autoincrement=True,  # a page token's sequence is never given twice
)

operation_names = Table(
    "operation_names",
    metadata,
    Column("name", String, primary_key=True),
    Column("operation_id", String, ForeignKey(operations.c.id, ondelete="CASCADE"), primary_key=True),
    _index("operation_names_of", "operation_id"),
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
"""The last batch that each writer committed: tells it after a lost connection whether a COMMIT took effect."""
