"""Answers List and Get from the inventory, where what is kept is as new as the caller asks; else the platform answers.

Dispatch hands over calls with `max_staleness` or `stale_ok`, each with what asks the platform; lists over many clusters
ask for one cluster's part. A traversal goes on where it began: out of the inventory, or at the platforms.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError, Unreachable
from cloudspan_common.etags import fill_etag
from cloudspan_common.listing import mask as masks
from cloudspan_common.names import ClusterRef, parse_cluster
from cloudspan_gateway.inventory.base import Question
from cloudspan_gateway.inventory.columns import message_of
from cloudspan_gateway.inventory.freshness import Asked, Changed, Kept, Status, is_away, state_or_never
from cloudspan_gateway.inventory.model import Scope
from cloudspan_gateway.inventory.own_changes import collection_of
from cloudspan_gateway.inventory.stored_pages import Listing, Position, read_page, set_time
from cloudspan_gateway.routing.forward import AdapterError
from cloudspan_gateway.routing.projects import within_project
from cloudspan_gateway.routing.snapshot import check_served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_common.contract import Method
    from cloudspan_common.listing.page_token import Check
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.inventory.base import Reads, StoredRow
    from cloudspan_gateway.inventory.model import CollectionState
    from cloudspan_gateway.inventory.own_changes import OwnChanges
    from cloudspan_gateway.routing.snapshot import ClusterRoute
    from cloudspan_gateway.routing.table import Table

    Live = Callable[[], Awaitable[bytes]]
    """Asks the platform."""

SOURCE = ("x-source", "inventory")
"""The trailer behind a Get that was answered from the inventory."""
_LIVE_SHARE = 0.8
"""How much of the caller's time a cluster gets to answer, or to be listed, before the last known rows are returned."""
MOST_READ_AGAIN = 20
"""Resources of one collection that are read one by one for an answer; with more of them the platform is asked for it."""


class States(Protocol):
    """Where states are kept: `Writes` has it."""

    async def states(self, clusters: Collection[str] | None = None) -> Sequence[CollectionState]:
        """Return what is known of every collection that was ever listed."""
        ...


class Syncs(Protocol):
    """Lists collections for the inventory now."""

    async def now(
        self, clusters: Sequence[str], collections: Sequence[str], *, release_brake: bool, deadline: Deadline
    ) -> None:
        """Return once these were listed by a sweep that began after the call, or failed."""
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


