"""What is seen of a call: counted, timed and logged; as a warning when it failed by us or was slow."""

from __future__ import annotations

import asyncio
import functools
import time
from typing import TYPE_CHECKING

from cloudspan_common import contract
from cloudspan_common.errors import Code
from cloudspan_common.logs import get_logger, log_call
from cloudspan_common.redaction import masked_text
from cloudspan_gateway.call import Ending
from cloudspan_gateway.metadata import address_of

if TYPE_CHECKING:
    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.metrics import GatewayMetrics
    from cloudspan_gateway.pipeline.stages import Proceed

SLOW_S = 5.0
# The caller's own mistakes are no warnings: anybody could fill the log with those.
_QUIET = frozenset({
    Code.OK,
    Code.CANCELLED,
    Code.INVALID_ARGUMENT,
    Code.NOT_FOUND,
    Code.ALREADY_EXISTS,
    Code.FAILED_PRECONDITION,
    Code.ABORTED,
    Code.UNIMPLEMENTED,
    Code.UNAUTHENTICATED,
})  # fmt: skip

_KNOWN = frozenset(method.path for method in contract.methods().values())

_masked = functools.lru_cache(maxsize=1024)(masked_text)

log = get_logger(__name__)


class Telemetry:
    """The outermost stage: it sees how each call began and ended."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics

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
        else:
            log_call(__name__, "call ended", _fields(call, took_s))


def _fields(call: Call, took_s: float) -> dict[str, str | int | float]:
    ref = call.target.ref
    return {
        "method": call.path[1:] if call.path in _KNOWN else masked_text(call.path[1:]),
        "caller": call.principal.subject,
        "tenant": _masked(call.access.tenant),
        "platform": ref.platform if ref else "",
        "cluster": ref.cluster if ref else "",
        "code": call.code.name,
        "reason": masked_text(call.reason) if call.reason else "",
        "ms": round(took_s * 1000, 1),
        "instance": call.served_by,
        "tries": call.tries,
        "request_id": masked_text(call.request_id),
        "peer": address_of(call.peer()),
    }
