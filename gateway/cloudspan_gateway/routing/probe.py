"""Keeps asking one instance what it is, and says whether it may be called.

The table runs one `Prober` per instance. It asks at appearance, on a change in the registry, when the instance's
health or connection changes, after a lost call, and every few seconds.
"""

from __future__ import annotations

import asyncio
import itertools
import math
from typing import TYPE_CHECKING

import grpc
from grpc_health.v1 import health_pb2

from cloudspan_common.clock import Clock, finished
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.logs import get_logger
from cloudspan_gateway.routing import describe
from cloudspan_gateway.routing.snapshot import (
    CONNECTING,
    DRAINING,
    EJECTED,
    QUARANTINED,
    READY,
    SUSPECT,
    Seen,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_common.registry import Instance
    from cloudspan_gateway.routing.assemble import Remembered
    from cloudspan_gateway.routing.channels import Link

INTERVAL_S = 5.0
DESCRIBE_TIMEOUT_S = 2.0
BACKOFF_S = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)  # the last one repeats: what comes back is found within 2 s
# One slow answer under load does not mean death; two in a row do.
SLOW_ANSWERS_ALLOWED = 1
# A dead process whose registration stays must not hold its clusters' names against its successor for ever.
CLAIMS_LAPSE_S = 60.0
_REFUSED = frozenset(
    {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}
)
_order = itertools.count()

log = get_logger(__name__)


class Prober:
    """What is known of one instance; `changed` is called when that is something else than before."""

    def __init__(self, instance: Instance, link: Link, clock: Clock, changed: Callable[[], None]) -> None:
        self.instance = instance
        self.link = link
        self.asked = False
        self.described_first: float = math.inf
        """Its place in the order of first descriptions: of two rivals the earlier one goes on."""
        self._clock = clock
        self._changed = changed
        self._description: describe.Description | None = None
        self._learned: describe.Description | None = None
        self._refused = ""
        self._lost = ""
        self._answered_at = clock.monotonic()
        self._failures = 0
        self._slow_answers = 0
        self._not_serving = False
        self._wake: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<Prober {self.seen()!r}>"

    def seen(self) -> Seen:
        """Return the instance as it is to be treated now."""
        state, reason = self._judged()
        return Seen(self.instance, self.link.endpoint, state, reason, self._description)

    def _judged(self) -> tuple[State, str]:
        refused = self._refused or describe.unfit(self.instance, self._description)
        if refused:
            return QUARANTINED, refused
        if self._lost:
            return EJECTED, self._lost
        if self._description is None:
            return CONNECTING, "it has not described itself yet"
        if self.instance.draining or self._not_serving:
            return DRAINING, "it asked for no new calls" if self.instance.draining else "its health says NOT_SERVING"
        if self.instance.suspect:
            return SUSPECT, "the registry doubts it, its own answers don't"
        return READY, ""

    def teach(self, memory: Remembered) -> None:
        """Hand a believable description to the platform's memory, once."""
        description = self._description
        if description is not None and description is not self._learned and self._judged()[0] != QUARANTINED:
            memory.learn(self._learned, description)
            self._learned = description

    def registered(self, instance: Instance) -> None:
        """Take in what the registry says; a change is a reason to ask."""
        if instance != self.instance:
            self.instance = instance
            self._nudge()

    def eject(self, why: str) -> bool:
        """Stop calls to it until it has answered a probe; return whether that is news."""
        if self._lost:
            return False
        self._lost = why
        self._nudge()
        return True

    def _nudge(self) -> None:
        if not self._wake.done():
            self._wake.set_result(None)

    async def run(self) -> None:
        """Ask until cancelled."""
        watcher = asyncio.ensure_future(self._follow_health())
        try:
            while True:
                self._wake = asyncio.get_running_loop().create_future()
                await self._ask()
                self._changed()
                await finished(self._clock, self._wake, self._pause_s())
        finally:
            watcher.cancel()

    def _pause_s(self) -> float:
        return BACKOFF_S[min(self._failures, len(BACKOFF_S) - 1)] if self._failures else INTERVAL_S

    async def _ask(self) -> None:
        try:
            # Again whenever the process behind the address may be another one.
            if self._description is None or self._lost or self._refused:
                unnamed = await self.link.trust.unnamed(self.instance)
                if unnamed:
                    self._refused, self._failures, self.asked = unnamed, self._failures + 1, True
                    return
            response = await self.link.describe(DESCRIBE_TIMEOUT_S)
            self._answered(describe.read(response, self._clock.now()))
        except grpc.aio.AioRpcError as error:
            self._failed(error)
        except InvalidRequest as error:
            self._refused = error.message
        except Exception as error:  # an adapter's description is as untrusted as a caller's request
            log.exception("description could not be read", instance=self.instance.instance_id)
            self._refused = f"its description can't be read ({type(error).__name__}); the gateway's log has more"
        self.asked = True

    def _answered(self, description: describe.Description) -> None:
        self._description = description
        self.link.context_key = description.context_key
        self._answered_at = self._clock.monotonic()
        self._refused = self._lost = ""
        self._failures = self._slow_answers = 0
        if math.isinf(self.described_first):
            self.described_first = next(_order)

    def _failed(self, error: grpc.aio.AioRpcError) -> None:
        self._failures += 1
        details = error.details() or ""
        mistrusted = self.link.trust.refusal(self.instance.platform, details)
        if mistrusted:
            self._refused = mistrusted
            return
        if error.code() in _REFUSED:
            self._refused = f"it does not describe itself: {error.code().name}, {error.details()}; is it an adapter?"
            return
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and self._slow_answers < SLOW_ANSWERS_ALLOWED:
            self._slow_answers += 1
            return
        self._lost = f"its probe failed: {error.code().name}, {details}{self.link.trust.hint(details)}"
        if self._clock.monotonic() - self._answered_at > CLAIMS_LAPSE_S:
            self._description, self.described_first = None, math.inf

    async def _follow_health(self) -> None:
        """A broken stream reveals a dead process within milliseconds, long before any interval."""
        attempt = 0
        while True:
            await self._clock.sleep(BACKOFF_S[min(attempt, len(BACKOFF_S) - 1)])
            attempt += 1
            stream = self.link.watch_health()
            try:
                async for response in stream:
                    attempt = 1
                    if response is not None:  # what gRPC makes of an answer that is not a HealthCheckResponse
                        self._health_is(response.status)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                    return
            finally:
                stream.cancel()
            self._not_serving = False
            self._nudge()

    def _health_is(self, status: int) -> None:
        not_serving = status == health_pb2.HealthCheckResponse.NOT_SERVING
        if not_serving != self._not_serving:
            self._not_serving = not_serving
            self._changed()
            self._nudge()
