"""The one error tree, and the one place that knows what each error is in gRPC.

Drivers, sessions, registry and router raise these; doors and servicers call `to_status`.
A message is for a person: what was asked, what was found, what to do next.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from cloudspan_common.trailers import DETAILS_KEY, fit, sendable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.message import Message

Code = grpc.StatusCode
"""How a call ends, by any door: the canonical codes. Only doors and channels need more of gRPC than these."""

DOMAIN = "cloudspan.dev"
"""Of reasons and of resource types, `cloudspan.dev/Server`."""
_MAX_METADATA_BYTES, _MAX_METADATA_ENTRIES = 200, 10  # ErrorInfo is what programs read: it must always fit
_MAX_KEY_BYTES = 63
_MAX_VIOLATIONS, _MAX_VIOLATIONS_BYTES = 20, 2000
_MAX_FIELD_BYTES, _MAX_DESCRIPTION_BYTES = 200, 512
_CUT_BYTES = len("…".encode())
_MAX_REPEATED_BYTES = 128  # of what the message says as well


class Recovery(enum.StrEnum):
    """What the caller can do about an error; sent as ErrorInfo metadata `recovery`."""

    FIX_REQUEST = "fix_request"
    """The same request will fail again."""
    RETRY = "retry"
    """The same request may succeed at once."""
    RETRY_AFTER = "retry_after"
    """The same request may succeed later; RetryInfo says when, if known."""
    LOOK_FIRST = "look_first"
    """The outcome is unknown: read the resource before asking again."""
    ASK_OPERATOR = "ask_operator"
    """Someone must fix configuration, credentials or the cloud."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One bad field of a request: its path, and what is wrong with it."""

    field: str
    description: str


class CloudspanError(Exception):
    """The root of the tree.

    Args:
        message: What was asked, what was found, what to do next.
        reason: UPPER_SNAKE_CASE, stable, programmable; the class has a default.
        metadata: `platform`, `cluster`, `native_code`, `native_request_id`, `http_status` where known.
        retry_after_s: Seconds until a retry makes sense.
        violations: Bad fields, for BadRequest.
        resource: Name of the resource concerned, for ResourceInfo.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    recovery: ClassVar[Recovery] = Recovery.ASK_OPERATOR
    default_reason: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
        violations: Iterable[Violation] = (),
        resource: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or self.default_reason
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s
        self.violations = tuple(violations)
        self.resource = resource

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.reason}: {self.message}>"


class InvalidRequest(CloudspanError):
    """The request can't be served whatever the state of the cloud."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    recovery = Recovery.FIX_REQUEST
    default_reason = "INVALID_REQUEST"


class NotFound(CloudspanError):
    """The named thing does not exist under the scope that was asked."""

    code = grpc.StatusCode.NOT_FOUND
    recovery = Recovery.FIX_REQUEST
    default_reason = "NOT_FOUND"


class AlreadyExists(CloudspanError):
    """Something of that name or id is already there."""

    code = grpc.StatusCode.ALREADY_EXISTS
    recovery = Recovery.FIX_REQUEST
    default_reason = "ALREADY_EXISTS"


class PreconditionFailed(CloudspanError):
    """The resource is not in a state that allows this."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    recovery = Recovery.FIX_REQUEST
    default_reason = "FAILED_PRECONDITION"


class Busy(CloudspanError):
    """Another change of the same resource is under way."""

    code = grpc.StatusCode.ABORTED
    recovery = Recovery.RETRY
    default_reason = "BUSY"


class Unsupported(CloudspanError):
    """The platform, or this cluster of it, has no such ability."""

    code = grpc.StatusCode.UNIMPLEMENTED
    recovery = Recovery.FIX_REQUEST
    default_reason = "UNSUPPORTED"


class Forbidden(CloudspanError):
    """The cluster's credentials are good but may not do this."""

    code = grpc.StatusCode.PERMISSION_DENIED
    recovery = Recovery.ASK_OPERATOR
    default_reason = "FORBIDDEN"


class Unauthenticated(CloudspanError):
    """The caller has not proven who it is."""

    code = grpc.StatusCode.UNAUTHENTICATED
    recovery = Recovery.FIX_REQUEST
    default_reason = "UNAUTHENTICATED"


