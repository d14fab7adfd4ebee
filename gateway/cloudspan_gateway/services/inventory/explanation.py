"""Why the inventory holds nothing, or as far as it does, and what to do: for people, as GetSyncState says it.

Whatever is said is what the caller may know: states come as `states.of_caller` leaves them.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common.listing.filter_ast import And, Comparison, Filter, Not, Operator
from cloudspan_common.listing.filter_values import shown, written
from cloudspan_gateway.inventory.model import CollectionState, Completeness
from cloudspan_gateway.services.inventory.states import of_caller

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cloudspan_common.listing.filter_ast import Node
    from cloudspan_gateway.inventory.base import Question, Reads
    from cloudspan_gateway.routing.snapshot import ClusterRoute
    from cloudspan_gateway.services.inventory.states import Collections

_MOST_SENTENCES = 8
_MOST_CONDITIONS = 8
_MOST_MESSAGE = 300
_NOTHING_LISTED = (Completeness.NEVER, Completeness.FAILED, Completeness.PARTIAL)
_SIGNS = {Operator.CONTAINS: ":", Operator.HOLDS: ":", Operator.HAS_KEY: ":", Operator.IS_SET: ":"}


@dataclass(frozen=True, slots=True)
class Facts:
    """What is explained."""

    collections: Collections
    visible: int
    """Rows that the caller sees."""
    matching: int
    """Those of them that the filter matches."""
    question: Question


async def explain(facts: Facts, reads: Reads) -> str:
    """Return sentences, the most important first."""
    if not facts.collections.seen.routes:
        return (
            "no cluster is plugged in that you may see: PlatformService.ListPlatforms lists the adapters, "
            "ClusterService.ListClusters the clusters."
        )
    sentences = [_counted(facts), *await _conditions(facts, reads), *_incomplete(facts), *_brakes(facts)]
    sentences += [*_all_listed(facts), *_projects(facts)]
    return " ".join(f"{sentence}." for sentence in _bounded(sentences))


def _bounded(sentences: Sequence[str]) -> Iterator[str]:
    yield from sentences[:_MOST_SENTENCES]
    if len(sentences) > _MOST_SENTENCES:
        yield f"And {len(sentences) - _MOST_SENTENCES} more; ask for fewer clusters or collections"


def _counted(facts: Facts) -> str:
    if facts.question.filter.is_empty:
        return f"Kept, of what you may see: {facts.visible}"
    return f"Of what you may see the filter matches {facts.matching} of {facts.visible}"


async def _conditions(facts: Facts, reads: Reads) -> Sequence[str]:
    """Of a filter that matches nothing, say which of its conditions does so alone."""
    wanted = facts.question.filter
    if wanted.root is None or facts.matching or not facts.visible:
        return ()
    parts = wanted.root.nodes if isinstance(wanted.root, And) else (wanted.root,)
    alone = []
    for number, part in enumerate(parts[:_MOST_CONDITIONS], start=1):
        text = _text(part, number)
        # The first page of one row: a condition that matches much is not counted, and no search is without an end.
        page = await reads.page(dataclasses.replace(facts.question, filter=Filter(text, part), limit=1))
        if not page.rows and not page.cursor:
            alone.append(text)
    if not alone:
        return ("Each condition may match some by itself, together they match none",)
    return (f"{' and '.join(alone)} alone {'match' if len(alone) > 1 else 'matches'} none of them",)


def _text(node: Node, number: int) -> str:
    """Return a condition as it can be written, or where it stands in the filter."""
    negated = isinstance(node, Not)
    inner = node.node if isinstance(node, Not) else node
    if not isinstance(inner, Comparison):
        return f"Condition {number}"
    value = "*" if inner.operator is Operator.IS_SET else written(inner.value)
    sign = _SIGNS.get(inner.operator, inner.operator.value)
    compared = f"{inner.path.text} {sign} {'a pattern' if value is None else shown(value)}"
    return f"{'NOT ' if negated else ''}{compared}"


def _incomplete(facts: Facts) -> Iterator[str]:
    """Say of each cluster what could not be listed, and why; one sentence for what has the same cause."""
    seen = facts.collections.seen
    routes = {str(route.ref): route for route in seen.routes}
    states = [of_caller(state, seen) for state in facts.collections.states]
    for (cluster, *_), group in groupby(sorted(states, key=_cause), key=_cause):
        same = list(group)
        what = f"{_names(same)} of {cluster}"
        match same[0].completeness:
            case Completeness.NEVER:
                why = _why_never(routes[cluster], is_owned=cluster in facts.collections.owned)
                yield f"{what} {_were(same)} never listed: {why}"
            case Completeness.FAILED:
                yield f"{what} could not be listed{_since(same)}: {_said(same[0])}; CheckCluster says at which stage"
            case Completeness.PARTIAL:
                yield f"{what} may be incomplete: {_said(same[0])}"
            case Completeness.UNSUPPORTED if facts.question.collections:
                yield f"{what} {_were(same)} not supported: {_said(same[0])}"


def _cause(state: CollectionState) -> tuple[str, int, str, str]:
    order = [*_NOTHING_LISTED, Completeness.UNSUPPORTED, Completeness.COMPLETE]
    message = "" if state.completeness is Completeness.NEVER else state.message
    return state.cluster, order.index(state.completeness), state.reason, message


def _names(states: Iterable[CollectionState]) -> str:
    return ", ".join(sorted(state.collection for state in states))


def _were(states: Sequence[CollectionState]) -> str:
    return "was" if len(states) == 1 else "were"


def _why_never(route: ClusterRoute, *, is_owned: bool) -> str:
    state = cluster_pb2.Cluster.State.Name(route.cluster.state).removeprefix("STATE_")
    if not route.endpoints:
        return "no instance of its adapter serves it now; ListPlatforms says in which state they are"
    if route.cluster.state not in (cluster_pb2.Cluster.STATE_READY, cluster_pb2.Cluster.STATE_UNSPECIFIED):
        return f"the cluster is {state}: {route.cluster.message[:_MOST_MESSAGE] or 'CheckCluster says why'}"
    if not is_owned:
        return "no gateway lists it yet, as just after a start; wait some seconds, or call SyncNow"
    return "its first listing is on the way; wait for it, or call SyncNow"


def _said(state: CollectionState) -> str:
    return f"{state.reason}: {state.message[:_MOST_MESSAGE]}" if state.reason else state.message[:_MOST_MESSAGE]


def _since(states: Sequence[CollectionState]) -> str:
    times = [state.observe_time for state in states if state.observe_time is not None]
    return f", what is kept is of {_time(min(times))}" if times else ""


def _brakes(facts: Facts) -> Iterator[str]:
    for state in facts.collections.states:
        if state.brake is None:
            continue
        brake = of_caller(state, facts.collections.seen).brake
        lost = f": {brake.missing} of {brake.total} are not listed any more" if brake and brake.total else ""
        yield (
            f"Deletions of {state.collection} of {state.cluster} are held back since {_time(state.brake.since)}{lost}; "
            "look at the platform, and accept the loss with SyncNow and release_brake if it is real"
        )


def _all_listed(facts: Facts) -> Iterator[str]:
    """Where nothing is wrong, say that, and as of when."""
    states = facts.collections.states
    times = [state.observe_time for state in states if state.completeness is Completeness.COMPLETE]
    known = [time for time in times if time is not None]
    if known and not any(state.completeness in _NOTHING_LISTED for state in states):
        nothing = "" if facts.visible else ": there is nothing that you may see"
        yield f"All was listed completely, the oldest part at {_time(min(known))}{nothing}"


def _projects(facts: Facts) -> Iterator[str]:
    for cluster, project in facts.collections.seen.projects.items():
        yield f"Of {cluster} you see what {project} has, and what is shared with it"


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
