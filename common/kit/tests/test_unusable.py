"""A cluster whose settings are wrong, over real sockets: it says so, and the one beside it works."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest
from common.kit.tests.acme import EAST, AcmeCluster, serving

from cloudspan.adapter.v1 import adapter_pb2, adapter_pb2_grpc, step_pb2, step_pb2_grpc
from cloudspan.client import AsyncClient, PreconditionFailed
from cloudspan.v1 import cluster_pb2, server_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.names import ClusterRef
from cloudspan_kit import Call, Capability, UnusableCluster, clusters_of

WEST = ClusterRef("acme", "west")
WHY = "cloud 'prod-west' can't be used: auth is a list; write a map"


class Servers:
    """One server, whatever is asked for."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    async def get_server(self, call: Call, _: server_pb2.GetServerRequest) -> server_pb2.Server:
        return server_pb2.Server(name=EAST.resource("servers", call.id))


def make(ref: ClusterRef, name: str) -> AcmeCluster[Servers]:
    """Return the cluster of a name that is configured well."""
    if name != "prod-east":
        raise InvalidRequest(WHY, reason="NO_CLOUDS_FILE" if name == "none" else "BAD_CLOUD")
    return AcmeCluster(Servers())


def clusters() -> list:
    return clusters_of("acme", [("east", "prod-east"), ("west", "prod-west")], make)


async def test_a_cluster_with_wrong_settings_refuses_its_calls_with_the_reason() -> None:
    """Reads and mutations alike; an operation that has begun waits, and the other cluster answers."""
    async with serving(*clusters()) as address, AsyncClient(address) as client:
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


async def test_a_cluster_with_wrong_settings_is_listed_and_checked_with_the_reason() -> None:
    """It claims no endpoint: another instance may serve it with the right settings."""
    async with serving(*clusters()) as address, AsyncClient(address) as client:
        shown = await client.clusters.GetCluster(cluster_pb2.GetClusterRequest(name=str(WEST)))
        checked = await client.clusters.CheckCluster(cluster_pb2.CheckClusterRequest(name=str(WEST)))
        told = await adapter_pb2_grpc.AdapterServiceStub(client.channel).Describe(adapter_pb2.DescribeRequest())
    assert (shown.display_name, shown.state) == ("prod-west", cluster_pb2.Cluster.STATE_LOGIN_REFUSED)
    assert shown.message == f"BAD_CLOUD: {WHY}"
    assert [(stage.ok, stage.reason, stage.message) for stage in checked.stages] == [(False, "BAD_CLOUD", WHY)]
    assert [cluster.name for cluster in told.clusters] == [str(EAST), str(WEST)]
    assert dict(told.cluster_digests) == {str(EAST): "acme"}


def test_a_file_that_can_not_be_read_is_no_single_clusters_fault() -> None:
    """The adapter says so and ends."""
    with pytest.raises(InvalidRequest):
        clusters_of("acme", [("east", "prod-east"), ("west", "none")], make)


def test_what_stands_for_a_cluster_shows_why() -> None:
    assert repr(UnusableCluster(WEST, "prod-west", InvalidRequest(WHY, reason="BAD_CLOUD"))) == (
        "<UnusableCluster platforms/acme/clusters/west: BAD_CLOUD>"
    )
