"""What is seen of a call: counted and timed always, logged when it failed by us, was slow, or at debug level."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from cloudspan_common.errors import Code
from cloudspan_common.logs import get_logger
from cloudspan_gateway.call import Ending

if TYPE_CHECKING:
    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.metrics import GatewayMetrics
    from cloudspan_gateway.pipeline.stages import Proceed

SLOW_S = 5.0
_DEBUG = 10
# The caller's own mistakes are not logged.
_QUIET = frozenset({
    Code.OK,
    Code.CANCELLED,
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.ALREADY_EXISTS,
    Code.FAILED_PRECONDITION,
    Code.ABORTED,
    Code.UNIMPLEMENTED,
})  # fmt: skip

log = get_logger(__name__)


class Telemetry:
    """The outermost stage: it sees how each call began and ended."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        # Asked once: it costs 2 us, and the level never changes at run time.
        self._debug = log.is_enabled_for(_DEBUG)

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        started = time.perf_counter()
        self._metrics.in_flight += 1
        try:
            return await proceed(call)
        except asyncio.CancelledError:
            call.ending = Ending(Code.CANCELLED, "the caller left")
            raise
        finally:
            took_s = time.perf_counter() - started
            self._metrics.in_flight -= 1
            self._metrics.ended(call, took_s)
            self._log(call, took_s)

    def _log(self, call: Call, took_s: float) -> None:
        if call.code not in _QUIET and not call.repeated:
            log.warning("call failed", **_fields(call, took_s))
        elif took_s >= SLOW_S and not call.answered and not call.patient:
            log.warning("call was slow", **_fields(call, took_s))
        elif self._debug:
            log.debug("call ended", **_fields(call, took_s))


def _fields(call: Call, took_s: float) -> dict[str, str | int | float]:
    return {
        "method": call.path[1:],
        "platform": call.target.ref.platform if call.target.ref else "",
        "cluster": call.target.ref.cluster if call.target.ref else "",
        "code": call.code.name,
        "reason": call.reason,
        "ms": round(took_s * 1000, 1),
        "instance": call.served_by,
        "tries": call.tries,
        "request_id": call.request_id,
    }
