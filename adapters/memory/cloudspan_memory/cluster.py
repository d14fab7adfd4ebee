"""One cluster in memory: its areas over one store, and what there is at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import (
    cluster_pb2,
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
from cloudspan_common.clock import Clock, SystemClock
from cloudspan_kit import Call, Driver, Stage
from cloudspan_memory.cloud.store import Store
from cloudspan_memory.compute import Compute
from cloudspan_memory.identity.projects import Projects
from cloudspan_memory.identity.quotas import Quotas
from cloudspan_memory.identity.zones import Zones
from cloudspan_memory.image.images import Images
from cloudspan_memory.network.floating_ips import FloatingIps
from cloudspan_memory.network.networks import Networks
from cloudspan_memory.network.ports import Ports
from cloudspan_memory.network.routers import Routers
from cloudspan_memory.network.security_groups import SecurityGroups
from cloudspan_memory.network.subnets import Subnets
from cloudspan_memory.volume.snapshots import Snapshots
from cloudspan_memory.volume.volume_types import VolumeTypes
from cloudspan_memory.volume.volumes import Volumes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.driver import Area

GIB = 1024**3


class MemoryCluster:
    """Implements `cloudspan_kit.Cluster` without a cloud."""

    settle_s = 0.0  # nothing is ever late here
    digest = "memory"

    def __init__(self, ref: ClusterRef, *, delay_s: float = 0.2, clock: Clock | None = None) -> None:
        self.ref = ref
        self.store = Store(ref, clock or SystemClock(), delay_s)
        self.cloud = self.store
        self.drivers: Sequence[Driver] = (
            Volumes(self.store),
            VolumeTypes(self.store),
            Snapshots(self.store),
            Images(self.store),
            Networks(self.store),
            Subnets(self.store),
            Ports(self.store),
            Routers(self.store),
            FloatingIps(self.store),
            SecurityGroups(self.store),
            Projects(self.store),
            Quotas(self.store),
            Zones(self.store),
        )
        self.areas: Sequence[Area] = (Compute(self.store),)
        _furnish(self.store)

    async def open(self) -> None:
        """Nothing to log in to."""

    async def close(self) -> None:
        """Nothing to log out of."""

    def describe(self) -> cluster_pb2.Cluster:
        return cluster_pb2.Cluster(
            display_name=f"{self.ref.cluster} (in memory)",
            endpoint="memory:",
            project=self.ref.resource("projects", "main"),
            zones=[self.ref.resource("zones", "main")],
            state=cluster_pb2.Cluster.STATE_READY,
        )

    async def check(self, _: Call) -> Sequence[Stage]:
        return [
            Stage("permissions", ok=True, message="this cluster is in memory; there is nothing on the way", took_s=0.0)
        ]

    def seed_servers(self, count: int) -> None:
        """Make `count` servers that run at once."""
        flavor = self.store.name("flavors", "small")
        start = len(self.store.all("servers"))
        for number in range(start, start + count):
            server = server_pb2.Server(
                display_name=f"server-{number:05}",
                state=server_pb2.Server.STATE_RUNNING,
                flavor=flavor,
                vcpus=2,
                memory_mib=2048,
                project=self.store.name("projects", "main"),
            )
            self.store.put("servers", f"seed-{number:06}", server)


def _furnish(store: Store) -> None:
    """What a cloud has before anyone comes: sizes, an image, networks, a project."""
    project = store.name("projects", "main")
    store.put("projects", "main", project_pb2.Project(display_name="main", enabled=True))
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
    default = security_group_pb2.SecurityGroup(display_name="default", is_default=True, project=project, stateful=True)
    store.put("securityGroups", "default", default)
    for name, prefix in (("private", "10.0.0"), ("public", "203.0.113")):
        network = network_pb2.Network(
            display_name=name,
            state=network_pb2.Network.STATE_ACTIVE,
            mtu=1500,
            project=project,
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
            project=project,
        )
        store.put("subnets", f"{name}-v4", subnet)


def _default_type() -> volume_type_pb2.VolumeType:
    public = volume_type_pb2.VolumeType.VISIBILITY_PUBLIC
    return volume_type_pb2.VolumeType(display_name="default", visibility=public, is_default=True)