class StoredReads:
    """Decides for each call, and answers."""

    def __init__(self, sources: Sources, table: Table, check: Check, clock: Clock) -> None:
        """Make it; `check` proves that a page token is one of this installation's own."""
        self._sources = sources
        self._table = table
        self._check = check
        self._clock = clock

    def __repr__(self) -> str:
        return f"<StoredReads over {self._table.snapshot!r}>"

    # -------------------------------------------------------------- one resource

    async def get(self, method: Method, call: Call, live: Live) -> bytes:
        """Return one resource, from the inventory if it is there and fresh enough.

        Raises:
            CloudspanError: As `live`, or InvalidRequest for a `max_staleness` that is none.
        """
        asked = Asked.of(call)
        if not asked.within_s and not asked.stale_ok:
            return await live()
        if asked.within_s and (found := await self._stored_get(method, call, asked.within_s)) is not None:
            return found
        if not asked.stale_ok:
            return await live()
        try:
            return await self._in_time(call, live)
        except (CloudspanError, AdapterError) as failed:
            error = _away(failed)
            if error is None or (found := await self._stored_get(method, call, None)) is None:
                raise
            call.trailers = (*call.trailers, ("x-stale", error.reason))
            return found

    async def _stored_get(self, method: Method, call: Call, within_s: float | None) -> bytes | None:
        """Return a resource as it is kept; None where it is not, or is hidden, or too old."""
        request: Any = call.target.message
        name, ref = request.name, _cluster(call)
        if collection_of(name) != method.collection:
            return None
        view = call.access.view(self._table.snapshot)
        check_served(view.cluster(ref), method.full_name)
        row = await self._sources.reads.get(name)
        if row is None:
            return None
        time = await self._time_of(row, call)
        if within_s is not None and not await self._is_fresh(row, time, within_s, call):
            return None
        return _answer(method, call, row, time)

    async def _time_of(self, row: StoredRow, call: Call) -> float:
        states = await self._sources.states.states([row.cluster])
        state = next((one for one in states if one.collection == row.collection), None)
        return row.observe_time if state is None else Kept(state, self._clock.now()).row_time(row.observe_time)

    async def _is_fresh(self, row: StoredRow, time: float, within_s: float, call: Call) -> bool:
        if self._clock.now() - time > within_s:
            return False
        changed = await self._sources.own.since(_tenant(call), time)
        changed_time = changed.of_resource(row.name, row.cluster, row.collection)
        if changed_time < time:
            return True
        beside = changed.of_collection(row.cluster, row.collection)
        return beside < time and self._sources.again.is_current(row.name, changed_time)

    # -------------------------------------------------------------- a list

    async def list(self, method: Method, call: Call, live: Live) -> bytes:
        """Return a page, from the inventory if all that it is about is fresh enough, or the traversal began there.

        Raises:
            CloudspanError: As `live`; InvalidRequest for a `max_staleness` that is none, UNSORTABLE_IN_INVENTORY.
            Unreachable: Sorted over clusters of which none could be listed in time.
        """
        asked = Asked.of(call)
        if not asked.within_s and not asked.stale_ok:
            return await live()
        listing = Listing.of(method, _listed(method), call)
        request: Any = call.target.message
        ref = _cluster(call)
        position = listing.position(request.page_token, self._check) if request.page_token else None
        if position is not None:
            return await self._go_on(listing, position, asked, call)
        if request.page_token or (listing.order and not ref.is_wildcard and not listing.is_sortable):
            return await live()
        if ref.is_wildcard:
            return await self._list_across(listing, asked, call, live)
        return await self._list_one(listing, asked, call, live)

    async def _list_one(self, listing: Listing, asked: Asked, call: Call, live: Live) -> bytes:
        routes = self._routes(listing, call)
        check_served(routes[0], listing.method.full_name)
        if asked.within_s:
            kept = await self._kept(listing, routes, call, asked.within_s)
            if kept[0].is_fresh(asked.within_s):
                return await self._page(listing, kept, Position(""), asked, call)
        if not asked.stale_ok:
            return await live()
        try:
            return await self._in_time(call, live)
        except (CloudspanError, AdapterError) as failed:
            error = _away(failed)
            kept = await self._kept(listing, routes, call, 0.0)
            if error is None or kept[0].observe_time is None:
                raise
            return await self._page(listing, kept, Position(""), asked, call, why=error.message)

    async def _list_across(self, listing: Listing, asked: Asked, call: Call, live: Live) -> bytes:
        """Answer a list over many clusters: sorted out of the inventory alone, else only where all are fresh."""
        routes = self._routes(listing, call)
        if not asked.within_s or not routes:
            return await live()
        kept = await self._kept(listing, routes, call, asked.within_s)
        missing = [one for one in kept if one.is_supported and not one.is_fresh(asked.within_s)]
        if missing and not listing.order:
            return await live()
        if missing:
            await self._sync([one.cluster for one in missing], listing.collection, call)
            kept = await self._kept(listing, routes, call, asked.within_s)
        used = [one for one in kept if one.is_supported and _usable(one, asked)]
        left_out = [one.cluster for one in kept if one.is_supported and one not in used]
        if left_out and not used:
            reasons = "; ".join(f"{one.cluster}: {one.left_out().message}" for one in kept if one.cluster in left_out)
            raise Unreachable(f"not one cluster answered: {reasons}", reason="ALL_UNREACHABLE", retry_after_s=1.0)
        begun = Position("", [one.cluster for one in used], left_out)
        return await self._page(listing, kept, begun, asked, call)

    async def _sync(self, clusters: Sequence[str], collection: str, call: Call) -> None:
        """Have what is not fresh enough listed now, in the caller's time but for what the answer takes."""
        deadline = Deadline.after(call.deadline.remaining() * _LIVE_SHARE)
        try:
            async with asyncio.timeout(deadline.remaining()):
                await self._sources.sync.now(clusters, [collection], release_brake=False, deadline=deadline)
        except (TimeoutError, CloudspanError):
            return  # each one's state tells what came of it, and the answer says so

    async def _go_on(self, listing: Listing, position: Position, asked: Asked, call: Call) -> bytes:
        routes = self._routes(listing, call)
        kept = await self._kept(listing, routes, call, 0.0)
        return await self._page(listing, kept, position, asked, call)

    async def _page(
        self, listing: Listing, kept: Sequence[Kept], position: Position, asked: Asked, call: Call, why: str = ""
    ) -> bytes:
        """Return one page of the clusters of a position, as far as the caller sees them still."""
        used = [one for one in kept if not position.clusters or one.cluster in position.clusters]
        by_cluster = {one.cluster: one for one in used if one.is_supported}
        scope = Scope(tuple((cluster, _project(cluster, call)) for cluster in by_cluster))
        question = listing.question(scope, position.cursor)
        response, cursor = await read_page(
            self._sources.reads, listing, question, lambda row: by_cluster[row.cluster].row_time(row.observe_time)
        )
        response.next_page_token = listing.token(
            Position(cursor, position.clusters, position.left_out), self._check
        )
        for one in kept:
            if one.cluster in position.left_out:
                response.unreachable.append(one.cluster)
                response.cluster_status.append(one.left_out())
            elif one in used or not one.is_supported:
                status = one.status(stale_ok=asked.stale_ok, within_s=asked.within_s, why=why)
                response.cluster_status.append(status)
        return bytes(response.SerializeToString())

    # -------------------------------------------------------------- one cluster's part of a list over many

    async def part(
        self, method: Method, call: Call, ref: ClusterRef, size: int, cursor: str | None, why: str = ""
    ) -> Any | None:
        """Return one cluster's part of a page; None where the platform is to be asked.

        Args:
            method: The list.
            call: The call over many clusters.
            ref: The cluster.
            size: How many items the part may have.
            cursor: `next_page_token` of the part before, which came from here; None for the first.
            why: Why the cluster did not answer, where the last known rows are wanted.
        """
        asked = Asked.of(call)
        listing = replace(Listing.of(method, _listed(method), call), size=size)
        if not asked.stale_ok if why else (not asked.within_s and cursor is None):
            return None
        kept = (await self._kept(listing, [self._route(ref, call)], call, 0.0 if why else asked.within_s))[0]
        if cursor is None and (kept.observe_time is None or not (why or kept.is_fresh(asked.within_s))):
            return None
        scope = Scope(((str(ref), _project(str(ref), call)),))
        response, behind = await read_page(
            self._sources.reads,
            listing,
            listing.question(scope, cursor or ""),
            lambda row: kept.row_time(row.observe_time),
        )
        response.next_page_token = behind
        response.cluster_status.append(kept.status(stale_ok=asked.stale_ok, within_s=asked.within_s, why=why))
        return response

    # -------------------------------------------------------------- what both need

    async def _in_time(self, call: Call, live: Live) -> bytes:
        """Ask the platform for a share of the caller's time."""
        whole = call.deadline
        call.deadline = Deadline.after(whole.remaining() * _LIVE_SHARE)
        try:
            return await live()
        finally:
            call.deadline = whole

    def _routes(self, listing: Listing, call: Call) -> Sequence[ClusterRoute]:
        """Return the clusters that a call is about, as its caller sees them."""
        ref, view = _cluster(call), call.access.view(self._table.snapshot)
        if not ref.is_wildcard:
            return (view.cluster(ref),)
        may = partial(call.access.allows, listing.method.permission, listing.method.full_name)
        return tuple(route for route in view.matching(ref) if may(route.ref))

    def _route(self, ref: ClusterRef, call: Call) -> ClusterRoute:
        return call.access.view(self._table.snapshot).cluster(ref)

    async def _kept(
        self, listing: Listing, routes: Sequence[ClusterRoute], call: Call, within_s: float
    ) -> list[Kept]:
        """Return what is kept of a collection in each cluster, what the caller's tenant has changed considered.

        With a `within_s` resources that it has changed, and that are not written yet, are read first.
        """
        method, collection, now = listing.method.full_name, listing.collection, self._clock.now()
        found = await self._sources.states.states([str(route.ref) for route in routes])
        states = {state.cluster: state for state in found if state.collection == collection}
        kept = [
            Kept(state_or_never(states, str(route.ref), collection), now, unsupported=_absent(route, method))
            for route in routes
        ]
        fresh = [one.observe_time for one in kept if one.observe_time is not None and one.is_fresh(within_s)]
        if not within_s or not fresh:
            return kept
        changed = await self._sources.own.since(_tenant(call), min(fresh))
        return list(await asyncio.gather(*(self._with_own(one, changed, within_s, call) for one in kept)))

    async def _with_own(self, kept: Kept, changed: Changed, within_s: float, call: Call) -> Kept:
        """Return what is kept with until when the tenant has changed what it does not show."""
        cluster, collection, since = kept.cluster, kept.state.collection, kept.observe_time
        if since is None or not kept.is_fresh(within_s):
            return kept
        kept = replace(kept, changed_time=changed.of_collection(cluster, collection))
        if not kept.is_fresh(within_s):
            return kept
        newer = changed.within(cluster, collection, since)
        unread = [name for name, time in newer.items() if not await self._is_written(name, time, changed)]
        if len(unread) <= MOST_READ_AGAIN and await self._read_again(unread, call):
            return kept
        return replace(kept, changed_time=max(newer.values()))

    async def _is_written(self, name: str, time: float, changed: Changed) -> bool:
        """Whether what is kept of a resource shows what was done to it until `time`."""
        if self._sources.again.is_current(name, time):
            return True
        row = await self._sources.reads.get(name)
        return name in changed.deleted if row is None else row.observe_time > time

    async def _read_again(self, names: Sequence[str], call: Call) -> bool:
        """Read resources into the inventory; say whether that worked."""
        deadline = Deadline.after(call.deadline.remaining() * _LIVE_SHARE)
        again = self._sources.again
        results = await asyncio.gather(*(again.read_again(name, deadline) for name in names), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, CloudspanError):
                raise result
        return not any(isinstance(result, CloudspanError) for result in results)


