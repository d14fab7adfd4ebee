"""What is kept of a collection in several clusters, as one caller may rely on it: `stored_reads` answers by it.

What the caller's tenant has changed by operations, and what is not written yet, is read from its platform first.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError
from cloudspan_common.names import parse_cluster
from cloudspan_gateway.access.access import project_name
from cloudspan_gateway.inventory.model import CollectionState
from cloudspan_gateway.inventory.reads.freshness import OTHER_PROJECT, Changed, Kept, is_swept_for

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.inventory.base import Reads
    from cloudspan_gateway.inventory.reads.own_changes import OwnChanges
    from cloudspan_gateway.inventory.reads.stored_pages import Listing
    from cloudspan_gateway.routing.snapshot import ClusterRoute

LIVE_SHARE = 0.8
"""How much of the caller's time a cluster gets to answer, or to be listed, before the last known rows are returned."""
MOST_LOOKED_UP = 100
"""Resources of one collection, changed through other gateways, whose rows are looked up for an answer."""
MOST_READ_AGAIN = 20
"""Resources of one collection that are read one by one for an answer; with more of them the platform lists it."""


class States(Protocol):
    """Where states are kept: `Writes` has it."""

    async def states_of(
        self, collection: str, clusters: Collection[str], projects: Collection[str] | None = None
    ) -> Sequence[CollectionState]:
        """Return what is known of one collection in those of the clusters where it was ever listed.

        What the credentials list, and of projects that are listed by themselves these, or all.
        """
        ...


class Syncs(Protocol):
    """Lists collections for the inventory now."""

    async def now(
        self,
        clusters: Sequence[str],
        collections: Sequence[str],
        *,
        projects: Mapping[str, str],
        release_brake: bool,
        deadline: Deadline,
    ) -> None:
        """Return once these were listed by a sweep that began after the call, or failed.

        Of a cluster in `projects` only what brings that project.
        """
        ...


class ReadsAgain(Protocol):
    """Reads resources one by one from their platforms into the inventory."""

    def is_current(self, name: str, since: float) -> bool:
        """Whether a resource was written as it was at `since` or later, as far as this gateway knows."""
        ...

    async def read_again(self, name: str, deadline: Deadline) -> None:
        """Read one resource and keep what came, or that it is gone.

        Raises:
            CloudspanError: It could not be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What answers are made from."""

    reads: Reads
    states: States
    own: OwnChanges
    sync: Syncs
    again: ReadsAgain


class KeptCollections:
    """Finds it."""

    def __init__(self, sources: Sources, clock: Clock) -> None:
        self._sources = sources
        self._clock = clock

    async def of(self, listing: Listing, routes: Sequence[ClusterRoute], call: Call, within_s: float) -> list[Kept]:
        """Return what is kept of a collection in each cluster, what the caller's tenant has changed considered.

        With a `within_s` resources that it has changed, and that are not written yet, are read first.
        """
        method, collection, now = listing.method.full_name, listing.collection, self._clock.now()
        projects = {str(route.ref): project_of(str(route.ref), call) for route in routes}
        asked = projects.values() if all(projects.values()) else None
        found = await self._sources.states.states_of(collection, list(projects), asked)
        states = {(state.cluster, state.project): state for state in found}
        with_others = {state.cluster for state in found if state.project}
        kept = []
        for route in routes:
            cluster = str(route.ref)
            project = projects[cluster]
            has_others = not project and cluster in with_others
            state = states.get((cluster, project))
            if state is None and is_swept_for(project, route, collection):
                state = states.get((cluster, "")) or CollectionState(cluster, collection)
            if state is None:
                state = CollectionState(cluster, collection, reason=OTHER_PROJECT, project=project)
            if has_others and listing.names_project:  # of which only some are kept
                state = CollectionState(cluster, collection, reason=OTHER_PROJECT)
            kept.append(Kept(state, now, unsupported=_absent(route, method), has_others=has_others))
        fresh = [one.observe_time for one in kept if one.observe_time is not None and one.is_fresh(within_s)]
        if not within_s or not fresh:
            return kept
        changed = await self._sources.own.since(tenant_of(call), min(fresh))
        return list(await asyncio.gather(*(self._with_own(one, changed, within_s, call) for one in kept)))

    async def _with_own(self, kept: Kept, changed: Changed, within_s: float, call: Call) -> Kept:
        """Return what is kept with until when the tenant has changed what it does not show."""
        cluster, collection, since = kept.cluster, kept.state.collection, kept.observe_time
        if since is None or not kept.is_fresh(within_s):
            return kept
        kept = replace(kept, changed_time=changed.of_collection(cluster, collection))
        if not kept.is_fresh(within_s):
            return kept
        newer, again = changed.within(cluster, collection, since), self._sources.again
        unknown = {name: time for name, time in newer.items() if not again.is_current(name, time)}
        if len(unknown) <= MOST_LOOKED_UP:
            unread = [name for name, time in unknown.items() if not await self._is_written(name, time, changed)]
            if len(unread) <= MOST_READ_AGAIN and await self._read_again(unread, call):
                return kept
        return replace(kept, changed_time=max(newer.values()))

    async def _is_written(self, name: str, time: float, changed: Changed) -> bool:
        """Whether what is kept of a resource shows what was done to it until `time`."""
        row = await self._sources.reads.get(name)
        return name in changed.deleted if row is None else row.observe_time > time

    async def _read_again(self, names: Sequence[str], call: Call) -> bool:
        """Read resources into the inventory; say whether that worked."""
        deadline = Deadline.after(call.deadline.remaining() * LIVE_SHARE)
        again = self._sources.again
        results = await asyncio.gather(*(again.read_again(name, deadline) for name in names), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, CloudspanError):
                raise result
        return not any(isinstance(result, CloudspanError) for result in results)


def tenant_of(call: Call) -> str | None:
    """Return whose operations count: where callers are not authenticated everybody's."""
    tenant = call.access.tenant
    return tenant if call.principal.authenticated and tenant != "-" else None


def _absent(route: ClusterRoute, method: str) -> str:
    reason = route.absent.get(method)
    return "" if reason is None else reason or "its adapter gives no reason"


def project_of(cluster: str, call: Call) -> str:
    """Return the only project of a cluster that a call's caller sees; empty for all of them."""
    return project_name(call.access, parse_cluster(cluster))
