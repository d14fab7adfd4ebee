"""Run by alembic for each command: works within the connection and transaction that `migrations` handed over."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
