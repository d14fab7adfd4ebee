"""What the command line shows of the inventory: resources, sums, and how fresh they are."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudspan.cli.tables import cluster_tags, new_table, shown
from cloudspan.v1 import inventory_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.table import Table

State = inventory_pb2.SyncState
_COLOURS = {"COMPLETE": "green", "PARTIAL": "yellow", "NEVER": "yellow", "FAILED": "red", "UNSUPPORTED": "dim"}
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))
_GIB = 2**30
_MOST_NAMED = 5


def resources(found: Iterable[inventory_pb2.StoredResource], now: datetime) -> Table:
    """Return a row for each resource."""
    table = new_table("name", "kind", "state", "cluster", "age", "id")
    for resource in found:
        table.add_row(
            shown(resource.display_name or "-"),
            resource.collection,
            shown(resource.state or "-"),
            cluster_tags(resource.cluster),
            age(resource, "observe_time", now),
            shown(resource.name.rpartition("/")[2]),
        )
    return table


def of_kind(found: Iterable[Any], now: datetime) -> Table:
    """Return a row for each resource, of whatever kind."""
    table = new_table("name", "state", "cluster", "age", "id")
    for resource in found:
        parts = resource.name.split("/")
        table.add_row(
            shown(getattr(resource, "display_name", "") or "-"),
            shown(_state(resource) or "-"),
            f"{parts[1]}/{parts[3]}",
            age(resource, "observe_time", now) if hasattr(resource, "observe_time") else "-",
            shown(parts[-1]),
        )
    return table


def _state(resource: Any) -> str:
    """`STATE_RUNNING` -> `RUNNING`; empty for kinds without one."""
    field = resource.DESCRIPTOR.fields_by_name.get("state")
    if field is None or field.enum_type is None:
        return ""
    value = field.enum_type.values_by_number.get(resource.state)
    return value.name.removeprefix("STATE_") if value else str(resource.state)


def states(found: Iterable[State], now: datetime) -> Table:
    """Return a row for each collection."""
    table = new_table("cluster", "kind", "known", "rows", "age", "took", "next", "message")
    for state in found:
        word = completeness(state)
        table.add_row(
            cluster_tags(state.cluster),
            f"{state.collection} of {shown(last)}" if (last := state.project.rpartition("/")[2]) else state.collection,
            f"[{_COLOURS.get(word, 'red')}]{word}[/]",
            str(state.rows),
            age(state, "observe_time", now),
            f"{state.took.ToNanoseconds() / 1e9:.1f} s" if state.HasField("took") else "-",
            _until(state, now),
            shown(_message(state)),
        )
    return table


def sums(answer: inventory_pb2.SummarizeResponse, groups: Sequence[str]) -> Table:
    """Return a row for each group, and one for all of them."""
    table = new_table(*(groups or ("all",)), "count", "vcpus", "memory", "disk")
    for one in answer.summaries if groups else ():
        table.add_row(*(shown(_group(value)) for value in one.group), *_numbers(one))
    if answer.omitted_groups:
        table.add_row(f"{answer.omitted_groups} more", *[""] * (len(groups) + 3))
    table.add_section()
    table.add_row("total", *[""] * (len(groups) - 1), *_numbers(answer.total))
    return table


def incomplete(found: Sequence[State]) -> str:
    """Return in which collections something may be missing, as one line; empty where there is none."""
    if not found:
        return ""
    named = [f"{one.collection} of {cluster_tags(one.cluster)} ({one.reason or 'overdue'})" for one in found]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    what = ", ".join(named[:_MOST_NAMED])
    return f"may be incomplete: {what}{more}; `cloudspan sync --status` says why, `cloudspan sync` reads them now"


def lag(found: Iterable[State], now: datetime) -> str:
    """Return how old the oldest complete listing is, and of what."""
    times = [(state.observe_time.ToNanoseconds(), state) for state in found if state.HasField("observe_time")]
    if not times:
        return "nothing was listed yet"
    _, oldest = min(times, key=lambda pair: pair[0])
    return f"oldest: {age(oldest, 'observe_time', now)}, {oldest.collection} of {cluster_tags(oldest.cluster)}"


def age(message: Any, field: str, now: datetime) -> str:
    """Return how long ago a time of a message was: `12 s`, `3 min`; `-` where it is not set."""
    if not message.HasField(field):
        return "-"
    return span(now.timestamp() - getattr(message, field).ToNanoseconds() / 1e9)


def span(seconds: float) -> str:
    """Return a time in its largest whole unit; never less than nothing, as clocks may differ."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{max(0, int(seconds))} s"


def completeness(state: State) -> str:
    """`COMPLETENESS_PARTIAL` -> `PARTIAL`."""
    return State.Completeness.Name(state.completeness).removeprefix("COMPLETENESS_")


def utc_now() -> datetime:
    """Return the time by this machine's clock."""
    return datetime.now(UTC)


def _until(state: State, now: datetime) -> str:
    if not state.HasField("next_time"):
        return "-"
    left = state.next_time.ToNanoseconds() / 1e9 - now.timestamp()
    return f"in {span(left)}" if left > 0 else "due"


def _message(state: State) -> str:
    text = ": ".join(part for part in (state.reason, state.message) if part)
    if not state.HasField("brake"):
        return text
    return f"{text}; deletions of {state.brake.missing or 'some'} are held back, see --release-brake".lstrip("; ")


def _group(value: str) -> str:
    """A cluster, project or flavor by its tags or id, anything else as it is."""
    if not value.startswith("platforms/"):
        return value or "-"
    parts = value.split("/")
    return "/".join((parts[1], parts[3], *parts[5:]))


def _numbers(one: inventory_pb2.SummarizeResponse.Summary) -> tuple[str, ...]:
    sizes = (f"{size / _GIB:,.0f} GiB" for size in (one.memory_bytes, one.disk_bytes))
    return (f"{one.count:,}", f"{one.vcpus:,}", *sizes)
