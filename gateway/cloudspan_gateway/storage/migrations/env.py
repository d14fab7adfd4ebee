"""Run by alembic for each command: works within the connection and transaction that `migrations` handed over."""

from __future__ import annotations

from alembic import context

from cloudspan_gateway.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
