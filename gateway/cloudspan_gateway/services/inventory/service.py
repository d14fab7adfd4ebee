"""InventoryService: finds and counts what the inventory holds, says how fresh it is, and has it read now.

Watch is `services.inventory_watch`. Everything here is bound to what the caller sees (`scopes`): of other clusters and
projects neither rows, nor counts, nor the words of states tell anything.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast

from cloudspan.v1 import inventory_pb2
from cloudspan_common.errors import InvalidRequest, NotPermitted, Violation
from cloudspan_common.listing.filter_ast import EVERYTHING, Filter
from cloudspan_common.listing.page_token import (
    MAX_ANSWER_BYTES,
    Check,
    decode_token,
    effective_page_size,
    encode_token,
    hash_query,
)
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.permissions import ADMINISTER
from cloudspan_gateway.inventory.base import Question, StoredPage
from cloudspan_gateway.inventory.columns import message_of
from cloudspan_gateway.inventory.model import Scope
from cloudspan_gateway.inventory.query.query import to_stored
from cloudspan_gateway.inventory.query.summary import MAX_GROUPS, Group
from cloudspan_gateway.services.inventory.explanation import Facts, explain
from cloudspan_gateway.services.inventory.states import (
    MOST_INCOMPLETE,
    Collections,
    States,
    checked_collections,
    message_of_state,
    of_caller,
    read_states,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from google.protobuf.descriptor import Descriptor

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.inventory.base import Reads, StoredRow
    from cloudspan_gateway.inventory.listed_times import ListedTimes
    from cloudspan_gateway.inventory.model import CollectionState
    from cloudspan_gateway.inventory.query.summary import Summary, Sums
    from cloudspan_gateway.inventory.reads.kept_collections import Syncs
    from cloudspan_gateway.services.inventory.scopes import Scopes, Seen

MAX_TEXT_CHARS = 512
_ROOM_BYTES = 64 * 1024 + MOST_INCOMPLETE * 4096
"""What an answer holds beside its resources."""
_CLUSTERS_AT_ONCE = 50
"""Of which the rows are counted: a summary holds at most 1000 groups, and a cluster has 16 collections."""
_OVERHEAD_BYTES = 1024
_MOST_RECORDED = 1000
_ROWS_AT_ONCE = 100  # they take 3 ms
_STORED = cast("Descriptor", inventory_pb2.StoredResource.DESCRIPTOR)
_GROUPS = {inventory_pb2.SummarizeRequest.Group.Value(f"GROUP_{group.name}"): group for group in Group}


class Summarizes(Protocol):
    """Counts and sums rows: `inventory.query.summary` does."""

    async def summarize(self, question: Question, groups: Sequence[Group] = (), label: str = "") -> Summary:
        """Return groups, total and how many groups are left out."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What is asked."""

    reads: Reads
    summaries: Summarizes
    states: States
    sync: Syncs
    clock: Clock


