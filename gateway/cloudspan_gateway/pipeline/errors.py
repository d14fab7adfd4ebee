"""How a call ends: every error as a status that says what to do, the request id on every answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc

from cloudspan_common import errors
from cloudspan_common.errors import CloudspanError, Defect
from cloudspan_common.logs import get_logger
from cloudspan_gateway.call import REQUEST_ID
from cloudspan_gateway.routing.forward import AdapterError

if TYPE_CHECKING:
    from cloudspan_gateway.call import Answer, GatewayCall, Metadata, Payload
    from cloudspan_gateway.pipeline.metrics import GatewayMetrics
    from cloudspan_gateway.pipeline.stages import Proceed

log = get_logger(__name__)


class Conclude:
    """The stage that turns what was raised into what the caller gets."""

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics

    async def __call__(self, call: GatewayCall, payload: Payload, proceed: Proceed) -> Answer:
        try:
            answer = await proceed(call, payload)
        except CloudspanError as error:
            await _end(call, error)
        except AdapterError as error:
            call.reason = error.message
            await _abort(call, error.code, error.message, error.trailers)
        except grpc.aio.AbortError:
            raise
        except Exception as error:
            self._metrics.defects.inc()
            log.exception("call failed by a defect of the gateway", method=call.path, request_id=call.request_id)
            text = f"the gateway failed with {type(error).__name__}; its log has more under this request id"
            await _end(call, Defect(text))
        call.context.set_trailing_metadata((*call.trailers, (REQUEST_ID, call.request_id)))
        return answer


async def _end(call: GatewayCall, error: CloudspanError) -> None:
    call.reason = error.message
    if call.ref is not None:
        error.metadata.setdefault("platform", call.ref.platform)
        error.metadata.setdefault("cluster", call.ref.cluster)
    message, trailers = errors.ending(error, call.request_id)
    await _abort(call, error.code, message, trailers)


async def _abort(call: GatewayCall, code: grpc.StatusCode, message: str, trailers: Metadata) -> None:
    call.code = code
    await call.context.abort(code, message, (*trailers, (REQUEST_ID, call.request_id)))
