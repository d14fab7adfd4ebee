"""One native request: its path and headers, and what its end proves. Used by `session` only."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import msgspec

from cloudspan_common.errors import CloudspanError, OutcomeUnknown, PlatformFault
from cloudspan_openstack.error_rules import NoReply
from cloudspan_openstack.errors import NoReplyInTime

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.adapterkit.driver import Call
    from cloudspan_common.tokens import Token
    from cloudspan_openstack.errors import Answer, Asked

# A proxy or service that answers so may have carried the write out before.
_UNPROVEN_STATUS = frozenset({"500", "502", "504"})
_UNREADABLE = frozenset({"NOT_JSON", "TRUNCATED_JSON", "UNEXPECTED_SHAPE"})


@dataclass(slots=True)
class NativeRequest:
    """One native call: what is asked, and what it took so far."""

    call: Call
    method: str
    service: str
    template: str
    path: str
    microversion: str
    body: bytes | None = None
    repeatable: bool = True
    """Whether it may be sent again when it may have arrived."""
    min_life_s: float = 0.0
    url: str = ""
    """Instead of the service's base URL and `path`."""
    status: int = 0
    native_request_id: str = ""
    retries: int = 0
    waited_s: float = 0.0
    began: float = field(default_factory=time.perf_counter)

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


def path_of(
    template: str, args: Mapping[str, str] | None, params: Sequence[tuple[str, str]] | Mapping[str, str]
) -> str:
    path = template.format(**{k: quote(v, safe="") for k, v in args.items()}) if args else template
    return f"{path}?{urlencode(params, quote_via=quote)}" if params else path


def headers_of(request: NativeRequest, token: Token) -> dict[str, str]:
    headers = {"X-Auth-Token": token.value}
    if request.body is not None:
        headers["Content-Type"] = "application/json"
    if request.microversion:
        headers["OpenStack-API-Version"] = f"{request.service} {request.microversion}"
        if request.service == "compute":
            headers["X-OpenStack-Nova-API-Version"] = request.microversion  # all that Nova knows below 2.27
    if request.call.request_id:
        headers["X-OpenStack-Request-ID"] = _global_id(request.call.request_id)
    return headers


def _global_id(request_id: str) -> str:
    """OpenStack logs a caller's request id only in its own form, `req-` and a UUID."""
    h = request_id
    if len(h) == 32 and h.isalnum():
        h = f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
    return f"req-{h}"


def is_unproven(error: CloudspanError) -> bool:
    """Whether a write that ended so may have been carried out."""
    if isinstance(error, NoReply | NoReplyInTime) or error.reason in _UNREADABLE:
        return True
    return error.metadata.get("http_status", "") in _UNPROVEN_STATUS


def with_outcome(request: NativeRequest, error: CloudspanError) -> CloudspanError:
    """Return `error`, or for a write that may have been carried out, the error that says so."""
    if not request.is_write or not is_unproven(error):
        return error
    text = f"{error.message}; it may have been carried out, look before asking again"
    return OutcomeUnknown(text, metadata=error.metadata)


def unreadable(asked: Asked, answer: Answer, error: msgspec.DecodeError) -> PlatformFault:
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    metadata = asked.metadata() | {"native_request_id": answer.request_id, "http_status": str(answer.status)}
    if isinstance(error, msgspec.ValidationError):
        text = f"{asked} answered JSON of another shape than OpenStack's: {error}"
        return PlatformFault(text, reason="UNEXPECTED_SHAPE", metadata=metadata)
    if "json" not in kind or answer.body.lstrip()[:1] == b"<":
        text = f"{asked} answered {answer.status} with {kind or 'no content type'} and not JSON; a proxy's page?"
        return PlatformFault(text, reason="NOT_JSON", metadata=metadata)
    text = f"{asked} answered {len(answer.body)} bytes of broken JSON: {error}"
    return PlatformFault(text, reason="TRUNCATED_JSON", metadata=metadata)
