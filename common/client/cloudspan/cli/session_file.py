"""Where `cloudspan login` keeps sessions: one file of the user's own, by the address of the gateway.

The address counts with its `https://`: what was handed out over TLS is never sent to the same host without it.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE = "sessions.json"
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as it is kept: what authenticates calls, and whose it is."""

    name: str
    """`sessions/{session}`."""
    subject: str
    token: str = field(repr=False)


def path() -> Path:
    """Return where the file is: below XDG_CONFIG_HOME, or ~/.config."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "cloudspan" / _FILE


def load(gateway: str) -> StoredSession | None:
    """Return the session at a gateway; None when there was no login.

    Raises:
        click.ClickException: Others can read the file, or it is not as `save` writes it.
    """
    entry = _entries().get(gateway.lower())
    if entry is None:
        return None
    try:
        found = StoredSession(**entry)
    except TypeError as error:
        raise _malformed() from error
    if not all(isinstance(text, str) for text in (found.name, found.subject, found.token)):
        raise _malformed()
    return found


def save(gateway: str, session: StoredSession) -> None:
    """Keep the session at a gateway, in place of an earlier one."""
    with _changing() as entries:
        entries[gateway.lower()] = asdict(session)


def remove(gateway: str) -> None:
    """Forget the session at a gateway."""
    if path().exists():
        with _changing() as entries:
            entries.pop(gateway.lower(), None)


def _entries() -> dict[str, Any]:
    try:
        with path().open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            if mode & _OTHERS:
                raise click.ClickException(
                    f"{path()} can be read by others; chmod 600 it, or delete it and log in anew"
                )
            entries = json.load(file)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise _malformed() from error
    if not isinstance(entries, dict):
        raise _malformed()
    return entries


@contextmanager
def _changing() -> Iterator[dict[str, Any]]:
    """Hand out the entries to change, and put them in place of the file; two logins at once lose neither's."""
    folder = path().parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        entries = _entries()
        yield entries
        _replace(folder, json.dumps(entries, indent=1) + "\n")
    finally:
        os.close(lock)


def _replace(folder: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=folder)  # 0600 from the start
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(folder / _FILE)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _malformed() -> click.ClickException:
    return click.ClickException(f"{path()} is not as `cloudspan login` writes it; delete it and log in again")
