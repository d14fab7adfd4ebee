"""Routers: they connect the subnets of networks with each other and with an external one. Made with networks alone."""

from __future__ import annotations

from cloudspan.v1 import network_pb2, router_pb2
from cloudspan_kit import BY_KEY, Kind
from cloudspan_kit.drivers import RouterDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource, New, StoredMarkers
from cloudspan_memory.cloud.store import copied

Router = router_pb2.Router

ROUTERS = Kind(
    collection="routers",
    message=Router,
    row=Router,
    source=MemorySource(),
    changes_since="update_time",
    safety=BY_KEY,
    marker=StoredMarkers(),
)


class Routers(MemoryDriver[Router], RouterDriver):
    """RouterService."""

    kind = ROUTERS

    def message(self, row: Router) -> Router:
        """Return it with its interfaces."""
        shown = copied(row)
        for port in self._store.all("ports"):
            if port.device == row.name:
                shown.interfaces.add(
                    port=port.name, network=port.network, fixed_ips=port.fixed_ips, mac_address=port.mac_address
                )
        return shown


def new_router(request: network_pb2.CreateNetworkRequest) -> New[Router]:
    """Return what makes the router that a network is created with."""
    wanted = request.router

    def build(_: str) -> Router:
        return Router(
            display_name=wanted.display_name or request.network.display_name,
            state=Router.STATE_ACTIVE,
            external_network=wanted.external_network,
            admin_up=True,
        )

    return New(build)
