"""Clusters, as their adapters last described them."""

from __future__ import annotations

import grpc
from gateway.tests.callers import refused

from cloudspan.v1 import cluster_pb2, cluster_pb2_grpc

CODE = grpc.StatusCode


async def test_clusters_are_reported_from_the_last_description(deployment):
    """Get one, list a platform's, list all; CheckCluster alone goes to the adapter."""
    await deployment.plug_in(clusters=("east", "west"))
    await deployment.plug_in(instance_id="z-1", platform="zstack", clusters=("dc1",))
    async with deployment.opened():
        stub = cluster_pb2_grpc.ClusterServiceStub(deployment.channel)
        name = "platforms/openstack/clusters/west"
        one = await stub.GetCluster(cluster_pb2.GetClusterRequest(name=name))
        parents = ("platforms/openstack", "platforms/-", "")
        lists = [await stub.ListClusters(cluster_pb2.ListClustersRequest(parent=parent)) for parent in parents]
        wrong = await refused(stub.GetCluster(cluster_pb2.GetClusterRequest(name=name + "/servers/1")))
        asked = await refused(stub.CheckCluster(cluster_pb2.CheckClusterRequest(name=name)))
    assert (one.name, one.state) == (name, cluster_pb2.Cluster.STATE_READY)
    assert [len(each.clusters) for each in lists] == [2, 3, 3]
    assert wrong.code() is CODE.INVALID_ARGUMENT
    assert asked.details() == "Method not found!"  # the adapter's own words: this one has no CheckCluster