class NotPermitted(CloudspanError):
    """The caller is known, and no role of its allows this."""

    code = grpc.StatusCode.PERMISSION_DENIED
    recovery = Recovery.ASK_OPERATOR
    default_reason = "PERMISSION_MISSING"


class LoginRefused(CloudspanError):
    """The cloud refused the cluster's configured credentials.

    FAILED_PRECONDITION, since UNAUTHENTICATED would ask callers to renew their own credentials.
    """

    code = grpc.StatusCode.FAILED_PRECONDITION
    recovery = Recovery.ASK_OPERATOR
    default_reason = "CLUSTER_LOGIN_REFUSED"


class QuotaExceeded(CloudspanError):
    """A quota, a capacity or a size limit stands in the way."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    recovery = Recovery.ASK_OPERATOR
    default_reason = "QUOTA_EXCEEDED"


class TooManyRequests(CloudspanError):
    """The caller sends more at once than this process takes; nothing was done."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    recovery = Recovery.RETRY_AFTER
    default_reason = "TOO_MANY_REQUESTS"


class RateLimited(CloudspanError):
    """The cloud, or our own limiter for it, asks to slow down.

    RESOURCE_EXHAUSTED, which gRPC's clients don't repeat by themselves: the adapter has already waited as long as the
    caller's deadline allows. RetryInfo tells it from a quota.
    """

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    recovery = Recovery.RETRY_AFTER
    default_reason = "RATE_LIMITED"


class ServiceUnavailable(RateLimited):
    """A service of the cloud says for how long it is away: 503 with Retry-After."""

    code = grpc.StatusCode.UNAVAILABLE
    default_reason = "SERVICE_UNAVAILABLE"


class Unreachable(CloudspanError):
    """Nothing answered: no instance, no connection, an open breaker, a gateway's 502."""

    code = grpc.StatusCode.UNAVAILABLE
    recovery = Recovery.RETRY_AFTER
    default_reason = "UNREACHABLE"


class OutOfTime(CloudspanError):
    """The caller's deadline ended first."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    recovery = Recovery.RETRY_AFTER
    default_reason = "DEADLINE_EXCEEDED"


class OutcomeUnknown(CloudspanError):
    """A write was sent and nothing proves whether it took effect."""

    code = grpc.StatusCode.UNKNOWN
    recovery = Recovery.LOOK_FIRST
    default_reason = "OUTCOME_UNKNOWN"


class Resync(CloudspanError):
    """What a watch would go on from is no longer kept."""

    code = grpc.StatusCode.OUT_OF_RANGE
    recovery = Recovery.FIX_REQUEST
    default_reason = "RESYNC"


class Cancelled(CloudspanError):
    """The caller, or an operation's Cancel, ended it."""

    code = grpc.StatusCode.CANCELLED
    recovery = Recovery.FIX_REQUEST
    default_reason = "CANCELLED"


class GaveUp(CloudspanError):
    """The platform accepted a change and ended it in a failed state: a server in ERROR, a volume in error."""

    code = grpc.StatusCode.INTERNAL
    recovery = Recovery.ASK_OPERATOR
    default_reason = "PLATFORM_GAVE_UP"


class PlatformFault(CloudspanError):
    """The cloud answered something it should not: a 500, broken JSON, HTML."""

    code = grpc.StatusCode.INTERNAL
    recovery = Recovery.ASK_OPERATOR
    default_reason = "PLATFORM_FAULT"


class Defect(CloudspanError):
    """A fault of ours."""

    code = grpc.StatusCode.INTERNAL
    recovery = Recovery.ASK_OPERATOR
    default_reason = "INTERNAL"


def to_status(error: CloudspanError) -> status_pb2.Status:
    """Return the google.rpc.Status that says what `error` says, small enough for the trailers of a call."""
    status = status_pb2.Status(code=error.code.value[0], message=sendable(error.message))
    for detail in _details(error):
        status.details.add().Pack(detail)
    return fit(status)


def ending(error: CloudspanError, request_id: str) -> tuple[str, tuple[tuple[str, bytes], ...]]:
    """Return the message and the trailers that a call ends with for `error`: what doors hand to `context.abort`."""
    status = with_request_id(to_status(error), request_id)
    return status.message, ((DETAILS_KEY, status.SerializeToString()),)


def _cut(text: str, size: int) -> str:
    data = text.encode(errors="replace")
    return data.decode() if len(data) <= size else f"{data[: size - _CUT_BYTES].decode(errors='ignore')}…"


