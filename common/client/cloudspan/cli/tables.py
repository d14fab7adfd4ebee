"""What the command line shows, as tables and trees made from the API's messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from cloudspan.v1 import cluster_pb2, operation_pb2, orphan_pb2, platform_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable

    from google.longrunning import operations_pb2

_COLOURS = {"READY": "green", "SUSPECT": "yellow", "CONNECTING": "yellow", "DRAINING": "yellow", "DONE": "green"}


def platforms(found: Iterable[platform_pb2.Platform]) -> Table:
    """Return a row for each instance of each platform."""
    table = _table("platform", "state", "clusters", "instance", "address", "its state", "build")
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
    table = _table("cluster", "state", "endpoint", "version", "token's age", "logins", "message")
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
    table = _table("stage", "", "took", "found")
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
        entry = tree.add(f"{operation.name}  {method}  {word}")
        entry.add(metadata.resource or metadata.cluster)
        text = operation.error.message if failed else metadata.stage
        if text and not (operation.done and not failed):
            entry.add(escape(text))
        for left in metadata.left_overs:
            what = "removed" if left.removed else "left behind"
            entry.add(escape(f"{what}: {left.name} {left.reason}"))
    return tree


def explanation(operation: operation_pb2.OperationExplanation) -> Tree:
    """Return the stages of an operation, and under each the calls to the platform."""
    tree = Tree(f"{operation.name}  {operation.metadata.method.rpartition('/')[2]}  {operation.metadata.resource}")
    for stage in operation.stages:
        seconds = (stage.last_time.ToNanoseconds() - stage.first_time.ToNanoseconds()) / 1e9
        missed = f", {stage.failures} without an answer" if stage.failures else ""
        branch = tree.add(
            f"[bold]{escape(stage.stage)}[/]  {stage.steps} steps{missed}, {seconds:.2f} s, {stage.instance}"
        )
        if stage.error:
            branch.add(escape(stage.error))
        for call in stage.calls:
            branch.add(escape(_call(call)))
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
        entry = tree.add(f"{orphan.name}  {kind_of(orphan)}  {escape(orphan.display_name)}")
        created = orphan.create_time.ToJsonString() if orphan.HasField("create_time") else "at an unknown time"
        entry.add(f"{orphan.operation}, step {escape(orphan.step)}, created {created}")
        entry.add(escape(orphan.reason))
    return tree


def kind_of(orphan: orphan_pb2.Orphan) -> str:
    """`KIND_LEFT_BEHIND` -> `LEFT_BEHIND`."""
    return orphan_pb2.Orphan.Kind.Name(orphan.kind).removeprefix("KIND_")


def cluster_tags(name: str) -> str:
    """`platforms/openstack/clusters/alpha` -> `openstack/alpha`, as `cloudspan check` takes it."""
    _, platform, _, cluster = name.split("/")
    return f"{platform}/{cluster}"


def _table(*columns: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for index, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=index == 0)
    return table


def _word(state: str) -> str:
    """`STATE_READY` -> `READY`, in its colour."""
    word = state.removeprefix("STATE_")
    return f"[{_COLOURS.get(word, 'red')}]{word}[/]"
