"""What tests of events share: a gateway whose cluster is told of, streams, and events made by hand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from gateway.tests import postgres_server
from sqlalchemy import delete
from tests.harness.clouds import MAIN, memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.v1 import event_pb2, server_pb2
from cloudspan_gateway.events import cluster_states
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.outbox.event import OutboxEvent
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.tables import events

DATABASES = ("sqlite", "postgresql")
"""And "memory:", whose operations are in no database: as SQLite otherwise."""

CONSUMER = "tenants/default/eventConsumers/billing"
OPERATIONS = 'type : "operation."'


def as_(user: str):
    return (("authorization", f"Bearer {user}"),)


def server(key: object, display_name: str, project: str = "") -> server_pb2.Server:
    return server_pb2.Server(name=f"{MAIN}/servers/{key}", display_name=display_name, project=project)


async def until_told(running: Deployment, kind: str) -> None:
    async with asyncio.timeout(10):
        while not await listed(running, filter=f"type = {kind}"):  # noqa: ASYNC110 - its leader is to be elected
            await asyncio.sleep(0.02)


async def listed(running: Deployment, metadata=(), **request) -> list[event_pb2.Event]:
    """Return all that a traversal finds, in its order."""
    found, token = [], ""
    while True:
        page = event_pb2.ListEventsRequest(**request, page_token=token)
        answer = await running.client.events.ListEvents(page, metadata=metadata)
        found += answer.events
        token = answer.next_page_token
        if not token:
            return found


async def keep(running: Deployment, *happened: OutboxEvent) -> None:
    database = running.gateway.database
    await database.transact(lambda conn: outbox.append(conn, database, happened))


def ended(number: int, tenant: str = "", **fields) -> OutboxEvent:
    fields = {"cluster": MAIN, "subject": f"{MAIN}/servers/{number}", **fields}
    return OutboxEvent("operation.succeeded", 1000.0 + number, tenant=tenant, **fields)


class Stream:
    """One WatchEvents, and what it has brought."""

    def __init__(self, running: Deployment, metadata=(), **request) -> None:
        if "consumer" in request:  # the cluster may be told of at any time
            request["filter"] = OPERATIONS
        self._messages = running.client.events.WatchEvents(
            event_pb2.WatchEventsRequest(**request), metadata=metadata
        ).__aiter__()
        self.events: list[event_pb2.Event] = []
        self.token = ""

    async def begun(self) -> Stream:
        await self._next()
        return self

    async def until(self, count: int) -> list[str]:
        while len(self.events) < count:
            await self._next()
        return [event.type for event in self.events]

    async def _next(self) -> None:
        async with asyncio.timeout(10):
            message = await anext(self._messages)
        self.events += message.events
        self.token = message.resume_token

    async def leave(self) -> None:
        await self._messages.aclose()


def database_of(kind: str, folder) -> dict[str, object]:
    """Return the settings of a gateway for an empty database of a kind."""
    if kind != "postgresql":
        return {"database": kind if kind == "memory:" else f"sqlite:{folder}/gateway.db"}
    key = folder / "operations.key"
    Cipher.load(key)
    return {"database": postgres_server.needed().new_database(), "operations_key": key}


@asynccontextmanager
async def told_gateway(kind: str, tmp_path, monkeypatch):
    """Run a gateway over one cluster in memory, once `cluster.ready` is the only event."""
    monkeypatch.setattr(cluster_states, "PAUSE_S", 0.01)
    async with deployment(memory_cluster(), **database_of(kind, tmp_path)) as opened:
        await until_told(opened, "cluster.ready")
        others = delete(events).where(events.c.type != "cluster.ready")  # how it came there is another test's
        await opened.gateway.database.transact(lambda conn: conn.execute(others))
        yield opened
