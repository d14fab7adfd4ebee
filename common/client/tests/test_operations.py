"""What the command line shows of operations, and does about what they left behind."""
# ruff: noqa: N802 - servicers' functions have the names and arguments of the rpcs

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import yaml
from click.testing import CliRunner
from google.longrunning import operations_pb2
from google.rpc import status_pb2

from cloudspan.cli.operations import orphans
from cloudspan.v1 import operation_pb2, orphan_pb2, orphan_pb2_grpc
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLUSTER = "platforms/zstack/clusters/lab"
# Each is used by the next one.
NAMES = [f"{CLUSTER}/networks/n", f"{CLUSTER}/servers/s", f"{CLUSTER}/volumes/v"]


class Orphans(orphan_pb2_grpc.OrphanServiceServicer):
    """Orphans of which each is deleted only when what uses it is gone."""

    def __init__(self) -> None:
        self.left = list(NAMES)
        self.locked = ""

    def ListOrphans(self, request: Any, context: Any) -> orphan_pb2.ListOrphansResponse:
        return orphan_pb2.ListOrphansResponse(orphans=[{"name": name} for name in self.left])

    def DeleteOrphan(self, request: Any, context: Any) -> orphan_pb2.DeleteOrphanResponse:
        if request.name != self.left[-1] or request.name == self.locked:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"{request.name} is in use")
        self.left.remove(request.name)
        return orphan_pb2.DeleteOrphanResponse()


@pytest.fixture
def service() -> Orphans:
    return Orphans()


@pytest.fixture
def address(service: Orphans) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    orphan_pb2_grpc.add_OrphanServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def _apply(address: str, folder: Path) -> Any:
    plan = folder / "orphans.yaml"
    entries = [{"name": name, "operation": "operations/1", "delete": True} for name in NAMES]
    plan.write_text(yaml.safe_dump(entries))
    return CliRunner().invoke(orphans, ["zstack/lab", "--apply", str(plan), "--gateway", address])


def test_orphans_that_use_each_other_are_deleted_in_one_go(address: str, service: Orphans, tmp_path: Path) -> None:
    """Whatever order they are listed in: networks come before the servers that stand on them."""
    result = _apply(address, tmp_path)
    assert (result.exit_code, service.left) == (0, [])
    assert "kept" not in result.output


def test_orphans_that_stay_in_use_are_kept_and_reported_once(address: str, service: Orphans, tmp_path: Path) -> None:
    """With the last reason."""
    service.locked = NAMES[1]
    result = _apply(address, tmp_path)
    assert (result.exit_code, service.left) == (1, NAMES[:2])
    assert [result.output.count(f"kept     {name}") for name in NAMES] == [1, 1, 0]
    assert "2 of 3 were kept" in result.output


Metadata = operation_pb2.OperationMetadata
SERVERS = "platforms/os/clusters/a/servers"


def _operation(name: str, at: str, **fields: Any) -> operations_pb2.Operation:
    """An operation that was accepted at a time of 2026-11-28, and ended a minute later if it is done."""
    metadata = Metadata(method="cloudspan.v1.ServerService/CreateServer", resource=f"{SERVERS}/{name}", **fields)
    metadata.create_time.FromJsonString(f"2026-11-28T{at}:00Z")
    made = operations_pb2.Operation(name=f"operations/{name}", done=metadata.phase == Metadata.PHASE_DONE)
    if made.done:
        metadata.outcome = metadata.error_summary.code or "OK"
        metadata.end_time.FromJsonString(f"2026-11-28T{at}:59Z")
        if metadata.error_summary.code:
            made.error.CopyFrom(status_pb2.Status(code=8, message=metadata.error_summary.message))
    made.metadata.Pack(metadata)
    return made


FULL = {"code": "RESOURCE_EXHAUSTED", "reason": "QUOTA_EXCEEDED", "message": "no cores left [bold]"}
AWAY = {"code": "UNAVAILABLE", "reason": "CONNECTION_REFUSED", "message": "nothing listens there"}
OPERATIONS = [
    _operation("d", "04:00", phase=Metadata.PHASE_RUNNING, stage="server", error_summary=AWAY, caller="users/bob"),
    _operation("c", "03:00", phase=Metadata.PHASE_DONE, caller="users/alice", tenant="acme"),
    _operation("b", "02:00", phase=Metadata.PHASE_DONE, error_summary=FULL, caller="users/alice", tenant="acme"),
    _operation("a", "01:00", phase=Metadata.PHASE_DONE, error_summary=FULL, caller="services/ci", tenant="zoo"),
]


@pytest.fixture
def listed(gateway: Any, run: Any) -> Any:
    """Run `cloudspan operations` with options; the gateway answers one operation a page. Return whose are shown."""

    def answer(request: Any) -> operations_pb2.ListOperationsResponse:
        wanted = predicate(Filter.parse(request.filter, Metadata.DESCRIPTOR))
        at = int(request.page_token or 0)
        found = [made for made in OPERATIONS[at : at + 1] if wanted(_metadata(made))]
        more = str(at + 1) if at + 1 < len(OPERATIONS) else ""
        return operations_pb2.ListOperationsResponse(operations=found, next_page_token=more)

    gateway.answers["ListOperations"] = answer

    def show(*words: str) -> list[str]:
        shown = run("operations", *words)
        return [made.name[-1] for made in OPERATIONS if f"{made.name}  " in shown]

    return show


def _metadata(operation: operations_pb2.Operation) -> operation_pb2.OperationMetadata:
    metadata = Metadata()
    operation.metadata.Unpack(metadata)
    return metadata


def test_operations_say_who_asked_when_and_what_went_wrong(run: Any, listed: Any) -> None:
    """Of one that still runs, what it is retried for."""
    assert listed() == ["d", "c", "b", "a"]
    lines = [line.strip("├└─│ ") for line in run("operations").splitlines()]
    assert "users/alice of acme, 2026-11-28T02:00:00Z to 2026-11-28T02:00:59Z" in lines
    assert "RESOURCE_EXHAUSTED QUOTA_EXCEEDED: no cores left [bold]" in lines
    assert "users/bob, 2026-11-28T04:00:00Z" in lines
    assert "retried: UNAVAILABLE CONNECTION_REFUSED: nothing listens there" in lines


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("--failed",), ["b", "a"]),
        (("--failed", "--since", "2026-11-28T02:00:30Z"), ["b"]),
        (("--since", "2026-11-28T02:00:30Z"), ["d", "c"]),
        (("--outcome", "resource_exhausted", "--caller", "services/ci"), ["a"]),
        (("--outcome", "OK"), ["c"]),
        (("--outcome", "UNAVAILABLE"), []),
        (("--caller", "alice"), ["c", "b"]),
        (("--caller", 'x" OR tenant = "zoo'), []),
        (("--failed", "--filter", 'tenant = "zoo" OR phase = RUNNING'), ["a"]),
        (("--count", "2"), ["d", "c"]),
    ],
)
def test_options_choose_operations(listed: Any, words: tuple[str, ...], names: list[str]) -> None:
    """Those that ended by the time of their end; pages that hold nothing are walked over."""
    assert listed(*words) == names


def test_operations_of_all_tenants_are_asked_for_as_the_tenant_dash(gateway: Any, listed: Any) -> None:
    listed("--all-tenants", "--tenant", "acme", "--count", "1")
    assert gateway.calls[0].metadata["x-tenant"] == "-"


def test_options_that_contradict_each_other_are_refused(gateway: Any, run: Any) -> None:
    assert "contradict each other" in run("operations", "--failed", "--outcome", "OK", code=2)
    assert gateway.calls == []
