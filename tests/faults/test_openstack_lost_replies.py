"""Creates whose reply is lost, or that are carried out late, leave exactly one resource: each kind, through it all."""

from __future__ import annotations

import asyncio

import pytest
from tests.harness.clouds import openstack_entry
from tests.harness.create_server import BootVolume, Interface, create_server
from tests.harness.openstack import fake, ref, serving

from cloudspan.v1 import key_pair_pb2, network_pb2, operation_pb2, subnet_pb2, volume_pb2
from cloudspan_openstack_fake import Body, Kind

pytestmark = pytest.mark.faults

SETTLE_S = 1.0
LATE_S = 0.4
GIB = 1024**3
Phase = operation_pb2.OperationMetadata.Phase
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFB test"


async def _server(client, name, **more):
    parts = {"display_name": name, "flavor": f"{ref()}/flavors/1", "image": more.pop("image")}
    return await client.servers.CreateServer(create_server(ref(), **parts, **more))


async def _make_server(client, name, cloud):
    network = Interface(network=f"{ref()}/networks/{_id(cloud.store.networks, 'private')}")
    image = f"{ref()}/images/{_id(cloud.store.images, 'cirros')}"
    return await _server(client, name, image=image, network_interfaces=[network])


async def _make_server_with_boot_volume(client, name, cloud):
    image = f"{ref()}/images/{_id(cloud.store.images, 'cirros')}"
    network = Interface(network=f"{ref()}/networks/{_id(cloud.store.networks, 'private')}")
    boot = BootVolume(size_bytes=GIB, delete_with_server=True)
    return await _server(client, name, image=image, network_interfaces=[network], boot_volume=boot)


async def _make_volume(client, name, _cloud):
    volume = volume_pb2.Volume(display_name=name, size_bytes=GIB)
    return await client.volumes.CreateVolume(volume_pb2.CreateVolumeRequest(parent=ref(), volume=volume))


async def _make_network(client, name, _cloud):
    network = network_pb2.Network(display_name=name, description="mine")
    return await client.networks.CreateNetwork(network_pb2.CreateNetworkRequest(parent=ref(), network=network))


async def _make_subnet(client, name, cloud):
    network = f"{ref()}/networks/{_id(cloud.store.networks, 'private')}"
    subnet = subnet_pb2.Subnet(display_name=name, network=network, cidr="10.99.0.0/24")
    return await client.subnets.CreateSubnet(subnet_pb2.CreateSubnetRequest(parent=ref(), subnet=subnet))


async def _make_key_pair(client, name, _cloud):
    pair = key_pair_pb2.KeyPair(display_name=name, public_key=KEY)
    return await client.key_pairs.CreateKeyPair(key_pair_pb2.CreateKeyPairRequest(parent=ref(), key_pair=pair))


def _id(table, name):
    return next(row["id"] for row in table if row["name"] == name)


# What is made, by which native create, and what of that name there is afterwards.
KINDS = {
    "server": (_make_server, "compute", r"^/v2\.1/servers$", lambda s: [row.name for row in s.servers]),
    "boot volume": (
        _make_server_with_boot_volume,
        "volume",
        "/volumes$",
        lambda s: [row["name"] for row in s.volumes],
    ),
    "server with a boot volume": (
        _make_server_with_boot_volume,
        "compute",
        r"^/v2\.1/servers$",
        lambda s: [row.name for row in s.servers],
    ),
    "volume": (_make_volume, "volume", "/volumes$", lambda s: [row["name"] for row in s.volumes]),
    "network": (_make_network, "network", "/networks$", lambda s: [row["name"] for row in s.networks]),
    "subnet": (_make_subnet, "network", "/subnets$", lambda s: [row["name"] for row in s.subnets]),
    "key pair": (_make_key_pair, "compute", "/os-keypairs$", lambda s: [name for _, name in s.key_pairs]),
}
FAULTS = {
    "lost": {"kind": Kind.LOST_REPLY},
    "late": {"kind": Kind.LATE_COMMIT, "seconds": LATE_S},
    "500 after it was done": {"kind": Kind.SERVER_ERROR, "carried_out": True},
    "a proxy's 504 after it was done": {
        "kind": Kind.SERVER_ERROR,
        "status": 504,
        "body": Body.HTML,
        "carried_out": True,
    },
    "never arrived": {"kind": Kind.CLOSE},
    "half an answer": {"kind": Kind.CUT_BODY},
    "nonsense for an answer": {"kind": Kind.TRUNCATED_JSON},
}


# Every fault for one kind that is found by a marker and one that is found by its key; the others' own look-up once.
PAIRS = [
    (kind, fault) for kind in KINDS for fault in FAULTS if kind in ("server", "subnet") or fault in ("lost", "late")
]


@pytest.mark.parametrize(("kind", "fault"), PAIRS)
async def test_there_is_exactly_one_whatever_became_of_the_reply(tmp_path, kind, fault):
    """The operation succeeds with the one that is there; it was found by its marker or natural key."""
    make, service, path, names = KINDS[kind]
    async with fake() as cloud, serving({"east": openstack_entry(cloud)}, tmp_path, settle_s=SETTLE_S) as made:
        rule = FAULTS[fault]
        met = cloud.control.fault(service=service, method="POST", path=path, count=1, **rule)
        operation = await make(made.client, "only-one", cloud)
        result = await operation.result(20)
        assert met.hits == 1
        assert result.display_name == "only-one"
        # What may still come, comes.
        await asyncio.sleep(0.05)
        assert names(cloud.store).count("only-one") == 1
        assert await _left_overs(made.client, operation) == []


async def _left_overs(client, operation):
    async for change in operation.changes():
        metadata = change.metadata
    return list(metadata.left_overs)


async def test_a_create_that_comes_later_than_the_settle_time_leaves_one_and_says_what_was_removed(tmp_path):
    """Sent again after the settle time, then the first one appears: the duplicate is removed and listed."""
    async with fake() as cloud, serving({"east": openstack_entry(cloud)}, tmp_path, settle_s=0.5) as made:
        cloud.control.set_timing(volume_s=3.0)
        cloud.control.fault(Kind.LATE_COMMIT, service="volume", method="POST", path="/volumes$", count=1, seconds=1.5)
        operation = await _make_volume(made.client, "only-one", cloud)
        await operation.result(20)
        names = [row["name"] for row in cloud.store.volumes if row["status"] != "deleting"]
        assert names.count("only-one") == 1
        [left] = await _left_overs(made.client, operation)
        assert left.removed


async def test_thirty_creates_of_which_every_third_gets_no_reply_make_thirty(tmp_path):
    """Side by side."""
    async with fake() as cloud, serving({"east": openstack_entry(cloud)}, tmp_path, settle_s=SETTLE_S) as made:
        cloud.control.set_quota("volume", volumes=100)
        cloud.control.fault(Kind.LOST_REPLY, service="volume", method="POST", path="/volumes$", probability=0.34)
        wanted = [f"one-of-thirty-{n}" for n in range(30)]
        operations = await asyncio.gather(*(_make_volume(made.client, name, cloud) for name in wanted))
        volumes = await asyncio.gather(*(operation.result(30) for operation in operations))
        assert sorted(volume.display_name for volume in volumes) == sorted(wanted)
        assert sorted(row["name"] for row in cloud.store.volumes) == sorted(wanted)
