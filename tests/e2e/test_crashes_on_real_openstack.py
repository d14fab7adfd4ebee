"""Gateway and adapter killed with kill -9 around creates on a real OpenStack: one of each, nothing beside it.

The processes kill themselves at the point that is meant (`tests.faults.crash_points`) and are started again.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from contextlib import nullcontext

import pytest
from tests.e2e.conftest import fresh
from tests.e2e.sites import write_clouds
from tests.faults.crashing_fleet import CrashingFleet
from tests.harness.mutations import KINDS

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]

SETTLE_S = 12.0
# "write during" is a create that the cloud has and has not answered yet.
RUNS = {
    "server with all": [
        "gateway store before 3", "gateway store after 5", "adapter write during 3", "adapter write after 2",
        "adapter step after 4", "adapter write during 1",
    ],
    "volume": ["gateway store after 3", "adapter write before 1", "adapter write during 1", "adapter write after 1"],
    "network with all": [
        "gateway store before 4", "adapter write during 1", "adapter write during 2", "adapter write after 3",
        "adapter step after 2",
    ],
    "subnet": [
        "gateway store after 3", "adapter write before 1", "adapter write during 1", "adapter write after 1",
        "adapter step before 2",
    ],
}  # fmt: skip


RUNS_EACH = int(os.environ.get("CLOUDSPAN_E2E_CRASHES", "6"))
"""How many of the runs of each kind are made; all of them by default."""


class RealOpenStack:
    """One project of a real cluster, as the crash tests see a site."""

    module = "cloudspan_openstack"
    has_ports = has_routers = True

    def __init__(self, site, sdk) -> None:
        self.cloud = nullcontext()
        self.ref, self._site, self._sdk = site.ref, site, sdk
        self.flavor = f"{self.ref}/flavors/{sdk.compute.find_flavor('m1.tiny').id}"
        self.image = f"{self.ref}/images/{sdk.image.find_image('cirros').id}"
        networks = {network.name: network for network in sdk.network.networks()}
        self.network = f"{self.ref}/networks/{networks['private'].id}"
        self.external = f"{self.ref}/networks/{next(n.id for n in networks.values() if n.is_router_external)}"

    def adapter(self, directory):
        file = write_clouds(directory / "clouds.yaml", {self._site.name: self._site.entry()})
        return ("--clouds", str(file), "--cluster", self._site.name, "--settle", str(SETTLE_S))

    def network_options(self, number):
        return {}

    def census(self, name=""):
        """Count what has this name, and what hangs on a server of it."""
        sdk, network = self._sdk, self._sdk.network
        servers = [row for row in sdk.compute.servers() if row.name == name]
        ports = [port for server in servers for port in network.ports(device_id=server.id)]
        named = {
            "volumes": sdk.block_storage.volumes(),
            "networks": network.networks(),
            "subnets": network.subnets(),
            "routers": network.routers(),
            "ports of no server": (port for port in network.ports() if not port.device_id),
        }
        found = Counter({kind: sum((row.name or "").startswith(name) for row in rows) for kind, rows in named.items()})
        floating = [ip for ip in network.ips() if ip.port_id in {port.id for port in ports}]
        return +(found + Counter({"servers": len(servers), "ports": len(ports), "floating_ips": len(floating)}))

    def sweep(self, name):
        """Delete it all."""
        sdk, network = self._sdk, self._sdk.network
        for server in [row for row in sdk.compute.servers() if row.name.startswith(name)]:
            ports = {port.id for port in network.ports(device_id=server.id)}
            addresses = [ip for ip in network.ips() if ip.port_id in ports]
            sdk.compute.delete_server(server)
            sdk.compute.wait_for_delete(server, wait=60)
            for row in addresses:
                network.delete_ip(row)
        for port in [row for row in network.ports() if row.name.startswith(name) and not row.device_owner]:
            network.delete_port(port)
        for volume in [row for row in sdk.block_storage.volumes() if (row.name or "").startswith(name)]:
            sdk.block_storage.wait_for_status(volume, "available", interval=0.2, wait=60)
            sdk.block_storage.delete_volume(volume)
        for router in [row for row in network.routers() if row.name.startswith(name)]:
            for port in network.ports(device_id=router.id):
                if port.device_owner.endswith("router_interface"):
                    network.remove_interface_from_router(router, port_id=port.id)
            network.delete_router(router)
        for row in [row for row in network.networks() if row.name.startswith(name)]:
            network.delete_network(row)


EXPECTED = {
    "server with all": Counter({"servers": 1, "ports": 1, "volumes": 1, "floating_ips": 1}),
    "volume": Counter({"volumes": 1}),
    "network with all": Counter({"networks": 1, "subnets": 1, "routers": 1}),
    "subnet": Counter({"subnets": 1, "networks": 1}),
}


@pytest.mark.parametrize("kind", RUNS)
async def test_a_process_killed_around_a_create_leaves_one_of_each(clusters, nursery, tmp_path, kind):
    """At every point: the operation ends well, what it made is there once, and its parts too."""
    sdk = await asyncio.to_thread(clusters[0].connect)
    site = await asyncio.to_thread(RealOpenStack, clusters[0], sdk)
    crashes, wrong = 0, []
    async with CrashingFleet(nursery, site, tmp_path) as fleet:
        for number, point in enumerate(RUNS[kind][:RUNS_EACH]):
            name, deaths = fresh("crash"), fleet.deaths
            who, _, where = point.partition(" ")
            try:
                run = await fleet.run(KINDS[kind], name, number, (who, where), limit_s=150)
                made = await asyncio.to_thread(site.census, name)
                again = await fleet.ask(run.request)
                shown = (await fleet.listed(KINDS[kind].made)).count(name)
            finally:
                await asyncio.to_thread(site.sweep, name)
            crashes += fleet.deaths - deaths
            told = (run.error, made, shown, again.operation.name == run.operation.name)
            if told != (None, EXPECTED[kind], 1, True):
                wrong.append((point, told))
            print(f"{kind}: {point}: {dict(made)}, {fleet.deaths - deaths} killed")
    sdk.close()
    assert wrong == []
    assert crashes >= len(RUNS[kind][:RUNS_EACH])
