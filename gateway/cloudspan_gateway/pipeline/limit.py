"""What one tenant may use of the gateway at the same time: a call beyond it is refused before any work is done for it.

`Limits.of_tenant` stands before route, since reading a request is work; `Limits.of_pool` behind it, where the cluster
is known. Operations and creates are counted where they are accepted; their refusals come by here as well. Whoever goes
on without a pause after refusals is answered later and later, so that it can't use up what others need.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cloudspan_common.logs import get_logger
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.limits import TENANTS, CallUsage, CountedMessages, Limit, TenantLimit

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.access.limits import Counters
    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.stages import Proceed

log = get_logger(__name__)

RETRY_S, MAX_RETRY_S = 1.0, 30.0
_AT_ONCE = 10
"""So many refusals of one tenant within a second or so are answered at once."""
_LATER_S, MAX_LATER_S = 0.05, 1.0  # 0.05, 0.1, ... 1 s from the 31st on: 100 callers without pauses call 100 times a s
MAX_WAITING, MAX_WAITING_OF_ONE = 2_000, 200
"""Refused calls that are answered later, of the 10 000 that a gateway takes."""
_MAX_WAITING_BYTES = 64 * 1024  # what a call sent is kept until it ends, of 64 MiB for all
_LOG_EVERY_S = 60.0
_GOLDEN_RATIO = 0.618  # multiples of it, modulo 1, are spread as evenly as any numbers that follow each other


class Limits:
    """The two stages."""

    def __init__(self, counters: Counters, clock: Clock) -> None:
        self.counters = counters
        self._clock = clock
        self._waiting: dict[str, int] = {}
        self._place = 0.0
        self._logged: dict[tuple[str, Limit], float] = {}

    def __repr__(self) -> str:
        return f"<Limits {self.counters!r}, {sum(self._waiting.values())} refused calls wait>"

    async def of_tenant(self, call: Call, proceed: Proceed) -> Answer:
        """Count a call for its tenant; proceed unless that uses as much as it may."""
        usage = call.usage = CallUsage(self.counters, call.payload)
        try:
            self._begin(call, usage)
            return await proceed(call)
        except TenantLimit as error:
            refusal = error
        except asyncio.CancelledError:
            # gRPC cancels a call to an adapter whose next message is refused; a caller that left cancels the task.
            task = asyncio.current_task()
            if usage.refusal is None or task is None or task.cancelling():
                raise
            refusal = usage.refusal
        finally:
            usage.end()
        await self._refuse(call, refusal, at_once=usage.refusal is not None)
        raise refusal

    def _begin(self, call: Call, usage: CallUsage) -> None:
        access = call.access
        bounds = access.limits()
        for name, limits in bounds:
            usage.begin(name, limits)
        if not bounds and access.tenant not in ("", EVERY_TENANT):
            usage.begin(TENANTS + access.tenant, None)  # counted all the same: who sets a limit looks here first
        if not isinstance(call.payload, bytes):
            call.payload = CountedMessages(usage, call.payload)

    def of_pool(self, call: Call, proceed: Proceed) -> Awaitable[Answer]:
        """Count a call for the pool by which it reaches its cluster; proceed unless that uses as much as it may."""
        usage, ref = call.usage, call.target.ref
        if usage is not None and ref is not None:
            for name, limits in call.access.limits(ref):
                usage.begin(name, limits)
        return proceed(call)

    async def _refuse(self, call: Call, error: TenantLimit, *, at_once: bool) -> None:
        lately = self.counters.refused(error)
        if error.retry_after_s is None and not error.never_fits:
            weight = _AT_ONCE if error.limit is Limit.REQUEST_BYTES else error.most
            error.retry_after_s = min(RETRY_S + lately / weight, MAX_RETRY_S)
        self._log(call, error)
        if not at_once:  # a stream's message may be large, and is kept until the call ends
            await self._answer_later(call, error.of, min((lately - _AT_ONCE) * _LATER_S, MAX_LATER_S))

    def _log(self, call: Call, error: TenantLimit) -> None:
        """Log the first refusal of a minute; whoever floods must not fill the log and the audit too."""
        key, now = (error.of, error.limit), self._clock.monotonic()
        if now - self._logged.get(key, -_LOG_EVERY_S) < _LOG_EVERY_S:
            call.repeated, call.event = True, None
            return
        self._logged[key] = now
        log.warning(
            "calls are refused, a limit is reached",
            of=error.of,
            limit=str(error.limit),
            value=error.most,
            refused=self.counters.refusals[key],
        )

    async def _answer_later(self, call: Call, of: str, pause_s: float) -> None:
        waiting = self._waiting.get(of, 0)
        is_large = isinstance(call.payload, bytes) and len(call.payload) > _MAX_WAITING_BYTES
        if pause_s <= 0 or is_large or waiting >= MAX_WAITING_OF_ONE or sum(self._waiting.values()) >= MAX_WAITING:
            return
        self._waiting[of] = waiting + 1
        try:
            await self._clock.sleep(min(self._spread(pause_s), call.deadline.remaining() / 2))
        finally:
            self._waiting[of] -= 1
            if not self._waiting[of]:
                del self._waiting[of]

    def _spread(self, pause_s: float) -> float:
        """Return half of a pause to all of it, evenly: those refused together must not come back together."""
        self._place = (self._place + _GOLDEN_RATIO) % 1.0
        return pause_s * (1 + self._place) / 2
