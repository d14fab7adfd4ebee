"""Makes an empty database: the tables, their indices, and what the database itself refuses.

Beside `tables`, which each store imports: a database that is there needs none of this.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from sqlalchemy import Index, MetaData, text

from cloudspan_gateway.storage.tables import (
    audit_events,
    bindings,
    events,
    metadata,
    operation_names,
    operations,
    resource_changes,
    resource_values,
    resources,
    sessions,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection

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
    ("events_by_time", events, ("time",), ""),
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
