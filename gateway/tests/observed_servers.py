"""What tests of the inventory write into it, and where: servers of one cluster, either database."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.tests import postgres_server

from cloudspan.v1 import server_pb2
from cloudspan_gateway.inventory.model import Observed
from cloudspan_gateway.storage.engine import open_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.storage.engine import Database

CLUSTER = "platforms/memory/clusters/one"
OTHER = "platforms/memory/clusters/two"
DATABASES = ("sqlite", "postgresql")


@asynccontextmanager
async def opened(kind: str, clock: Clock | None = None) -> AsyncIterator[Database]:
    """Open a new database of that kind."""
    url = "memory:" if kind == "sqlite" else postgres_server.needed().new_database()
    database = await open_database(url, clock)
    try:
        yield database
    finally:
        await database.close()


def name_of(server: str, cluster: str = CLUSTER) -> str:
    """Return a server's resource name."""
    return f"{cluster}/servers/{server}"


def server(one: str, display_name: str = "", cluster: str = CLUSTER, **fields: object) -> Observed:
    """Return a server as a sweep reads it."""
    name = name_of(one, cluster)
    return Observed.of(server_pb2.Server(name=name, display_name=display_name or one, **fields))
