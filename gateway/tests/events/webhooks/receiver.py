"""A receiver of webhooks on loopback, which answers as a test says."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass
class Received:
    """One request."""

    headers: dict[str, str]
    body: bytes
    event: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.event = json.loads(self.body)


class Receiver:
    """What it got, and what it answers: statuses in their order, then 204 for ever."""

    def __init__(self) -> None:
        self.requests: list[Received] = []
        self.answers: deque[int | str | dict[str, str]] = deque()
        """A status, `hang`, `reset`, or the headers of a 503."""
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def subjects(self) -> list[str]:
        """What the received events are about, without repeats."""
        seen = {each.event["id"]: each.event["subject"] for each in reversed(self.requests)}
        return list(reversed(seen.values()))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(Received({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        answer = self.answers.popleft() if self.answers else 204
        if answer == "hang":
            await asyncio.sleep(60)
        if answer == "reset":
            assert request.transport is not None
            request.transport.abort()
        if isinstance(answer, dict):
            return web.Response(status=503, headers=answer)
        headers = {"location": f"http://127.0.0.1:{self.port}/elsewhere"} if answer == 302 else {}
        return web.Response(status=answer if isinstance(answer, int) else 200, headers=headers)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """Serve for the block."""
    found = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.port = runner.addresses[0][1]
    try:
        yield found
    finally:
        await runner.cleanup()
