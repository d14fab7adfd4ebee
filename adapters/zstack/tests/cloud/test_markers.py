"""What our creates made is found by its mark, all of it and nothing else, and removed when it is an orphan."""

from __future__ import annotations

import pytest

from cloudspan.v1 import key_pair_pb2, network_pb2, security_group_pb2, server_pb2, subnet_pb2, volume_pb2
from cloudspan_common.errors import PreconditionFailed, RateLimited
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_zstack.cloud.jobs import Change, resource_uuid

from .conftest import REF, make_server, server_request

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2Vha2V5ZmFrZWtleWZha2VrZXlmYWtla2V5ZmFr me@example"
_KINDS = {"servers", "volumes", "networks", "subnets", "floatingIps", "keyPairs", "securityGroups"}
_GIB = 1 << 30


def _marked(bench):
    return Abilities(bench.cluster).marked


async def _found(bench, collection, prefix="cs-test-"):
    return await _marked(bench)[collection].find(bench.call(), prefix)


async def _remove(bench, collection, uuid):
    """Remove as the gateway does: again where it is asked to come again."""
    for _ in range(20):
        try:
            await _marked(bench)[collection].remove(bench.call(), uuid)
        except RateLimited:
            await bench.clock.advance(1.0)
        else:
            return
    raise AssertionError("not removed")


async def _make_all(bench):
    """Make one of everything; return names by collection."""
    public = f"{REF}/networks/{await bench.named('/l3-networks', 'public')}"
    private = f"{REF}/networks/{await bench.named('/l3-networks', 'private')}"
    nics = [{"network": private, "floating_network": public}]
    server = await make_server(bench, network_interfaces=nics, labels={"app": "shop"})
    volume = volume_pb2.CreateVolumeRequest(parent=str(REF), volume={"display_name": "data", "size_bytes": _GIB})
    pair = key_pair_pb2.CreateKeyPairRequest(parent=str(REF), key_pair={"display_name": "me", "public_key": _KEY})
    group = security_group_pb2.CreateSecurityGroupRequest(parent=str(REF), security_group={"display_name": "web"})
    network = network_pb2.CreateNetworkRequest(
        parent=str(REF), network={"display_name": "net"}, subnets=[{"display_name": "sub", "cidr": "10.7.0.0/24"}]
    )
    network.options.update({"l2_network": await bench.named("/l3-networks", "private", "l2NetworkUuid")})
    net = await bench.done("create_network", network, network_pb2.Network)
    (subnet,) = await bench.everything("list_subnets", subnet_pb2.Subnet, f'network = "{net.name}"')
    return {
        "servers": server.name,
        "volumes": (await bench.done("create_volume", volume, volume_pb2.Volume)).name,
        "keyPairs": (await bench.done("create_key_pair", pair, key_pair_pb2.KeyPair)).name,
        "securityGroups": (await bench.done("create_security_group", group, security_group_pb2.SecurityGroup)).name,
        "networks": net.name,
        "subnets": subnet.name,
    }


async def test_everything_that_is_made_is_found_by_its_mark(bench):
    """With the name and the date that people know it by; what others made is not."""
    assert _marked(bench).keys() == _KINDS
    names = await _make_all(bench)
    shown = {
        "servers": "one", "volumes": "data", "keyPairs": "me", "networks": "net", "subnets": "sub",
        "securityGroups": "web",
    }  # fmt: skip
    for collection, name in names.items():
        (found,) = await _found(bench, collection)
        assert (found.id, found.display_name) == (name[-32:], shown[collection])
        assert found.marker.startswith("cs-test-")
        assert abs(found.create_time - bench.clock.now()) < 600
        assert await _found(bench, collection, "cs-other-") == []
        assert await _found(bench, collection, found.marker) == [found]
    assert [found.marker.rpartition("-")[0][-3:] for found in await _found(bench, "floatingIps")] == ["eip", "vip"]


async def test_marks_are_no_labels(bench):
    """Nor can a label be made to look like one."""
    names = await _make_all(bench)
    server = await bench.read("get_server", names["servers"])
    network = await bench.read("get_network", names["networks"])
    subnet = await bench.read("get_subnet", names["subnets"])
    assert (dict(server.labels), dict(network.labels), dict(subnet.labels)) == ({"app": "shop"}, {}, {})
    answer = await bench.operate(
        "create_server", await server_request(bench, labels={"cloudspan": f"marker::cs-test-{'0' * 32}-server"})
    )
    assert "LABEL_RESERVED" in str(answer.error)


