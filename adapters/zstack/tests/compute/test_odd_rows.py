"""One odd row hides no others: every field of every row, null, empty, of another type, too large and dropped."""

from __future__ import annotations

import pytest

from cloudspan_kit.testing import Answers, check_odd_rows
from cloudspan_zstack.cloud.beside import OwnerRow
from cloudspan_zstack.cloud.jobs import Change
from cloudspan_zstack.cloud.labels import Tag
from cloudspan_zstack.compute.flavors import OfferingRow
from cloudspan_zstack.compute.key_pairs import KeyPairRow
from cloudspan_zstack.compute.server_rows import GroupRef, ServerRow
from cloudspan_zstack.identity.projects import AccountRow
from cloudspan_zstack.identity.quotas import Usage
from cloudspan_zstack.identity.zones import ZoneRow
from cloudspan_zstack.image.images import ImageRow
from cloudspan_zstack.network.floating_ips import EipRow, VipRow
from cloudspan_zstack.network.networks import IpRangeRow, L2Row, L3Row
from cloudspan_zstack.network.ports import NicRow, VmKindRow
from cloudspan_zstack.network.routers import RouterRow
from cloudspan_zstack.network.security_groups import SecurityGroupRow
from cloudspan_zstack.volume.snapshots import SnapshotRow
from cloudspan_zstack.volume.volume_types import DiskOfferingRow
from cloudspan_zstack.volume.volumes import PrimaryStorageRow, VolumeRow

from .conftest import REF, make_server

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2Vha2V5ZmFrZWtleWZha2VrZXlmYWtla2V5ZmFr me@example"
VOLUME = "6e1c2a6c3f0b4b8f9a5e3a1d2c4b6a71"
GROUP = "4d1c2a6c3f0b4b8f9a5e3a1d2c4b6a69"
VIP = "5f1c2a6c3f0b4b8f9a5e3a1d2c4b6a70"
LISTS = [
    ("list_servers", Answers("/vm-instances", "inventories", ServerRow, "uuid")),
    ("list_servers", Answers("/security-groups/vm-instances/nics", "inventories", GroupRef, "uuid", shown=False)),
    ("list_servers", Answers("/eips", "inventories", EipRow, "uuid", shown=False)),
    ("list_servers", Answers("/system-tags", "inventories", Tag, "uuid", shown=False)),
    ("list_servers", Answers("/accounts/resources/refs", "inventories", OwnerRow, "resourceUuid", shown=False)),
    ("list_flavors", Answers("/instance-offerings", "inventories", OfferingRow, "uuid")),
    ("list_key_pairs", Answers("/ssh-key-pair", "inventories", KeyPairRow, "uuid")),
    ("list_volumes", Answers("/volumes", "inventories", VolumeRow, "uuid")),
    ("list_volumes", Answers("/primary-storage", "inventories", PrimaryStorageRow, "uuid", shown=False)),
    ("list_volumes", Answers("/user-tags", "inventories", Tag, "uuid", shown=False)),
    ("list_snapshots", Answers("/volume-snapshots", "inventories", SnapshotRow, "uuid")),
    ("list_volume_types", Answers("/disk-offerings", "inventories", DiskOfferingRow, "uuid")),
    ("list_images", Answers("/images", "inventories", ImageRow, "uuid")),
    ("list_subnets", Answers("/l3-networks/ip-ranges", "inventories", IpRangeRow, "uuid")),
    ("list_subnets", Answers("/l3-networks", "inventories", L3Row, "uuid", shown=False)),
    ("list_networks", Answers("/l3-networks", "inventories", L3Row, "uuid")),
    ("list_networks", Answers("/l2-networks", "inventories", L2Row, "uuid", shown=False)),
    ("list_ports", Answers("/vm-instances/nics", "inventories", NicRow, "uuid")),
    ("list_ports", Answers("/vm-instances", "inventories", VmKindRow, "uuid", shown=False)),
    ("list_routers", Answers("/vm-instances/appliances/virtual-routers", "inventories", RouterRow, "uuid")),
    ("list_security_groups", Answers("/security-groups", "inventories", SecurityGroupRow, "uuid")),
    ("list_floating_ips", Answers("/eips", "inventories", EipRow, "uuid")),
    ("list_floating_ips", Answers("/vips", "inventories", VipRow, "uuid", shown=False)),
    ("list_projects", Answers("/accounts", "inventories", AccountRow, "uuid")),
    ("list_quotas", Answers("/usages", "usages", Usage, "name", shown=False)),
    ("list_zones", Answers("/zones", "inventories", ZoneRow, "uuid")),
]


@pytest.mark.parametrize(("function", "answers"), LISTS, ids=lambda part: getattr(part, "path", part))
async def test_an_odd_row_hides_no_others(make_bench, function, answers):
    """It is read as far as it can be, or left out and named; so are the rows that are read beside."""
    # Only the administrator sees routers, and has no quota.
    bench = make_bench("demo" if function == "list_quotas" else "admin")
    public = await bench.named("/l3-networks", "public")
    group = Change("POST", "/security-groups", params={"name": "g", "resourceUuid": GROUP}, user_tags=["team::db"])
    await bench.session.act(bench.call(), group, job="group")
    private = await bench.named("/l3-networks", "private")
    nic = {"network": f"{REF}/networks/{private}", "floating_network": f"{REF}/networks/{public}"}
    groups = [f"{REF}/securityGroups/{GROUP}"]
    await make_server(bench, network_interfaces=[nic], security_groups=groups, hostname="one")
    key = Change("POST", "/ssh-key-pair", params={"name": "k", "publicKey": KEY})
    await bench.session.act(bench.call(), key, job="key")
    storage = (await bench.session.query(bench.call(), "/primary-storage", PrimaryStorageRow)).rows[0].uuid
    params = {"name": "v", "diskSize": 1 << 30, "primaryStorageUuid": storage, "resourceUuid": VOLUME}
    volume = Change("POST", "/volumes/data", params=params, user_tags=["team::db"])
    await bench.session.act(bench.call(), volume, job="volume")
    snapshot = Change("POST", "/volumes/{uuid}/volume-snapshots", {"uuid": VOLUME}, params={"name": "s"})
    await bench.session.act(bench.call(), snapshot, job="snapshot")
    vip = Change("POST", "/vips", params={"name": "v", "l3NetworkUuid": public, "resourceUuid": VIP})
    await bench.session.act(bench.call(), vip, job="vip")
    await bench.session.act(bench.call(), Change("POST", "/eips", params={"name": "e", "vipUuid": VIP}), job="eip")
    assert await check_odd_rows(bench.cluster, bench.cluster._wire, function, answers) > 20
