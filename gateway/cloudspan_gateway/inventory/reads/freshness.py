"""How fresh an answer must be, and how fresh what is kept of a collection is.

`stored_reads` asks here whether a List or a Get is answered from the inventory: by the request's `max_staleness` and
`stale_ok`, by when its collection was last listed whole, and by what the caller's tenant has changed since.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import common_pb2
from cloudspan.v1.cluster_pb2 import Cluster
from cloudspan_common.errors import (
    CloudspanError,
    InvalidRequest,
    LoginRefused,
    OutOfTime,
    Unreachable,
    Unsupported,
    Violation,
)
from cloudspan_gateway.inventory.columns import is_of_projects
from cloudspan_gateway.inventory.model import CollectionState, Completeness

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_gateway.call import Call
    from cloudspan_gateway.routing.snapshot import ClusterRoute

Status = common_pb2.ClusterStatus

MAX_STALENESS = "max_staleness"
_NOT_LOGGED_IN = frozenset({Cluster.STATE_UNSPECIFIED, Cluster.STATE_CONNECTING})
OTHER_PROJECT = "OTHER_PROJECT_OF_POOL"
_EARLIER = "it was not listed in time for an earlier page of this traversal; start again to have it listed"
_OTHERS = (
    "your pool's project of it is not listed for the inventory yet; list this cluster alone, and the platform answers"
)
# The range of google.protobuf.Duration: 10 000 years.
_MOST_SECONDS, _MOST_NANOS = 315_576_000_000, 999_999_999
# What the inventory can answer; a request that sets anything else is the platform's.
_ANSWERED = frozenset(
    {
        "name", "parent", "page_size", "page_token", "filter", "order_by", "read_mask", "view", MAX_STALENESS,
        "stale_ok",
    }
)  # fmt: skip
_NOT_ANSWERING = (Unreachable, OutOfTime, LoginRefused)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asks for."""

    within_s: float
    """How old the answer may be; 0 for the platform's own."""
    stale_ok: bool
    """Whether an older one is wanted where the cluster does not answer."""

    @classmethod
    def of(cls, call: Call) -> Asked:
        """Read it off a call.

        Raises:
            InvalidRequest: For a negative `max_staleness`, or one that is no duration.
        """
        request: Any = call.target.message
        duration = request.max_staleness
        seconds, nanos = duration.seconds, duration.nanos
        if not (0 <= seconds <= _MOST_SECONDS and 0 <= nanos <= _MOST_NANOS):
            text = (
                f"max_staleness is {seconds} s and {nanos} ns; give a duration of 0 or more, or leave it out to ask "
                "the platform"
            )
            raise InvalidRequest(text, violations=[Violation(MAX_STALENESS, text)])
        answered = _is_answered(request)
        within_s = seconds + nanos / 1e9 if answered else 0.0
        return cls(within_s, answered and (call.stale_ok or request.stale_ok))


def _is_answered(request: Any) -> bool:
    """Whether the inventory holds what a request asks for."""
    set_fields = {field.name for field, _ in request.ListFields()}
    return set_fields <= _ANSWERED and getattr(request, "view", 0) != common_pb2.RESOURCE_VIEW_FULL


def is_away(error: CloudspanError) -> bool:
    """Whether an error says that the cluster does not answer, rather than what it answers."""
    return isinstance(error, _NOT_ANSWERING)


