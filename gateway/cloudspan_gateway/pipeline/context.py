"""Who a call is, by its caller's word: request id, trace, tags, and what of its metadata goes on to adapters."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudspan_common import telemetry
from cloudspan_gateway.metadata import FORWARDED, FORWARDED_PREFIX, OWN, REQUEST_ID, TAGS, TRACEPARENT, X_STALE_OK
from cloudspan_gateway.pipeline.unknown_metadata import is_unknown, warnings

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.stages import Proceed

# Printable ASCII, as gRPC's specification allows for values that are not binary.
_SENDABLE = re.compile(r"[\x20-\x7e]*")


def _can_be_sent(key: str, value: str | bytes) -> bool:
    """Whether gRPC would send it on: it received what it refuses to send, and the call would fail with INTERNAL."""
    return key.endswith("-bin") or (isinstance(value, str) and _SENDABLE.fullmatch(value) is not None)


def add_context(call: Call, proceed: Proceed) -> Awaitable[Answer]:
    """Read what the caller says of itself; make what it left out."""
    request_id, traceparent = "", None
    tags: dict[str, str] = {}
    unknown: list[str] = []
    for key, value in call.metadata:
        if key == REQUEST_ID:
            request_id = str(value)
        elif key == TRACEPARENT:
            traceparent = str(value)
        elif key in TAGS:
            tags[key] = str(value)
        elif (key in FORWARDED or key.startswith(FORWARDED_PREFIX)) and key not in OWN and _can_be_sent(key, value):
            call.carried = (*call.carried, (key, value))
        elif key == X_STALE_OK:
            call.stale_ok = value == "true"
        elif is_unknown(key):
            unknown.append(key)
    if unknown:
        call.warnings = warnings(unknown)
    call.tags = tags
    call.request_id = request_id if telemetry.is_request_id(request_id) else telemetry.new_request_id()
    call.traceparent = telemetry.traceparent(traceparent)
    return proceed(call)