def _details(error: CloudspanError) -> Iterable[Message]:
    """The most useful first: the tail is what an oversized status loses."""
    texts = {_cut(key, _MAX_KEY_BYTES): _cut(value, _MAX_METADATA_BYTES) for key, value in error.metadata.items()}
    kept = [(key, value) for key, value in texts.items() if value]
    info = {"recovery": error.recovery.value, **dict(kept[:_MAX_METADATA_ENTRIES])}
    yield error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=info)
    if error.retry_after_s is not None:
        nanos = round(error.retry_after_s * 1e9)
        delay = duration_pb2.Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)
        yield error_details_pb2.RetryInfo(retry_delay=delay)
    if error.violations:
        yield _bad_request(error.violations)
    if error.resource:
        name = sendable(error.resource)
        yield error_details_pb2.ResourceInfo(
            resource_type=resource_type(name), resource_name=name, description=error.reason
        )
    if isinstance(error, QuotaExceeded):
        subject = _cut(error.metadata.get("cluster", ""), _MAX_METADATA_BYTES)
        violation = error_details_pb2.QuotaFailure.Violation(
            subject=subject, description=_cut(error.message, _MAX_REPEATED_BYTES)
        )
        yield error_details_pb2.QuotaFailure(violations=[violation])


def _bad_request(violations: Iterable[Violation]) -> error_details_pb2.BadRequest:
    """The first of many: they must leave room for the message."""
    detail = error_details_pb2.BadRequest()
    for violation in tuple(violations)[:_MAX_VIOLATIONS]:
        field, text = _cut(violation.field, _MAX_FIELD_BYTES), _cut(violation.description, _MAX_DESCRIPTION_BYTES)
        detail.field_violations.add(field=field, description=text)
        if detail.ByteSize() > _MAX_VIOLATIONS_BYTES:
            del detail.field_violations[-1]
            break
    return detail


def resource_type(name: str) -> str:
    """Return the type of a resource by its name: `cloudspan.dev/KeyPair` for `platforms/p/clusters/c/keyPairs/k`."""
    collection = ("", *name.split("/"))[-2]
    return f"{DOMAIN}/{collection[0].upper()}{collection[1:].removesuffix('s')}" if collection else ""


def with_request_id(status: status_pb2.Status, request_id: str) -> status_pb2.Status:
    """Add RequestInfo to `status` unless it has one; returns the same message."""
    info = error_details_pb2.RequestInfo.DESCRIPTOR
    if request_id and not any(detail.Is(info) for detail in status.details):
        status.details.add().Pack(error_details_pb2.RequestInfo(request_id=request_id))
    return status


_BY_CODE: dict[int, type[CloudspanError]] = {
    cls.code.value[0]: cls
    for cls in (
        InvalidRequest, NotFound, AlreadyExists, PreconditionFailed, Busy, Unsupported, Unauthenticated,
        Forbidden, QuotaExceeded, Unreachable, OutOfTime, OutcomeUnknown, Resync, Cancelled, PlatformFault,
    )
}  # fmt: skip


def from_status(status: status_pb2.Status) -> CloudspanError:
    """Return the error of the tree nearest to `status`, with its details."""
    cls = _BY_CODE.get(status.code, CloudspanError)
    reason, resource, metadata, retry_after = "", "", {}, None
    violations: list[Violation] = []
    for detail in status.details:
        info, retry, bad = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo(), error_details_pb2.BadRequest()
        about = error_details_pb2.ResourceInfo()
        if detail.Unpack(info):
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(retry):
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        elif detail.Unpack(bad):
            violations += [Violation(v.field, v.description) for v in bad.field_violations]
        elif detail.Unpack(about):
            resource = about.resource_name
    if metadata.pop("recovery", "") == Recovery.RETRY_AFTER and cls is QuotaExceeded:
        cls = RateLimited
    return cls(
        status.message, reason=reason, metadata=metadata, retry_after_s=retry_after, violations=violations,
        resource=resource,
    )  # fmt: skip


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """Return the google.rpc.Status that an RPC ended with: its details if sent, else its bare code and message."""
    details = dict(error.trailing_metadata() or ()).get(DETAILS_KEY)
    if isinstance(details, bytes):
        return status_pb2.Status.FromString(details)
    return status_pb2.Status(code=error.code().value[0], message=error.details() or "")
