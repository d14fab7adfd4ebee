"""Operations that the version before began go on: the names of steps, and what waits ended with, are as they were."""

from __future__ import annotations

import pytest
from google.protobuf import json_format

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import key_pair_pb2, network_pb2, server_pb2, subnet_pb2, volume_pb2

from .conftest import Bench

GIB = 1 << 30
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl someone"
_Step = step_pb2.Cursor.Step


async def steps_of(bench: Bench, method: str, request: object) -> tuple[list[str], str]:
    """Return the names of an operation's steps, and what it made."""
    answer = await bench.operate(method, request)
    assert not answer.HasField("error"), answer.error.message
    return [step.name for step in step_pb2.Cursor.FromString(answer.cursor).steps], answer.resource


async def test_steps_are_called_as_before(bench: Bench) -> None:
    """They stand in cursors that outlive an update."""
    parent = str(bench.cluster.ref)
    pair = key_pair_pb2.CreateKeyPairRequest(parent=parent, key_pair={"display_name": "k", "public_key": KEY})
    assert await steps_of(bench, "create_key_pair", pair) == (["look", "key-pair"], f"{parent}/keyPairs/k")
    made = volume_pb2.CreateVolumeRequest(parent=parent, volume={"size_bytes": GIB})
    steps, volume = await steps_of(bench, "create_volume", made)
    assert steps == ["volume", "available"]
    network = network_pb2.CreateNetworkRequest(
        parent=parent, network={"display_name": "n"}, subnets=[{"cidr": "10.9.0.0/24"}]
    )
    steps, name = await steps_of(bench, "create_network", network)
    parts = ["subnet-0", "subnet-0 labels", "subnet-0 description"]
    assert steps == ["network", "labels", "description", *parts, "active"]
    made = subnet_pb2.CreateSubnetRequest(parent=parent, subnet={"network": name, "cidr": "10.10.0.0/24"})
    steps, subnet = await steps_of(bench, "create_subnet", made)
    assert steps == ["subnet", "labels", "description", "readable"]
    deletions = [
        ("delete_key_pair", key_pair_pb2.DeleteKeyPairRequest(name=f"{parent}/keyPairs/k"), ["delete"]),
        ("delete_volume", volume_pb2.DeleteVolumeRequest(name=volume), ["delete", "gone"]),
        ("delete_subnet", subnet_pb2.DeleteSubnetRequest(name=subnet), ["delete", "gone"]),
    ]
    for method, request, names in deletions:
        assert (await steps_of(bench, method, request))[0] == names


async def test_steps_of_servers_are_called_as_before(bench: Bench) -> None:
    """Those of a server's parts come before and after its own."""
    parent, names = str(bench.cluster.ref), await bench.ids()
    external = next(row["id"] for row in bench.cloud.store.networks if row["router:external"])
    interface = {
        "network": names["network"], "new_port": {}, "floating_network": f"{parent}/networks/{external}",
    }  # fmt: skip
    made = server_pb2.CreateServerRequest(
        parent=parent, server={"display_name": "w", "image": names["image"], "flavor": names["flavor"]},
        network_interfaces=[interface], new_volumes=[{"size_bytes": GIB}], boot_volume={"size_bytes": GIB},
    )  # fmt: skip
    steps, server = await steps_of(bench, "create_server", made)
    assert steps == [
        "boot-volume", "volume-0", "boot-volume ready", "volume-0 ready", "port-0", "port-0 labels",
        "port-0 description", "server", "active", "floating-ip-0 port", "floating-ip-0", "floating-ip-0 labels",
        "floating-ip-0 description",
    ]  # fmt: skip
    volume = volume_pb2.CreateVolumeRequest(parent=parent, volume={"size_bytes": GIB})
    _, volume = await steps_of(bench, "create_volume", volume)
    changes = [
        ("stop_server", server_pb2.StopServerRequest(name=server), ["stop", "done"]),
        ("start_server", server_pb2.StartServerRequest(name=server), ["start", "done"]),
        ("reboot_server", server_pb2.RebootServerRequest(name=server), ["look", "reboot", "done"]),
        ("attach_volume", server_pb2.AttachVolumeRequest(name=server, volume=volume), ["attach", "attached"]),
        ("detach_volume", server_pb2.DetachVolumeRequest(name=server, volume=volume), ["detach", "detached"]),
        (
            "delete_server", server_pb2.DeleteServerRequest(name=server),
            ["with it", "delete", "gone", "floating-ip-0", "port-0"],
        ),
    ]  # fmt: skip
    for method, request, expected in changes:
        assert (await steps_of(bench, method, request))[0] == expected


@pytest.mark.parametrize("kept", ["gone", True])
async def test_a_delete_that_was_waited_for_by_the_version_before_is_done(bench: Bench, kept: object) -> None:
    """Of a volume its wait kept a word, of a subnet a yes."""
    cursor = step_pb2.Cursor(version=1)
    for name, result in (("delete", {}), ("gone", {"value": kept})):
        json_format.ParseDict(result, cursor.steps.add(name=name, state=_Step.STATE_DONE).result)
    name = f"{bench.cluster.ref}/volumes/23f2a3db-0cf4-50e3-9035-24a1515583b6"
    request = volume_pb2.DeleteVolumeRequest(name=name)
    answer = await bench.operate("delete_volume", request, cursor=cursor.SerializeToString())
    assert not answer.HasField("error")
