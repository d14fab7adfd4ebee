"""The registry in one YAML file: operators edit it by hand, processes on the same machine register in it.

The default on a laptop: nothing to install. The file's form is `adapters_file`'s; a file that is broken keeps the
last good view. An entry of a process that died without a word stays: the gateway's own probe decides about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import structlog

from cloudspan_common.clock import SystemClock
from cloudspan_common.errors import InvalidRequest, Unreachable
from cloudspan_common.file_watch import FileWatch, signature_of
from cloudspan_common.registry.adapters_file import AdaptersFile, parse
from cloudspan_common.registry.base import Feed, Instance, Registration, View
from cloudspan_common.registry.context_keys import ContextKeys
from cloudspan_common.registry.kept import Registrations, in_background, stopped
from cloudspan_common.registry.locked_file import locked, replace

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from cloudspan_common.clock import Clock
    from cloudspan_common.file_watch import Signature
    from cloudspan_common.registry.context_keys import Entry
    from cloudspan_common.registry.services import ServiceAddress

POLL_S = 0.04  # 0.02 % of a core, and a new adapter is seen within 50 ms
RENEW_S = 1.0

log = structlog.get_logger(__name__)


class StaticRegistry:
    """A file and its followers."""

    coordinator = None  # a file has no leases

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        self._path = path
        self._clock = clock or SystemClock()
        self._registrations = Registrations(_FileStore(path, self._clock), self._clock, RENEW_S)
        self.context_keys = ContextKeys(_KeyFile(path, self._clock), self._clock)
        self._feed = Feed()
        self._services: Sequence[tuple[str, ServiceAddress]] = ()
        self._problem = ""
        self._watch = FileWatch(())
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        watch = f"{self._feed!r}" + (", file broken" if self._problem else "") if self._task else "not watching"
        return f"<StaticRegistry {self._path}: {watch} | {len(self._registrations)} own>"

    async def register(self, instance: Instance) -> Registration:
        return await self._registrations.add(instance)

    async def service(self, name: str) -> Sequence[ServiceAddress]:
        if self._task is None:
            self._read()
        return [address for known, address in self._services if known == name]

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
        self._services = content.services if content else ()
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
        async with locked(self._path, self._clock):
            content = _load(self._path) or AdaptersFile("")
            text = change(content)
            if text != content.text:
                replace(self._path, text)


class _KeyFile:
    """Keys as JSON in a file beside the adapters file, one for all gateways."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path.with_name(f"{path.name}.keys"), clock

    async def put(self, holder: str, entry: bytes) -> None:
        async with locked(self._path, self._clock):
            replace(self._path, _key_text({**self._read(), holder: entry}))

    async def entries(self) -> Sequence[Entry]:
        return tuple(self._read().items())

    async def remove(self, holder: str) -> None:
        async with locked(self._path, self._clock):
            replace(self._path, _key_text({who: entry for who, entry in self._read().items() if who != holder}))

    def _read(self) -> dict[str, bytes]:
        try:
            held = msgspec.json.decode(self._path.read_bytes(), type=dict[str, msgspec.Raw])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            text = f"{self._path} can't be read: {error}; delete it, gateways write it again within a minute"
            raise Unreachable(text, reason="REGISTRY_UNREACHABLE") from error
        return {holder: bytes(entry) for holder, entry in held.items()}


def _key_text(entries: dict[str, bytes]) -> str:
    return msgspec.json.encode({holder: msgspec.Raw(entry) for holder, entry in entries.items()}).decode()


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
