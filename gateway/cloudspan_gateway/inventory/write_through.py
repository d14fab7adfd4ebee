"""Writes what operations have changed into the inventory as they end, ahead of the next listing.

The runner that took an operation to its end announces it here; nothing waits for what follows. What is lost with the
process is read again before a stored answer relies on it (`own_changes`).
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

from google.rpc import status_pb2

from cloudspan_common import contract
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError
from cloudspan_common.logs import get_logger
from cloudspan_common.redaction import without_secrets
from cloudspan_gateway.inventory.model import Observed, Origin
from cloudspan_gateway.inventory.own_changes import collection_of, deletes, touched

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from google.protobuf import any_pb2

    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.inventory.base import Writes

log = get_logger(__name__)

MOST_WAITING = 10_000
"""Ends that wait to be written; with more of them the listings find what they changed."""
_WRITERS = 4
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
            for _ in range(_WRITERS):
                group.create_task(self._work())

    async def settled(self) -> None:
        """Return once everything that was announced is written."""
        await self._waiting.join()

    async def _work(self) -> None:
        while True:
            operation, sent_time = await self._waiting.get()
            try:
                await self._write(operation, sent_time)
            except CloudspanError as error:
                log.warning(
                    "operation not written to the inventory",
                    method=operation.intent.method,
                    resource=operation.resource,
                    reason=error.reason,
                    message=error.message,
                )
            finally:
                self._list_soon(operation)
                self._waiting.task_done()

    def _list_soon(self, operation: Operation) -> None:
        found = touched(operation.intent.method)
        if found:
            self._soon(str(operation.intent.cluster), found)

    async def _write(self, operation: Operation, sent_time: float) -> None:
        """Keep the resource itself, and read again what was named beside it.

        Raises:
            CloudspanError: A platform or the database does not answer.
        """
        name, end_time = operation.resource, operation.end_time
        if name and end_time is not None and not await self._keep_result(operation, name, sent_time, end_time):
            await self.read_again(name, Deadline.after(_READ_S))
        for other in operation.intent.also:
            if other and other.startswith(f"{operation.intent.cluster}/"):
                await self.read_again(other, Deadline.after(_READ_S))

    async def _keep_result(self, operation: Operation, name: str, sent_time: float, end_time: float) -> bool:
        """Keep what an operation returned; False where that does not tell how its resource is now."""
        outcome = operation.outcome
        if outcome is None or isinstance(outcome, status_pb2.Status):
            return False
        if deletes(operation.intent.method):
            await self._writes.remove([name], end_time)  # it was seen gone by then
            self._note(name, end_time + self._clocks_apart_s)
            return True
        result = _result_of(operation.intent.method, outcome)
        if result is None or result.name != name or not name.startswith(f"{operation.intent.cluster}/"):
            return False
        written = await self._writes.apply(collection_of(name), [Observed.of(result)], sent_time, Origin.OPERATION)
        if written.outdated or not (written.added or written.updated or written.unchanged):
            return False
        self._note(name, end_time + self._clocks_apart_s)
        return True

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


def _result_of(method: str, outcome: any_pb2.Any) -> Any | None:
    """Return the resource in an outcome, without secrets: what is kept is shown to whoever may read it."""
    found = contract.methods().get(method)
    if found is None or "name" not in found.result.DESCRIPTOR.fields_by_name:
        return None
    result = found.result()
    return without_secrets(result) if outcome.Unpack(result) else None
