"""One odd row hides no others: every field of every row, null, empty, of another type, too large and dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cloudspan_kit.testing import Answers, check_odd_rows
from cloudspan_openstack.cloud.clouds import read_cloud
from cloudspan_openstack.cluster import OpenStackCluster, Shared
from cloudspan_openstack.compute.flavors import FlavorRow
from cloudspan_openstack.compute.key_pairs import KeyPairRow
from cloudspan_openstack.compute.server_rows import ServerRow
from cloudspan_openstack.identity.projects import ProjectRow
from cloudspan_openstack.identity.zones import NetworkZoneRow, ServiceZoneRow
from cloudspan_openstack.image.images import ImageRow
from cloudspan_openstack.network.floating_ips import FloatingIpRow
from cloudspan_openstack.network.networks import NetworkRow
from cloudspan_openstack.network.ports import DevicePort, PortRow
from cloudspan_openstack.network.routers import RouterRow
from cloudspan_openstack.network.security_groups import SecurityGroupRow
from cloudspan_openstack.network.subnets import SubnetRow
from cloudspan_openstack.volume.snapshots import SnapshotRow
from cloudspan_openstack.volume.volume_types import VolumeTypeRow
from cloudspan_openstack.volume.volumes import VolumeRow

from .conftest import REF, Bench

if TYPE_CHECKING:
    from pathlib import Path

    from cloudspan_openstack_fake import FakeCloud

LISTS = {
    "list_key_pairs": Answers("/os-keypairs", "keypairs", KeyPairRow, "name", within="keypair"),
    "list_flavors": Answers("/flavors/detail", "flavors", FlavorRow),
    "list_servers": Answers("/servers/detail", "servers", ServerRow),
    "list_volumes": Answers("/volumes/detail", "volumes", VolumeRow),
    "list_snapshots": Answers("/snapshots/detail", "snapshots", SnapshotRow),
    "list_volume_types": Answers("/types", "volume_types", VolumeTypeRow),
    "list_floating_ips": Answers("/floatingips", "floatingips", FloatingIpRow),
    "list_security_groups": Answers("/security-groups", "security_groups", SecurityGroupRow),
    "list_images": Answers("/images", "images", ImageRow),
    "list_networks": Answers("/networks", "networks", NetworkRow),
    "list_ports": Answers("/ports", "ports", PortRow),
    "list_routers": Answers("/routers", "routers", RouterRow),
    "list_zones": Answers("/availability_zones", "availability_zones", NetworkZoneRow, "name"),
    "list_subnets": Answers("/subnets", "subnets", SubnetRow),
}


_PORTS = Answers("/ports", "ports", DevicePort, shown=False)
MORE = [
    ("list_routers", _PORTS),
    ("list_servers", _PORTS),
    ("list_zones", Answers("/os-availability-zone", "availabilityZoneInfo", ServiceZoneRow, "zoneName")),
]


@pytest.mark.timeout(240)  # 538 lists for servers
@pytest.mark.parametrize("function", LISTS)
async def test_an_odd_row_hides_no_others(bench: Bench, function: str) -> None:
    """It is read as far as it can be, or left out and named."""
    key = {"keypair": {"name": "mine", "public_key": "ssh-ed25519 AAAA me"}}
    await bench.session.send(bench.call(), "POST", "compute", "/os-keypairs", dict, json=key)
    bench.cloud.control.seed_kind("servers", 1)
    body = {"volume": {"size": 1}}
    volume = await bench.session.send(bench.call(), "POST", "volume", "/volumes", dict, json=body)
    await bench.clock.advance(5)
    snapshot = {"snapshot": {"volume_id": volume["volume"]["id"]}}
    await bench.session.send(bench.call(), "POST", "volume", "/snapshots", dict, json=snapshot)
    external = next(row["id"] for row in bench.cloud.store.networks if row["router:external"])
    address = {"floatingip": {"floating_network_id": external}}
    await bench.session.send(bench.call(), "POST", "network", "/floatingips", dict, json=address)
    assert await check_odd_rows(bench.cluster, bench.cluster._wire, function, LISTS[function]) > 20


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(("function", "answers"), MORE)
async def test_an_odd_row_among_other_answers_of_a_list_hides_nothing(
    bench: Bench, function: str, answers: Answers
) -> None:
    """Routers and servers are shown with the interfaces that can be read."""
    assert await check_odd_rows(bench.cluster, bench.cluster._wire, function, answers) >= 30


async def test_an_odd_project_hides_no_others_from_an_administrator(cloud: FakeCloud, clouds_yaml: Path) -> None:
    """A member is shown its own alone."""
    cluster = OpenStackCluster(REF, read_cloud("fake-admin", clouds_yaml), Shared())
    answers = Answers("/projects", "projects", ProjectRow)
    assert await check_odd_rows(cluster, cluster._wire, "list_projects", answers) > 50
    await cluster.close()
