"""What the command line does about operations and what they left behind."""
# ruff: noqa: N802 - servicers' functions have the names and arguments of the rpcs

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import yaml
from click.testing import CliRunner

from cloudspan.cli.operations import orphans
from cloudspan.v1 import orphan_pb2, orphan_pb2_grpc

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
