"""How a call ends: every error as an ending that says what to do, the request id on every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common import errors
from cloudspan_common.errors import CloudspanError, Defect
from cloudspan_common.logs import get_logger
from cloudspan_common.trailers import passed_on, with_more
from cloudspan_gateway.call import Ending
from cloudspan_gateway.metadata import REQUEST_ID
from cloudspan_gateway.routing.forward import AdapterError

if TYPE_CHECKING:
    from cloudspan_common.errors import Code
    from cloudspan_common.trailers import Metadata
    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.metrics import GatewayMetrics
    from cloudspan_gateway.pipeline.stages import Proceed

log = get_logger(__name__)


class Errors:
    """The stage that turns what was raised into what the caller gets."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        try:
            answer = await proceed(call)
        except CloudspanError as error:
            _end(call, error)
        except AdapterError as error:
            call.reason = error.message
            # The message is an adapter's: of any length, and not always the same in both places.
            message, trailers = passed_on(error.code.value[0], error.message, error.trailers)
            _end_with(call, error.code, message, trailers)
        except Exception as error:
            self._metrics.defects.inc()
            log.exception("call failed with a defect of the gateway", method=call.path, request_id=call.request_id)
            text = f"the gateway failed with {type(error).__name__}; its log has more under this request id"
            _end(call, Defect(text))
        else:
            call.trailers = (*call.trailers, (REQUEST_ID, call.request_id), *call.warnings)
            return answer
        return None


def _end(call: Call, error: CloudspanError) -> None:
    ref = call.target.ref
    if ref is not None:
        error.metadata.setdefault("platform", ref.platform)
        error.metadata.setdefault("cluster", ref.cluster)
    call.reason = error.message
    message, details = errors.ending(error, call.request_id)
    _end_with(call, error.code, message, details)


def _end_with(call: Call, code: Code, message: str, trailers: Metadata) -> None:
    """End with an error; warnings go with it where they fit, since trailers beyond 8 KiB are never seen."""
    trailers = (*trailers, (REQUEST_ID, call.request_id))
    call.ending = Ending(code, message, with_more(message, trailers, call.warnings) if call.warnings else trailers)
