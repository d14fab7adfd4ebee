"""What other gateways announce on PostgreSQL: one connection that listens, opened again whenever it is lost.

Run by `postgres` for as long as the database is open.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = structlog.get_logger(__name__)

CHANNEL = "cloudspan"
_RETRY_S = (0.1, 0.2, 0.5, 1.0, 2.0)  # the last one repeats
_PROBE_S = 15.0  # a connection whose far end vanished says nothing by itself
_PROBE_TIMEOUT_S = 5.0


class Listener:
    """Hands each announcement to `heard`, and None after every time that some may have been missed."""

    def __init__(self, connect: Callable[[], Awaitable[Any]], heard: Callable[[str | None], None]) -> None:
        self._connect = connect
        self._heard = heard
        self._connection: Any = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Listener {'listens' if self._connection is not None else 'not connected'}>"

    async def start(self) -> None:
        """Listen before this returns; then go on in the background."""
        lost = await self._listen()
        self._task = asyncio.create_task(self._keep(lost))

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._drop()

    async def _listen(self) -> asyncio.Event:
        connection = await self._connect()
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: lost.set())
        await connection.add_listener(CHANNEL, lambda _connection, _pid, _channel, message: self._heard(message))
        self._connection = connection
        return lost

    async def _keep(self, lost: asyncio.Event) -> None:
        while True:
            await self._until_lost(lost)
            log.warning("announcements of other gateways not heard: the database connection was lost")
            lost = await self._again()
            self._heard(None)

    async def _until_lost(self, lost: asyncio.Event) -> None:
        waiting = asyncio.ensure_future(lost.wait())
        try:
            while not waiting.done():
                await asyncio.wait([waiting], timeout=_PROBE_S)
                async with asyncio.timeout(_PROBE_TIMEOUT_S):
                    await self._connection.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - however the probe fails, the connection is not usable
            return
        finally:
            waiting.cancel()
            self._drop()

    async def _again(self) -> asyncio.Event:
        tries = 0
        while True:
            try:
                return await self._listen()
            except Exception as error:  # noqa: BLE001 - whatever keeps it from connecting, it goes on trying
                log.debug("database not reached to listen", error=str(error))
                await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
