"""A configured cluster whose settings are wrong: it is listed with the reason, and costs none of the others.

An adapter's `__main__` makes its clusters by `clusters_of`; the servicers refuse the calls of an `UnusableCluster`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import InvalidRequest, LoginRefused
from cloudspan_common.names import ClusterRef
from cloudspan_kit.cluster import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cloudspan_kit.cluster import Call, Cluster, Driver

log = structlog.get_logger(__name__)


def clusters_of(
    platform: str, configured: Iterable[tuple[str, str]], make: Callable[[ClusterRef, str], Cluster]
) -> list[Cluster]:
    """Return the clusters that `make` makes of (tag, name in the clouds file), and what stands for those it can't make.

    Raises:
        InvalidRequest: NO_CLOUDS_FILE, which is no single cluster's fault.
    """
    return [_made(ClusterRef(platform, tag), name, make) for tag, name in configured]


def _made(ref: ClusterRef, name: str, make: Callable[[ClusterRef, str], Cluster]) -> Cluster:
    try:
        return make(ref, name)
    except InvalidRequest as error:
        if error.reason == "NO_CLOUDS_FILE":
            raise
        log.warning("cluster can't be used", cluster=str(ref), reason=error.reason, message=error.message)
        return UnusableCluster(ref, name, error)


class UnusableCluster:
    """Stands for a cluster that could not be made; implements `Cluster`, and has nothing to serve."""

    drivers: Sequence[Driver] = ()
    cloud: object = None
    digest = ""
    """None: it claims no endpoint, so that another instance with the right settings is not in its way."""
    settle_s = 0.0

    def __init__(self, ref: ClusterRef, display_name: str, error: InvalidRequest) -> None:
        self.ref = ref
        self._display_name = display_name
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
            display_name=self._display_name,
            state=cluster_pb2.Cluster.STATE_LOGIN_REFUSED,
            message=f"{self._error.reason}: {self._error.message}",
        )

    async def check(self, call: Call) -> Sequence[Stage]:
        return [Stage("configuration", ok=False, message=self._error.message, took_s=0.0, reason=self._error.reason)]
