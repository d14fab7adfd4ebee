"""Sends what each webhook is to get, in its order: one gateway of an installation sends to a webhook, who has its lock.

The place moves with each event that was received; what is not received is sent again after a pause that grows, and
nothing of that webhook overtakes it. A day without success, or 410 Gone, and the webhook is dead until it is replayed.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cloudspan.v1 import webhook_pb2
from cloudspan_common.errors import CloudspanError, Resync
from cloudspan_common.logs import get_logger
from cloudspan_common.registry.coordination import while_held
from cloudspan_gateway.events.follower import Follower
from cloudspan_gateway.events.place import Place
from cloudspan_gateway.events.webhooks.store import ANNOUNCEMENT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from cloudspan.v1.event_pb2 import Event
    from cloudspan_common.clock import Clock
    from cloudspan_common.registry.coordination import Coordinator
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.events.happened import Happened, ResourceChanged
    from cloudspan_gateway.events.log import EventLog
    from cloudspan_gateway.events.webhooks.sender import Attempt
    from cloudspan_gateway.events.webhooks.store import Hook, WebhookStore
    from cloudspan_gateway.storage.engine import Database

    AccessOf = Callable[[Hook], Access]
    Count = Callable[[str], None]
    Send = Callable[[str, Event, Sequence[bytes]], Awaitable[Attempt]]

DEAD_AFTER_S = 86_400.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 600.0
LOOK_S = 1.0
"""How often a quiet webhook's place is moved over what it does not hear of, and whether it still may send."""

log = get_logger(__name__)


class _Changed(Exception):
    """The webhook was changed or deleted meanwhile."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What delivery works with."""

    database: Database
    coordinator: Coordinator
    """Says which gateway sends to a webhook."""
    clock: Clock
    store: WebhookStore
    events: EventLog
    send: Send
    access_of: AccessOf
    """Returns what the subject of a webhook may hear of now."""
    count: Count
    """Counts attempts by their outcome: received, failed."""


