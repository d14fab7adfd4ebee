"""The areas of a cluster, in one place: what is not listed here is not served. `cluster` calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack.compute.server_changes import ServerChanges
from cloudspan_zstack.compute.server_create import ServerCreation
from cloudspan_zstack.compute.server_volumes import ServerVolumes
from cloudspan_zstack.compute.servers import ServerReader, Servers

if TYPE_CHECKING:
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.driver import Area
    from cloudspan_zstack.cloud.clouds import Cloud
    from cloudspan_zstack.cloud.session import Session


def make_areas(session: Session, ref: ClusterRef, cloud: Cloud) -> tuple[Area, ...]:
    """Return the areas of one cluster."""
    reader = ServerReader(session, ref)
    return (
        Servers(reader),
        ServerCreation(reader),
        ServerChanges(reader, purge=cloud.purge),
        ServerVolumes(reader),
    )
