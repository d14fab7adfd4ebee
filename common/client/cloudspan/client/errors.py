"""The errors of the client: one tree, a class for each gRPC status code that the API answers with.

    try:
        server = client.servers.GetServer(request)
    except NotFound as error:
        print(error.message, error.reason, error.metadata)

`reason` is for programs and stays as it is; `message` is for people: what was asked, what was found, what to do next.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import grpc
from google.protobuf import symbol_database
from google.rpc import error_details_pb2, status_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from google.protobuf.message import Message

_DETAILS_KEY, _REQUEST_ID_KEY = "grpc-status-details-bin", "x-request-id"
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class Recovery(enum.StrEnum):
    """What can be done about an error."""

    FIX_REQUEST = "fix_request"
    """The same request will fail again."""
    RETRY = "retry"
    """The same request may succeed at once."""
    RETRY_AFTER = "retry_after"
    """The same request may succeed later: after `retry_after_s`, if known."""
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

    Attributes:
        message: What was asked, what was found, what to do next.
        code: The gRPC status code.
        reason: UPPER_SNAKE_CASE, stable; empty when the connection itself failed.
        metadata: `platform`, `cluster`, `native_code`, `native_request_id`, `http_status` where known.
        recovery: What can be done about it.
        retry_after_s: Seconds until a retry makes sense, where known.
        violations: The bad fields of the request.
        resource: Name of the resource concerned, where known.
        request_id: Under which the gateway's log has the call.
        details: All details as messages of `google.rpc`, those that this client does not know left out.
    """

    default_code: ClassVar[grpc.StatusCode] = grpc.StatusCode.UNKNOWN
    default_recovery: ClassVar[Recovery] = Recovery.ASK_OPERATOR

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode | None = None,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        request_id: str = "",
        details: Iterable[Message] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.reason = reason
        self.metadata = dict(metadata or {})
        self.recovery = self.default_recovery
        self.retry_after_s: float | None = None
        self.violations: tuple[Violation, ...] = ()
        self.resource = ""
        self.request_id = request_id
        self.details = tuple(details)
        for detail in self.details:
            self._read(detail)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.reason or self.code.name}: {self.message}>"

    def _read(self, detail: Any) -> None:
        match detail:
            case error_details_pb2.ErrorInfo():
                self.reason = detail.reason
                self.metadata |= {key: value for key, value in detail.metadata.items() if key != "recovery"}
                if detail.metadata.get("recovery") in set(Recovery):
                    self.recovery = Recovery(detail.metadata["recovery"])
            case error_details_pb2.RetryInfo():
                self.retry_after_s = detail.retry_delay.ToNanoseconds() / 1e9
            case error_details_pb2.BadRequest():
                self.violations = tuple(Violation(v.field, v.description) for v in detail.field_violations)
            case error_details_pb2.ResourceInfo():
                self.resource = detail.resource_name
            case error_details_pb2.RequestInfo():
                self.request_id = detail.request_id


class InvalidRequest(CloudspanError):
    """The request can't be served whatever the state of the cloud."""

    default_code = grpc.StatusCode.INVALID_ARGUMENT
    default_recovery = Recovery.FIX_REQUEST


class NotFound(CloudspanError):
    """The named thing does not exist under the scope that was asked."""

    default_code = grpc.StatusCode.NOT_FOUND
    default_recovery = Recovery.FIX_REQUEST


class AlreadyExists(CloudspanError):
    """Something of that name or id is already there."""

    default_code = grpc.StatusCode.ALREADY_EXISTS
    default_recovery = Recovery.FIX_REQUEST


class PreconditionFailed(CloudspanError):
    """The resource, or the cluster, is not in a state that allows this."""

    default_code = grpc.StatusCode.FAILED_PRECONDITION
    default_recovery = Recovery.FIX_REQUEST


