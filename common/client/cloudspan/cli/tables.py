"""What the command line shows, as tables and trees made from the API's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from cloudspan.v1 import cluster_pb2, operation_pb2, orphan_pb2, platform_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from google.longrunning import operations_pb2

_COLOURS = {"READY": "green", "SUSPECT": "yellow", "CONNECTING": "yellow", "DRAINING": "yellow", "DONE": "green"}


def platforms(found: Iterable[platform_pb2.Platform]) -> Table:
    """Return a row for each instance of each platform."""
    table = new_table("platform", "state", "clusters", "instance", "address", "its state", "build")
    for platform in found:
        tag = platform.name.partition("/")[2]
        state = _word(platform_pb2.Platform.State.Name(platform.state))
        names = ", ".join(name.rpartition("/")[2] for name in platform.clusters)
        if not platform.instances:
            table.add_row(tag, state, names, "-", "-", "-", "-")
        for instance in platform.instances:
            its_state = _word(platform_pb2.AdapterInstance.State.Name(instance.state))
            shown = f"{its_state} {instance.reason}".strip()
            table.add_row(tag, state, names, instance.id, instance.address, shown, instance.build)
            tag = state = names = ""
    return table


def clusters(found: Iterable[cluster_pb2.Cluster]) -> Table:
    """Return a row for each cluster."""
    table = new_table("cluster", "state", "endpoint", "version", "token's age", "logins", "message")
    for cluster in found:
        token = cluster.token
        age = f"{token.age.ToTimedelta().total_seconds():.0f} s" if token.HasField("age") else "-"
        table.add_row(
            cluster_tags(cluster.name),
            _word(cluster_pb2.Cluster.State.Name(cluster.state)),
            cluster.endpoint,
            cluster.native_version,
            age,
            str(token.logins),
            cluster.message or token.last_error,
        )
    return table


def stages(answer: cluster_pb2.CheckClusterResponse) -> Table:
    """Return a row for each stage of the way to a cluster."""
    table = new_table("stage", "", "took", "found")
    for stage in answer.stages:
        verdict = "[green]ok[/]" if stage.ok else "[red]failed[/]"
        kind = cluster_pb2.CheckClusterResponse.Stage.Kind.Name(stage.kind).removeprefix("KIND_").lower()
        table.add_row(kind, verdict, f"{stage.took.ToTimedelta().total_seconds() * 1000:.0f} ms", stage.message)
    return table


def operations(found: Iterable[operations_pb2.Operation]) -> Tree:
    """Return an entry for each operation: names are long, so each has lines of its own."""
    tree = Tree("", hide_root=True)
    for operation in found:
        metadata = operation_pb2.OperationMetadata()
        operation.metadata.Unpack(metadata)
        phase = operation_pb2.OperationMetadata.Phase.Name(metadata.phase).removeprefix("PHASE_")
        failed = operation.HasField("error")
        word = "[red]FAILED[/]" if failed else f"[{_COLOURS.get(phase, 'yellow')}]{phase}[/]"
        method = metadata.method.rpartition("/")[2]
        entry = tree.add(f"{shown(operation.name)}  {shown(method)}  {word}")
        for line in (metadata.resource or metadata.cluster, _who_and_when(metadata), *_progress(operation, metadata)):
            if line:
                entry.add(shown(line))
        for left in metadata.left_overs:
            what = "removed" if left.removed else "left behind"
            entry.add(shown(f"{what}: {left.name} {left.reason}"))
    return tree


def _who_and_when(metadata: operation_pb2.OperationMetadata) -> str:
    """`users/alice of acme, 2026-11-28T20:00:00Z to 2026-11-28T20:00:07Z`."""
    tenant = f" of {metadata.tenant}" if metadata.tenant else ""
    who = f"{metadata.caller or 'somebody'}{tenant}" if metadata.caller or tenant else ""
    times = [time_of(metadata, name) for name in ("create_time", "end_time")]
    return ", ".join(part for part in (who, " to ".join(time for time in times if time)) if part)


def _progress(operation: operations_pb2.Operation, metadata: operation_pb2.OperationMetadata) -> Iterator[str]:
    """Of one that failed why; of one that still runs where it is, and what it is retried for."""
    summary = metadata.error_summary
    if operation.HasField("error"):
        yield f"{_code_and_reason(summary)}{operation.error.message}"
    elif not operation.done:
        yield metadata.stage
        if metadata.HasField("error_summary"):
            yield f"retried: {_code_and_reason(summary)}{summary.message}"


def _code_and_reason(summary: operation_pb2.ErrorSummary) -> str:
    words = " ".join(word for word in (summary.code, summary.reason) if word)
    return f"{words}: " if words else ""


def explanation(operation: operation_pb2.OperationExplanation) -> Tree:
    """Return the stages of an operation, and under each the calls to the platform."""
    tree = Tree(f"{operation.name}  {operation.metadata.method.rpartition('/')[2]}  {operation.metadata.resource}")
    for stage in operation.stages:
        seconds = (stage.last_time.ToNanoseconds() - stage.first_time.ToNanoseconds()) / 1e9
        missed = f", {stage.failures} without an answer" if stage.failures else ""
        branch = tree.add(
            f"[bold]{shown(stage.stage)}[/]  {stage.steps} steps{missed}, {seconds:.2f} s, {stage.instance}"
        )
        if stage.error:
            branch.add(shown(stage.error))
        for call in stage.calls:
            branch.add(shown(_call(call)))
    if operation.skipped:
        tree.add(f"{operation.skipped} stages in between are left out")
    return tree


def _call(call: operation_pb2.NativeCall) -> str:
    times = f" x {call.count}" if call.count > 1 else ""
    again = f", sent again {call.retries} times" if call.retries else ""
    took = f"{call.took.ToNanoseconds() / 1e6:.0f} ms"
    status = call.status or "no answer"
    text = f"{call.service} {call.method} {call.template} -> {status}{times}  {took}{again}  {call.native_request_id}"
    return f"{text}  {call.error}".rstrip()


def orphans(found: orphan_pb2.ListOrphansResponse) -> Tree:
    """Return an entry for each orphan."""
    tree = Tree(f"{len(found.orphans)} orphans among {found.marked} marked resources")
    for orphan in found.orphans:
        entry = tree.add(f"{orphan.name}  {kind_of(orphan)}  {shown(orphan.display_name)}")
        created = orphan.create_time.ToJsonString() if orphan.HasField("create_time") else "at an unknown time"
        entry.add(f"{orphan.operation}, step {shown(orphan.step)}, created {created}")
        entry.add(shown(orphan.reason))
    return tree


def kind_of(orphan: orphan_pb2.Orphan) -> str:
    """`KIND_LEFT_BEHIND` -> `LEFT_BEHIND`."""
    return orphan_pb2.Orphan.Kind.Name(orphan.kind).removeprefix("KIND_")


def cluster_tags(name: str) -> str:
    """`platforms/openstack/clusters/alpha` -> `openstack/alpha`, as `cloudspan check` takes it."""
    _, platform, _, cluster = name.split("/")
    return f"{platform}/{cluster}"


def time_of(message: Any, field: str) -> str:
    """Return a time of a message to the second, `2026-11-28T20:00:00Z`; empty when it is not set."""
    if not message.HasField(field):
        return ""
    return f"{getattr(message, field).ToJsonString()[:19]}Z"


def printable(text: str) -> str:
    """Return a text that a terminal shows as it is.

    Names and messages are what callers and clouds sent: a terminal would obey their control characters.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def shown(text: str) -> str:
    """Return a text of others as a cell or an entry, no part of which is markup."""
    return escape(printable(text))


def new_table(*columns: str) -> Table:
    """Return an empty table."""
    table = Table(box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    return table


def _word(state: str) -> str:
    """`STATE_READY` -> `READY`, in its colour."""
    word = state.removeprefix("STATE_")
    return f"[{_COLOURS.get(word, 'red')}]{word}[/]"
