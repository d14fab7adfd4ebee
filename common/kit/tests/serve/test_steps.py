"""What only the gateway asks an adapter, over real sockets: steps that are only checked, transits, marks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from common.kit.tests.acme import EAST, PARENT, AcmeCluster, serving

from cloudspan.adapter.v1 import step_pb2, step_pb2_grpc, sweep_pb2, sweep_pb2_grpc
from cloudspan.client import AsyncClient
from cloudspan.client import errors as client_errors
from cloudspan.v1 import port_pb2, server_pb2, volume_pb2
from cloudspan_common import errors, grpcs
from cloudspan_common.telemetry import NativeCall, record_native_call
from cloudspan_common.trial_certificates import Authority
from cloudspan_kit import Call, Kind, KindDriver, Marked, Operation, Source, Watch

State = server_pb2.Server.State


class Cloud(Source[Any]):
    """A source that only tells what is in transit, and discards."""

    def __init__(self, servers: list[Servers]) -> None:
        self.servers = servers

    def id_of(self, row: object) -> str:
        return str(row)

    async def one(self, call: Call, kind: Any, native_id: str) -> Any:
        raise AssertionError("not read here")

    async def page(self, call: Call, kind: Any, query: Any) -> Any:
        raise AssertionError("not listed here")

    async def sweep(self, call: Call, kind: Any) -> AsyncIterator[Sequence[Any]]:
        yield []

    async def in_transit(self, call: Call, kind: Any, ids: Sequence[str]) -> set[str]:
        record_native_call(NativeCall(PARENT, "compute", "GET", "/servers", 200, 1.0))
        return {*ids[1:], "somebody-elses"}

    async def discard(self, call: Call, kind: Any, native_id: str) -> None:
        self.servers[0].removed.append(native_id)


@dataclass
class Found:
    """Finds the marks of one kind."""

    find_: Callable[[str], Awaitable[Sequence[Marked]]]

    async def find(self, _call: Call, _kind: Any, prefix: str) -> Sequence[Marked]:
        return await self.find_(prefix)


class Ports(KindDriver[str, port_pb2.Port]):
    """Ports with a mark."""

    def message(self, row: str) -> port_pb2.Port:
        return port_pb2.Port(name=row)


class Volumes(KindDriver[str, volume_pb2.Volume]):
    """Volumes whose marks can't be read today."""

    def message(self, row: str) -> volume_pb2.Volume:
        return volume_pb2.Volume(name=row)


class Servers(KindDriver[str, server_pb2.Server]):
    """Marked servers, some of which are starting."""

    def __init__(self) -> None:
        super().__init__(EAST)
        cloud = Cloud([self])
        self.kind = Kind("servers", server_pb2.Server, str, cloud, settled=bool, marker=Found(self._find))
        self.ports, self.volumes = Ports(EAST), Volumes(EAST)
        self.ports.kind = Kind("ports", port_pb2.Port, str, cloud, marker=Found(self._find_ports))
        self.volumes.kind = Kind("volumes", volume_pb2.Volume, str, cloud, marker=Found(self._find_volumes))
        self.rows = {"1": "cs-mine-op1-server", "2": "cs-other-op2-server", "3": ""}
        self.states: dict[str, State] = {}
        self.removed: list[str] = []
        self.acted = 0
        self.met = asyncio.Barrier(2)

    def message(self, row: str) -> server_pb2.Server:
        return server_pb2.Server(name=row)

    async def get_server(self, call: Call, _: server_pb2.GetServerRequest) -> server_pb2.Server:
        if call.id not in self.rows:
            raise errors.NotFound(f"{call.id} does not exist")
        return server_pb2.Server(name=EAST.resource("servers", call.id), state=self.states.get(call.id, 0))

    async def start_server(self, op: Operation, request: server_pb2.StartServerRequest) -> None:
        if op.call.id not in self.rows:
            raise errors.NotFound(f"{request.name} does not exist", resource=request.name)
        await op.change("start", self._start)
        await op.wait_until("running", _not_yet, watch=Watch("servers", op.call.id))

    async def stop_server(self, op: Operation, _: server_pb2.StopServerRequest) -> None:
        await op.wait_until("stopped", _not_yet, watch=Watch("stoppings", op.call.id))

    async def _start(self) -> None:
        self.acted += 1

    async def _find(self, prefix: str) -> Sequence[Marked]:
        await self.met.wait()
        return [Marked(i, marker, "web", 1e9) for i, marker in self.rows.items() if prefix[:3] in marker]

    async def _find_ports(self, _: str) -> Sequence[Marked]:
        await self.met.wait()
        return [Marked("p", "cs-mine-op1-port")]

    async def _find_volumes(self, _: str) -> Sequence[Marked]:
        raise errors.Unreachable("no block storage today")


