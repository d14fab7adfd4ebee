"""Rows of servers as messages: states, interfaces, disks."""

from __future__ import annotations

from cloudspan_zstack.compute.server_rows import STATES

from .conftest import REF, make_server


def test_every_state_of_the_platform_has_ours():
    """As the reference lists them."""
    native = (
        "Created Starting Running Stopping Stopped Rebooting Destroying Destroyed Migrating Expunging Pausing Paused"
    )
    native += " Resuming VolumeMigrating VolumeRecovering Error NoState Unknown Crashed"
    assert set(STATES) == set(native.split())


async def test_a_server_tells_its_interfaces_disks_and_host(bench):
    """Each address with its subnet and gateway; what the platform does not tell stays unset."""
    made = await make_server(bench)
    (nic,) = made.network_interfaces
    row = bench.cloud.store.nics.present(nic.port[-32:])
    (fixed,) = nic.fixed_ips
    span = await bench.named("/l3-networks/ip-ranges", "private-range")
    assert (fixed.ip_address, fixed.subnet, fixed.gateway_ip) == (row["ip"], f"{REF}/subnets/{span}", "10.10.0.1")
    assert (nic.HasField("index"), nic.index, nic.driver, nic.is_default) == (True, 0, "virtio", True)
    assert [(disk.boot, disk.delete_with_server) for disk in made.volume_attachments] == [(True, True)]
    host = bench.cloud.store.vms.present(made.name[-32:])["hostUuid"]
    assert (made.host, made.host_id, made.hypervisor_type) == (f"{REF}/hosts/{host}", host, "KVM")
    assert not any(made.HasField(f) for f in ("flavor_snapshot", "fault", "launch_time", "progress_percent"))
