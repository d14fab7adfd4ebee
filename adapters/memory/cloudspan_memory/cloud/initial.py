"""What there is at the start: flavors, an image, networks, a project; and servers in any number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import (
    common_pb2,
    flavor_pb2,
    image_pb2,
    network_pb2,
    project_pb2,
    security_group_pb2,
    server_pb2,
    subnet_pb2,
    volume_type_pb2,
    zone_pb2,
)
from cloudspan_kit import GIB
from cloudspan_memory.cloud.store import PROJECT

if TYPE_CHECKING:
    from cloudspan_memory.cloud.store import Store


def put_initial(store: Store) -> None:
    """Put what a cloud has before anyone comes into its store."""
    store.put("projects", PROJECT, project_pb2.Project(display_name=PROJECT, enabled=True))
    store.put(
        "zones",
        "main",
        zone_pb2.Zone(
            display_name="main", available=True, scopes=[zone_pb2.Zone.SCOPE_COMPUTE, zone_pb2.Zone.SCOPE_VOLUME]
        ),
    )
    for name, vcpus in (("small", 2), ("large", 8)):
        flavor = flavor_pb2.Flavor(
            display_name=name,
            vcpus=vcpus,
            memory_mib=1024 * vcpus,
            disk_bytes=20 * GIB,
            visibility=flavor_pb2.Flavor.VISIBILITY_PUBLIC,
        )
        store.put("flavors", name, flavor)
    image = image_pb2.Image(
        display_name="linux",
        state=image_pb2.Image.STATE_ACTIVE,
        size_bytes=GIB,
        disk_format=image_pb2.Image.DISK_FORMAT_RAW,
        container_format=image_pb2.Image.CONTAINER_FORMAT_BARE,
        visibility=image_pb2.Image.VISIBILITY_PUBLIC,
        kind=image_pb2.Image.KIND_ROOT,
        os_distro="debian",
    )
    store.put("images", "linux", image)
    store.put("volumeTypes", "default", _default_type())
    default = security_group_pb2.SecurityGroup(display_name="default", is_default=True, stateful=True)
    store.put("securityGroups", "default", default)
    for name, prefix in (("private", "10.0.0"), ("public", "203.0.113")):
        network = network_pb2.Network(
            display_name=name,
            state=network_pb2.Network.STATE_ACTIVE,
            mtu=1500,
            external=name == "public",
            shared=False,
            admin_up=True,
            kind=network_pb2.Network.KIND_ROUTED,
            network_type=network_pb2.Network.NETWORK_TYPE_FLAT,
        )
        store.put("networks", name, network)
        subnet = subnet_pb2.Subnet(
            display_name=f"{name}-v4",
            network=network.name,
            cidr=f"{prefix}.0/24",
            ip_version=common_pb2.IP_VERSION_IPV4,
            dhcp_enabled=True,
            gateway_ip=f"{prefix}.1",
        )
        store.put("subnets", f"{name}-v4", subnet)


def _default_type() -> volume_type_pb2.VolumeType:
    public = volume_type_pb2.VolumeType.VISIBILITY_PUBLIC
    return volume_type_pb2.VolumeType(display_name="default", visibility=public, is_default=True)


def put_servers(store: Store, count: int) -> None:
    """Put `count` more servers that run into a store."""
    start = len(store.all("servers"))
    for number in range(start, start + count):
        server = server_pb2.Server(
            display_name=f"server-{number:05}",
            state=server_pb2.Server.STATE_RUNNING,
            flavor=store.name("flavors", "small"),
            vcpus=2,
            memory_mib=2048,
        )
        store.put("servers", f"seed-{number:06}", server)
