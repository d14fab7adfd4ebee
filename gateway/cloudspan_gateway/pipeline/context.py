"""Who a call is, and how long it may take: request id, trace, tags, deadline."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudspan_common import deadlines, telemetry
from cloudspan_gateway.call import REQUEST_ID, TRACEPARENT, read_metadata

if TYPE_CHECKING:
    from cloudspan_gateway.call import Answer, GatewayCall, Payload
    from cloudspan_gateway.pipeline.stages import Proceed

# It stands in logs and headers of others.
_GOOD_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


async def identify(call: GatewayCall, payload: Payload, proceed: Proceed) -> Answer:
    """Read what the caller says of itself; make what it left out."""
    ids = read_metadata(call)
    request_id = ids.get(REQUEST_ID, "")
    call.request_id = request_id if _GOOD_ID.fullmatch(request_id) else telemetry.new_request_id()
    call.traceparent = telemetry.traceparent(ids.get(TRACEPARENT))
    call.deadline = deadlines.of(call.context)
    return await proceed(call, payload)