class InventoryService:
    """Answers cloudspan.v1.InventoryService, all but Watch."""

    def __init__(self, sources: Sources, scopes: Scopes, check: Check) -> None:
        """Make it; `check` proves that a page token is one of this installation's own."""
        self._sources = sources
        self._scopes = scopes
        self._check = check

    def __repr__(self) -> str:
        return f"<InventoryService over {self._scopes!r}>"

    async def search(self, request: inventory_pb2.SearchRequest, call: Call) -> inventory_pb2.SearchResponse:
        """Return a page of resources; one may hold fewer than were asked for and still have a next_page_token."""
        seen, question = self._asked(request, call)
        if len(request.text) > MAX_TEXT_CHARS:
            raise _too_long(request.text)
        size, query = effective_page_size(request.page_size), hash_query(call.path, request, *seen.asked)
        after = decode_token(request.page_token, query, self._check)
        question = dataclasses.replace(question, text=request.text, limit=size, after=after)
        # First: a sweep that ends in between must not make rows that were read before it look as new as itself.
        collections = await self._states(seen, question.collections)
        page = await self._page(question)
        found = await _stored(page.rows, collections.observe_times())
        token = encode_token(query, page.cursor, self._check) if page.cursor else ""
        incomplete = await self._incomplete(collections, call)
        return inventory_pb2.SearchResponse(resources=found, next_page_token=token, incomplete=incomplete)

    async def summarize(self, request: inventory_pb2.SummarizeRequest, call: Call) -> inventory_pb2.SummarizeResponse:
        """Return counts and sums."""
        seen, question = self._asked(request, call)
        groups = _checked_groups(request)
        answer = _message_of(await self._sources.summaries.summarize(question, groups, request.label))
        collections = await self._states(seen, question.collections)
        answer.incomplete.extend(await self._incomplete(collections, call))
        return answer

    async def sync_now(self, request: inventory_pb2.SyncNowRequest, call: Call) -> inventory_pb2.SyncNowResponse:
        """List collections now; the answer says what came of each."""
        seen, wanted = self._scopes.of(call, request.parent), checked_collections(request.collections)
        if request.release_brake:
            _check_whole(seen)
            _record_release(call, request)
        await self._sources.sync.now(
            seen.clusters, wanted, projects=seen.projects, release_brake=request.release_brake, deadline=call.deadline
        )
        states = (await self._states(seen, wanted)).states
        return inventory_pb2.SyncNowResponse(states=await self._messages(states, seen, call))

    async def get_sync_state(
        self, request: inventory_pb2.GetSyncStateRequest, call: Call
    ) -> inventory_pb2.GetSyncStateResponse:
        """Return how fresh what the caller sees is, and why it holds nothing where it doesn't."""
        seen, question = self._asked(request, call)
        collections = await self._states(seen, question.collections)
        everything = dataclasses.replace(question, filter=EVERYTHING, over_stored=True)
        visible = await self._sources.reads.count(everything)
        matching = visible if question.filter.is_empty else await self._sources.reads.count(question)
        facts = Facts(collections, visible, matching, question)
        return inventory_pb2.GetSyncStateResponse(
            states=await self._messages(collections.states, seen, call),
            visible_rows=visible,
            matching_rows=matching,
            explanation=await explain(facts, self._sources.reads),
        )

    def _asked(self, request: Any, call: Call) -> tuple[Seen, Question]:
        """Return which rows a request is about: where, of which collections, by which filter."""
        wanted = checked_collections(request.collections)
        is_own = len(wanted) == 1
        resource = cast("Descriptor", message_of(wanted[0]).DESCRIPTOR) if is_own else _STORED
        filtered = Filter.parse(request.filter, resource)
        seen = self._scopes.of(call, request.parent)
        return seen, Question(seen.scope, wanted, filtered, over_stored=not is_own)

    async def _page(self, question: Question) -> StoredPage:
        """Return a page that fits into an answer: fewer rows where they are large."""
        page = await self._sources.reads.page(question)
        room = MAX_ANSWER_BYTES - _ROOM_BYTES
        for count, row in enumerate(page.rows):
            room -= len(row.payload) + _OVERHEAD_BYTES
            if room < 0 and count:
                return await self._sources.reads.page(dataclasses.replace(question, limit=count))
        return page

    async def _states(self, seen: Seen, wanted: Sequence[str]) -> Collections:
        return await read_states(self._sources.states, seen, wanted, self._sources.clock)

    async def _incomplete(self, collections: Collections, call: Call) -> list[inventory_pb2.SyncState]:
        return await self._messages(collections.incomplete[:MOST_INCOMPLETE], collections.seen, call)

    async def _messages(
        self, states: Sequence[CollectionState], seen: Seen, call: Call
    ) -> list[inventory_pb2.SyncState]:
        """Return states as the caller may know them."""
        named, is_root = {state.cluster for state in states}, _is_root(call)
        counts = await self._counts([place for place in seen.projects.items() if place[0] in named])
        rows = (counts.get((state.cluster, state.collection)) for state in states)
        shown = (of_caller(state, seen, count) for state, count in zip(states, rows, strict=True))
        return [message_of_state(state, owner=is_root) for state in shown]

    async def _counts(self, places: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], int]:
        """Return how many rows there are by cluster and collection, of one project of each of these clusters."""
        found = dict[tuple[str, str], int]()
        for start in range(0, len(places), _CLUSTERS_AT_ONCE):
            scope = Scope(places[start : start + _CLUSTERS_AT_ONCE])
            by = (Group.CLUSTER, Group.COLLECTION)
            summary = await self._sources.summaries.summarize(Question(scope, over_stored=True), by)
            found.update({(cluster, name): sums.count for (cluster, name), sums in summary.groups})
        return found