def _listed(method: Method) -> str:
    return collection_of_item(method)


def collection_of_item(method: Method) -> str:
    """Return the collection that a list lists."""
    from google.api import resource_pb2  # noqa: PLC0415

    return str(method.item.DESCRIPTOR.GetOptions().Extensions[resource_pb2.resource].plural)


def _answer(method: Method, call: Call, row: StoredRow, time: float) -> bytes | None:
    """Return the resource as a Get answers it; None for what is another project's."""
    request: Any = call.target.message
    message: Any = message_of(row.collection).FromString(row.payload)
    within = within_project(method, call, _cluster(call))
    if within is not None and not within.bound.shows(message):
        return None
    fill_etag(message)
    set_time(message.observe_time, time)
    masks.apply(request.read_mask, message)
    call.trailers = (SOURCE,)
    return bytes(message.SerializeToString())


def _usable(kept: Kept, asked: Asked) -> bool:
    return kept.is_fresh(asked.within_s) or (asked.stale_ok and kept.observe_time is not None)


def _away(failed: CloudspanError | AdapterError) -> CloudspanError | None:
    """Return why a cluster does not answer; None where it did."""
    error = failed.as_domain() if isinstance(failed, AdapterError) else failed
    return error if is_away(error) else None


def _absent(route: ClusterRoute, method: str) -> str:
    reason = route.absent.get(method)
    return "" if reason is None else reason or "its adapter gives no reason"


def _tenant(call: Call) -> str | None:
    """Return whose operations count: where callers are not authenticated everybody's."""
    tenant = call.access.tenant
    return tenant if call.principal.authenticated and tenant != "-" else None


def _project(cluster: str, call: Call) -> str:
    ref = parse_cluster(cluster)
    project = call.access.project(ref)
    return ref.resource("projects", project) if project else ""


def _cluster(call: Call) -> ClusterRef:
    if call.target.ref is None:
        raise TypeError(f"{call.path} was not routed")
    return call.target.ref
