"""Every native call of one cluster: token, limiter, breaker, deadline, retries, and one record of it all.

A platform's session makes a `NativeCaller` and tells it by a `Dialect` how requests are signed and what answers mean.

"""

from __future__ import annotations

import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from yarl import URL

from cloudspan_common.errors import (
    CloudspanError,
    InvalidRequest,
    LoginRefused,
    NotFound,
    OutcomeUnknown,
    OutOfTime,
    PlatformFault,
    RateLimited,
    Unreachable,
)
from cloudspan_common.limits import Priority
from cloudspan_common.telemetry import NativeCall
from cloudspan_kit.http.transport import NoReply, NoReplyInTime, RequestInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_common.limits import Limiter
    from cloudspan_common.names import ClusterRef
    from cloudspan_common.tokens import Token, TokenKeeper
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.http.guards import Guards
    from cloudspan_kit.http.transport import Answer, HttpTransport

T = TypeVar("T")

_MAX_RETRIES = 3
_NO_SEGMENTS = frozenset({"", ".", ".."})
_OUT_OF_PLACE = frozenset({"/", "\\", *map(chr, range(32)), "\x7f"})
_BACKOFF_S = 0.1  # 0.1, 0.2, 0.4 s, each +-50 %
# A write with less time than this would mostly end unknown; it is better not sent.
_LEAST_WRITE_S = 0.25
# Of the time that a write has left, this much may pass in the queue; measured: 100 creates at once on a Nova that bears
# 16 were sent with 6 of 30 s left, timed out half done, and each waited for its settle time.
_QUEUE_SHARE = 0.5
QUEUED_TOO_LONG = "QUEUED_TOO_LONG"
_HOPELESS = frozenset({"BREAKER_OPEN", "TLS_CERTIFICATE", "TLS_FAILED", "DNS_FAILED", QUEUED_TOO_LONG})
# A proxy or service that answers so may have carried the write out before.
_UNPROVEN_STATUS = frozenset({"500", "502", "504"})
_NOT_SENT = (Unreachable, RateLimited, LoginRefused, OutOfTime)
_UNREADABLE = frozenset({"NOT_JSON", "TRUNCATED_JSON", "UNEXPECTED_SHAPE", "ANSWER_TOO_LARGE"})


@dataclass(slots=True)
class NativeRequest:
    """One native call: what is asked, and what it took so far."""

    call: Call
    method: str
    service: str
    template: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """What this request needs beside the token."""
    body: bytes | None = None
    repeatable: bool = True
    """Whether it may be sent again when it may have arrived."""
    min_life_s: float = 0.0
    """How long the token must live on, where the platform goes on working with it."""
    url: str = ""
    """Instead of the service's base URL and `path`."""
    about: RequestInfo | None = None
    """What this looks after, where it is not about itself: the request that a job carries out."""
    again: Callable[[Answer, int], float | None] | None = None
    """Asked after each answer: how long to wait before the same is asked once more, None when it is final."""
    token: Token | None = None
    status: int = 0
    refused: bool = False
    """Whether the last answer was the platform's own no, whatever its status."""
    native_request_id: str = ""
    lost: bool = False
    """Whether a try before the last one may have been carried out."""
    retries: int = 0
    polls: int = 0
    waited_s: float = 0.0
    began: float = field(default_factory=time.perf_counter)

    @property
    def is_write(self) -> bool:
        return self.method != "GET"


class Dialect(Protocol):
    """What a platform's calls have of their own."""

    def base(self, request: NativeRequest, token: Token) -> str:
        """Return the URL that the request's path follows; limiter and breaker go by it."""
        ...

    def headers(self, request: NativeRequest, token: Token) -> Mapping[str, str]:
        """Return all headers of the request, signed."""
        ...

    def refuses_token(self, request: NativeRequest, answer: Answer) -> bool:
        """Whether the answer says that the token is no good, and that nothing was done."""
        ...

    def request_id(self, request: NativeRequest, answer: Answer) -> str:
        """Return the platform's own id of the call, for whoever reads its logs."""
        ...

    def error(self, request: NativeRequest, asked: RequestInfo, answer: Answer) -> CloudspanError | None:
        """Return the error that an answer means; None if it is none."""
        ...

    def is_business(self, answer: Answer) -> bool:
        """Whether an error is the service's considered answer, whatever its status: a sign of health."""
        ...


@dataclass(frozen=True, slots=True)
class NativeParts:
    """What the native calls of a cluster are made with."""

    keeper: TokenKeeper
    wire: HttpTransport
    guards: Guards
    record: Callable[[NativeCall], None]
    clock: Clock


