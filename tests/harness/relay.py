"""A TCP relay before one service of a real cluster: it sees the requests pass, and loses replies when told to.

It terminates TLS if given a certificate. Requests are told apart by the chunk that begins with a method, which holds
for clients that do not pipeline.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import re
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

_HEAD = re.compile(rb"^(GET|POST|PUT|PATCH|DELETE) (\S+) HTTP/1")
_SUBJECT = re.compile(rb"^X-Subject-Token: (\S+)\r$", re.MULTILINE | re.IGNORECASE)
_CHUNK = 1 << 16


class Mode(enum.Enum):
    """What the relay does with connections."""

    PASS = "pass"
    HANG = "hang"
    """Take bytes and never answer."""
    REFUSE = "refuse"
    """Reset at once."""


@dataclass
class _Loss:
    pattern: re.Pattern[bytes]
    reset_after_s: float
    send_after_s: float
    arrives: bool = True


class Relay:
    """`async with Relay("127.0.0.1", 20003) as relay: ... relay.port`."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext | None = None, answer_after_s: float = 0.0) -> None:
        self._target, self._tls, self._delay_s = (host, port), tls, answer_after_s
        self.mode = Mode.PASS
        self.requests: list[tuple[str, str]] = []
        """(method, path) of each request that came."""
        self.tokens: list[str] = []
        """The tokens that a login's reply told."""
        self.lost = 0
        self._losses: list[_Loss] = []
        self._connections: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<Relay to {self._target}: {self.mode.value}, {len(self.requests)} requests, {self.lost} lost>"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def lose(self, pattern: str, *, reset_after_s: float = 0.02, send_after_s: float = 0.0) -> None:
        """Lose the reply of the next request whose first line matches: pass it on and reset the caller's connection.

        With `send_after_s` the caller is reset first and the request arrives that much later.
        """
        self._losses.append(_Loss(re.compile(pattern.encode()), reset_after_s, send_after_s))

    def drop(self, pattern: str) -> None:
        """Reset the caller's connection at the next request whose first line matches; it never arrives."""
        self._losses.append(_Loss(re.compile(pattern.encode()), 0.0, 0.0, arrives=False))

    def count(self, method: str, path: str) -> int:
        """Return how many requests came whose path matches."""
        return sum(m == method and re.search(path, p) is not None for m, p in self.requests)

    def turn(self, mode: Mode) -> None:
        """Change the mode; connections under way are reset."""
        self.mode = mode
        for writer in list(self._connections):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._connections.add(writer)
        # The other side may go away at any byte; a relay passes that on by closing.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._relay(reader, writer)
        self._connections.discard(writer)
        self._tasks.discard(task)
        writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode is Mode.REFUSE:
            _reset(writer)
            return
        if self.mode is Mode.HANG:
            while await reader.read(_CHUNK):
                pass
            return
        up_reader, up_writer = await asyncio.open_connection(*self._target)
        back = asyncio.create_task(self._answers(up_reader, writer))
        try:
            while chunk := await reader.read(_CHUNK):
                await self._pass_on(chunk, writer, up_writer)
        finally:
            back.cancel()
            up_writer.close()

    async def _pass_on(self, chunk: bytes, writer: asyncio.StreamWriter, up: asyncio.StreamWriter) -> None:
        loss = self._note(chunk)
        if loss is None:
            up.write(chunk)
            await up.drain()
            return
        self.lost += 1
        if not loss.arrives:
            _reset(writer)
            return
        if loss.send_after_s:
            _reset(writer)
            await asyncio.sleep(loss.send_after_s)
        up.write(chunk)
        await up.drain()
        await asyncio.sleep(loss.reset_after_s)
        _reset(writer)
        # A service that notices its caller gone may stop working; the request must have been carried out.
        await asyncio.sleep(5)

    def _note(self, chunk: bytes) -> _Loss | None:
        head = _HEAD.match(chunk)
        if head is None:
            return None
        self.requests.append((head[1].decode(), head[2].decode()))
        line = chunk.partition(b"\r\n")[0]
        loss = next((loss for loss in self._losses if loss.pattern.search(line)), None)
        if loss is not None:
            self._losses.remove(loss)
        return loss

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                self.tokens += [token.decode() for token in _SUBJECT.findall(chunk)]
                if self._delay_s:
                    # All that is under way is late by the same time, as on a long wire.
                    asyncio.get_running_loop().call_later(self._delay_s, _write, writer, chunk)
                    continue
                writer.write(chunk)
                await writer.drain()
            writer.close()


def _write(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    if not writer.is_closing():
        writer.write(chunk)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Reset, so that the caller meets an error and not an end of file."""
    peer = writer.get_extra_info("socket")
    if peer is not None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
