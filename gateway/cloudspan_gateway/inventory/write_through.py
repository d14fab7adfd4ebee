"""Writes what operations have changed into the inventory as they end, ahead of the next listing.

The runner that took an operation to its end announces it here; nothing waits for what follows. What is lost with the
process is read again before a stored answer relies on it (`own_changes`).
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from cloudspan_common import contract
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError
from cloudspan_common.logs import get_logger
from cloudspan_common.redaction import without_secrets
from cloudspan_gateway.inventory.model import Observed, Origin
from cloudspan_gateway.inventory.reads.own_changes import collection_of, deletes, touched

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from google.protobuf import any_pb2

    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.inventory.base import Writes

log = get_logger(__name__)

MOST_WAITING = 10_000
"""Ends that wait to be written; with more of them the listings find what they changed."""
_TOGETHER = 200
_READERS = 4
_READ_S = 30.0
_REMEMBERED = 10_000  # resources, some 200 bytes each


class Intent(Protocol):
    """What was asked for."""

    @property
    def method(self) -> str: ...
    @property
    def cluster(self) -> ClusterRef: ...
    @property
    def also(self) -> Sequence[str]: ...


class Operation(Protocol):
    """An operation that has ended."""

    @property
    def intent(self) -> Intent: ...
    @property
    def resource(self) -> str: ...
    @property
    def outcome(self) -> any_pb2.Any | status_pb2.Status | None: ...
    @property
    def end_time(self) -> float | None: ...


class ReadsOne(Protocol):
    """Reads one resource from its platform."""

    async def get(self, name: str) -> Observed | None:
        """Return it; None where its platform proves that it does not have it.

        Raises:
            CloudspanError: Whether it is there is not known.
        """
        ...


class WriteThrough:
    """Takes the ends of operations, and keeps what they have changed."""

    def __init__(
        self,
        writes: Writes,
        source: ReadsOne,
        clock: Clock,
        soon: Callable[[str, Collection[str]], None],
        clocks_apart_s: float = 0.0,
    ) -> None:
        """Make it; `soon` asks for an early listing, `clocks_apart_s` is as in `OwnChanges`."""
        self._writes = writes
        self._source = source
        self._clock = clock
        self._soon = soon
        self._clocks_apart_s = clocks_apart_s
        self._waiting: asyncio.Queue[tuple[Operation, float]] = asyncio.Queue(MOST_WAITING)
        self._doubtful: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        self._current: OrderedDict[str, float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<WriteThrough {self._waiting.qsize()} waiting, {len(self._current)} resources known>"

    def operation_ended(self, operation: Operation, sent_time: float) -> None:
        """Take an operation that has ended; `sent_time` is when its last step was sent, by our clock."""
        try:
            self._waiting.put_nowait((operation, sent_time))
        except asyncio.QueueFull:
            log.warning("operation not written to the inventory: too many wait", resource=operation.resource)
            self._list_soon(operation)

    async def run(self) -> None:
        """Write until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._write_all())
            for _ in range(_READERS):
                group.create_task(self._read_all())

    async def settled(self) -> None:
        """Return once everything that was announced is written."""
        await self._waiting.join()
        await self._doubtful.join()

    # -------------------------------------------------------------- writing

    async def _write_all(self) -> None:
        """Write in the order of the ends, what has come together in one go: each write is a commit."""
        while True:
            ended = [await self._waiting.get()]
            while len(ended) < _TOGETHER and not self._waiting.empty():
                ended.append(self._waiting.get_nowait())
            try:
                await self._write(ended)
            finally:
                for operation, _ in ended:
                    self._list_soon(operation)
                    self._waiting.task_done()

    def _list_soon(self, operation: Operation) -> None:
        found = touched(operation.intent.method)
        if found:
            self._soon(str(operation.intent.cluster), found)

    async def _write(self, ended: Sequence[tuple[Operation, float]]) -> None:
        own = [(operation, sent_time) for operation, sent_time in ended if _is_own(operation, operation.resource)]
        last = {operation.resource: _End.of(operation, sent_time) for operation, sent_time in own}
        await self._remove([end for end in last.values() if end.is_deleted])
        by_collection: dict[str, list[_End]] = {}
        for end in last.values():
            if end.observed is not None:
                by_collection.setdefault(collection_of(end.name), []).append(end)
            elif not end.is_deleted:
                self._doubt(end.name)
        for collection, ends in by_collection.items():
            await self._keep(collection, ends)
        for operation, _ in ended:
            for other in operation.intent.also:
                if _is_own(operation, other):
                    self._doubt(other)

    async def _remove(self, ends: Sequence[_End]) -> None:
        """Take resources for deleted: each was seen gone by its operation's end."""
        if not ends:
            return
        names = [end.name for end in ends]
        try:
            await self._writes.remove(names, max(end.end_time for end in ends))
        except CloudspanError as error:
            _log_failure(names, error)
            return
        self._note_ends(ends)

    async def _keep(self, collection: str, ends: Sequence[_End]) -> None:
        """Keep what operations returned; one that is older than what is kept is read again."""
        rows = [end.observed for end in ends if end.observed is not None]
        try:
            written = await self._writes.apply(collection, rows, min(end.sent_time for end in ends), Origin.OPERATION)
        except CloudspanError as error:
            _log_failure([end.name for end in ends], error)
            return
        if written.added + written.updated + written.unchanged == len(ends):
            self._note_ends(ends)
        elif len(ends) > 1:
            for end in ends:
                await self._keep(collection, [end])
        else:
            self._doubt(ends[0].name)

    def _note_ends(self, ends: Sequence[_End]) -> None:
        for end in ends:
            self._note(end.name, end.end_time + self._clocks_apart_s)

    # -------------------------------------------------------------- reading again

    def _doubt(self, name: str) -> None:
        """Have a resource read again; where too many wait it counts as changed until it is listed."""
        if not self._doubtful.full():
            self._doubtful.put_nowait(name)

    async def _read_all(self) -> None:
        while True:
            name = await self._doubtful.get()
            try:
                await self.read_again(name, Deadline.after(_READ_S))
            except CloudspanError as error:
                _log_failure([name], error)
            finally:
                self._doubtful.task_done()

    # -------------------------------------------------------------- what stored answers ask

    def is_current(self, name: str, since: float) -> bool:
        """Whether a resource was written as it was at `since` or later, as far as this gateway knows."""
        return self._current.get(name, -math.inf) >= since

    async def read_again(self, name: str, deadline: Deadline) -> None:
        """Read one resource and keep what came, or that it is gone.

        Raises:
            CloudspanError: It could not be read.
        """
        at = self._clock.now()
        async with deadline.scope(f"reading {name} for the inventory"):
            found = await self._source.get(name)
            if found is None:
                await self._writes.remove([name], at)
            else:
                await self._writes.apply(collection_of(name), [found], at, Origin.READ)
        self._note(name, at)

    def _note(self, name: str, time: float) -> None:
        self._current[name] = max(time, self._current.pop(name, time))
        while len(self._current) > _REMEMBERED:
            self._current.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _End:
    """What an operation's end says of its resource."""

    name: str
    sent_time: float
    end_time: float
    is_deleted: bool
    observed: Observed | None
    """The resource as the operation returned it, without secrets: what is kept is shown to whoever may read it."""

    @classmethod
    def of(cls, operation: Operation, sent_time: float) -> _End:
        name, method, outcome = operation.resource, operation.intent.method, operation.outcome
        ok = outcome if not isinstance(outcome, status_pb2.Status) else None
        result = _result_of(method, ok) if ok is not None else None
        if result is not None and result.name != name:
            result = None  # an adapter may return anything
        return cls(
            name,
            sent_time,
            operation.end_time or sent_time,
            ok is not None and deletes(method),
            Observed.of(result) if result is not None else None,
        )


def _is_own(operation: Operation, name: str) -> bool:
    """Whether a name is that of a resource in the operation's cluster; its adapter may have said anything."""
    return name.startswith(f"{operation.intent.cluster}/") and collection_of(name) != ""


def _log_failure(names: Sequence[str], error: CloudspanError) -> None:
    log.warning(
        "not written to the inventory", resources=len(names), one=names[0], reason=error.reason, message=error.message
    )


def _result_of(method: str, outcome: any_pb2.Any) -> Any | None:
    """Return the resource in an outcome, without secrets."""
    found = contract.methods().get(method)
    if found is None or "name" not in found.result.DESCRIPTOR.fields_by_name:
        return None
    result = found.result()
    try:
        return without_secrets(result) if outcome.Unpack(result) else None
    except DecodeError:  # an adapter may return anything
        return None