class NativeCaller:
    """The native calls of one cluster. Reads are retried within the caller's deadline, writes are not lost count of."""

    def __init__(self, ref: ClusterRef, parts: NativeParts, dialect: Dialect, rng: random.Random | None = None) -> None:
        self._ref = ref
        self._parts = parts
        self._dialect = dialect
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret

    def __repr__(self) -> str:
        return f"<NativeCaller {self._ref}: {self._parts.keeper!r}>"

    async def run(self, request: NativeRequest, read: Callable[[Answer], T]) -> T:
        """Make one native call, whatever it takes, record it once, and return what `read` makes of the answer.

        Raises:
            OutcomeUnknown: A write was sent, and nothing proves whether it was carried out.
            OutOfTime: Too little time was left; nothing was sent.
            CloudspanError: What the platform's answer means.
        """
        error = ""
        try:
            return read(await self._polled(request))
        except CloudspanError as raised:
            proven = with_outcome(request, raised)
            # That something is not there is an answer, and looking for it no failure.
            error = "" if isinstance(proven, NotFound) and not request.is_write else proven.message
            if proven is raised:
                raise
            raise proven from raised
        finally:
            self._record(request, error)

    def asked(self, request: NativeRequest) -> RequestInfo:
        """Return what is asked, for messages."""
        path = request.path.partition("?")[0]
        return RequestInfo(self._ref.platform, self._ref.cluster, request.service, request.method, path)

    def _record(self, request: NativeRequest, error: str) -> None:
        self._parts.record(
            NativeCall(
                cluster=self._ref.cluster,
                service=request.service,
                method=request.method,
                template=request.template,
                status=request.status,
                ms=(time.perf_counter() - request.began - request.waited_s) * 1000,
                native_request_id=request.native_request_id,
                retries=request.retries + request.polls,
                waited_ms=request.waited_s * 1000,
                error=error,
                refused=request.refused,
            )
        )

    async def _polled(self, request: NativeRequest) -> Answer:
        while True:
            answer = await self._retried(request)
            pause = None if request.again is None else request.again(answer, request.polls)
            if pause is None:
                return answer
            if pause >= request.call.deadline.remaining():
                raise OutOfTime(
                    f"{self.asked(request)}: not finished in the time that the caller had left",
                    reason="STILL_RUNNING",
                    metadata=self.asked(request).metadata() | {"native_request_id": request.native_request_id},
                )
            request.polls += 1
            await self._pause(request, pause)

    async def _pause(self, request: NativeRequest, seconds: float) -> None:
        began = time.perf_counter()
        await self._parts.clock.sleep(seconds)
        request.waited_s += time.perf_counter() - began

    async def _retried(self, request: NativeRequest) -> Answer:
        while True:
            try:
                return await self._authorized(request)
            except CloudspanError as error:
                pause = self._pause_before_retry(request, error)
                if pause is None:
                    raise
                request.lost = request.lost or is_unproven(error)
                request.retries += 1
                await self._parts.clock.sleep(pause)

    def _pause_before_retry(self, request: NativeRequest, error: CloudspanError) -> float | None:
        """Return how long to wait before sending again; None if it must not or need not be sent again."""
        if request.retries >= _MAX_RETRIES or error.reason in _HOPELESS:
            return None
        left = request.call.deadline.remaining()
        if isinstance(error, RateLimited):
            # The limiter's gate makes it wait; where that is too long, the cloud's own words say more than the gate's.
            return 0.0 if (error.retry_after_s or 0.0) < left else None
        if not isinstance(error, Unreachable) or (is_unproven(error) and not request.repeatable):
            return None
        pause = _BACKOFF_S * 2**request.retries * (0.5 + self._rng.random())
        return pause if pause < left else None

    async def _authorized(self, request: NativeRequest) -> Answer:
        """Send with a valid token; a refused one proves that nothing was done, so even a write is sent again."""
        keeper, dialect = self._parts.keeper, self._dialect
        while True:
            began = time.perf_counter()
            token = await keeper.token(min_life_s=request.min_life_s, timeout_s=request.call.deadline.remaining())
            request.waited_s += time.perf_counter() - began
            request.token = token
            answer, error = await self._guarded(request, token)
            # The keeper says no as soon as a new login can't help.
            if dialect.refuses_token(request, answer) and request.retries < _MAX_RETRIES and keeper.retire(token):
                request.retries += 1
                continue
            if error is not None:
                raise error
            return answer

    async def _guarded(self, request: NativeRequest, token: Token) -> tuple[Answer, CloudspanError | None]:
        """Pass limiter and breaker and send; what says that the far side is ill or busy is raised inside of them."""
        base = self._dialect.base(request, token)
        limiter, breaker = self._parts.guards.of(base)
        began = time.perf_counter()
        async with AsyncExitStack() as held:
            await self._queue(request, limiter, held)
            request.waited_s += time.perf_counter() - began
            with breaker.call():
                answer = await self._exchange(request, token, URL(request.url or base + request.path, encoded=True))
                error = self._dialect.error(request, self.asked(request), answer)
                if isinstance(error, RateLimited | Unreachable) and not self._dialect.is_business(answer):
                    raise error
                return answer, error

    async def _queue(self, request: NativeRequest, limiter: Limiter, held: AsyncExitStack) -> None:
        """Wait for a slot; a write keeps half of its time for the platform.

        Sent in its last moments its outcome would be unknown, and unsent it can simply be tried again.
        """
        left = request.call.deadline.remaining()
        timeout_s = left * _QUEUE_SHARE if request.is_write else left
        priority = Priority.BACKGROUND if request.call.background else Priority.FOREGROUND
        try:
            await held.enter_async_context(limiter.slot(timeout_s=timeout_s, priority=priority))
        except OutOfTime as error:
            if not request.is_write:
                raise
            text = f"{self.asked(request)} was not sent: {error.message}"
            metadata = self.asked(request).metadata()
            raise RateLimited(text, reason=QUEUED_TOO_LONG, retry_after_s=1.0, metadata=metadata) from error

    async def _exchange(self, request: NativeRequest, token: Token, url: URL) -> Answer:
        left, asked = request.call.deadline.remaining(), self.asked(request)
        if left < (_LEAST_WRITE_S if request.is_write else 0.001):
            text = f"{asked} was not sent: {left:.2f} s left of the caller's time"
            raise OutOfTime(text, metadata=asked.metadata())
        sent_at = self._parts.clock.now()
        request.status, request.native_request_id, request.refused = 0, "", False
        headers = self._dialect.headers(request, token)
        answer = await self._parts.wire.exchange(asked, url, headers, request.body, timeout_s=left)
        request.status, request.native_request_id = answer.status, self._dialect.request_id(request, answer)
        request.refused = self._dialect.is_business(answer)
        self._parts.keeper.observe_server_date(answer.headers.get("Date", ""), sent_at=sent_at)
        return answer


