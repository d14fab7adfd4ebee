"""The audit as JSON lines in a file (`--audit-log`): what this gateway has appended to the chain, in its order.

A line holds `sequence`, `record`, `hash` and `previous_hash`. Lines are written by a thread of their own once their
events are durable in the database: a full disk holds nobody up. What can't be written is counted, logged, and still in
the database. A file that was renamed away is made anew at the next line, so that it can be rotated.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msgspec

from cloudspan_common.errors import PreconditionFailed
from cloudspan_common.logs import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cloudspan_gateway.audit.chain import Link

MAX_QUEUED = 10_000
"""Lines that wait for a disk that hangs; those beyond are left out and counted."""

log = get_logger(__name__)


class AuditFile:
    """One file, open for as long as the gateway runs."""

    def __init__(self, path: Path, on_lost: Callable[[int], None] = lambda _count: None) -> None:
        """Open the file; `on_lost` hears of lines that could not be written.

        Raises:
            PreconditionFailed: It can't be written.
        """
        self._path = path
        self._on_lost = on_lost
        self._queue: list[bytes] = []
        self._pool = ThreadPoolExecutor(1, "cloudspan-audit-file")
        self._writing: asyncio.Task[None] | None = None
        self._failing = False
        try:
            self._file = _opened(path)
        except OSError as error:
            text = f"--audit-log {path} can't be written: {error.strerror}; choose another file or fix its folder"
            raise PreconditionFailed(text) from error

    def __repr__(self) -> str:
        return f"<AuditFile {self._path}: {len(self._queue)} lines queued{', failing' if self._failing else ''}>"

    def write(self, links: Sequence[Link]) -> None:
        """Queue lines for events; never waits and never fails."""
        room = max(MAX_QUEUED - len(self._queue), 0)
        self._queue += [_line(link) for link in links[:room]]
        if len(links) > room:
            self._lose(len(links) - room, "more lines than can wait for the disk")
        if self._writing is None:
            self._writing = asyncio.create_task(self._drain())

    async def close(self) -> None:
        """Write what is queued."""
        if self._writing is not None:
            await self._writing
        self._pool.shutdown()
        os.close(self._file)

    async def _drain(self) -> None:
        try:
            while self._queue:
                lines, self._queue = self._queue, []
                error = await asyncio.get_running_loop().run_in_executor(self._pool, self._written, b"".join(lines))
                if error is not None:
                    self._lose(len(lines), error.strerror or str(error))
                elif self._failing:
                    self._failing = False
                    log.info("audit log is written again", file=str(self._path))
        finally:
            self._writing = None

    def _lose(self, count: int, why: str) -> None:
        self._on_lost(count)
        if not self._failing:  # once, not with each event: the counter says how many
            self._failing = True
            text = "audit log can't be written; its events are in the database, and calls go on"
            log.error(text, file=str(self._path), error=why, lines=count)

    def _written(self, lines: bytes) -> OSError | None:
        """Append all of it or nothing; a line that was cut by a full disk would spoil the one behind it."""
        try:
            if _moved(self._path, self._file):
                fresh = _opened(self._path)
                os.close(self._file)
                self._file = fresh
            end = os.fstat(self._file).st_size
            try:
                _write_all(self._file, lines)
            except OSError:
                os.ftruncate(self._file, end)
                raise
        except OSError as error:
            return error
        return None


def _opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _moved(path: Path, file: int) -> bool:
    try:
        named = path.stat()
    except FileNotFoundError:
        return True
    here = os.fstat(file)
    return (named.st_dev, named.st_ino) != (here.st_dev, here.st_ino)


def _write_all(file: int, lines: bytes) -> None:
    rest = memoryview(lines)
    while rest:
        rest = rest[os.write(file, rest) :]


def _line(link: Link) -> bytes:
    said = {"sequence": link.sequence, "record": link.record, "hash": link.hash, "previous_hash": link.previous_hash}
    return msgspec.json.encode(said) + b"\n"