async def _not_yet() -> None:
    return None


@pytest.fixture
def cluster() -> AcmeCluster[Servers]:
    servers = Servers()
    return AcmeCluster(servers, servers.ports, servers.volumes)


@pytest.fixture
async def client(cluster: AcmeCluster[Servers]) -> AsyncIterator[AsyncClient]:
    async with serving(cluster) as address, AsyncClient(address, timeout_s=5) as opened:
        yield opened


@pytest.fixture
def steps(client: AsyncClient) -> Any:
    return step_pb2_grpc.StepServiceStub(client.channel)


@pytest.fixture
def marks(client: AsyncClient) -> Any:
    return step_pb2_grpc.MarkServiceStub(client.channel)


def a_step(method: str, server: str, **fields: Any) -> step_pb2.StepRequest:
    request = getattr(server_pb2, f"{method}Request")(name=f"{PARENT}/servers/{server}")
    return step_pb2.StepRequest(
        operation_id="7", attempt=1, installation="mine", method=f"cloudspan.v1.ServerService/{method}",
        request=request.SerializeToString(), **fields,
    )  # fmt: skip


async def test_a_step_that_only_checks_acts_never(steps: Any, cluster: AcmeCluster[Servers]) -> None:
    """Done when it would be taken, with the error when not."""
    assert (await steps.Step(a_step("StartServer", "1", validate_only=True))).HasField("response")
    refused = await steps.Step(a_step("StartServer", "none", validate_only=True))
    assert errors.from_status(refused.error).code == errors.NotFound.code
    assert cluster.servers.acted == 0


async def test_a_mutation_called_straight_with_validate_only_never_acts(
    client: AsyncClient, cluster: AcmeCluster[Servers]
) -> None:
    """The adapter is asked without a gateway."""
    request = server_pb2.StartServerRequest(name=f"{PARENT}/servers/1", validate_only=True)
    operation = await client.servers.StartServer(request)
    assert operation.done
    assert operation.error is None
    assert cluster.servers.acted == 0


async def test_a_wait_is_told_as_transit_where_it_can_be_observed(steps: Any) -> None:
    """One that its cluster can't tell of is left to its operation."""
    first = await steps.Step(a_step("StartServer", "1"))
    second = await steps.Step(a_step("StartServer", "1", cursor=first.cursor))
    assert (second.transit.collection, second.transit.native_id) == ("servers", "1")
    assert not (await steps.Step(a_step("StopServer", "1"))).HasField("transit")


async def test_many_waits_take_one_observation(steps: Any) -> None:
    """Only those asked for are told, and what it took."""
    answer = await steps.Observe(
        step_pb2.ObserveRequest(cluster=PARENT, collection="servers", native_ids=["1", "2", "3"])
    )
    assert list(answer.in_transit) == ["2", "3"]
    assert [(call.service, call.count) for call in answer.calls] == [("compute", 1)]


async def test_what_cannot_be_observed_is_unsupported(steps: Any) -> None:
    """With what can."""
    with pytest.raises(client_errors.Unsupported, match="it can: servers"):
        await steps.Observe(step_pb2.ObserveRequest(cluster=PARENT, collection="ports", native_ids=["1"]))
    with pytest.raises(client_errors.NotFound, match="known"):
        await steps.Observe(step_pb2.ObserveRequest(cluster="platforms/acme/clusters/west", collection="servers"))


async def test_marks_of_one_installation_are_listed_of_all_kinds_at_once(marks: Any) -> None:
    """Another installation's are not; a kind that fails is named and spoils nothing. The two finds meet."""
    answer = await marks.ListMarked(step_pb2.ListMarkedRequest(cluster=PARENT, installation="mine"))
    assert {(row.name, row.marker) for row in answer.marked} == {
        (f"{PARENT}/servers/1", "cs-mine-op1-server"),
        (f"{PARENT}/ports/p", "cs-mine-op1-port"),
    }
    assert [row.create_time.seconds for row in answer.marked if row.display_name] == [10**9]
    assert list(answer.incomplete) == ["volumes: no block storage today"]


