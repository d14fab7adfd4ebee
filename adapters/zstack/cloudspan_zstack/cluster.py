"""One ZStack cluster: an entry of the clouds file with its session, its connections and its drivers.

`__main__` makes a `Shared` for the process and a `ZStackCluster` for each configured cloud; the adapter kit does the
rest. Implements `cloudspan_kit.Cluster`.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common.clock import SystemClock
from cloudspan_common.logs import get_logger
from cloudspan_common.telemetry import NativeCallMetrics, record_native_call
from cloudspan_common.tokens import TokenKeeper, TokenKey
from cloudspan_kit import Guards, HttpTransport, NativeParts, state_of, token_state_of
from cloudspan_zstack.cloud.check import check_cluster
from cloudspan_zstack.cloud.dates import ServerZone
from cloudspan_zstack.cloud.errors import Catalogue
from cloudspan_zstack.cloud.login import IssuerParts, ZStackIssuer
from cloudspan_zstack.cloud.session import Session
from cloudspan_zstack.compute.flavors import Flavors
from cloudspan_zstack.compute.key_pairs import KeyPairs
from cloudspan_zstack.compute.servers import Servers
from cloudspan_zstack.identity.projects import Projects
from cloudspan_zstack.identity.quotas import Quotas
from cloudspan_zstack.identity.zones import Zones
from cloudspan_zstack.image.images import Images
from cloudspan_zstack.network.floating_ips import FloatingIps
from cloudspan_zstack.network.network_create import NetworkCreation
from cloudspan_zstack.network.networks import Networks
from cloudspan_zstack.network.ports import Ports
from cloudspan_zstack.network.routers import Routers
from cloudspan_zstack.network.security_groups import SecurityGroups
from cloudspan_zstack.network.subnets import Subnets
from cloudspan_zstack.volume.snapshots import Snapshots
from cloudspan_zstack.volume.volume_types import VolumeTypes
from cloudspan_zstack.volume.volumes import Volumes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prometheus_client import CollectorRegistry

    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_common.telemetry import NativeCall
    from cloudspan_kit import Call, Driver, Stage
    from cloudspan_zstack.cloud.clouds import Cloud

USER_AGENT = "cloudspan-zstack"
_API_VERSION = "v1"

log = get_logger(__name__)


class Shared:
    """What the clusters of a process share: the clock, the catalogue of errors, and the metrics."""

    def __init__(
        self, registry: CollectorRegistry | None = None, clock: Clock | None = None, *, platform: str = "zstack"
    ) -> None:
        self.clock = clock or SystemClock()
        self.catalogue = Catalogue(registry)
        self._metrics = NativeCallMetrics(registry, platform) if registry is not None else None

    def record(self, call: NativeCall) -> None:
        """Log, count and explain one native call."""
        record_native_call(call, self._metrics)


class ZStackCluster:
    """One cluster of the adapter."""

    def __init__(self, ref: ClusterRef, cloud: Cloud, shared: Shared) -> None:
        self.ref = ref
        self.settle_s = cloud.settle_s
        self._cloud = cloud
        self._clock = shared.clock
        self.zone = ServerZone(cloud.zone)
        self._wire = HttpTransport(cloud.trust.context(cloud.name), USER_AGENT)
        login_parts = IssuerParts(self._wire, shared.catalogue, shared.record, shared.clock, self.zone)
        key = TokenKey(ref.cluster, cloud.revision)
        issuer = ZStackIssuer(cloud, ref, login_parts)
        self.keeper = TokenKeeper(issuer, key, clock=shared.clock, on_event=self._token_event)
        parts = NativeParts(self.keeper, self._wire, Guards(shared.clock), shared.record, shared.clock)
        self.session = Session(ref, cloud.endpoint, parts, shared.catalogue, self.zone)
        self.cloud = self.session
        zone = self.zone
        networks = Networks(ref, zone)
        self.drivers: Sequence[Driver] = (
            Servers(ref, zone, purge=cloud.purge),
            Flavors(ref),
            KeyPairs(ref, zone),
            Volumes(ref, zone),
            VolumeTypes(ref),
            Snapshots(ref, zone),
            Images(ref, zone),
            networks,
            NetworkCreation(networks),
            Subnets(ref, zone),
            Ports(ref, zone),
            Routers(ref, zone),
            SecurityGroups(ref, zone),
            FloatingIps(ref, zone),
            Projects(ref),
            Quotas(ref),
            Zones(ref),
        )

    def __repr__(self) -> str:
        return f"<ZStackCluster {self.ref}: {self.session!r}>"

    @property
    def digest(self) -> str:
        """A digest of endpoint and account; the same wherever the same entry is used."""
        return hashlib.sha256(f"{self._cloud.endpoint}|{self._cloud.who}".encode()).hexdigest()[:16]

    async def open(self) -> None:
        """Begin to log in, in the background."""
        self.keeper.start()

    async def close(self) -> None:
        """Log out, and let go of the connections."""
        await self.keeper.close()
        await self._wire.close()

    def describe(self) -> cluster_pb2.Cluster:
        """Return how the cluster stands, from memory."""
        state, message = state_of(self.keeper)
        login = self.session.known_login
        return cluster_pb2.Cluster(
            display_name=self._cloud.name,
            endpoint=self._cloud.endpoint,
            project=self.ref.resource("projects", login.account_uuid) if login else "",
            state=state,
            message=message,
            native_version=login.version if login else "",
            native_api_versions={"zstack": _API_VERSION},
            token=token_state_of(self.keeper, self._clock),
        )

    async def project(self, call: Call) -> str:
        """Return the uuid of the account that is logged in."""
        return (await self.session.login(call)).account_uuid

    async def check(self, call: Call) -> Sequence[Stage]:
        """Try the way to the cloud stage by stage."""
        return await check_cluster(call, self._cloud, self.session, self.keeper)

    def _token_event(self, event: str, /, **fields: object) -> None:
        log.info(event, cluster=str(self.ref), **fields)