async def _stored(rows: Sequence[StoredRow], times: ListedTimes) -> list[inventory_pb2.StoredResource]:
    """Return rows as callers get them, each as new as the last sweep that found it; others' calls go on meanwhile."""
    found = list[inventory_pb2.StoredResource]()
    for row in rows:
        found.append(to_stored(row, max(row.observe_time, times.time(row.cluster, row.collection, row.project))))
        if len(found) % _ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return found


def _is_root(call: Call) -> bool:
    """Whether the caller administers the installation: gateways are not a tenant's."""
    return call.access.permissions(EVERY_TENANT).cover_word(ADMINISTER)


def _checked_groups(request: inventory_pb2.SummarizeRequest) -> tuple[Group, ...]:
    """Return what to group by."""
    numbers = list(request.group_by)
    unknown = [number for number in numbers if number not in _GROUPS]
    if len(numbers) > MAX_GROUPS:
        field, text = "group_by", f"group_by has {len(numbers)} groups; give at most {MAX_GROUPS}"
    elif unknown:
        known = ", ".join(f"GROUP_{group.name}" for group in Group)
        field, text = "group_by", f"group_by has {unknown[0]}, which is not a group; those are: {known}"
    elif len(set(numbers)) < len(numbers):
        field, text = "group_by", "group_by has the same group twice; give each once"
    elif (Group.LABEL in [_GROUPS[number] for number in numbers]) != bool(request.label):
        field, text = "label", "label goes with GROUP_LABEL: give both, or neither"
    else:
        return tuple(_GROUPS[number] for number in numbers)
    raise InvalidRequest(text, reason="BAD_GROUP", violations=[Violation(field, text)])


def _message_of(summary: Summary) -> inventory_pb2.SummarizeResponse:
    answer = inventory_pb2.SummarizeResponse(total=_sums(summary.total), omitted_groups=summary.omitted)
    for values, sums in summary.groups:
        answer.summaries.add(group=values, **_sums(sums))
    return answer


def _sums(sums: Sums) -> dict[str, int]:
    return {name: getattr(sums, name) for name in ("count", "vcpus", "memory_bytes", "disk_bytes")}


def _too_long(text: str) -> InvalidRequest:
    said = f"text has {len(text)} characters; give at most {MAX_TEXT_CHARS}, such as a name, an address or an id"
    return InvalidRequest(said, violations=[Violation("text", said)])


def _check_whole(seen: Seen) -> None:
    """Refuse to accept the loss of what is others' too."""
    for cluster, project in seen.projects.items():
        text = (
            f"release_brake would delete what others have in {cluster}, of which your pool has {project} alone; ask "
            "somebody whose pool has the whole cluster, or leave release_brake out"
        )
        raise NotPermitted(text, reason="PERMISSION_MISSING")


def _record_release(call: Call, request: inventory_pb2.SyncNowRequest) -> None:
    """Have the audit say that deletions were accepted, and where."""
    if call.event is not None:
        what = ", ".join(request.collections) or "all collections"
        message = f"release_brake for {what} of {request.parent or 'all clusters that the caller sees'}"
        call.event = dataclasses.replace(call.event, message=message[:_MOST_RECORDED])