async def test_a_kind_that_does_not_answer_is_named_in_time(marks: Any, cluster: AcmeCluster[Servers]) -> None:
    """The others' answer is not lost with the call's deadline."""
    cluster.servers.met = asyncio.Barrier(3)
    answer = await marks.ListMarked(step_pb2.ListMarkedRequest(cluster=PARENT, installation="mine"), timeout=0.5)
    assert [line.partition(":")[0] for line in answer.incomplete] == ["servers", "ports", "volumes"]


async def test_only_what_carries_the_mark_is_removed(marks: Any, cluster: AcmeCluster[Servers]) -> None:
    """Another mark, a longer one and none are left alone; what is gone, or going, is done."""
    cluster.servers.met = asyncio.Barrier(1)
    cluster.servers.rows["4"] = "cs-mine-op1-server2"

    async def remove(server: str, marker: str = "cs-mine-op1-server") -> None:
        await marks.RemoveMarked(step_pb2.RemoveMarkedRequest(name=f"{PARENT}/servers/{server}", marker=marker))

    for other in "234":
        with pytest.raises(client_errors.PreconditionFailed, match="left alone"):
            await remove(other)
    await remove("none")
    cluster.servers.states["3"] = State.STATE_SOFT_DELETED
    await remove("3")
    assert cluster.servers.removed == []
    await remove("1")
    assert cluster.servers.removed == ["1"]


async def test_a_removal_that_says_too_little_is_refused(marks: Any, cluster: AcmeCluster[Servers]) -> None:
    """No mark, no installation, a kind without marks, a cluster's name."""
    refused = [
        marks.ListMarked(step_pb2.ListMarkedRequest(cluster=PARENT)),
        marks.RemoveMarked(step_pb2.RemoveMarkedRequest(name=f"{PARENT}/servers/1")),
        marks.RemoveMarked(step_pb2.RemoveMarkedRequest(name=PARENT, marker="cs-mine")),
        marks.RemoveMarked(step_pb2.RemoveMarkedRequest(name=f"{PARENT}/images/1", marker="cs-mine")),
    ]
    kinds = (*[client_errors.InvalidRequest] * 3, client_errors.Unsupported)
    for call, kind in zip(refused, kinds, strict=True):
        with pytest.raises(kind):
            await call
    assert not cluster.servers.removed


async def test_nobody_but_the_gateway_may_find_by_marks_or_sweep(cluster: AcmeCluster[Servers], tmp_path: Path) -> None:
    """Whoever may call the contract straight may not."""
    authority = Authority.new("ours")
    authority.write(tmp_path)
    for identity in ("gateway.cloudspan", "acme", "auditor"):
        authority.issue(identity, tmp_path)

    def files(identity: str) -> dict[str, Path]:
        return {
            "tls_certificate": tmp_path / f"{identity}.pem",
            "tls_key": tmp_path / f"{identity}.key",
            "tls_authority": tmp_path / "authority.pem",
        }

    request = step_pb2.ListMarkedRequest(cluster=PARENT, installation="mine")
    async with serving(cluster, tls_caller=("auditor",), **files("acme")) as address:
        async with AsyncClient(address, tls=grpcs.Tls(*files("auditor").values())) as auditor:
            await auditor.servers.GetServer(server_pb2.GetServerRequest(name=f"{PARENT}/servers/1"))
            with pytest.raises(client_errors.Forbidden, match="MarkService/ListMarked is not for auditor"):
                await step_pb2_grpc.MarkServiceStub(auditor.channel).ListMarked(request)
            with pytest.raises(client_errors.Forbidden, match="SweepService/SweepPage is not for auditor"):
                await sweep_pb2_grpc.SweepServiceStub(auditor.channel).SweepPage(sweep_pb2.SweepPageRequest())
        async with AsyncClient(address, tls=grpcs.Tls(*files("gateway.cloudspan").values())) as gateway:
            assert (await step_pb2_grpc.MarkServiceStub(gateway.channel).ListMarked(request)).marked
