"""One cluster in memory: its drivers over one store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common.clock import Clock, SystemClock
from cloudspan_kit import Call, Driver, Stage
from cloudspan_memory.cloud.initial import put_initial, put_servers
from cloudspan_memory.cloud.store import PROJECT, Store
from cloudspan_memory.compute.flavors import Flavors
from cloudspan_memory.compute.key_pairs import KeyPairs
from cloudspan_memory.compute.servers import Servers
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


class MemoryCluster:
    """Implements `cloudspan_kit.Cluster` without a cloud."""

    settle_s = 0.0  # nothing is ever late here
    digest = "memory"
    keeper = None

    def __init__(self, ref: ClusterRef, *, delay_s: float = 0.2, clock: Clock | None = None) -> None:
        self.ref = ref
        self.store = Store(ref, clock or SystemClock(), delay_s)
        self.cloud = self.store
        self.drivers: Sequence[Driver] = (
            Servers(self.store),
            Flavors(self.store),
            KeyPairs(self.store),
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
        put_initial(self.store)

    async def open(self) -> None:
        """Nothing to log in to."""

    async def close(self) -> None:
        """Nothing to log out of."""

    def describe(self) -> cluster_pb2.Cluster:
        return cluster_pb2.Cluster(
            display_name=f"{self.ref.cluster} (in memory)",
            endpoint="memory:",
            project=self.ref.resource("projects", PROJECT),
            zones=[self.ref.resource("zones", "main")],
            state=cluster_pb2.Cluster.STATE_READY,
        )

    async def project(self, _: Call) -> str:
        """Return the id of the project that everything is created in."""
        return PROJECT

    async def check(self, _: Call) -> Sequence[Stage]:
        return [
            Stage("permissions", ok=True, message="this cluster is in memory; there is nothing on the way", took_s=0.0)
        ]

    def seed_servers(self, count: int) -> None:
        """Make `count` servers that run at once."""
        put_servers(self.store, count)