@dataclass(frozen=True, slots=True)
class Changed:
    """What a tenant's operations have changed since some time: by when the last one of each ended, Unix seconds."""

    resources: Mapping[str, float] = field(default_factory=dict)
    """Of those whose own rows must be newer, by resource name."""
    beside: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Of collections that may have changed with them, by cluster and collection."""
    deleted: frozenset[str] = frozenset()
    """The resources that were deleted: they have no row."""
    everything: bool = False
    """Whether these are too many to tell."""

    def of_collection(self, cluster: str, collection: str) -> float:
        """Return until when a collection as a whole may have changed; rows listed later show that."""
        return math.inf if self.everything else self.beside.get((cluster, collection), -math.inf)

    def of_resource(self, name: str, cluster: str, collection: str) -> float:
        """Return until when one resource may have changed."""
        return max(self.resources.get(name, -math.inf), self.of_collection(cluster, collection))

    def within(self, cluster: str, collection: str, since: float) -> Mapping[str, float]:
        """Return the resources of a collection that were changed after it was listed."""
        prefix = f"{cluster}/{collection}/"
        return {name: time for name, time in self.resources.items() if time >= since and name.startswith(prefix)}


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of one collection of one cluster, as one caller may rely on it."""

    state: CollectionState
    now: float
    changed_time: float = -math.inf
    """Until when the caller's tenant has changed what is not written through."""
    unsupported: str = ""
    """Why the cluster has no such collection; empty where it has."""
    has_others: bool = False
    """Whether projects are kept too that the cluster's credentials do not list, where the caller sees all of it."""

    @property
    def cluster(self) -> str:
        return self.state.cluster

    @property
    def observe_time(self) -> float | None:
        """As of when all of it is known; None where it never was, or the cluster no longer has such resources."""
        return self.state.observe_time if self.is_supported else None

    @property
    def is_supported(self) -> bool:
        """Whether the cluster has such resources, as far as is known."""
        if self.unsupported:
            return False
        # An adapter that is older than the gateway can't be swept, and lists them all the same.
        is_old = self.state.reason == Unsupported.default_reason
        return self.state.completeness is not Completeness.UNSUPPORTED or is_old

    @property
    def is_swept(self) -> bool:
        """Whether sweeps bring what the caller sees: see `is_swept_for`."""
        return self.state.reason != OTHER_PROJECT

    def is_newer(self, begun: float) -> bool:
        """Whether it was listed by a sweep that began after `begun`: nothing is fresher."""
        return self.observe_time is not None and self.observe_time >= begun

    def is_fresh(self, within_s: float) -> bool:
        """Whether it is new enough, what the caller's own tenant has changed included."""
        time = self.observe_time
        return time is not None and self.now - time <= within_s and time > self.changed_time

    @property
    def confirmed_time(self) -> float:
        """As of when every row is known at least: a row is as new as it was read, or as this."""
        # While deletions are held back, nothing tells which rows the last listing had.
        return -math.inf if self.state.brake is not None or self.observe_time is None else self.observe_time

    def status(self, *, stale_ok: bool = False, within_s: float = math.inf, why: str = "") -> Status:
        """Return how the cluster took part in a list that has its rows from here; `why` it did not answer itself."""
        status = Status(cluster=self.cluster, state=Status.STATE_OK, source=Status.SOURCE_INVENTORY)
        if not self.is_supported:
            return Status(cluster=self.cluster, state=Status.STATE_UNSUPPORTED)
        self._set_time(status)
        if why or (stale_ok and not self.is_fresh(within_s)):
            status.state, status.reason = Status.STATE_PARTIAL, "STALE"
            status.message = self._stale(why)
        elif self.state.brake is not None:
            status.state, status.reason = Status.STATE_PARTIAL, "BRAKED"
            status.message = (
                "the last listing has lost so many resources that they are not taken for deleted; those that are gone "
                "may be among these, see GetSyncState"
            )
        elif self.state.completeness is Completeness.PARTIAL:
            status.state, status.reason = Status.STATE_PARTIAL, self.state.reason or "LISTING_NOT_PROVEN"
            status.message = "the last listing was not complete; see GetSyncState"
        return status

    def left_out(self, *, earlier: bool = False) -> Status:
        """Return how the cluster took part in a list that has no rows of it, since they are not fresh enough.

        `earlier` says whether that was so when its traversal began.
        """
        reason, message = ("FAILED_EARLIER", _EARLIER) if earlier else self._why_not_fresh()
        return Status(cluster=self.cluster, state=Status.STATE_UNREACHABLE, reason=reason, message=message)

    def _why_not_fresh(self) -> tuple[str, str]:
        if not self.is_swept:
            return OTHER_PROJECT, _OTHERS
        time = self.observe_time
        if time is None:
            reason, text = self.state.reason or "NEVER_SYNCED", "it was never listed successfully"
        else:
            reason, text = self.state.reason or "STALE", f"it was last listed {self.now - time:.0f} s ago"
        return reason, (
            f"{text}, and could not be listed in the time of this call; allow more time or a larger max_staleness, or "
            "set stale_ok; GetSyncState tells more"
        )

    def _set_time(self, status: Status) -> None:
        if (time := self.observe_time) is not None:
            status.observe_time.FromNanoseconds(round(time * 1e9))
            status.age.FromMilliseconds(max(0, round((self.now - time) * 1000)))

    def _stale(self, why: str) -> str:
        time = self.observe_time
        age = "of unknown age" if time is None else f"{max(0.0, self.now - time):.0f} s old"
        return f"the last known resources, {age}: {why or 'the cluster could not be listed since'}"


def is_swept_for(project: str, route: ClusterRoute, collection: str) -> bool:
    """Whether what a cluster's credentials list is what a caller with one project of it sees; none here means all.

    An administrator's credential lists its own project on OpenStack, and others where they are asked for by name. Which
    one that is is known once the adapter has logged in; empty then are those of platforms whose credentials list all.
    """
    own, is_known = route.cluster.project, route.cluster.state not in _NOT_LOGGED_IN
    if not project or own == project or (not own and is_known):
        return True
    return not is_of_projects(collection)
