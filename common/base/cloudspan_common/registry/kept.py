"""A registration that a background task keeps true: what the driver's store holds is made what it should be.

The static and consul drivers give it a `Store`; nothing else does.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from cloudspan_common.errors import AlreadyExists, CloudspanError
from cloudspan_common.registry.base import Instance, Reach, Registration

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from cloudspan_common.clock import Clock

log = structlog.get_logger(__name__)


class Store(Protocol):
    """Where entries are kept. Each method raises an error of the tree when it could not do its work."""

    async def put(self, instance: Instance, *, anew: bool) -> None:
        """Enter or replace `instance`; unless `anew`, it was there a moment ago."""
        ...

    async def refresh(self, instance: Instance) -> bool:
        """Renew the entry; False when the store does not know it."""
        ...

    async def remove(self, instance_id: str) -> None:
        """Take the entry out; an unknown one is already out."""
        ...


class KeptRegistration(Registration):
    """Renews every `period_s`, enters again what the store forgot, goes on trying while the store is away."""

    def __init__(self, store: Store, instance: Instance, clock: Clock, period_s: float) -> None:
        self._store, self._clock, self._period_s = store, clock, period_s
        self._wanted, self._written = instance, None
        self._reach = Reach("registration", instance=instance.instance_id)
        # A renewal that is under way when drain or deregister is called must not undo them afterwards.
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.done = False

    _written: Instance | None

    @property
    def instance(self) -> Instance:
        return self._wanted

    async def start(self) -> None:
        """Try once, then go on in the background."""
        pause = await self._sync()
        self._task = in_background(self._keep(pause), "registration renewal")

    async def drain(self) -> None:
        self._wanted = replace(self._wanted, draining=True)
        await self._sync()

    async def deregister(self) -> None:
        if self.done:
            return
        async with self._lock:
            self.done = True
            try:
                await self._store.remove(self._wanted.instance_id)
            except CloudspanError as error:
                # The caller is leaving and can do nothing about it; the registry's own expiry removes the entry.
                log.warning("deregistration failed", instance=self._wanted.instance_id, error=error.message)
        if self._task:
            await stopped(self._task)

    async def _keep(self, pause: float) -> None:
        while True:
            await self._clock.sleep(pause)
            pause = await self._sync()

    async def _sync(self) -> float:
        """Make the store hold what is wanted; return the seconds until the next look."""
        async with self._lock:
            if self.done:
                return self._period_s
            try:
                await self._write()
            except CloudspanError as error:
                return min(self._reach.lost(error), self._period_s)
            self._reach.found()
            return self._period_s

    async def _write(self) -> None:
        wanted, known = self._wanted, self._written is not None
        if known and self._written == wanted:
            if await self._store.refresh(wanted):
                return
            log.warning("registry had forgotten an instance, registering it again", instance=wanted.instance_id)
            known = False
        await self._store.put(wanted, anew=not known)
        self._written = wanted

    def _state(self) -> str:
        if self.done:
            return "deregistered"
        if self._written is None:
            return "not yet registered"
        return f"registered, registry {self._reach!r}" if self._reach.away else "registered"


class Registrations:
    """Those of one registry, so that closing it can end them; one per instance id."""

    def __init__(self, store: Store, clock: Clock, period_s: float) -> None:
        self._store, self._clock, self._period_s = store, clock, period_s
        self._all: list[KeptRegistration] = []

    def __len__(self) -> int:
        return sum(not one.done for one in self._all)

    async def add(self, instance: Instance) -> Registration:
        """Enter `instance` and keep it.

        Raises:
            AlreadyExists: This process keeps that id already; two renewals would overwrite each other.
        """
        self._all = [one for one in self._all if not one.done]
        if any(one.instance.instance_id == instance.instance_id for one in self._all):
            raise AlreadyExists(f"instance {instance.instance_id} is registered here already; deregister it first")
        one = KeptRegistration(self._store, instance, self._clock, self._period_s)
        self._all.append(one)
        await one.start()
        return one

    async def close(self) -> None:
        """Deregister all, side by side."""
        async with asyncio.TaskGroup() as group:
            for one in self._all:
                group.create_task(one.deregister())


def in_background(work: Coroutine[Any, Any, None], what: str) -> asyncio.Task[None]:
    """Return a running task that says so in the log if a defect ends it; whoever holds it ends it by `stopped`."""
    task = asyncio.get_running_loop().create_task(work, name=what)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("background work failed with a defect", work=task.get_name(), exc_info=error)


async def stopped(task: asyncio.Task[None]) -> None:
    """Cancel `task` and wait until it has ended."""
    task.cancel()
    await asyncio.wait({task})
