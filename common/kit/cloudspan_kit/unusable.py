"""A configured cluster whose settings are wrong: it is listed with the reason, and costs none of the others.

`serve.reload` puts an `UnusableCluster` in its place; the servicers refuse its calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import LoginRefused
from cloudspan_kit.cluster import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_common.errors import CloudspanError
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.cluster import Call, Driver


class UnusableCluster:
    """Stands for a cluster that could not be made; implements `Cluster`, and has nothing to serve."""

    drivers: Sequence[Driver] = ()
    cloud: object = None
    digest = ""
    """None: it claims no endpoint, so that another instance with the right settings is not in its way."""
    settle_s = 0.0
    keeper = None

    def __init__(self, ref: ClusterRef, error: CloudspanError) -> None:
        self.ref = ref
        self._error = error

    def __repr__(self) -> str:
        return f"<UnusableCluster {self.ref}: {self._error.reason}>"

    def refusal(self) -> LoginRefused:
        """Return what its calls end with."""
        metadata = {"platform": self.ref.platform, "cluster": self.ref.cluster}
        return LoginRefused(self._error.message, reason=self._error.reason, metadata=metadata)

    async def open(self) -> None:
        """There is nothing to log in to."""

    async def close(self) -> None:
        """Nothing was opened."""

    def describe(self) -> cluster_pb2.Cluster:
        return cluster_pb2.Cluster(
            display_name=self.ref.cluster,
            state=cluster_pb2.Cluster.STATE_LOGIN_REFUSED,
            message=f"{self._error.reason}: {self._error.message}",
        )

    async def project(self, call: Call) -> str:
        raise self.refusal()

    async def check(self, call: Call) -> Sequence[Stage]:
        return [Stage("configuration", ok=False, message=self._error.message, took_s=0.0, reason=self._error.reason)]
