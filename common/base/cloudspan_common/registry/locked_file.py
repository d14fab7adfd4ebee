"""A file that several processes write: they take turns, and readers see the old text or the new one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from cloudspan_common.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from cloudspan_common.clock import Clock

_LOCK_WAIT_S = 2.0  # its holders need a millisecond
_LOCK_POLL_S = 0.005


@asynccontextmanager
async def locked(path: Path, clock: Clock) -> AsyncIterator[None]:
    """Hold the lock of `path`, a file beside it, inside the `with` block.

    Raises:
        Unreachable: It can't be made or written, or another process does not let go of it.
    """
    try:
        with contextlib.ExitStack() as held:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = held.enter_context(path.with_name(f"{path.name}.lock").open("a"))
            give_up = clock.monotonic() + _LOCK_WAIT_S
            while not _taken(lock.fileno()):
                if clock.monotonic() >= give_up:
                    raise Unreachable(f"{lock.name} is held by another process", reason="REGISTRY_LOCKED")
                await clock.sleep(_LOCK_POLL_S)
            yield
    except OSError as error:
        raise Unreachable(f"{path} can't be written: {error}", reason="REGISTRY_UNREACHABLE") from error


def _taken(lock: int) -> bool:
    try:
        # Without waiting: a writer that was stopped must not stop our loop.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def replace(path: Path, text: str) -> None:
    """Let readers see the old text or the new one; a link and the file's mode stay."""
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    draft.write_text(text, encoding="utf-8")
    with contextlib.suppress(FileNotFoundError):  # the first entry creates the file
        draft.chmod(stat.S_IMODE(target.stat().st_mode))
    draft.replace(target)
