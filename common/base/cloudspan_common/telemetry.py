"""One record per native call, and everything that is made from it: log line, metrics, the caller's explanation.

Each adapter's session makes a `NativeCall` for what it asked of its cloud and hands it to `record_native_call`; doors
wrap a request in `collecting()` to learn what it took, and report it to callers with `counted`. Also here: request and
trace ids, and what every process's registry of metrics holds.
"""

from __future__ import annotations

import os
import platform
import re
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import grpc
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from cloudspan.v1 import operation_pb2
from cloudspan_common.logs import get_logger
from cloudspan_common.redaction import masked_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SLOW_MS = 5_000.0
# Clouds answer a warm get in tens of milliseconds, a create in seconds; 60 s is the default deadline.
_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
# Most calls wait for nothing.
_WAIT_BUCKETS_S = (0.001, 0.01, 0.1, 1.0, 10.0, 60.0)
_LABELS = ("platform", "cluster", "service", "method", "template", "status")
_BY_CLUSTER = ("platform", "cluster")

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class NativeCall:
    """What one call to a cloud's own API was, and how it ended."""

    cluster: str
    service: str
    """The cloud's service: compute, volume, network."""
    method: str
    """The HTTP method, or the native action's name."""
    template: str
    """The path without ids: `/servers/{id}`; it labels a metric, so its values must be few."""
    status: int
    """The HTTP status; 0 when nothing was answered."""
    ms: float
    """From the first byte sent to the answer read, retries included."""
    native_request_id: str = ""
    retries: int = 0
    waited_ms: float = 0.0
    """Spent before sending: limiter, token, connection."""
    error: str = ""
    """Why it failed, for a person; empty on success."""
    refused: bool = False
    """Whether the answer is the platform's own refusal: ZStack says it with a 503."""

    @property
    def status_class(self) -> str:
        """`2xx` to `5xx`, or `none` when nothing was answered."""
        return f"{self.status // 100}xx" if self.status else "none"


class NativeCallMetrics:
    """What Prometheus sees of native calls; one per service, on the service's own registry.

    Waiting (for the limiter, a token, a connection) is apart from the time that the cloud took.
    """

    def __init__(self, registry: CollectorRegistry, platform: str = "") -> None:
        self._platform = platform
        self._seconds = Histogram(
            "cloudspan_native_call_seconds", "Native calls by duration.", _LABELS, registry=registry, buckets=_BUCKETS_S
        )
        # labels() costs 3 us and this dict 0.1 us, on each native call; templates hold no ids, so it stays small.
        self._timers: dict[tuple[str, ...], Histogram] = {}
        self._waited = Histogram(
            "cloudspan_native_wait_seconds",
            "Native calls by the time spent before sending.",
            _BY_CLUSTER,
            registry=registry,
            buckets=_WAIT_BUCKETS_S,
        )
        self._waits: dict[str, Histogram] = {}
        self._retries = Counter("cloudspan_native_retries", "Native calls sent again.", _BY_CLUSTER, registry=registry)

    def observe(self, call: NativeCall) -> None:
        """Count one call."""
        key = (call.cluster, call.service, call.method, call.template, call.status_class)
        timer = self._timers.get(key)
        if timer is None:
            timer = self._timers[key] = self._seconds.labels(self._platform, *key)
        timer.observe(call.ms / 1000)
        waits = self._waits.get(call.cluster)
        if waits is None:
            waits = self._waits[call.cluster] = self._waited.labels(self._platform, call.cluster)
        waits.observe(call.waited_ms / 1000)
        if call.retries:
            self._retries.labels(self._platform, call.cluster).inc(call.retries)


_collected: ContextVar[list[NativeCall] | None] = ContextVar("collected_native_calls", default=None)


@contextmanager
def collecting() -> Iterator[list[NativeCall]]:
    """Collect the native calls made inside the `with` block, those of its child tasks included.

    A nested block keeps its calls for itself until it ends, then adds them to the outer one's.
    """
    outer = _collected.get()
    calls: list[NativeCall] = []
    token = _collected.set(calls)
    try:
        yield calls
    finally:
        _collected.reset(token)
        if outer is not None:
            outer.extend(calls)


