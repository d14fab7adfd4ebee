"""Answers List and Get from the inventory, where what is kept is as new as the caller asks; else the platform answers.

Dispatch hands over calls with `max_staleness` or `stale_ok`, each with what asks the platform; lists over many clusters
ask for one cluster's part. A traversal goes on where it began: out of the inventory, or at the platforms.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError, Unreachable
from cloudspan_common.etags import fill_etag
from cloudspan_common.listing import mask as masks
from cloudspan_common.logs import get_logger
from cloudspan_gateway.inventory.columns import message_of
from cloudspan_gateway.inventory.model import Scope
from cloudspan_gateway.inventory.reads.freshness import Asked, Kept, is_away
from cloudspan_gateway.inventory.reads.kept_collections import LIVE_SHARE, KeptCollections, project_of, tenant_of
from cloudspan_gateway.inventory.reads.own_changes import collection_of
from cloudspan_gateway.inventory.reads.stored_pages import Listing, Position, read_page, set_time
from cloudspan_gateway.routing.forward import AdapterError
from cloudspan_gateway.routing.projects import within_project
from cloudspan_gateway.routing.snapshot import check_served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_common.contract import Method
    from cloudspan_common.listing.page_token import Check
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.inventory.base import StoredRow
    from cloudspan_gateway.inventory.model import CollectionState
    from cloudspan_gateway.inventory.reads.kept_collections import Sources
    from cloudspan_gateway.routing.snapshot import ClusterRoute
    from cloudspan_gateway.routing.table import Table

    Live = Callable[[], Awaitable[bytes]]
    """Asks the platform."""

log = get_logger(__name__)

T = TypeVar("T")

SOURCE = ("x-source", "inventory")
"""The trailer behind a Get that was answered from the inventory."""


class Part(Protocol):
    """Which part of a list over many clusters is wanted."""

    @property
    def ref(self) -> ClusterRef: ...
    @property
    def size(self) -> int:
        """How many items it may have."""
        ...

    @property
    def cursor(self) -> str | None:
        """Where the part before has ended; None for the first."""
        ...


class StoredReads:
    """Decides for each call, and answers."""

    def __init__(self, sources: Sources, table: Table, check: Check, clock: Clock) -> None:
        """Make it; `check` proves that a page token is one of this installation's own."""
        self._sources = sources
        self._kept = KeptCollections(sources, clock)
        self._table = table
        self._check = check
        self._clock = clock

    def __repr__(self) -> str:
        return f"<StoredReads over {self._table.snapshot!r}>"

    def concerns(self, method: Method, call: Call) -> bool:
        """Whether a call asks for anything but the platform's own answer; costs next to nothing."""
        request: Any = call.target.message
        return call.stale_ok or request.stale_ok or request.HasField("max_staleness")

    # -------------------------------------------------------------- one resource

    async def get(self, method: Method, call: Call, live: Live) -> bytes:
        """Return one resource, from the inventory if it is there and fresh enough.

        Raises:
            CloudspanError: As `live`, or InvalidRequest for a `max_staleness` that is none.
        """
        asked = Asked.of(call)
        if not asked.within_s and not asked.stale_ok:
            return await live()
        if asked.within_s:
            found = await _if_readable(self._stored_get(method, call, asked.within_s))
            if found is not None:
                return found
        if not asked.stale_ok:
            return await live()
        try:
            return await self._in_time(call, live)
        except (CloudspanError, AdapterError) as failed:
            error = _away(failed)
            found = None if error is None else await _if_readable(self._stored_get(method, call, None))
            if error is None or found is None:
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
        # First: a sweep that ends in between must not make a row that was read before it look as new as itself.
        project = project_of(str(ref), call)
        kept = await self._sources.states.states_of(method.collection, [str(ref)], [project] if project else None)
        row = await self._sources.reads.get(name)
        if row is None:
            return None
        time = max(row.observe_time, self._confirmed_time(kept, row))
        if within_s is not None and not await self._is_fresh(row, time, within_s, call):
            return None
        return _answer(method, call, row, time)

    def _confirmed_time(self, states: Sequence[CollectionState], row: StoredRow) -> float:
        """Return as of when a row is known at least, by the listing that has it."""
        times = {state.project: Kept(state, self._clock.now()).confirmed_time for state in states}
        return times.get(row.project, times.get("", -math.inf))

    async def _is_fresh(self, row: StoredRow, time: float, within_s: float, call: Call) -> bool:
        if self._clock.now() - time > within_s:
            return False
        changed = await self._sources.own.since(tenant_of(call), time)
        changed_time = changed.of_resource(row.name, row.cluster, row.collection)
        if changed_time < time:
            return True
        beside = changed.of_collection(row.cluster, row.collection)
        return beside < time and self._sources.again.is_current(row.name, changed_time)

    # -------------------------------------------------------------- a list

    async def list_page(self, method: Method, call: Call, live: Live) -> bytes:
        """Return a page, from the inventory if all that it is about is fresh enough, or the traversal began there.

        Raises:
            CloudspanError: As `live`; InvalidRequest for a `max_staleness` that is none, UNSORTABLE_IN_INVENTORY.
            Unreachable: Sorted over clusters of which none could be listed in time.
        """
        asked = Asked.of(call)
        if not asked.within_s and not asked.stale_ok:
            return await live()
        request: Any = call.target.message
        ref = _cluster(call)
        if str(ref) != request.parent:
            return await live()  # malformed, as the platform's answer says
        listing = Listing.of(method, call)
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
            kept = await _if_readable(self._kept.of(listing, routes, call, asked.within_s))
            if kept is not None and kept[0].is_fresh(asked.within_s):
                return await self._page(listing, kept, Position(""), asked, call)
        if not asked.stale_ok:
            return await live()
        try:
            return await self._in_time(call, live)
        except (CloudspanError, AdapterError) as failed:
            error = _away(failed)
            kept = None if error is None else await _if_readable(self._kept.of(listing, routes, call, 0.0))
            if error is None or kept is None or kept[0].observe_time is None:
                raise
            return await self._page(listing, kept, Position(""), asked, call, why=error.message)

    async def _list_across(self, listing: Listing, asked: Asked, call: Call, live: Live) -> bytes:
        """Answer a list over many clusters: sorted out of the inventory alone, else only where all are fresh."""
        routes = self._routes(listing, call)
        if not asked.within_s or not routes:
            return await live()
        listing.check_sortable()
        reading = self._kept.of(listing, routes, call, asked.within_s)
        kept = await reading if listing.order else await _if_readable(reading)  # platforms sort over one cluster alone
        if kept is None:
            return await live()
        missing = [one for one in kept if one.is_supported and not one.is_fresh(asked.within_s)]
        if missing and not listing.order:
            return await live()
        begun = self._clock.now()
        if outdated := [one.cluster for one in missing if one.is_swept]:
            await self._sync(outdated, listing.collection, call)
            kept = await self._kept.of(listing, routes, call, asked.within_s)
        supported = [one for one in kept if one.is_supported]
        used = [one.cluster for one in supported if _is_usable(one, asked, begun)]
        left_out = [one for one in supported if not _is_usable(one, asked, begun)]
        if left_out and not used:
            reasons = "; ".join(f"{one.cluster}: {one.left_out().message}" for one in left_out)
            raise Unreachable(f"not one cluster answered: {reasons}", reason="ALL_UNREACHABLE", retry_after_s=1.0)
        start = Position("", used, [one.cluster for one in left_out])
        return await self._page(listing, kept, start, asked, call)

    async def _sync(self, clusters: Sequence[str], collection: str, call: Call) -> None:
        """Have what is not fresh enough listed now, in the caller's time but for what the answer takes."""
        deadline = Deadline.after(call.deadline.remaining() * LIVE_SHARE)
        try:
            projects = {cluster: project for cluster in clusters if (project := project_of(cluster, call))}
            await self._sources.sync.now(
                clusters, [collection], projects=projects, release_brake=False, deadline=deadline
            )
        except CloudspanError as error:  # each one's state tells what came of it, and the answer says so
            log.info("not listed in time for an answer", collection=collection, reason=error.reason)

    async def _go_on(self, listing: Listing, position: Position, asked: Asked, call: Call) -> bytes:
        routes = self._routes(listing, call)
        kept = await self._kept.of(listing, routes, call, 0.0)
        return await self._page(listing, kept, position, asked, call)

    async def _page(
        self, listing: Listing, kept: Sequence[Kept], position: Position, asked: Asked, call: Call, why: str = ""
    ) -> bytes:
        """Return one page of the clusters of a position, as far as the caller sees them still."""
        used = frozenset(position.clusters or (one.cluster for one in kept))
        left_out = frozenset(position.left_out)
        confirmed = {one.cluster: one.confirmed_time for one in kept if one.is_supported and one.cluster in used}
        by_credentials = any(one.has_others for one in kept)
        scope = Scope(tuple((cluster, project_of(cluster, call)) for cluster in confirmed), by_credentials)
        question = listing.question(scope, position.cursor)
        response, cursor = await read_page(self._sources.reads, listing, question, confirmed)
        response.next_page_token = listing.token(Position(cursor, position.clusters, position.left_out), self._check)
        for one in kept:
            if one.cluster in left_out:
                response.unreachable.append(one.cluster)
                response.cluster_status.append(one.left_out(earlier=bool(position.cursor)))
            elif one.cluster in used or not one.is_supported:
                status = one.status(stale_ok=asked.stale_ok, within_s=asked.within_s, why=why)
                response.cluster_status.append(status)
        return bytes(response.SerializeToString())

    # -------------------------------------------------------------- one cluster's part of a list over many

    async def part(self, method: Method, call: Call, where: Part, away: CloudspanError | None = None) -> Any | None:
        """Return one cluster's part of a page; None where only the platform will do.

        With `away`, why it gave no answer, its last known rows are wanted.
        """
        asked = Asked.of(call)
        if away is not None and not (asked.stale_ok and is_away(away)):
            return None
        within_s = 0.0 if away is not None or where.cursor is not None else asked.within_s
        listing = replace(Listing.of(method, call), size=where.size)
        route = call.access.view(self._table.snapshot).cluster(where.ref)
        kept = (await self._kept.of(listing, [route], call, within_s))[0]
        if where.cursor is None and (kept.observe_time is None or not (away is not None or kept.is_fresh(within_s))):
            return None
        scope = Scope(((kept.cluster, project_of(kept.cluster, call)),), kept.has_others)
        question, confirmed = listing.question(scope, where.cursor or ""), {kept.cluster: kept.confirmed_time}
        response, behind = await read_page(self._sources.reads, listing, question, confirmed)
        response.next_page_token = behind
        why = away.message if away is not None else ""
        response.cluster_status.append(kept.status(stale_ok=asked.stale_ok, within_s=asked.within_s, why=why))
        return response

    # -------------------------------------------------------------- what both need

    async def _in_time(self, call: Call, live: Live) -> bytes:
        """Ask the platform for a share of the caller's time."""
        whole = call.deadline
        call.deadline = Deadline.after(whole.remaining() * LIVE_SHARE)
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


async def _if_readable(reading: Awaitable[T]) -> T | None:
    """Return what was read; None where the database, or the cluster, does not answer: then the platform says."""
    try:
        return await reading
    except Unreachable as error:
        log.warning("inventory not read for an answer", reason=error.reason, message=error.message)
        return None


def _is_usable(kept: Kept, asked: Asked, begun: float) -> bool:
    if kept.is_newer(begun) or kept.is_fresh(asked.within_s):
        return True
    return asked.stale_ok and kept.observe_time is not None


def _away(failed: CloudspanError | AdapterError) -> CloudspanError | None:
    """Return why a cluster does not answer; None where it did."""
    error = failed.as_domain() if isinstance(failed, AdapterError) else failed
    return error if is_away(error) else None


def _cluster(call: Call) -> ClusterRef:
    if call.target.ref is None:
        raise TypeError(f"{call.path} was not routed")
    return call.target.ref
