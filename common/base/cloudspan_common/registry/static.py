"""The registry in one YAML file: operators edit it by hand, processes on the same machine register in it.

The default on a laptop: nothing to install. The file's form is `adapters_file`'s; a file that is broken keeps the
last good view. An entry of a process that died without a word stays: the gateway's own probe decides about it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING

import structlog

from cloudspan_common.clock import SystemClock
from cloudspan_common.errors import InvalidRequest, Unreachable
from cloudspan_common.file_watch import FileWatch, signature_of
from cloudspan_common.registry.adapters_file import AdaptersFile, parse
from cloudspan_common.registry.base import Feed, Instance, Registration, View
from cloudspan_common.registry.kept import Registrations, in_background, stopped

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from cloudspan_common.clock import Clock
    from cloudspan_common.file_watch import Signature

POLL_S = 0.04  # 0.02 % of a core, and a new adapter is seen within 50 ms
RENEW_S = 1.0
_LOCK_WAIT_S = 2.0  # its holders need a millisecond
_LOCK_POLL_S = 0.005

log = structlog.get_logger(__name__)


class StaticRegistry:
    """A file and its followers."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._registrations = Registrations(_FileStore(path, self._clock), self._clock, RENEW_S)
        self._feed = Feed()
        self._problem = ""
        self._watch = FileWatch(())
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        watch = f"{self._feed!r}" + (", file broken" if self._problem else "") if self._task else "not watching"
        return f"<StaticRegistry {self._path}: {watch} | {len(self._registrations)} own>"

    async def register(self, instance: Instance) -> Registration:
        return await self._registrations.add(instance)

    def watch(self) -> AsyncIterator[View]:
        if self._task is None and not self._feed.closed:
            self._watch.follow([self._path])
            self._read()
            if self._feed.view is None:
                self._feed.publish(())
            self._task = in_background(self._follow(), "adapters file watch")
        return self._feed.follow()

    async def close(self) -> None:
        if self._task:
            await stopped(self._task)
        self._feed.close()
        await self._registrations.close()

    async def _follow(self) -> None:
        while True:
            await self._clock.sleep(POLL_S)
            if self._watch.has_changed():
                self._read()

    def _read(self) -> None:
        try:
            content = _load(self._path)
        except (InvalidRequest, Unreachable) as error:
            self._report(error.message)
            return
        except Exception as error:  # noqa: BLE001 - whatever is in a file must not end its watch
            self._report(f"{self._path} can't be read: {error!r}")
            return
        if content and content.blank and self._feed.view:
            # A writer that truncates first must not empty the table.
            self._report(f"{self._path} is blank; expected `adapters: []` for none")
            return
        self._report("")
        self._feed.publish(content.instances if content else ())

    def _report(self, problem: str) -> None:
        if problem and problem != self._problem:
            log.error("adapters file is invalid, the last valid view stays in use", problem=problem)
        elif self._problem and not problem:
            log.info("adapters file is valid again", path=str(self._path))
        self._problem = problem


class _FileStore:
    """Entries as items of the file's list; writers take turns by a lock on a file beside it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._checked: dict[str, Signature] = {}

    async def put(self, instance: Instance, *, anew: bool) -> None:
        await self._edit(lambda content: content.with_entry(instance))

    async def refresh(self, instance: Instance) -> bool:
        found = signature_of(self._path)
        if found is not None and self._checked.get(instance.instance_id) == found:
            return True
        content = _load(self._path)
        known = content is not None and any(one.instance_id == instance.instance_id for one in content.instances)
        # An entry that an operator changed stays as it is; only one that is gone is written again.
        self._checked[instance.instance_id] = found if known else None
        return known

    async def remove(self, instance_id: str) -> None:
        await self._edit(
            lambda content: content.without(one for one in content.instances if one.instance_id == instance_id)
        )

    async def _edit(self, change: Callable[[AdaptersFile], str]) -> None:
        try:
            with contextlib.ExitStack() as held:
                await self._lock(held)
                content = _load(self._path) or AdaptersFile("")
                text = change(content)
                if text != content.text:
                    _replace(self._path, text)
        except OSError as error:
            raise Unreachable(f"{self._path} can't be written: {error}", reason="REGISTRY_UNREACHABLE") from error

    async def _lock(self, held: contextlib.ExitStack) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = held.enter_context(self._path.with_name(f"{self._path.name}.lock").open("a"))
        give_up = self._clock.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                # Without waiting: a writer that was stopped must not stop our loop.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if self._clock.monotonic() >= give_up:
                    raise Unreachable(f"{lock.name} is held by another process", reason="REGISTRY_LOCKED") from error
                await self._clock.sleep(_LOCK_POLL_S)
            else:
                return


def _load(path: Path) -> AdaptersFile | None:
    """Return the file's content, None when there is no file."""
    try:
        return parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreachable(f"{path} can't be read: {error}", reason="REGISTRY_UNREACHABLE") from error
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{path} is not UTF-8 text: {error}", reason="MALFORMED_ADAPTERS_FILE") from error
    except InvalidRequest as error:
        raise InvalidRequest(f"{path} {error.message}", reason=error.reason) from error


def _replace(path: Path, text: str) -> None:
    """Let readers see the old text or the new one; a link and the file's mode stay."""
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    draft.write_text(text, encoding="utf-8")
    with contextlib.suppress(FileNotFoundError):  # the first entry creates the file
        draft.chmod(stat.S_IMODE(target.stat().st_mode))
    draft.replace(target)
