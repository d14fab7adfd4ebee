"""Clusters that are replaced, removed or can't be used, while they are called over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import ClassVar

import pytest
from common.kit.tests.acme import EAST, AcmeCluster, serving

from cloudspan.adapter.v1 import adapter_pb2, adapter_pb2_grpc, step_pb2, step_pb2_grpc
from cloudspan.client import AsyncClient, PreconditionFailed
from cloudspan.v1 import cluster_pb2, server_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock, FakeIssuer
from cloudspan_common.tokens import TokenKeeper, TokenKey
from cloudspan_kit import Call, Capability, UnusableCluster
from cloudspan_kit.serve.clusters import LONGEST_CALL_S, Clusters

WEST = ClusterRef("acme", "west")
WHY = "cloud 'west' can't be used: auth is a list; write a map"


class Servers:
    """One server, whatever is asked for."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    async def get_server(self, call: Call, _: server_pb2.GetServerRequest) -> server_pb2.Server:
        return server_pb2.Server(name=EAST.resource("servers", call.id))


class Closing(AcmeCluster[Servers]):
    """A cluster that says whether it was closed."""

    def __init__(self, clock: FakeClock, revision: str = "r1", *, project: str = "", digest: str = "acme") -> None:
        super().__init__(Servers())
        self.closed, self.project, self.digest = asyncio.Event(), project, digest
        issuer = FakeIssuer(clock, takes_s=0.0, prefix=revision)
        self.keeper = TokenKeeper(issuer, TokenKey("east", revision), clock=clock)

    async def close(self) -> None:
        self.closed.set()
        await self.keeper.close()

    def describe(self) -> cluster_pb2.Cluster:
        return cluster_pb2.Cluster(endpoint="https://cloud", project=self.project)


def unusable() -> UnusableCluster:
    return UnusableCluster(WEST, InvalidRequest(WHY, reason="BAD_CLOUD"))


async def test_a_replaced_cluster_is_closed_when_its_last_call_has_ended() -> None:
    """New calls get the new one meanwhile."""
    clock = FakeClock()
    clusters = Clusters("acme", clock)
    old, new = Closing(clock), Closing(clock)
    clusters.put(old)
    with clusters.get_usable(EAST, "name") as served:
        clusters.put(new)
        await clock.settle()
        assert served.cluster is old
        assert not old.closed.is_set()
        assert clusters.get_usable(EAST, "name").cluster is new
    await clock.settle()
    assert old.closed.is_set()
    assert not new.closed.is_set()
    await clusters.close()
    assert new.closed.is_set()


async def test_a_cluster_whose_calls_never_end_is_closed_at_last() -> None:
    """Its connections and sessions are not kept for ever."""
    clock = FakeClock()
    clusters = Clusters("acme", clock)
    old = Closing(clock)
    clusters.put(old)
    with clusters.get_usable(EAST, "name"):
        clusters.remove("east")
        await clock.advance(LONGEST_CALL_S - 1)
        assert not old.closed.is_set()
        await clock.advance(2)
        assert old.closed.is_set()
    await clusters.close()


async def test_the_end_of_the_adapter_does_not_wait_for_clusters_that_were_replaced() -> None:
    """Whatever still runs there has had the adapter's own time to drain."""
    clock = FakeClock()
    clusters = Clusters("acme", clock)
    old = Closing(clock)
    clusters.put(old)
    with clusters.get_usable(EAST, "name"):
        clusters.remove("east")
        await clusters.close()
        assert old.closed.is_set()


@pytest.mark.parametrize(
    ("before", "now", "token"),
    [
        ({"digest": "one"}, {"digest": "one"}, "r2-1"),
        ({"digest": "user-a", "project": "p1"}, {"digest": "user-b", "project": "p1"}, "r2-1"),
        ({"digest": "user-a", "project": "p1"}, {"digest": "user-b", "project": "p2"}, "r1-1"),
        ({"digest": "user-a"}, {"digest": "user-b"}, "r1-1"),
    ],
)
async def test_calls_under_way_use_the_new_credentials_where_they_lead_to_the_same_project(
    before: dict[str, str], now: dict[str, str], token: str
) -> None:
    """Else a call that began in one project would go on in another."""
    clock = FakeClock()
    clusters = Clusters("acme", clock)
    old, new = Closing(clock, "r1", **before), Closing(clock, "r2", **now)
    for cluster in (old, new):
        await cluster.keeper.token(timeout_s=1.0)
        clusters.put(cluster)
    current = old.keeper.current()
    assert current is not None
    assert current.value == token
    await clusters.close()


async def test_a_cluster_that_can_not_be_used_refuses_its_calls_with_the_reason() -> None:
    """Reads and mutations alike; an operation that has begun waits, and the other cluster answers."""
    async with serving(AcmeCluster(Servers()), unusable()) as address, AsyncClient(address) as client:
        found = await client.servers.GetServer(server_pb2.GetServerRequest(name=EAST.resource("servers", "1")))
        assert found.name.endswith("/1")
        name = WEST.resource("servers", "1")
        with pytest.raises(PreconditionFailed, match="auth is a list") as refused:
            await client.servers.GetServer(server_pb2.GetServerRequest(name=name))
        assert (refused.value.reason, refused.value.metadata["cluster"]) == ("BAD_CLOUD", "west")
        request = server_pb2.DeleteServerRequest(name=name).SerializeToString()
        step = step_pb2.StepRequest(method="cloudspan.v1.ServerService/DeleteServer", request=request, attempt=1)
        steps = step_pb2_grpc.StepServiceStub(client.channel)
        first = await steps.Step(step)
        assert (first.done, first.error.message) == (True, WHY)
        step.attempt = 2
        with pytest.raises(PreconditionFailed, match="auth is a list"):
            await steps.Step(step)


async def test_a_cluster_that_can_not_be_used_is_listed_and_checked_with_the_reason() -> None:
    """It claims no endpoint: another instance may serve it with the right settings."""
    async with serving(AcmeCluster(Servers()), unusable()) as address, AsyncClient(address) as client:
        shown = await client.clusters.GetCluster(cluster_pb2.GetClusterRequest(name=str(WEST)))
        checked = await client.clusters.CheckCluster(cluster_pb2.CheckClusterRequest(name=str(WEST)))
        told = await adapter_pb2_grpc.AdapterServiceStub(client.channel).Describe(adapter_pb2.DescribeRequest())
    assert (shown.state, shown.message) == (cluster_pb2.Cluster.STATE_LOGIN_REFUSED, f"BAD_CLOUD: {WHY}")
    assert [(stage.ok, stage.reason, stage.message) for stage in checked.stages] == [(False, "BAD_CLOUD", WHY)]
    assert [cluster.name for cluster in told.clusters] == [str(EAST), str(WEST)]
    assert dict(told.cluster_digests) == {str(EAST): "acme"}


def test_what_stands_for_a_cluster_shows_why() -> None:
    """A person reads it in a debugger."""
    assert repr(unusable()) == "<UnusableCluster platforms/acme/clusters/west: BAD_CLOUD>"