class Busy(CloudspanError):
    """Another change of the same resource is under way."""

    default_code = grpc.StatusCode.ABORTED
    default_recovery = Recovery.RETRY


class Unsupported(CloudspanError):
    """The platform, or this cluster of it, has no such ability."""

    default_code = grpc.StatusCode.UNIMPLEMENTED
    default_recovery = Recovery.FIX_REQUEST


class Unauthenticated(CloudspanError):
    """The call has no credential that is valid, or a login failed (LOGIN_FAILED)."""

    default_code = grpc.StatusCode.UNAUTHENTICATED
    default_recovery = Recovery.FIX_REQUEST


class Forbidden(CloudspanError):
    """The caller's roles don't allow this (PERMISSION_MISSING), or the cluster's own credentials don't."""

    default_code = grpc.StatusCode.PERMISSION_DENIED


class QuotaExceeded(CloudspanError):
    """A quota, a capacity or a size limit stands in the way; or too much was sent at once.

    The latter (RATE_LIMITED, TOO_MANY_REQUESTS) has `retry_after_s`, and `retry_after` as its recovery.
    """

    default_code = grpc.StatusCode.RESOURCE_EXHAUSTED


class Unreachable(CloudspanError):
    """Nothing answered: no gateway, no adapter, no cloud; or a service of it is away for some time."""

    default_code = grpc.StatusCode.UNAVAILABLE
    default_recovery = Recovery.RETRY_AFTER


class OutOfTime(CloudspanError):
    """The call's deadline ended first, or an operation is not done after the time given."""

    default_code = grpc.StatusCode.DEADLINE_EXCEEDED
    default_recovery = Recovery.RETRY_AFTER


class OutcomeUnknown(CloudspanError):
    """A change was sent and nothing proves whether it took effect."""

    default_code = grpc.StatusCode.UNKNOWN
    default_recovery = Recovery.LOOK_FIRST


class Resync(CloudspanError):
    """What a watch would go on from is no longer kept: watch again without a resume_token."""

    default_code = grpc.StatusCode.OUT_OF_RANGE
    default_recovery = Recovery.FIX_REQUEST


class Cancelled(CloudspanError):
    """The caller, or CancelOperation, ended it."""

    default_code = grpc.StatusCode.CANCELLED
    default_recovery = Recovery.FIX_REQUEST


class PlatformFault(CloudspanError):
    """The cloud answered something it should not, or ended a change in a failed state; or a fault of Cloudspan's."""

    default_code = grpc.StatusCode.INTERNAL


_BY_CODE = {
    cls.default_code: cls
    for cls in (
        InvalidRequest, NotFound, AlreadyExists, PreconditionFailed, Busy, Unsupported,
        Unauthenticated, Forbidden, QuotaExceeded, Unreachable, OutOfTime, OutcomeUnknown, Resync, Cancelled,
        PlatformFault,
    )
}  # fmt: skip


def from_status(status: status_pb2.Status, request_id: str = "") -> CloudspanError:
    """Return the error that a google.rpc.Status stands for: of a call, or of an operation."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    cls = _BY_CODE.get(code, CloudspanError)
    return cls(status.message, code=code, request_id=request_id, details=_unpacked(status))


def from_call(error: Any) -> CloudspanError:
    """Return the error that a failed call stands for; takes what grpc raises, sync or asyncio."""
    trailers = dict(error.trailing_metadata() or ())
    details = trailers.get(_DETAILS_KEY)
    if isinstance(details, bytes):
        status = status_pb2.Status.FromString(details)
    else:
        status = status_pb2.Status(code=error.code().value[0], message=error.details() or "")
    return from_status(status, str(trailers.get(_REQUEST_ID_KEY, "")))


def _unpacked(status: status_pb2.Status) -> Iterable[Message]:
    for packed in status.details:
        try:
            detail = symbol_database.Default().GetSymbol(packed.TypeName())()
        except KeyError:
            continue
        packed.Unpack(detail)
        yield detail
