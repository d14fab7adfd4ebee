"""openstacksdk, unmodified, against the fake: discovery, listing, creating and deleting."""

from __future__ import annotations

import asyncio

import openstack
import pytest

from cloudspan_openstack_fake import FakeCloud, Timing

_QUICK = Timing(build_s=0.01, power_s=0.01, delete_s=0.01, volume_s=0.01, attach_s=0.01, image_s=0.01)


@pytest.mark.filterwarnings(
    "ignore::PendingDeprecationWarning", "ignore::openstack.warnings.OpenStackDeprecationWarning"
)
@pytest.mark.parametrize("entry", ["sdk", "sdk-app"])
async def test_the_sdk_finds_its_way_from_clouds_yaml_alone(entry, tmp_path, monkeypatch):
    """A server with network, port and volume is made, used and removed."""
    async with FakeCloud("sdk", timing=_QUICK, demo=True) as cloud:
        cloud.write_clouds(tmp_path / "clouds.yaml")
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
        status, address, servers = await asyncio.to_thread(_round_trip, entry)
        assert (status, address, servers) == ("ACTIVE", "10.9.0", 8)
        assert cloud.control.logins() == 1


def _round_trip(entry: str) -> tuple[str, str, int]:
    with openstack.connect(cloud=entry) as sdk:
        network = sdk.network.create_network(name="n")
        subnet = sdk.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.9.0.0/24")
        port = sdk.network.create_port(network_id=network.id)
        volume = sdk.block_storage.create_volume(size=1)
        sdk.block_storage.wait_for_status(volume, "available", interval=0.02)
        image = sdk.image.find_image("cirros")
        server = sdk.compute.create_server(name="s", image_id=image.id, flavor_id="1", networks=[{"port": port.id}])
        server = sdk.compute.wait_for_server(server, interval=0.02)
        sdk.compute.create_volume_attachment(server, volume_id=volume.id)
        sdk.block_storage.wait_for_status(volume, "in-use", interval=0.02)
        sdk.compute.delete_server(server)
        sdk.compute.wait_for_delete(server, interval=0.02)
        sdk.block_storage.wait_for_status(volume, "available", interval=0.02)
        for delete, row in (
            (sdk.block_storage.delete_volume, volume), (sdk.network.delete_port, port),
            (sdk.network.delete_subnet, subnet), (sdk.network.delete_network, network),
        ):  # fmt: skip
            delete(row)
        return server.status, server.addresses["n"][0]["addr"].rpartition(".")[0], len(list(sdk.compute.servers()))
