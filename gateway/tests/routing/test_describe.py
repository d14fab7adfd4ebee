"""What an adapter says of itself: read for routing, and refused with a reason where it must not be believed."""

from __future__ import annotations

import pytest

from cloudspan.adapter.v1 import adapter_pb2
from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.registry import Instance
from cloudspan_gateway.routing.describe import Description, read, unfit

GET, LIST = "cloudspan.v1.ServerService/GetServer", "cloudspan.v1.ServerService/ListServers"
NEW = frozenset({"cloudspan.v1.NewService"})
INSTANCE = Instance("os-1", "openstack", "127.0.0.1:1")


def described(*names: str) -> adapter_pb2.DescribeResponse:
    clusters = [cluster_pb2.Cluster(name=name) for name in names]
    return adapter_pb2.DescribeResponse(platform="openstack", contract_min=1, contract_max=1, clusters=clusters)


def test_clusters_and_digests_are_kept_by_tag() -> None:
    name = "platforms/openstack/clusters/east"
    response = described(name)
    response.cluster_digests[name] = "d"
    found = read(response, 7.0)
    assert (list(found.clusters), found.digests, found.at) == (["east"], {"east": "d"}, 7.0)
    # Without capabilities an adapter answers for itself.
    assert found.absent == {"east": {}}


def test_a_method_that_a_cluster_does_not_list_is_absent_there_with_a_reason() -> None:
    response = described("platforms/openstack/clusters/east")
    response.clusters[0].capabilities.add(method=GET, level=cluster_pb2.MethodCapability.LEVEL_NATIVE)
    absent = cluster_pb2.MethodCapability.LEVEL_ABSENT
    response.clusters[0].capabilities.add(method=LIST, level=absent, reason="no list here")
    found = read(response, 0.0).absent["east"]
    assert GET not in found
    assert found[LIST] == "no list here"
    assert "does not list this method" in found["cloudspan.v1.ServerService/CreateServer"]
    assert not any(method.startswith("cloudspan.v1.ClusterService/") for method in found)


@pytest.mark.parametrize(
    "name",
    ["east", "platforms/zstack/clusters/east", "platforms/openstack/clusters/-", "platforms/openstack/clusters/e/x"],
)
def test_a_cluster_that_nobody_could_ask_for_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        read(described(name), 0.0)


@pytest.mark.parametrize(
    ("instance", "description", "why"),
    [
        (INSTANCE, None, ""),
        (INSTANCE, Description("openstack"), ""),
        (Instance("os-1", "openstack", "127.0.0.1:1", (2, 3)), None, "speaks contract versions 2 to 3"),
        (INSTANCE, Description("openstack", contract=(2, 9)), "upgrade the older"),
        (INSTANCE, Description("zstack"), "describes itself as 'zstack'"),
        (INSTANCE, Description("openstack", services=frozenset({"google.x.Y"})), "claims google.x.Y"),
        (
            INSTANCE,
            Description("openstack", services=frozenset({"cloudspan.v1.NewService"})),
            "rename the adapter's own",
        ),
        (INSTANCE, Description("openstack", contract=(1, 2), services=NEW), ""),
        (INSTANCE, Description("openstack", services=frozenset({"acme.v1.ToolService"})), ""),
    ],
)
def test_an_instance_gets_calls_unless_something_speaks_against_it(
    instance: Instance, description: Description | None, why: str
) -> None:
    """Services of a later contract are not judged by an older gateway."""
    found = unfit(instance, description)
    assert why in found
    assert bool(why) == bool(found)
