"""Who can be called: follows the registry, asks each instance what it is, and keeps the snapshot up to date.

The app runs one `Table`; the router and everything that shows the state read `table.snapshot`, forwarding reports to it
what it lost (`eject`). The registry says who is there, the table's own probes decide who gets calls.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cloudspan_common.clock import Clock, SystemClock, finished
from cloudspan_common.errors import CloudspanError
from cloudspan_common.logs import get_logger
from cloudspan_gateway.routing.assemble import Remembered, assemble
from cloudspan_gateway.routing.channels import Channels
from cloudspan_gateway.routing.probe import Prober
from cloudspan_gateway.routing.snapshot import Seen, Snapshot, state_name
from cloudspan_gateway.routing.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_common.grpcs import Tls
    from cloudspan_common.registry import Instance, Registry, View
    from cloudspan_gateway.routing.channels import Link
    from cloudspan_gateway.routing.context import ContextSigner

REMEMBER_S = 600.0
# Calls on an instance that has left the registry may end by themselves for this long.
DRAIN_S = 60.0
# Certificates are replaced days before they end.
CERTIFICATES_S = 30.0

log = get_logger(__name__)


class Table:
    """The instances of all platforms, and the snapshot that calls are routed by."""

    def __init__(
        self,
        registry: Registry,
        clock: Clock | None = None,
        trust: Trust | None = None,
        signer: ContextSigner | None = None,
    ) -> None:
        self._registry = registry
        self._trust = trust or Trust()
        self._clock = clock or SystemClock()
        self._probers: dict[str, Prober] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._memory: dict[str, Remembered] = {}
        self._listeners: list[Callable[[Snapshot], None]] = []
        self._settled = asyncio.Event()
        self._viewed = False
        self.channels = Channels(signer=signer)
        self.snapshot = Snapshot()
        self.ejections = 0

    def __repr__(self) -> str:
        return f"<Table {self.snapshot!r}>"

    def subscribe(self, listener: Callable[[Snapshot], None]) -> None:
        """Call `listener` with each new snapshot; it must not wait."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Follow the registry until cancelled; closes all channels at the end."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forget_old(), name="table: forget platforms")
                if self._trust.tls:
                    group.create_task(self._follow_certificates(self._trust.tls, group), name="table: certificates")
                async for view in self._registry.watch():
                    self._apply(view, group)
        finally:
            # Whoever runs it again begins with nobody; what is remembered of the platforms stays.
            probers = list(self._probers.values())
            self._probers.clear()
            self._tasks.clear()
            self.snapshot = assemble((), self._memory)
            for prober in probers:
                self.channels.retire(prober.link)
                await prober.link.close()

    async def settled(self, timeout_s: float) -> bool:
        """Wait until every instance of the registry's first view has been asked once; return whether it was."""
        waiting = asyncio.ensure_future(self._settled.wait())
        try:
            return await finished(self._clock, waiting, timeout_s)
        finally:
            waiting.cancel()

    def eject(self, instance_id: str, why: str) -> None:
        """Take an instance out at once: it lost a call. Its probe brings it back."""
        prober = self._probers.get(instance_id)
        if prober is not None and prober.eject(why):
            self.ejections += 1
            log.warning("instance ejected", instance=instance_id, reason=why)
            self._rebuild()

    def _apply(self, view: View, group: asyncio.TaskGroup) -> None:
        there = {instance.instance_id: instance for instance in view}
        for gone in [known for known in self._probers if known not in there]:
            self._retire(gone, group)
        for instance in view:
            known = self._probers.get(instance.instance_id)
            # Its platform says whose certificate the channel expects.
            if known is not None and _way(known.instance) != _way(instance):
                self._retire(instance.instance_id, group)
                known = None
            if known is None:
                self._admit(instance, group)
            else:
                known.registered(instance)
        self._viewed = True
        self._rebuild()

    def _admit(self, instance: Instance, group: asyncio.TaskGroup) -> None:
        log.info("instance appeared", instance=instance.instance_id, platform=instance.platform, at=instance.address)
        prober = Prober(instance, self.channels.open(instance, self._trust), self._clock, self._rebuild)
        self._probers[instance.instance_id] = prober
        self._tasks[instance.instance_id] = group.create_task(prober.run(), name=f"probe {instance.instance_id}")

    def _retire(self, instance_id: str, group: asyncio.TaskGroup) -> None:
        prober = self._probers.pop(instance_id)
        log.info("instance left", instance=instance_id, platform=prober.instance.platform, at=prober.instance.address)
        self._tasks.pop(instance_id).cancel()
        self.channels.retire(prober.link)
        group.create_task(self._close(prober.link), name=f"close {instance_id}")

    async def _close(self, link: Link) -> None:
        try:
            await finished(self._clock, link.idle(), DRAIN_S)
        finally:
            await link.close()

    async def _forget_old(self) -> None:
        while True:
            await self._clock.sleep(REMEMBER_S / 10)
            self._rebuild()

    async def _follow_certificates(self, tls: Tls, group: asyncio.TaskGroup) -> None:
        """A channel keeps the certificate that it was made with: replaced files need new channels."""
        used = tls.changed_at
        while True:
            await self._clock.sleep(CERTIFICATES_S)
            if tls.changed_at == used:
                continue
            used = tls.changed_at
            log.info("certificates have changed", certificate=str(tls.certificate))
            for prober in self._probers.values():
                group.create_task(self._renew(prober.link), name=f"renew {prober.link.endpoint.instance_id}")

    async def _renew(self, link: Link) -> None:
        try:
            await link.renew(DRAIN_S)
        except CloudspanError as error:
            log.warning("certificates could not be reloaded, the previous ones stay in use", reason=error.message)

    def _rebuild(self) -> None:
        """Make the next snapshot; callers see the old one or the new one, never a mixture."""
        probers = sorted(self._probers.values(), key=lambda p: (p.described_first, p.instance.instance_id))
        self._remember(probers)
        before, self.snapshot = self.snapshot, assemble((prober.seen() for prober in probers), self._memory)
        _log_changes(before, self.snapshot)
        if self._viewed and all(prober.asked for prober in probers):
            self._settled.set()
        for listener in self._listeners:
            listener(self.snapshot)

    def _remember(self, probers: list[Prober]) -> None:
        now = self._clock.monotonic()
        for prober in probers:
            memory = self._memory.setdefault(prober.instance.platform, Remembered())
            memory.last_seen = now
            prober.teach(memory)
        for tag, memory in list(self._memory.items()):
            if now - memory.last_seen > REMEMBER_S:
                log.info("platform forgotten", platform=tag)
                del self._memory[tag]


def _way(instance: Instance) -> tuple[str, str]:
    return instance.address, instance.platform


def _log_changes(before: Snapshot, after: Snapshot) -> None:
    old = {seen.endpoint: seen for platform in before.platforms.values() for seen in platform.instances}
    for platform in after.platforms.values():
        for seen in platform.instances:
            known = old.get(seen.endpoint)
            if known is None or (known.state, known.reason) != (seen.state, seen.reason):
                _log_state(seen)


def _log_state(seen: Seen) -> None:
    log.info(
        "instance changed state",
        instance=seen.instance.instance_id,
        platform=seen.instance.platform,
        state=state_name(seen.state),
        reason=seen.reason,
    )
