"""The folder of one demo: made and marked by `cloudspan up`, held by one demo at a time.

`command` takes it before anything is written; a folder without the marker is somebody else's and stays as it is.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cloudspan_common.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

MARKER = ".cloudspan-demo"
"""Says that the folder is a demo's, holds the lock, and the process id of who has it."""


def default_folder(port_base: int) -> Path:
    """Return where the demo of a port base keeps its files.

    In `.state` of the checkout that this module runs from; else where the XDG base directory specification puts state.

    Raises:
        PreconditionFailed: There is no checkout, and neither XDG_STATE_HOME nor a home directory.
    """
    return _state() / f"demo-{port_base}"


def _state() -> Path:
    checkout = Path(__file__).parents[3]
    if (checkout / "uv.lock").is_file():
        return checkout / ".state"
    named = Path(os.environ.get("XDG_STATE_HOME", ""))
    try:
        return (named if named.is_absolute() else Path.home() / ".local" / "state") / "cloudspan"
    except RuntimeError as error:
        text = "there is no home directory to keep the demo in; name a folder with --state"
        raise PreconditionFailed(text) from error


@contextmanager
def held(folder: Path) -> Iterator[int]:
    """Hold the folder for one demo, made if there is none, and yield the descriptor of its lock.

    Children that inherit the descriptor hold the folder too: it is free once the last of them has ended.

    Raises:
        PreconditionFailed: The folder is not a demo's, a running demo has it, or it can't be made.
    """
    try:
        _check_ours(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / MARKER, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        text = f"the demo can't keep its files in {folder}: {error.strerror}; name another folder with --state"
        raise PreconditionFailed(text) from error
    try:
        _lock(folder, lock)
        yield lock
    finally:
        os.close(lock)


def _check_ours(folder: Path) -> None:
    """Refuse a folder with anything in it that has no marker; an empty one holds nothing to lose."""
    if folder.is_dir() and not (folder / MARKER).exists() and any(folder.iterdir()):
        text = f"{folder} was not made by `cloudspan up` and is not empty, so nothing in it is touched"
        raise PreconditionFailed(f"{text}; name a new or an empty folder with --state")


def _lock(folder: Path, lock: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
        text = f"a demo that runs, or is just stopping, keeps its files in {folder} (process {holder})"
        what = "stop that one, or start another beside it with --port-base"
        raise PreconditionFailed(f"{text}; {what}") from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