async def test_marks_are_found_beyond_a_thousand(bench):
    """The server gives a thousand rows and says nothing about the rest."""
    account = bench.cloud.store.fixed_uuid("AccountVO", "demo")
    markers = [f"cs-main-{number:032x}-volume" for number in range(1150)]
    for marker in markers:
        _a_volume(bench, account, marker)
    found = await _found(bench, "volumes", "cs-main-")
    assert sorted(one.marker for one in found) == markers
    assert all(one.id == resource_uuid(one.marker) for one in found)


async def test_what_is_deleted_softly_is_not_there(bench):
    """Although it can be read for days."""
    names = await _make_all(bench)
    server = server_pb2.DeleteServerRequest(name=names["servers"])
    volume = volume_pb2.DeleteVolumeRequest(name=names["volumes"])
    (row,) = [row for row in bench.cloud.store.volumes if row["uuid"] == names["volumes"][-32:]]
    row["status"] = "Ready"
    await bench.done("delete_server", server, server_pb2.Server)
    await bench.done("delete_volume", volume, volume_pb2.Volume)
    assert row["status"] == "Deleted"
    assert (await _found(bench, "servers"), await _found(bench, "volumes")) == ([], [])


async def test_what_belongs_to_another_account_was_not_made_here(bench, make_bench):
    """An administrator's cluster sees it all the same, and must not take it for its own."""
    await _make_all(bench)
    admin = make_bench("admin")
    assert [await _found(admin, collection) for collection in sorted(_KINDS)] == [[]] * len(_KINDS)


async def test_a_tag_of_somebody_elses_making_marks_nothing(bench):
    """A marked thing has the uuid that its marker makes, wherever the tag lies."""
    network = await bench.named("/l3-networks", "private")
    tag = f"cloudspan::marker::cs-test-{'0' * 32}-network"
    params = {"resourceType": "L3NetworkVO", "resourceUuid": network, "tag": tag}
    await bench.session.act(bench.call(), Change("POST", "/user-tags", params=params), job="tag")
    assert await _found(bench, "networks") == []


async def test_orphans_are_removed_for_good(bench):
    """Each done as well when it is gone; nothing of them can be recovered."""
    names = await _make_all(bench)
    for collection in ("floatingIps", "servers", "volumes", "keyPairs", "securityGroups", "subnets", "networks"):
        for found in await _found(bench, collection):
            for _ in range(2):
                await _remove(bench, collection, found.id)
        assert await _found(bench, collection) == []
    left = [uuid[-32:] for uuid in names.values() if bench.cloud.store.owner_table(uuid[-32:])]
    assert (left, len(bench.cloud.store.vips), len(bench.cloud.store.eips)) == ([], 0, 0)


async def test_an_orphan_that_somebody_uses_is_left(bench):
    """Its users would go with it in silence; they are named."""
    names = await _make_all(bench)
    await make_server(bench, display_name="two", network_interfaces=[{"network": names["networks"]}])
    for collection in ("networks", "subnets"):
        with pytest.raises(PreconditionFailed, match="in use"):
            await _remove(bench, collection, names[collection][-32:])
    vip = next(found for found in await _found(bench, "floatingIps") if "-vip-" in found.marker)
    with pytest.raises(PreconditionFailed, match="Eip"):
        await _remove(bench, "floatingIps", vip.id)


async def test_a_removal_that_failed_once_is_tried_anew(bench):
    """Of one key the platform does a job once, so each try has its own."""
    names = await _make_all(bench)
    uuid = names["volumes"][-32:]
    bench.cloud.store.volumes.present(uuid)["status"] = "Ready"
    bench.cloud.control.fault("failure", call="DeleteDataVolume", count=1, code="SYS.1006", message="busy")
    with pytest.raises(PreconditionFailed):
        await _remove(bench, "volumes", uuid)
    await _remove(bench, "volumes", uuid)
    assert bench.cloud.store.volumes.get(uuid) is None


def _a_volume(bench, account, marker):
    store, uuid = bench.cloud.store, resource_uuid(marker)
    fields = {"status": "Ready", "type": "Data", "state": "Enabled", "size": _GIB, "vmInstanceUuid": None}
    store.new_row(store.volumes, account, uuid=uuid, name="v", isShareable=False, **fields)
    store.tag("VolumeVO", uuid, [f"cloudspan::marker::{marker}"], store.user_tags)