def path_of(
    template: str, args: Mapping[str, str] | None, params: Sequence[tuple[str, str]] | Mapping[str, str]
) -> str:
    """Return `template` with its names filled in, percent-encoded, and the query behind it.

    Raises:
        InvalidRequest: An id would lead out of its place in the path: proxies decode slashes, and resolve dots.
    """
    path = template.format(**{name: _segment(value) for name, value in args.items()}) if args else template
    return f"{path}?{urlencode(params, quote_via=quote)}" if params else path


def _segment(value: str) -> str:
    if value in _NO_SEGMENTS or not _OUT_OF_PLACE.isdisjoint(value):
        text = f"{value[:80]!r} can't be an id on this platform: it is empty, dots alone, or holds a slash or a control"
        raise InvalidRequest(text, reason="MALFORMED_NAME")
    return quote(value, safe="")


def is_unproven(error: CloudspanError) -> bool:
    """Whether a write that ended so may have been carried out."""
    if isinstance(error, NoReply | NoReplyInTime) or error.reason in _UNREADABLE:
        return True
    return error.metadata.get("http_status", "") in _UNPROVEN_STATUS


def with_outcome(request: NativeRequest, error: CloudspanError) -> CloudspanError:
    """Return `error`, or for a write that may have been carried out, the error that says so."""
    not_sent = request.lost and isinstance(error, _NOT_SENT)  # of the last try, which says nothing of the first
    if not request.is_write or not (not_sent or is_unproven(error)):
        return error
    text = f"{error.message}; it may have been carried out, look before asking again"
    return OutcomeUnknown(text, metadata=error.metadata)


def unreadable(asked: RequestInfo, answer: Answer, request_id: str, error: msgspec.DecodeError) -> PlatformFault:
    """Return the error for an answer that should have been JSON of a known shape."""
    metadata = asked.metadata() | {"native_request_id": request_id, "http_status": str(answer.status)}
    if isinstance(error, msgspec.ValidationError):
        text = f"{asked} answered JSON of another shape than documented: {error}"
        return PlatformFault(text, reason="UNEXPECTED_SHAPE", metadata=metadata)
    if "json" not in answer.kind or answer.body.lstrip()[:1] == b"<":
        told = answer.kind or "no content type"
        text = f"{asked} answered {answer.status} with {told} and not JSON; a proxy's page?"
        return PlatformFault(text, reason="NOT_JSON", metadata=metadata)
    text = f"{asked} answered {len(answer.body)} bytes of broken JSON: {error}"
    return PlatformFault(text, reason="TRUNCATED_JSON", metadata=metadata)
