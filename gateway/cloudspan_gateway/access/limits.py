"""How much each tenant and each pool uses at the same time, and what it may use.

The limit stage counts calls, streams and bytes here, and the acceptor creates; all of it by this gateway, in memory.
Operations that have not ended are counted by their store, over all gateways, with the `OperationLimit`s made here.
Limits are those of cloudspan.v1.Limits; 0 is without limit.
"""

from __future__ import annotations

import enum
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_common.errors import CloudspanError, TooManyRequests
from cloudspan_common.names import parse_cluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from cloudspan.v1.tenant_pb2 import Limits
    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.access.access import Access

    Bounds = Sequence[tuple[str, Limits]]
    """What `Access.limits` returns."""

TENANTS = "tenants/"
_POOLS = "/pools/"
_MINUTE_S = 60.0
_ROUNDING_S = 1e-6
_HALVES_IN_S = 1.0
# Tenants and pools are rows; those that were deleted since go when there are more than so many.
_MOST_KEPT = 10_000


class Limit(enum.StrEnum):
    """What is limited, by the names of the fields of cloudspan.v1.Limits."""

    CALLS = "calls"
    STREAMS = "streams"
    OPERATIONS = "operations"
    REQUEST_BYTES = "request_bytes"
    CREATES = "creates_per_minute"


_ALLOWED = {
    Limit.CALLS: "{} call{} at the same time",
    Limit.STREAMS: "{} stream{} at the same time",
    Limit.OPERATIONS: "{} unfinished operation{}",
    Limit.REQUEST_BYTES: "{} byte{} of requests at the same time",
    Limit.CREATES: "{} create{} a minute",
}


class TenantLimit(TooManyRequests):
    """A tenant, or one of its pools, uses as much as it may; nothing was done."""

    default_reason = "TENANT_LIMIT"

    def __init__(self, of: str, limit: Limit, most: int, used: int, more: int = 1) -> None:
        """Take whose limit it is, its value, how much is used, and how much more was asked for."""
        allowed, next_step = _ALLOWED[limit].format(most, "s" if most != 1 else ""), "retry after the time in RetryInfo"
        asked = f", this request has {more}" if limit is Limit.REQUEST_BYTES else ""
        if more > most:
            next_step = "it never fits: send a smaller one"
        text = f"{of} may have {allowed} and has {used}{asked}; {next_step}, or ask an administrator for a higher limit"
        where = {"limit": str(limit), "of": of, "value": str(most), "used": str(used)}
        super().__init__(text, metadata=where)
        self.of, self.limit, self.most = of, limit, most
        self.never_fits = more > most


class Usage:
    """What one tenant or pool uses at this gateway now."""

    __slots__ = ("calls", "creates_until", "name", "refused_at", "refused_lately", "request_bytes", "streams")

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = self.streams = self.request_bytes = 0
        self.creates_until = 0.0  # when all creates so far have had their time, monotonic
        self.refused_lately = self.refused_at = 0.0

    def __repr__(self) -> str:
        return f"<Usage of {self.name}: {self.calls} calls, {self.streams} streams, {self.request_bytes} bytes>"

    def is_idle(self, now: float) -> bool:
        """Whether it differs from one that nobody has used yet."""
        return not self.calls and self.creates_until <= now and now - self.refused_at > _MINUTE_S

    def create_wait_s(self, most: int, now: float) -> float:
        """Return when the next create is allowed, in seconds from now: a bucket of `most` that a minute fills."""
        return self.creates_until - now - (_MINUTE_S - _MINUTE_S / most)

    def refused(self, now: float) -> float:
        """Count a refusal; return how many there were lately, each of which counts half after a second."""
        self.refused_lately = self.refused_lately * 0.5 ** ((now - self.refused_at) / _HALVES_IN_S) + 1
        self.refused_at = now
        return self.refused_lately


