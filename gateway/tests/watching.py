"""A gateway that serves Watch over rows that a test writes, and clients that follow it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from gateway.tests.inventory_writer import InventoryWriter

from cloudspan.v1 import inventory_pb2, inventory_pb2_grpc
from cloudspan_gateway import app
from cloudspan_gateway.inventory.watch.change_log import ChangeLog
from cloudspan_gateway.inventory.watch.feed import Feed
from cloudspan_gateway.inventory.watch.resume_token import ResumeTokens
from cloudspan_gateway.services.inventory.scopes import Scopes
from cloudspan_gateway.services.inventory_watch import Watches
from cloudspan_gateway.services.methods import service_methods

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.services.methods import ServiceMethod

Type = inventory_pb2.WatchResponse.Change.Type
Request = inventory_pb2.WatchRequest


class Watching(app.Gateway):
    """A gateway with the rows of `writer`."""

    writer: InventoryWriter
    feed: Feed
    feed_clock: Clock | None = None

    def _services(self) -> Sequence[ServiceMethod]:
        self.writer = InventoryWriter(self.database)
        tokens = ResumeTokens(self._cipher)
        self.feed = Feed(ChangeLog(self.database), self.writer.store.subscribe, tokens, self.feed_clock)
        watches = Watches(self.feed, tokens, Scopes(self.table, self.router.tags))
        others = [method for method in super()._services() if not method.path.endswith("InventoryService/Watch")]
        return (*others, *service_methods("cloudspan.v1.InventoryService", watches))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[app.Gateway]:
        async with super().running():
            running = asyncio.create_task(self.feed.run())
            try:
                yield self
            finally:
                self.feed.stop()
                running.cancel()
                await asyncio.wait([running])


class Follower:
    """What a client holds that applies what a watch sends."""

    def __init__(self, channel: Any, metadata: Sequence[tuple[str, str]] = (), **request: Any) -> None:
        self._call = partial(inventory_pb2_grpc.InventoryServiceStub(channel).Watch, metadata=tuple(metadata))
        self.request = Request(**request)
        self.held: dict[str, str] = {}
        """Display names by name."""
        self.seen: list[tuple[str, str]] = []
        """Types and display names, in the order in which they came."""
        self.complete = False
        self.stream: Any = None

    async def read(self) -> inventory_pb2.WatchResponse:
        """Take the next message."""
        if self.stream is None:
            self.stream = self._call(self.request)
        message = await asyncio.wait_for(self.stream.read(), 10)
        for change in message.changes:
            self._apply(change)
        self.complete = self.complete or message.snapshot_complete
        self.request.resume_token = message.resume_token
        return message

    def _apply(self, change: inventory_pb2.WatchResponse.Change) -> None:
        resource = change.resource
        self.seen.append((Type.Name(change.type).removeprefix("TYPE_"), resource.display_name))
        if change.type == Type.TYPE_REMOVED:
            self.held.pop(resource.name, None)
        else:
            self.held[resource.name] = resource.display_name

    async def until_complete(self) -> None:
        while not self.complete:
            await self.read()

    async def until(self, count: int) -> list[tuple[str, str]]:
        """Read until that many changes came; return them."""
        while len(self.seen) < count:
            await self.read()
        return self.seen

    def leave(self) -> None:
        if self.stream is not None:
            self.stream.cancel()
            self.stream = None
