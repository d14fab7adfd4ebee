"""What errors say to a caller with one project of a cluster, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from common.kit.tests.acme import EAST, PARENT, AcmeCluster, serving
from common.kit.tests.owned_resources import Drivers
from tests.harness.callers import acting_for

from cloudspan.adapter.v1 import step_pb2, step_pb2_grpc
from cloudspan.client import AsyncClient, PlatformFault
from cloudspan.v1 import server_pb2
from cloudspan_common import errors, grpcs
from cloudspan_kit import Operation

ID = "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"
OWN, HIDDEN, GONE = (EAST.resource("servers", i) for i in ("a", "b", "no"))
VOLUME = EAST.resource("volumes", "b")


class Refusing(Drivers):
    """Refuses every change and every list, in words that a test chooses."""

    said = ""
    kind: type[errors.CloudspanError] = errors.PreconditionFailed

    def _refusal(self) -> errors.CloudspanError:
        cause = errors.PlatformFault(f"the cloud said {ID}")
        refusal = self.kind(self.said, reason="IN_USE", resource=HIDDEN, violations=[errors.Violation("x", self.said)])
        refusal.__cause__ = cause
        return refusal

    async def stop_server(self, op: Operation, _: Any) -> server_pb2.Server:
        await op.change("stop", self._stop)
        return server_pb2.Server()

    async def _stop(self) -> None:
        raise self._refusal()

    async def list_servers(self, *_: Any) -> Any:
        raise errors.PlatformFault(f"the listing leads back to {ID}")


@pytest.fixture
def drivers() -> Refusing:
    return Refusing()


@pytest.fixture
async def client(drivers: Refusing) -> AsyncIterator[AsyncClient]:
    async with serving(AcmeCluster(drivers)) as address, AsyncClient(address, timeout_s=5) as opened:
        yield opened


@pytest.fixture
def project() -> str:
    return "main"


@pytest.fixture(autouse=True)
def _acting(project: str) -> Iterator[None]:
    with acting_for(project):
        yield


async def _refused(client: AsyncClient, drivers: Refusing, said: str) -> Any:
    drivers.said = said
    return (await client.servers.StopServer(server_pb2.StopServerRequest(name=OWN))).proto.error


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"{OWN} is in use by {HIDDEN}, remove it", f"{OWN} is in use by another project's servers, remove it"),
        (f"by {VOLUME} (root) and {GONE}.", "by another project's volumes (root) and another project's servers."),
        (f"by {EAST.resource('hosts', 'h1')}", "by another project's hosts"),
        (
            f"ports are still in use: {ID}, {ID.replace('-', '').upper()}",
            "ports are still in use: another's, another's",
        ),
        (f"its marker is cs-i1-{ID.replace('-', '')}-server", f"its marker is cs-i1-{ID.replace('-', '')}-server"),
        ("too many servers", "too many servers"),
    ],
)
async def test_a_refusal_names_only_what_its_caller_can_read(client, drivers, said, shown):
    """In its message and its details."""
    error = await _refused(client, drivers, said)
    assert error.message.startswith(shown)
    assert HIDDEN not in str(error)
    assert ID not in str(error)


async def test_an_error_that_names_very_many_is_not_read_about_without_end(client, drivers):
    """What was not looked at is left out."""
    drivers.servers |= {f"a{n}": server_pb2.Server(project=drivers.servers["a"].project) for n in range(50)}
    error = await _refused(client, drivers, " ".join(EAST.resource("servers", f"a{n}") for n in range(50)))
    assert error.message.count("/servers/a") == 20
    assert len(drivers.wanted) < 30


async def test_a_failed_list_names_no_id(client):
    """A cursor of the cloud's may be another's."""
    with pytest.raises(PlatformFault, match="leads back to another's"):
        await client.servers.ListServers(server_pb2.ListServersRequest(parent=PARENT))


async def test_what_a_waiting_operation_says_names_no_more(client, drivers):
    """An error that is waited out stands in its stage."""
    drivers.said, drivers.kind = f"too many requests beside {HIDDEN}", errors.RateLimited
    step = step_pb2.StepRequest(
        operation_id="1",
        attempt=1,
        method="cloudspan.v1.ServerService/StopServer",
        request=server_pb2.StopServerRequest(name=OWN).SerializeToString(),
        installation="i",
    )
    async with grpcs.new_channel(client.address) as channel:
        answer = await step_pb2_grpc.StepServiceStub(channel).Step(step, timeout=5)
    assert "beside another project's servers" in answer.stage


@pytest.mark.parametrize("project", [""])
async def test_a_caller_without_a_project_is_told_everything(client, drivers):
    """The words are the driver's."""
    assert f"{HIDDEN} and {ID}" in (await _refused(client, drivers, f"{HIDDEN} and {ID}")).message