class Delivery:
    """All webhooks of the database, as far as this gateway sends to them."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._changed = asyncio.Event()
        self._sending: dict[tuple[str, str], tuple[int, asyncio.Task[None]]] = {}

    def __repr__(self) -> str:
        return f"<Delivery to {len(self._sending)} webhooks>"

    async def run(self) -> None:
        """Send until cancelled."""
        unsubscribe = self._tools.database.subscribe(self._heard)
        try:
            while True:
                self._changed.clear()
                try:
                    self._assign(await self._tools.store.of())
                except CloudspanError as error:
                    log.warning("webhooks can't be read", reason=error.reason)
                    await self._tools.clock.sleep(LOOK_S)
                    continue
                await self._changed.wait()
        finally:
            unsubscribe()
            tasks = [task for _, task in self._sending.values()]
            self._sending.clear()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    def _heard(self, message: str | None) -> None:
        if message is None or message == ANNOUNCEMENT:
            self._changed.set()

    def _assign(self, hooks: Iterable[Hook]) -> None:
        wanted = {(hook.tenant, hook.webhook): hook for hook in hooks if hook.is_sending}
        for key, (revision, task) in list(self._sending.items()):
            if task.done() or key not in wanted or wanted[key].revision != revision:
                task.cancel()
                del self._sending[key]
        for key, hook in wanted.items():
            if key not in self._sending:
                work = _Webhook(self._tools, hook).run()
                self._sending[key] = hook.revision, asyncio.create_task(work, name=f"send to {hook.name}")


class _Webhook:
    """One webhook, for as long as it is not changed."""

    def __init__(self, tools: Tools, hook: Hook) -> None:
        self._tools = tools
        self._clock = tools.clock
        self._hook = hook
        self._follower = Follower(hook.row.filter, lambda: tools.access_of(hook))

    async def run(self) -> None:
        """Send while this gateway has the lock, until the webhook is changed or dead, or this is cancelled."""
        name = f"webhook/{self._hook.tenant}/{self._hook.webhook}"
        while True:
            try:
                held = await self._tools.coordinator.lock(name, timeout_s=None)
                if held is None:
                    return  # the coordinator is closed
                async with held:
                    await while_held(held, self._send_all())
            except _Changed:
                return
            except CloudspanError as error:
                log.warning("webhook waits", webhook=self._hook.name, reason=error.reason)
            except Exception:  # one webhook's defect must neither end the others nor itself
                log.exception("webhook waits, with a defect of the gateway", webhook=self._hook.name)
            await self._clock.sleep(LOOK_S)

    async def _send_all(self) -> None:
        # What another gateway has sent since is not to be sent again.
        self._hook = await self._current()
        place, looked = self._hook.place, self._clock.monotonic()
        while True:
            announced = self._tools.events.announced
            try:
                page = await self._tools.events.after(place.sequence, place.epoch)
            except Resync as error:
                await self._end(error.message)
                raise _Changed from error
            for happened in page.events:
                await self._send_until_received(happened, place.epoch)
            place = Place(page.upto, place.epoch)
            if self._clock.monotonic() - looked >= LOOK_S:
                looked = self._clock.monotonic()
                await self._move(place)
            if not page.events:
                await self._tools.events.moved(announced, LOOK_S)

    async def _current(self) -> Hook:
        hook = await self._tools.store.get(self._hook.tenant, self._hook.webhook)
        if hook.revision != self._hook.revision or not hook.is_sending:
            raise _Changed
        return hook

    async def _move(self, place: Place) -> None:
        if place != self._hook.place:
            await self._keep(replace(self._hook, place=place))

    async def _keep(self, hook: Hook) -> None:
        if not await self._tools.store.keep(hook):
            raise _Changed
        self._hook = hook

    async def _send_until_received(self, happened: Happened | ResourceChanged, epoch: str) -> None:
        while True:
            await self._pause()
            # Before each attempt: its subject may have lost what it could hear of when the first one was made.
            shown = next(self._follower.shown([happened]), None)
            if shown is None:
                return
            (number, event), hook = shown, self._hook
            attempt = await self._tools.send(hook.row.url, event, hook.secrets(self._clock.now()))
            self._tools.count("failed" if attempt.error else "received")
            if not attempt.error:
                await self._keep(_received(hook, attempt, Place(number, epoch)))
                return
            await self._keep(_failed(hook, attempt))
            if self._hook.dead:
                log.warning("webhook is dead, nothing is sent until it is replayed", webhook=hook.name,
                            error=attempt.error)  # fmt: skip
                raise _Changed

    async def _pause(self) -> None:
        at, now = self._hook.next_attempt_time, self._clock.now()
        if at is not None and at > now:
            await self._clock.sleep(at - now)

    async def _end(self, why: str) -> None:
        """Let it be dead: what it was to get is no longer kept."""
        attempt = webhook_pb2.Webhook.Attempt(error=why)
        attempt.time.FromNanoseconds(round(self._clock.now() * 1e9))
        await self._keep(replace(self._hook, dead=True, attempt=attempt))


def as_message(attempt: Attempt) -> webhook_pb2.Webhook.Attempt:
    """Return an attempt as callers see it."""
    shown = webhook_pb2.Webhook.Attempt(event=attempt.event, status=attempt.status, error=attempt.error)
    shown.time.FromNanoseconds(round(attempt.time * 1e9))
    shown.took.FromNanoseconds(round(attempt.took_s * 1e9))
    return shown


def _received(hook: Hook, attempt: Attempt, place: Place) -> Hook:
    return replace(
        hook,
        place=place,
        attempt=as_message(attempt),
        attempts=0,
        received_time=attempt.time,
        failing_since=None,
        next_attempt_time=None,
    )


def _failed(hook: Hook, attempt: Attempt) -> Hook:
    since, ended = hook.failing_since or attempt.time, attempt.time + attempt.took_s
    dead = attempt.is_gone or ended - since >= DEAD_AFTER_S
    pause_s = max(min(FIRST_PAUSE_S * 2**hook.attempts, LONGEST_PAUSE_S) * random.uniform(0.8, 1.2),  # noqa: S311
                  attempt.retry_after_s)  # fmt: skip
    return replace(
        hook,
        attempt=as_message(attempt),
        attempts=min(hook.attempts + 1, 32),
        failing_since=since,
        next_attempt_time=None if dead else ended + pause_s,
        dead=dead,
    )
