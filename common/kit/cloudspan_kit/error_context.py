"""Where an error came from and what it is about: the servicer and the steps add it, so that no driver has to."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from cloudspan_common import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudspan_common.names import ClusterRef


def locate(error: errors.CloudspanError, cluster: ClusterRef) -> errors.CloudspanError:
    """Add the tags of a cluster to an error that came from it."""
    error.metadata = {"platform": cluster.platform, "cluster": cluster.cluster} | error.metadata
    return error


@contextmanager
def located(cluster: ClusterRef) -> Iterator[None]:
    """Let no error of the tree leave the block without the cluster's tags."""
    try:
        yield
    except errors.CloudspanError as error:
        locate(error, cluster)
        raise


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Let a NotFound of the platform, which knows its own ids only, name the resource that was asked for."""
    try:
        yield
    except errors.NotFound as error:
        error.resource = error.resource or name
        raise
