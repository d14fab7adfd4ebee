"""A TCP relay that can be cut as a network is: bytes vanish, nobody is told, connections stay open."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

_CHUNK = 1 << 16


class Partition:
    """`async with Partition("127.0.0.1", 5432) as line: ... line.port ... line.cut()`."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._is_cut = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self._end_all()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Swallow every byte from now on, in both directions; new connections are taken and hear nothing."""
        self._is_cut = True

    def mend(self) -> None:
        """Pass bytes again, on new connections: those that lost some are ended."""
        self._is_cut = False
        self._end_all()

    def _end_all(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # Either side may go away at any byte; a relay passes that on by closing.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._relay(reader, writer)
        self._tasks.discard(task)
        writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        ways = {
            asyncio.ensure_future(self._pump(reader, up_writer)),
            asyncio.ensure_future(self._pump(up_reader, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            up_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            if not self._is_cut:
                writer.write(chunk)
                await writer.drain()