class Counters:
    """The usage of every tenant and pool."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._of: dict[str, Usage] = {}
        self.refusals: dict[tuple[str, Limit], int] = {}
        """How many calls were refused so far, by whose limit it was."""

    def __repr__(self) -> str:
        return f"<Counters of {len(self._of)}: {sum(usage.calls for usage in self._of.values())} calls>"

    def of(self, name: str) -> Usage:
        """Return the usage of `tenants/acme` or `tenants/acme/pools/prod`."""
        found = self._of.get(name)
        if found is None:
            if len(self._of) >= _MOST_KEPT:
                self._forget_idle()
            found = self._of[name] = Usage(name)
        return found

    def all(self) -> Sequence[Usage]:
        """Return the usage of each that has been used; may be called from any thread."""
        return tuple(self._of.values())

    def _forget_idle(self) -> None:
        now = self._clock.monotonic()
        for usage in self.all():
            if usage.is_idle(now):
                del self._of[usage.name]
                for limit in Limit:
                    self.refusals.pop((usage.name, limit), None)

    def refused(self, error: TenantLimit) -> float:
        """Count a refusal; return how many there were lately of the same tenant or pool."""
        key = (error.of, error.limit)
        self.refusals[key] = self.refusals.get(key, 0) + 1
        return self.of(error.of).refused(self._clock.monotonic())

    @contextmanager
    def create(self, bounds: Bounds) -> Iterator[None]:
        """Count the create that the block accepts; one that ends with a CloudspanError was not accepted.

        Raises:
            TenantLimit: There were as many as there may be; RetryInfo says when the next one is allowed.
        """
        now = self._clock.monotonic()
        taken = [(self.of(name), most) for name, limits in bounds if (most := limits.creates_per_minute)]
        for usage, most in taken:
            if (wait_s := usage.create_wait_s(most, now)) > _ROUNDING_S:
                error = TenantLimit(usage.name, Limit.CREATES, most, most)
                error.retry_after_s = wait_s
                raise error
        for usage, most in taken:
            usage.creates_until = max(usage.creates_until, now) + _MINUTE_S / most
        try:
            yield
        except CloudspanError:
            for usage, most in taken:
                usage.creates_until -= _MINUTE_S / most
            raise


class CallUsage:
    """What one call uses, of its tenant and of the pool by which it reaches its cluster."""

    __slots__ = ("_bytes", "_parts", "_stream", "counters", "refusal")

    def __init__(self, counters: Counters, payload: bytes | AsyncIterator[bytes]) -> None:
        self.counters = counters
        self._stream = not isinstance(payload, bytes)
        self._bytes = len(payload) if isinstance(payload, bytes) else 0
        self._parts: list[tuple[Usage, Limits | None]] = []
        self.refusal: TenantLimit | None = None
        """Why the next message of its stream was not taken."""

    def __repr__(self) -> str:
        return f"<CallUsage of {', '.join(usage.name for usage, _ in self._parts) or 'none'}: {self._bytes} bytes>"

    def begin(self, name: str, limits: Limits | None) -> None:
        """Count the call for one more tenant or pool; nothing happens where it counts already.

        Raises:
            TenantLimit: It does not fit; what it counts for already goes on until `end`.
        """
        for part, _ in self._parts:
            if part.name == name:
                return
        usage = self.counters.of(name)
        if limits is not None:
            if most := limits.calls:
                _check(name, Limit.CALLS, most, usage.calls)
            if self._stream:
                _check(name, Limit.STREAMS, limits.streams, usage.streams)
            if most := limits.request_bytes:
                _check(name, Limit.REQUEST_BYTES, most, usage.request_bytes, self._bytes)
        usage.calls += 1
        usage.streams += self._stream
        usage.request_bytes += self._bytes
        self._parts.append((usage, limits))

    def hold(self, size: int) -> None:
        """Count the bytes of a stream's message in place of those of the one before.

        Raises:
            TenantLimit: They don't fit.
        """
        for usage, _ in self._parts:
            usage.request_bytes -= self._bytes
        self._bytes = 0
        for usage, limits in self._parts:
            if limits is not None:
                _check(usage.name, Limit.REQUEST_BYTES, limits.request_bytes, usage.request_bytes, size)
        for usage, _ in self._parts:
            usage.request_bytes += size
        self._bytes = size

    def end(self) -> None:
        """Take the call out of what it counted for."""
        for usage, _ in self._parts:
            usage.calls -= 1
            usage.streams -= self._stream
            usage.request_bytes -= self._bytes
        self._parts.clear()


class CountedMessages:
    """A caller's stream; each message counts until the next one is asked for."""

    def __init__(self, usage: CallUsage, messages: AsyncIterator[bytes]) -> None:
        self._usage = usage
        self._messages = messages

    def __aiter__(self) -> CountedMessages:
        return self

    async def __anext__(self) -> bytes:
        self._usage.hold(0)
        message = await anext(self._messages)
        try:
            self._usage.hold(len(message))
        except TenantLimit as error:
            self._usage.refusal = error
            raise
        return message


def _check(name: str, limit: Limit, most: int, used: int, more: int = 1) -> None:
    if most and more and used + more > most:
        raise TenantLimit(name, limit, most, used, more)


@dataclass(frozen=True, slots=True)
class OperationLimit:
    """How many operations of a tenant, or on the clusters of one of its pools, may not have ended."""

    of: str
    most: int
    access: Access

    def check(self, under_way: Mapping[str, int]) -> None:
        """Raise TenantLimit if one more than these would be too many.

        Args:
            under_way: How many operations of the tenant have not ended, by the name of their cluster.
        """
        used = sum(count for cluster, count in under_way.items() if self._covers(cluster))
        _check(self.of, Limit.OPERATIONS, self.most, used)

    def _covers(self, cluster: str) -> bool:
        # An operation knows its cluster and not its pool: what the tenant has there is the pool's.
        return _POOLS not in self.of or any(of == self.of for of, _ in self.access.limits(parse_cluster(cluster)))


def operation_limits(access: Access, ref: ClusterRef) -> tuple[OperationLimit, ...]:
    """Return what limits the operations that a caller begins on a cluster."""
    return tuple(
        OperationLimit(of, limits.operations, access) for of, limits in access.limits(ref) if limits.operations
    )
