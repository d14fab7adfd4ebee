"""Every row that a real node was recorded to send is decoded as it is, and becomes one of our messages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from adapters.zstack.tests.lab import Lab, admin, clock, user
from adapters.zstack.tests.recording import Json, fields_by_type, lines

from cloudspan.v1 import (
    flavor_pb2,
    floating_ip_pb2,
    image_pb2,
    key_pair_pb2,
    network_pb2,
    port_pb2,
    project_pb2,
    router_pb2,
    security_group_pb2,
    server_pb2,
    snapshot_pb2,
    subnet_pb2,
    volume_pb2,
    volume_type_pb2,
    zone_pb2,
)
from cloudspan_kit.fakes.wire import Reply, reply
from cloudspan_zstack.cloud.beside import OwnerRow
from cloudspan_zstack.cloud.labels import Tag
from cloudspan_zstack.cloud.login import SessionRow
from cloudspan_zstack.compute.flavors import OfferingRow
from cloudspan_zstack.compute.key_pairs import KeyPairRow
from cloudspan_zstack.compute.server_rows import GroupRef, ServerRow
from cloudspan_zstack.identity.projects import AccountRow
from cloudspan_zstack.identity.zones import ZoneRow
from cloudspan_zstack.image.images import ImageRow
from cloudspan_zstack.network.address_users import AddressRow
from cloudspan_zstack.network.floating_ips import EipRow, VipRow
from cloudspan_zstack.network.network_create import ClusterRow, ProviderRow
from cloudspan_zstack.network.networks import IpRangeRow, L2Row, L3Row
from cloudspan_zstack.network.ports import NicRow, VmKindRow
from cloudspan_zstack.network.routers import RouterRow
from cloudspan_zstack.network.security_groups import SecurityGroupRow
from cloudspan_zstack.volume.snapshots import SnapshotRow
from cloudspan_zstack.volume.volume_types import DiskOfferingRow
from cloudspan_zstack.volume.volumes import PrimaryStorageRow, VolumeRow
from cloudspan_zstack_fake import FakeCloud

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cloudspan_common.testing import FakeClock
    from cloudspan_zstack_fake.wire import Call

__all__ = ["admin", "clock", "user"]

ROW_TYPES: dict[str, tuple[type[Any], ...]] = {
    "AccountInventory": (AccountRow,), "AccountResourceRefInventory": (OwnerRow,), "ClusterInventory": (ClusterRow,),
    "DiskOfferingInventory": (DiskOfferingRow,), "EipInventory": (EipRow,), "ImageInventory": (ImageRow,),
    "InstanceOfferingInventory": (OfferingRow,), "IpRangeInventory": (IpRangeRow,), "L2NetworkInventory": (L2Row,),
    "L2VlanNetworkInventory": (L2Row,), "L3NetworkInventory": (L3Row,),
    "NetworkServiceProviderInventory": (ProviderRow,), "PrimaryStorageInventory": (PrimaryStorageRow,),
    "SecurityGroupInventory": (SecurityGroupRow,), "SshKeyPairInventory": (KeyPairRow,), "SystemTagInventory": (Tag,),
    "UsedIpInventory": (AddressRow,), "UserTagInventory": (Tag,), "VipInventory": (VipRow,),
    "VirtualRouterVmInventory": (RouterRow,), "VmInstanceInventory": (ServerRow, VmKindRow),
    "VmNicInventory": (NicRow,), "VmNicSecurityGroupRefInventory": (GroupRef,), "VolumeInventory": (VolumeRow,),
    "VolumeSnapshotInventory": (SnapshotRow,), "ZoneInventory": (ZoneRow,),
}  # fmt: skip
UNREAD = {"KVMHostInventory"}
"""Inventories that the adapter never asks for."""
LISTS = [
    ("list_servers", server_pb2.Server, "/vm-instances"),
    ("list_flavors", flavor_pb2.Flavor, "/instance-offerings"),
    ("list_key_pairs", key_pair_pb2.KeyPair, "/ssh-key-pair"),
    ("list_volumes", volume_pb2.Volume, "/volumes"),
    ("list_snapshots", snapshot_pb2.Snapshot, "/volume-snapshots"),
    ("list_volume_types", volume_type_pb2.VolumeType, "/disk-offerings"),
    ("list_images", image_pb2.Image, "/images"),
    ("list_subnets", subnet_pb2.Subnet, "/l3-networks/ip-ranges"),
    ("list_networks", network_pb2.Network, "/l3-networks"),
    ("list_ports", port_pb2.Port, "/vm-instances/nics"),
    ("list_routers", router_pb2.Router, "/vm-instances/appliances/virtual-routers"),
    ("list_security_groups", security_group_pb2.SecurityGroup, "/security-groups"),
    ("list_floating_ips", floating_ip_pb2.FloatingIp, "/eips"),
    ("list_projects", project_pb2.Project, "/accounts"),
    ("list_zones", zone_pb2.Zone, "/zones"),
]
_OPERATORS = {
    "!=": lambda told, wanted: told != wanted,
    "?=": lambda told, wanted: told in wanted.split(","),
    "=": lambda told, wanted: told == wanted,
}


class RecordedNode(FakeCloud):
    """Answers queries with recorded rows: of those with the same uuid with the one of the turn."""

    turn = 0

    def __init__(self, name: str, clock: FakeClock) -> None:
        super().__init__(name, clock=clock)
        self.shown: dict[str, list[Json]] = {}
        """The rows of the last answer, by path."""

    def turns(self, path: str) -> int:
        """Return how many turns show every recorded row of a path."""
        return max(map(len, _versions(path).values()), default=0)

    def rows(self, path: str) -> list[Json]:
        """Return the rows of the turn."""
        return [several[min(self.turn, len(several) - 1)] for several in _versions(path).values()]

    def _carry_out(self, call: Call) -> Reply:
        path = call.path.removeprefix("/v1")
        if call.method != "GET" or not _versions(path):
            return super()._carry_out(call)
        found = [row for row in self.rows(path) if all(_meets(row, told) for name, told in call.query if name == "q")]
        self.shown[path] = found
        return reply({"inventories": found, "total": len(found)})


def _versions(path: str) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for line in lines():
        asked = line.path.removeprefix("/v1")
        if re.sub(r"/[0-9a-f]{32}", "", asked.partition("?")[0]) == path and "fields=" not in asked:
            for _, row in line.inventories():
                found.setdefault(row.get("uuid") or str(len(found)), []).append(row)
    return found


def _meets(row: Json, condition: str) -> bool:
    operator = next((one for one in _OPERATORS if one in condition), None)
    if operator is None:
        return True
    field, _, wanted = condition.partition(operator)
    return field not in row or _OPERATORS[operator](str(row[field]), wanted)


@pytest.fixture
async def cloud(clock: FakeClock) -> AsyncIterator[RecordedNode]:
    async with RecordedNode("fake", clock) as running:
        yield running


def test_every_recorded_row_is_read_without_a_mistake() -> None:
    """Strictly: no field is of another type than the adapter declares, and none that it needs is missing."""
    seen = set()
    for line in lines():
        for inventory, row in line.inventories():
            seen.add(inventory)
            for row_type in ROW_TYPES.get(inventory, ()):
                msgspec.convert(row, row_type)
    assert seen == set(ROW_TYPES) | UNREAD


def test_a_recorded_session_is_read() -> None:
    """What a login answers."""
    sessions = [line.document["inventory"] for line in lines() if "/login" in line.path and line.status == 200]
    assert sessions
    assert all(msgspec.convert(session, SessionRow).uuid for session in sessions)


@pytest.mark.parametrize(("function", "kind", "path"), LISTS)
async def test_no_recorded_row_is_lost(admin: Lab, function: str, kind: Any, path: str) -> None:
    """A list shows each row that it asks for, with a state that we know, and says nothing of rows left out."""
    node: RecordedNode = admin.cloud
    assert node.turns(path)
    for turn in range(node.turns(path)):
        node.turn = turn
        items = await admin.everything(getattr(admin.network, function), kind)
        assert {item.name.rpartition("/")[2] for item in items} == {row["uuid"] for row in node.shown[path]}
        assert not [item for item in items if "state" in item.DESCRIPTOR.fields_by_name and item.state == 0]


def test_all_inventories_that_the_adapter_reads_are_recorded() -> None:
    """So that the tests above say something of each."""
    assert set(ROW_TYPES) <= set(fields_by_type(row for line in lines() for row in line.inventories()))
