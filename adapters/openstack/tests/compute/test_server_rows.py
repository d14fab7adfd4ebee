"""Rows of servers as messages: states, interfaces, groups, and what Nova does not say."""

from __future__ import annotations

import pytest

from cloudspan.v1 import common_pb2, server_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_kit.values import converted
from cloudspan_openstack.compute.server_rows import ServerMapping, ServerRow
from cloudspan_openstack.network.ports import DevicePort, PortAddress

Server = server_pb2.Server
REF = ClusterRef("openstack", "east")
PORTS = [
    DevicePort(
        id="p1", device_id="s1", network_id="n1", mac_address="fa:16:3e:00:00:01",
        fixed_ips=[PortAddress("10.0.0.2", "s1")], groups=["g1", "g2"],
    ),
    DevicePort(id="p2", device_id="s1", network_id="n2", mac_address="fa:16:3e:00:00:02", groups=["g1"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "task", "state"),
    [
        ("BUILD", "spawning", Server.STATE_BUILDING),
        ("ACTIVE", None, Server.STATE_RUNNING),
        ("PASSWORD", None, Server.STATE_RUNNING),
        ("SHUTOFF", "powering-on", Server.STATE_STARTING),
        ("ACTIVE", "powering-off", Server.STATE_STOPPING),
        ("SHUTOFF", None, Server.STATE_STOPPED),
        ("HARD_REBOOT", "rebooting_hard", Server.STATE_REBOOTING),
        ("SHELVED_OFFLOADED", None, Server.STATE_SHELVED),
        ("RESCUE", None, Server.STATE_RESCUED),
        ("VERIFY_RESIZE", None, Server.STATE_AWAITING_CONFIRM),
        ("ACTIVE", "deleting", Server.STATE_DELETING),
        ("SOFT_DELETED", None, Server.STATE_SOFT_DELETED),
        ("ERROR", None, Server.STATE_ERROR),
        ("FROM_THE_FUTURE", None, Server.STATE_UNKNOWN),
    ],
)
def test_novas_status_and_task_become_one_state(status, task, state):
    """What it does to a server says more than the state it does it in."""
    assert converted({"id": "1", "status": status, "OS-EXT-STS:task_state": task}, ServerRow).state == state


def test_a_row_of_a_cell_that_is_down_is_a_server_all_the_same():
    """It has little more than an id."""
    row = converted({"id": "1", "status": "UNKNOWN", "tenant_id": "p", "links": []}, ServerRow)
    message = ServerMapping(REF).message(row, None)
    assert (message.state, message.display_name, message.flavor) == (Server.STATE_UNKNOWN, "", "")


def test_a_row_becomes_a_message_field_by_field():
    """Interfaces by Neutron's ports, floating addresses and names by Nova, groups once, markers hidden."""
    address = {"OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01", "version": 4}
    document = {
        "id": "s1", "status": "ACTIVE", "name": "web", "tenant_id": "p1", "locked": True, "key_name": "my key",
        "metadata": {"team": "db", "cloudspan-marker": "cs-1"}, "image": {"id": "i1"},
        "created": "2026-11-22T03:40:39Z",
        "flavor": {
            "original_name": "m1", "vcpus": 2, "ram": 512, "disk": 3, "ephemeral": 1, "swap": 64,
            "extra_specs": {"hw:cpu_policy": "dedicated"},
        },
        "OS-EXT-AZ:availability_zone": "nova", "locked_reason": "audit", "user_id": "u1", "description": "front",
        "config_drive": "True", "progress": 40, "OS-EXT-STS:task_state": "rebuilding", "hostId": "h" * 4,
        "OS-EXT-SRV-ATTR:host": "node 1", "OS-EXT-SRV-ATTR:hypervisor_hostname": "node1.example",
        "OS-EXT-SRV-ATTR:hostname": "web", "OS-EXT-STS:power_state": 1, "server_groups": ["sg1"],
        "OS-SRV-USG:launched_at": "2026-11-22T03:40:41.000000", "tags": ["gold", "cs-test-1"],
        "addresses": {"private": [
            {**address, "addr": "10.0.0.2", "OS-EXT-IPS:type": "fixed"},
            {**address, "addr": "172.24.4.2", "OS-EXT-IPS:type": "floating"},
        ]},
        "security_groups": [{"name": "web"}, {"name": "web"}],
        "os-extended-volumes:volumes_attached": [{"id": "v1", "delete_on_termination": True}],
        "fault": {"code": 500, "message": "boom", "details": "trace", "created": "2026-11-22T03:40:39Z"},
    }  # fmt: skip
    message = ServerMapping(REF).message(converted(document, ServerRow), None, PORTS)
    expected = Server(
        name=f"{REF}/servers/s1", display_name="web", state="STATE_RUNNING", native_state="ACTIVE",
        project=f"{REF}/projects/p1", labels={"team": "db"}, locked=True, vcpus=2, memory_mib=512,
        image=f"{REF}/images/i1", zone=f"{REF}/zones/nova", key_pair=f"{REF}/keyPairs/my%20key",
        security_groups=[f"{REF}/securityGroups/g1", f"{REF}/securityGroups/g2"],
        security_group_display_names=["web"], locked_reason="audit", user="u1", description="front", hostname="web",
        config_drive=True, progress_percent=40, task="rebuilding", host_id="hhhh", host=f"{REF}/hosts/node%201",
        hypervisor_hostname="node1.example", power_state="POWER_STATE_RUNNING", tags=["gold"],
        server_groups=[f"{REF}/serverGroups/sg1"],
        flavor_snapshot=Server.FlavorSnapshot(
            display_name="m1", vcpus=2, memory_mib=512, disk_bytes=3 << 30, ephemeral_bytes=1 << 30,
            swap_bytes=64 << 20, extra_specs={"hw:cpu_policy": "dedicated"},
        ),
        network_interfaces=[Server.NetworkInterface(
            network_display_name="private", mac_address="fa:16:3e:00:00:01", network=f"{REF}/networks/n1",
            port=f"{REF}/ports/p1", fixed_ips=[{"ip_address": "10.0.0.2", "subnet": f"{REF}/subnets/s1"}],
            floating_ip_addresses=["172.24.4.2"],
        ), Server.NetworkInterface(
            mac_address="fa:16:3e:00:00:02", network=f"{REF}/networks/n2", port=f"{REF}/ports/p2",
        )],
        volume_attachments=[Server.VolumeAttachment(volume=f"{REF}/volumes/v1", delete_with_server=True, boot=False)],
        fault=common_pb2.Fault(code="500", message="boom", details="trace"), etag=message.etag,
    )  # fmt: skip
    expected.launch_time.FromJsonString("2026-11-22T03:40:41Z")
    expected.create_time.FromJsonString("2026-11-22T03:40:39Z")
    expected.fault.create_time.FromJsonString("2026-11-22T03:40:39Z")
    assert message == expected


def test_a_server_without_an_image_boots_from_its_only_volume():
    """With two of them Nova doesn't say from which."""
    volumes = [{"id": "v1"}, {"id": "v2"}]
    one, two = (
        ServerMapping(REF).message(
            converted({"id": "s", "image": "", "os-extended-volumes:volumes_attached": volumes[:n]}, ServerRow), None
        )
        for n in (1, 2)
    )
    assert one.volume_attachments[0].boot
    assert [attachment.HasField("boot") for attachment in two.volume_attachments] == [False, False]
