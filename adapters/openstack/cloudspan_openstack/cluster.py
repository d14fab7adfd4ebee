"""One OpenStack cluster: a clouds.yaml entry with its token, its connections and its drivers.

`__main__` makes a `Shared` for the process and an `OpenStackCluster` for each configured cloud; the adapter kit does
the rest. Implements `cloudspan_kit.Cluster`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common.clock import SystemClock
from cloudspan_common.logs import get_logger
from cloudspan_common.telemetry import NativeCall, NativeCallMetrics, record_native_call
from cloudspan_common.tokens import TokenKeeper, TokenKey
from cloudspan_kit import Guards, HttpTransport, state_of, token_state_of
from cloudspan_openstack.cloud.check import check_cluster
from cloudspan_openstack.cloud.errors import Catalogue
from cloudspan_openstack.cloud.login import KeystoneIssuer
from cloudspan_openstack.cloud.session import Session, SessionParts
from cloudspan_openstack.compute.flavors import Flavors
from cloudspan_openstack.compute.key_pairs import KeyPairs
from cloudspan_openstack.compute.servers import Servers
from cloudspan_openstack.identity.projects import Projects
from cloudspan_openstack.identity.quotas import Quotas
from cloudspan_openstack.identity.zones import Zones
from cloudspan_openstack.image.images import Images
from cloudspan_openstack.network.floating_ips import FloatingIps
from cloudspan_openstack.network.networks import Networks
from cloudspan_openstack.network.ports import Ports
from cloudspan_openstack.network.routers import Routers
from cloudspan_openstack.network.security_groups import SecurityGroups
from cloudspan_openstack.network.subnets import Subnets
from cloudspan_openstack.volume.snapshots import Snapshots
from cloudspan_openstack.volume.volume_types import VolumeTypes
from cloudspan_openstack.volume.volumes import Volumes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Driver, Stage
    from cloudspan_openstack.cloud.clouds import Cloud

SETTLE_S = 120.0

log = get_logger(__name__)


class Shared:
    """What the clusters of a process share: the clock, the catalogue of errors, and the metrics."""

    def __init__(
        self, registry: CollectorRegistry | None = None, clock: Clock | None = None, *, platform: str = "openstack"
    ) -> None:
        self.clock = clock or SystemClock()
        self.catalogue = Catalogue(registry)
        self._metrics = NativeCallMetrics(registry, platform) if registry is not None else None

    def record(self, call: NativeCall) -> None:
        """Log, count and explain one native call."""
        record_native_call(call, self._metrics)


class OpenStackCluster:
    """One cluster of the adapter."""

    def __init__(self, ref: ClusterRef, cloud: Cloud, shared: Shared, *, settle_s: float = SETTLE_S) -> None:
        self.ref = ref
        self.settle_s = settle_s
        self._cloud = cloud
        self._issuer = KeystoneIssuer(cloud, ref.cluster, shared.record)
        key = TokenKey(ref.cluster, cloud.revision)
        self.keeper = TokenKeeper(self._issuer, key, clock=shared.clock, on_event=self._token_event)
        self._wire = HttpTransport(cloud.tls(), "cloudspan-openstack")
        parts = SessionParts(
            self.keeper, self._wire, Guards(shared.clock), shared.catalogue, shared.record, shared.clock
        )
        self.session = Session(ref, parts)
        self._clock = shared.clock
        self.cloud = self.session
        self.drivers: Sequence[Driver] = (
            Servers(ref),
            Flavors(ref),
            KeyPairs(ref),
            Volumes(ref),
            VolumeTypes(ref),
            Snapshots(ref),
            Networks(ref),
            Subnets(ref),
            Ports(ref),
            Routers(ref),
            SecurityGroups(ref),
            FloatingIps(ref),
            Images(ref),
            Projects(ref),
            Quotas(ref),
            Zones(ref),
        )

    def __repr__(self) -> str:
        return f"<OpenStackCluster {self.ref}: {self.session!r}>"

    @property
    def digest(self) -> str:
        """A digest of endpoint, region and credentials' scope; the same wherever the same entry is used."""
        told = f"{self._cloud.auth_url}|{self._cloud.region}|{self._cloud.scope}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    async def open(self) -> None:
        """Begin to log in, in the background."""
        self.keeper.start()

    async def close(self) -> None:
        """Let go of token, connections and threads."""
        await self.keeper.close()
        await self._wire.close()
        self._issuer.close()

    def describe(self) -> cluster_pb2.Cluster:
        """Return how the cluster stands, from memory."""
        state, message = state_of(self.keeper)
        scope = self.session.known_scope
        return cluster_pb2.Cluster(
            display_name=self._cloud.name,
            endpoint=self._cloud.auth_url,
            region=scope.region if scope else self._cloud.region,
            project=self.ref.resource("projects", scope.project_id) if scope else "",
            state=state,
            message=message,
            native_version=self.session.known_versions(),
            native_api_versions=self.session.api_versions(),
            token=token_state_of(self.keeper, self._clock),
        )

    async def project(self, call: Call) -> str:
        """Return the id of the project that the credentials are of."""
        return (await self.session.scope(call)).project_id

    async def check(self, call: Call) -> Sequence[Stage]:
        """Try the way to the cloud stage by stage."""
        return await check_cluster(call, self._cloud, self.session, self.keeper)

    def _token_event(self, event: str, /, **fields: object) -> None:
        log.info(event, cluster=str(self.ref), **fields)
