"""The last view on disk, so that a gateway that starts while the registry is down still has a table.

The consul driver writes it on each change and reads it once, at the start.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import msgspec
import structlog

from cloudspan_common.errors import InvalidRequest
from cloudspan_common.registry.base import Instance, View

if TYPE_CHECKING:
    from pathlib import Path

log = structlog.get_logger(__name__)


def load(path: Path) -> View | None:
    """Return the view last saved, or None without a readable one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[Instance, ...])
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, InvalidRequest) as error:
        log.warning("registry cache is unreadable, starting without it", path=str(path), error=str(error))
        return None


def save(path: Path, view: View) -> None:
    """Replace the saved view; a disk that refuses is logged, since the table in memory serves on."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        draft.write_bytes(msgspec.json.encode(view))
        draft.replace(path)
    except OSError as error:
        log.warning("registry cache was not written", path=str(path), error=str(error))
        with contextlib.suppress(OSError):  # the disk has been reported above
            draft.unlink(missing_ok=True)
