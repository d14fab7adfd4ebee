"""How fresh the collections of some clusters are, as one caller may know it: cloudspan.v1.SyncState.

A collection that was never listed has no row: it is told from the route table and the contract. Whoever has one project
of a cluster learns neither how much others have there, nor what a message says of theirs.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from cloudspan.v1 import inventory_pb2
from cloudspan_common import contract
from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_gateway.inventory.columns import collections
from cloudspan_gateway.inventory.listed_times import ListedTimes
from cloudspan_gateway.inventory.model import CollectionState, Completeness
from cloudspan_gateway.inventory.reads.freshness import OTHER_PROJECT, is_swept_for

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from google.protobuf.timestamp_pb2 import Timestamp

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.routing.snapshot import ClusterRoute
    from cloudspan_gateway.services.inventory.scopes import Seen

MOST_INCOMPLETE = 100
"""How many collections an answer names as incomplete."""
_OVERDUE_S = 60.0  # beyond its next time, or another interval: a sweep of a slow cloud is still on its way then
_WHOLE = frozenset({Completeness.COMPLETE, Completeness.UNSUPPORTED})
_IN_PROJECT = {
    Completeness.PARTIAL: "not all of it could be listed, or be proven to be gone",
    Completeness.FAILED: "it could not be listed",
}
"""What is said in place of a message, which may name other projects' resources."""
_OTHER = "your project of the cluster is not listed for the inventory yet; use List and Get meanwhile"


class States(Protocol):
    """Where states are kept: `Writes` has it."""

    async def states(self, clusters: Collection[str] | None = None) -> Sequence[CollectionState]:
        """Return what is known of every collection that was ever listed."""
        ...


@dataclass(frozen=True, slots=True)
class Collections:
    """The states of all collections that a call is about, those never listed too, by cluster and name."""

    seen: Seen
    states: Sequence[CollectionState]
    now: float
    owned: frozenset[str] = frozenset()
    """The clusters that a gateway lists, whichever collection."""

    @property
    def incomplete(self) -> list[CollectionState]:
        """Those in which something may be missing, or whose next listing is overdue."""
        return [state for state in self.states if state.completeness not in _WHOLE or self._is_overdue(state)]

    def observe_times(self) -> ListedTimes:
        """Return as of when rows are known that the last complete listing left unchanged."""
        return ListedTimes.of(self.states)

    def _is_overdue(self, state: CollectionState) -> bool:
        if state.completeness not in _WHOLE or state.next_time is None:
            return False
        return self.now > state.next_time + max(state.interval_s, _OVERDUE_S)


async def read_states(kept: States, seen: Seen, wanted: Sequence[str], clock: Clock) -> Collections:
    """Return the states of these collections, all when empty."""
    found = await kept.states(seen.clusters)
    listed = {(state.cluster, state.collection, state.project): state for state in found}
    by_itself: dict[str, set[str]] = defaultdict(set)
    for each in found:
        if each.project:
            by_itself[each.cluster].add(each.project)
    states = []
    for route in seen.routes:
        cluster = str(route.ref)
        project = seen.projects.get(cluster, "")
        others = () if project else sorted(by_itself[cluster])
        for collection in sorted(wanted or collections()):
            own = listed.get((cluster, collection, "")) or _never(route, collection)
            if project and (mine := listed.get((cluster, collection, project))):
                states.append(mine)
            elif is_swept_for(project, route, collection):
                states.append(own)
                states += [state for other in others if (state := listed.get((cluster, collection, other)))]
            else:
                states.append(_not_yet(own))
    return Collections(seen, states, clock.now(), frozenset(state.cluster for state in found if state.owner))


def checked_collections(wanted: Iterable[str]) -> tuple[str, ...]:
    """Return the collections of a request, each once.

    Raises:
        InvalidRequest: UNKNOWN_COLLECTION.
    """
    found = tuple(dict.fromkeys(wanted))
    unknown = [collection for collection in found if collection not in _known()]
    if unknown:
        text = f"{unknown[0][:60]!r} is not a collection that is listed; those are: {', '.join(sorted(_known()))}"
        raise InvalidRequest(text, reason="UNKNOWN_COLLECTION", violations=[Violation("collections", text)])
    return found


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(collections())


def _never(route: ClusterRoute, collection: str) -> CollectionState:
    """Return the state of a collection that was never listed: of one that the cluster has not, why."""
    absent = route.absent.get(contract.lister(collection).full_name)
    state = CollectionState(str(route.ref), collection)
    if absent is None:
        text = "it was never listed; wait for the first listing, or ask for it with SyncNow"
        return replace(state, reason="NEVER_SYNCED", message=text)
    text = f"the cluster does not list {collection}: {absent or 'its adapter gives no reason'}"
    return replace(state, completeness=Completeness.UNSUPPORTED, reason="METHOD_ABSENT", message=text)


def _not_yet(own: CollectionState) -> CollectionState:
    """Return the state for a project that is not listed, or not yet: what the credentials list is another's."""
    return replace(own, completeness=Completeness.PARTIAL, reason=OTHER_PROJECT, message="")


def of_caller(state: CollectionState, seen: Seen, rows: int | None = None) -> CollectionState:
    """Return a state without what the caller may not know: `rows` is how many resources of it the caller sees."""
    if state.reason == "NO_INSTANCE":  # in what state instances are may name addresses, and others' clusters
        state = replace(state, message="no instance of its adapter serves it now; see PlatformService.GetPlatform")
    if not seen.projects.get(state.cluster):
        return state
    brake = state.brake and replace(state.brake, missing=0, total=0, examples=())
    message = _OTHER if state.reason == OTHER_PROJECT else _IN_PROJECT.get(state.completeness, state.message)
    return replace(state, row_count=rows or 0, message=message, brake=brake)


def message_of_state(state: CollectionState, *, owner: bool) -> inventory_pb2.SyncState:
    """Return a state as callers get it; `owner` says whether they learn which gateway lists it."""
    message = inventory_pb2.SyncState(
        cluster=state.cluster,
        collection=state.collection,
        completeness=f"COMPLETENESS_{state.completeness}",
        reason=state.reason,
        message=state.message,
        rows=state.row_count,
        owner=state.owner if owner else "",
        project=state.project,
    )
    for field in ("observe_time", "attempt_time", "next_time"):
        _set_time(getattr(message, field), getattr(state, field))
    message.took.FromNanoseconds(round(state.took_s * 1e9))
    message.interval.FromNanoseconds(round(state.interval_s * 1e9))
    if state.brake is not None:
        message.brake.missing, message.brake.total = state.brake.missing, state.brake.total
        message.brake.examples.extend(state.brake.examples)
        _set_time(message.brake.since_time, state.brake.since)
    return message


def _set_time(field: Timestamp, seconds: float | None) -> None:
    if seconds is not None:
        field.FromNanoseconds(round(seconds * 1e9))
