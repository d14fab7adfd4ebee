"""A relay before PostgreSQL that loses chosen COMMITs, or their answers, and whole connections."""

from __future__ import annotations

import asyncio
from typing import Any, Self

_LATE_S = 0.05


class CuttingProxy:
    """`async with`; connect to `through(url)`."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._how = ""
        self._then_refuse = False
        self._refusing = False
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.cuts = 0

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._listener.close()
        self.refuse()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._listener.wait_closed()

    def through(self, url: str) -> str:
        """Return the URL that leads through here."""
        return url.replace(f":{self._server_port}/", f":{self.port}/")

    def cut(self, how: str, *, then_refuse: bool = False) -> None:
        """Lose the next COMMIT ("request"), or its answer ("reply"), or send it only after the loss ("late")."""
        self._how, self._then_refuse = how, then_refuse

    def refuse(self) -> None:
        """Cut every connection, and each new one at once."""
        self._refusing = True
        for link in self._links:
            link.transport.abort()

    def admit(self) -> None:
        """Let connections through again."""
        self._refusing = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        self._tasks.add(task := asyncio.current_task())  # type: ignore[arg-type]
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._links |= {writer, far_writer}
        try:
            await asyncio.gather(
                self._relay(reader, far_writer, writer), self._relay(far_reader, writer), return_exceptions=True
            )
        finally:
            for link in (writer, far_writer):
                link.close()
                self._links.discard(link)
            self._tasks.discard(task)

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: asyncio.StreamWriter | None = None
    ) -> None:
        while data := await reader.read(65536):
            if back is not None and self._how and b"COMMIT" in data:
                await self._cut(data, writer, back)
                return
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _cut(self, data: bytes, writer: asyncio.StreamWriter, back: asyncio.StreamWriter) -> None:
        how, self._how = self._how, ""
        self.cuts += 1
        self._links.discard(writer)  # the server's side lives on
        back.transport.abort()
        if self._then_refuse:
            self.refuse()
        if how == "late":
            await asyncio.sleep(_LATE_S)
        if how != "request":
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(_LATE_S)  # for the server to take it
        writer.close()