def record_native_call(call: NativeCall, metrics: NativeCallMetrics | None = None, *, slow_ms: float = SLOW_MS) -> None:
    """Log the call, count it in `metrics`, and add it to the request that it belongs to.

    No answer, a 5xx, an answer that can't be read and slow calls are warnings. The rest shows at debug level only,
    refusals (4xx) included: what they mean is the caller's to say.
    """
    if metrics is not None:
        metrics.observe(call)
    calls = _collected.get()
    if calls is not None:
        calls.append(call)
    refused = call.refused or 400 <= call.status < 500
    if not refused and (call.status >= 500 or not call.status or call.error):
        log.warning("native call failed", **asdict(call))
    elif call.ms >= slow_ms:
        log.warning("native call was slow", **asdict(call))
    elif log.is_enabled_for(10):
        log.debug("native call done", **asdict(call))


def counted(calls: Iterable[NativeCall]) -> list[operation_pb2.NativeCall]:
    """Return the calls as they are reported to callers: in order of their first, equal ones counted together."""
    rows: dict[tuple[str | int, ...], operation_pb2.NativeCall] = {}
    for call in calls:
        error = masked_text(call.error)  # the platform's words, which may repeat what was sent
        key = (call.service, call.method, call.template, call.status, error)
        if key not in rows:
            rows[key] = operation_pb2.NativeCall(
                service=call.service, method=call.method, template=call.template, status=call.status, error=error
            )
        _add(rows[key], call)
    return list(rows.values())


def _add(row: operation_pb2.NativeCall, call: NativeCall) -> None:
    row.count += 1
    row.retries += call.retries
    row.native_request_id = call.native_request_id or row.native_request_id
    for total, ms in ((row.took, call.ms), (row.waited, call.waited_ms)):
        total.FromMicroseconds(total.ToMicroseconds() + round(ms * 1000))


def new_registry() -> CollectorRegistry:
    """Return a service's own metrics registry, with the process's memory, CPU and file descriptors in it."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return registry


def add_build_info(registry: CollectorRegistry, distribution: str) -> None:
    """Add `cloudspan_build_info`, always 1: its labels say what runs, and on what."""
    labels = {
        "distribution": distribution,
        "version": version_of(distribution),
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
    }
    Gauge("cloudspan_build_info", "What runs, in its labels.", labels, registry=registry).labels(**labels).set(1)


def version_of(distribution: str) -> str:
    """Return the version of an installed distribution, or `unknown`."""
    try:
        return version(distribution)
    except (PackageNotFoundError, ValueError):  # the latter where the name is empty
        return "unknown"


def new_restarts(registry: CollectorRegistry) -> Counter:
    """Return the counter of parts of a process that ended and were started again, by part."""
    return Counter("cloudspan_restarts", "Parts that ended and were started again.", ("part",), registry=registry)


def new_request_id() -> str:
    """Return 32 random hex digits; unguessable, since a request's explanation is fetched by it."""
    return os.urandom(16).hex()


_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def is_request_id(text: str) -> bool:
    """Whether a caller's own id may be passed on: it stands in logs, and in headers of others."""
    return _REQUEST_ID.fullmatch(text) is not None


_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16


def traceparent(parent: str | None = None) -> str:
    """Return the W3C traceparent for calls made on behalf of `parent`: same trace and flags, a new span.

    A missing or malformed parent starts a new, sampled trace.
    """
    span = os.urandom(8).hex()
    match = _TRACEPARENT.fullmatch(parent) if parent else None
    if match is not None:
        version, trace, caller, flags, rest = match.groups()
        # Later versions may append fields, version 00 may not, and ff is not a version.
        if trace != _NO_TRACE and caller != _NO_SPAN and version != "ff" and not (rest and version == "00"):
            return f"00-{trace}-{span}-{flags}"
    return f"00-{os.urandom(16).hex()}-{span}-01"
