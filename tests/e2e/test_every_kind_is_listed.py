"""Everything of all clusters in one wildcard list a kind, compared with openstacksdk's own listing of each cluster."""

from __future__ import annotations

import asyncio
import time

import pytest
from tests.e2e.conftest import EVERYWHERE

from cloudspan.v1 import (
    common_pb2,
    flavor_pb2,
    floating_ip_pb2,
    image_pb2,
    key_pair_pb2,
    network_pb2,
    port_pb2,
    project_pb2,
    quota_pb2,
    router_pb2,
    security_group_pb2,
    server_pb2,
    snapshot_pb2,
    subnet_pb2,
    volume_pb2,
    volume_type_pb2,
    zone_pb2,
)

pytestmark = pytest.mark.e2e


def _zones(sdk):
    zones = [zone.name for zone in sdk.compute.availability_zones()]
    zones += [zone.name for zone in sdk.block_storage.availability_zones()]
    return {*zones, *(zone.name for zone in sdk.network.availability_zones())}


# Stub of the client, method, request, and what openstacksdk lists.
KINDS = {
    "servers": ("servers", "ListServers", server_pb2.ListServersRequest, lambda s: s.compute.servers()),
    "flavors": ("flavors", "ListFlavors", flavor_pb2.ListFlavorsRequest, lambda s: s.compute.flavors()),
    "images": ("images", "ListImages", image_pb2.ListImagesRequest, lambda s: s.image.images()),
    "keyPairs": ("key_pairs", "ListKeyPairs", key_pair_pb2.ListKeyPairsRequest, lambda s: s.compute.keypairs()),
    "volumes": ("volumes", "ListVolumes", volume_pb2.ListVolumesRequest, lambda s: s.block_storage.volumes()),
    "volumeTypes": (
        "volume_types",
        "ListVolumeTypes",
        volume_type_pb2.ListVolumeTypesRequest,
        lambda s: s.block_storage.types(),
    ),
    "snapshots": (
        "snapshots",
        "ListSnapshots",
        snapshot_pb2.ListSnapshotsRequest,
        lambda s: s.block_storage.snapshots(),
    ),
    "networks": ("networks", "ListNetworks", network_pb2.ListNetworksRequest, lambda s: s.network.networks()),
    "subnets": ("subnets", "ListSubnets", subnet_pb2.ListSubnetsRequest, lambda s: s.network.subnets()),
    "ports": ("ports", "ListPorts", port_pb2.ListPortsRequest, lambda s: s.network.ports()),
    "routers": ("routers", "ListRouters", router_pb2.ListRoutersRequest, lambda s: s.network.routers()),
    "floatingIps": (
        "floating_ips",
        "ListFloatingIps",
        floating_ip_pb2.ListFloatingIpsRequest,
        lambda s: s.network.ips(),
    ),
    "securityGroups": (
        "security_groups",
        "ListSecurityGroups",
        security_group_pb2.ListSecurityGroupsRequest,
        lambda s: s.network.security_groups(),
    ),
    "zones": ("zones", "ListZones", zone_pb2.ListZonesRequest, _zones),
    "projects": ("projects", "ListProjects", project_pb2.ListProjectsRequest, lambda s: [s.current_project_id]),
    "quotas": ("quotas", "ListQuotas", quota_pb2.ListQuotasRequest, lambda s: [s.current_project_id]),
}


@pytest.fixture(scope="module")
def connections(clusters):
    """A connection of openstacksdk to every scope that the adapter serves, by tag."""
    made = {tag: site.connect(tag) for site in clusters for tag in (site.name, site.small)}
    yield made
    for connection in made.values():
        connection.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_one_wildcard_list_holds_what_openstacksdk_lists_of_each_cluster(cloud, connections, kind):
    """The ids are the same, nothing is unreachable or partial, and each id stands once."""
    stub, method, request, natively = KINDS[kind]
    listing = cloud.each(getattr(getattr(cloud, stub), method), request(parent=EVERYWHERE, page_size=7))
    names = [resource.name async for resource in listing]
    native = await asyncio.to_thread(_native_names, connections, kind, natively)
    assert set(names) == native
    assert len(names) == len(native)
    assert list(listing.unreachable) == []
    assert {status.state for status in listing.cluster_status} == {common_pb2.ClusterStatus.STATE_OK}
    assert {status.cluster.rpartition("/")[2] for status in listing.cluster_status} == set(connections)


def _native_names(connections, kind, natively):
    return {
        f"platforms/openstack/clusters/{tag}/{kind}/{row if isinstance(row, str) else row.id}"
        for tag, sdk in connections.items()
        for row in natively(sdk)
    }


async def test_all_kinds_of_all_clusters_are_listed_at_once(cloud, capsys):
    """Sixteen wildcard lists side by side, complete."""
    began = time.perf_counter()

    async def count(stub, method, request):
        listing = cloud.each(getattr(getattr(cloud, stub), method), request(parent=EVERYWHERE))
        number = len([resource async for resource in listing])
        assert list(listing.unreachable) == []
        return number

    counts = await asyncio.gather(*(count(stub, method, request) for stub, method, request, _ in KINDS.values()))
    with capsys.disabled():
        print(f"\n{sum(counts)} resources of {len(KINDS)} kinds in {time.perf_counter() - began:.2f} s")
    assert all(counts[list(KINDS).index(kind)] for kind in ("flavors", "images", "networks", "quotas", "zones"))
