"""One cluster: endpoint, credentials, scope, and the drivers that it has. `__main__` makes it, the kit serves it."""

import hashlib
from collections.abc import Sequence

from cloudspan.v1 import cluster_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_kit import Call, Driver, Stage
from cloudspan_template.cloud import Cloud
from cloudspan_template.servers import Servers


class TemplateCluster:
    """Implements `cloudspan_kit.Cluster`."""

    # How long a create that got no reply may still appear; measure it on your platform.
    settle_s = 120.0
    # What keeps its token, a `cloudspan_common.tokens.TokenKeeper`; this platform asks for no login.
    keeper = None

    def __init__(self, ref: ClusterRef, endpoint: str) -> None:
        self.ref = ref
        self.endpoint = endpoint
        # Without credentials: replicas that differ in nothing else are one cluster.
        self.digest = hashlib.sha256(endpoint.encode()).hexdigest()[:12]
        self.cloud = Cloud(endpoint)
        self.drivers: Sequence[Driver] = (Servers(ref),)

    async def open(self) -> None:
        """Begin to log in, in the background: `cloudspan_common.tokens.TokenKeeper` does it."""

    async def close(self) -> None:
        """Log out, close connections."""

    def describe(self) -> cluster_pb2.Cluster:
        return cluster_pb2.Cluster(
            display_name=self.ref.cluster, endpoint=self.endpoint, state=cluster_pb2.Cluster.STATE_READY
        )

    async def project(self, call: Call) -> str:
        """Return the id of the project that the credentials create in; here there are none."""
        return ""

    async def check(self, call: Call) -> Sequence[Stage]:
        return [Stage("login", ok=True, message=f"{self.endpoint} asks for no login", took_s=0.0)]
