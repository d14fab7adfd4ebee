"""An inventory that a test fills by hand: resources and states in memory, and sweeps that only leave a note."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudspan.v1 import inventory_pb2
from cloudspan_common.listing.filter_match import predicate
from cloudspan_gateway.inventory.base import Question, StoredPage, StoredRow
from cloudspan_gateway.inventory.columns import message_of
from cloudspan_gateway.inventory.model import CollectionState, Observed
from cloudspan_gateway.inventory.query import to_stored

Group = inventory_pb2.SummarizeRequest.Group
_VALUES: dict[Any, Callable[[Any, str], str]] = {
    Group.GROUP_CLUSTER: lambda stored, _: stored.cluster,
    Group.GROUP_COLLECTION: lambda stored, _: stored.collection,
    Group.GROUP_STATE: lambda stored, _: stored.state,
    Group.GROUP_LABEL: lambda stored, label: stored.labels.get(label, ""),
}


@dataclass
class KeptResources:
    """Stands for what reads, sums up and sweeps."""

    rows: list[StoredRow] = field(default_factory=list)
    kept: list[CollectionState] = field(default_factory=list)
    swept: list[tuple[tuple[str, ...], tuple[str, ...], bool]] = field(default_factory=list)
    """(clusters, collections, release_brake) of each SyncNow."""
    swept_then: Callable[[], None] = lambda: None
    """What a sweep does."""

    def put(self, resource: Any, at: float = 1000.0) -> None:
        collection, cluster = resource.name.split("/")[4], "/".join(resource.name.split("/")[:4])
        observed = Observed.of(resource)
        row = StoredRow(len(self.rows) + 1, resource.name, collection, cluster, observed.payload, at)
        self.rows = sorted([*self.rows, row], key=lambda row: row.name)

    def listed(self, cluster: str, collection: str, **fields: Any) -> None:
        self.kept.append(CollectionState(cluster, collection, **fields))

    async def page(self, question: Question) -> StoredPage:
        found = [row for row in self._matching(question) if row.name > question.after]
        cursor = found[question.limit - 1].name if len(found) > question.limit else ""
        return StoredPage(found[: question.limit], cursor)

    async def count(self, question: Question) -> int:
        return len(self._matching(question))

    async def summarize(
        self, question: Question, group_by: Sequence[Any], label: str = ""
    ) -> inventory_pb2.SummarizeResponse:
        stored = [to_stored(row, 0.0) for row in self._matching(question)]
        groups = Counter(tuple(_VALUES[group](one, label) for group in group_by) for one in stored)
        answer = inventory_pb2.SummarizeResponse(total={"count": len(stored)})
        for group, count in groups.most_common():
            answer.summaries.add(group=group, count=count)
        return answer

    async def states(self, clusters: Collection[str] | None = None) -> Sequence[CollectionState]:
        return [state for state in self.kept if clusters is None or state.cluster in clusters]

    async def now(self, clusters: Any, collections: Any, *, release_brake: bool, deadline: Any) -> None:
        assert deadline.remaining() > 0
        self.swept.append((tuple(clusters), tuple(collections), release_brake))
        self.swept_then()

    def _matching(self, question: Question) -> list[StoredRow]:
        matches, scope = predicate(question.filter), dict(question.scope.clusters)
        found = []
        for row in self.rows:
            stored = to_stored(row, row.observe_time)
            project = scope.get(row.cluster)
            if project is None or (project and project != stored.project):
                continue
            if question.collections and row.collection not in question.collections:
                continue
            own = stored if question.over_stored else message_of(row.collection).FromString(row.payload)
            if matches(own) and question.text.casefold() in f"{stored}".casefold():
                found.append(row)
        return found
