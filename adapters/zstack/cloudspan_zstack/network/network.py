"""The network area: reads of everything that ZStack keeps of networks, and changes of networks.

`cluster` lists it among its areas; the kit calls the functions by their names. A network is an L3 network with the L2
network below it, a port a NIC, a router a virtual router, VPC routers among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan_kit import ABSENT, BY_KEY, Capability
from cloudspan_zstack.cloud.listings import list_page, read_one
from cloudspan_zstack.cloud.markers import marked_kind
from cloudspan_zstack.network.network_changes import NO_ROUTER, NetworkChanges
from cloudspan_zstack.network.network_kinds import L3
from cloudspan_zstack.network.network_listings import SORTABLE, Listings
from cloudspan_zstack.network.network_options import CreateNetworkOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import network_pb2, port_pb2, router_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Page, Query
    from cloudspan_zstack.cloud.session import Session

_UNTOLD = (ABSENT, "the platform does not tell it")
_NETWORK = {
    "mtu": (ABSENT, "the platform tells it for one network at a time only"),
    "shared": _UNTOLD,
    "port_security_enabled": (ABSENT, "the platform has no such switch on networks"),
    "fault": _UNTOLD,
}
_PORT = {
    "port_security_enabled": _UNTOLD,
    "allowed_address_pairs": _UNTOLD,
    "dns_name": (ABSENT, "NICs have no name in DNS"),
    "fault": _UNTOLD,
}
_ROUTER = {"routes": _UNTOLD, "snat_enabled": _UNTOLD, "distributed": _UNTOLD, "fault": _UNTOLD}


class Network(NetworkChanges):
    """Networks, ports and routers of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_networks": Capability(sortable=tuple(SORTABLE["networks"]), fields=_NETWORK),
        "list_ports": Capability(sortable=tuple(SORTABLE["ports"]), fields=_PORT),
        "list_routers": Capability(sortable=tuple(SORTABLE["routers"]), fields=_ROUTER),
        "create_network": Capability(
            create_safety=BY_KEY,
            options=CreateNetworkOptions,
            fields={
                "router": (ABSENT, NO_ROUTER),
                "network.port_security_enabled": (ABSENT, "the platform has no such switch on networks"),
            },
        ),
    }

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        super().__init__(session, ref)
        self._listings = Listings.of(ref, self._messages)
        self.marked = {
            "networks": marked_kind(session, L3, ("L3NetworkVO",), self._discard_network),
        }

    def __repr__(self) -> str:
        return f"<Network {self._ref}>"

    async def get_network(self, call: Call, _request: network_pb2.GetNetworkRequest) -> network_pb2.Network:
        return await read_one(self._session, call, self._listings.networks)

    async def list_networks(self, call: Call, query: Query) -> Page[network_pb2.Network]:
        return await list_page(self._session, call, query, self._listings.networks)

    async def get_port(self, call: Call, _request: port_pb2.GetPortRequest) -> port_pb2.Port:
        return await read_one(self._session, call, self._listings.ports)

    async def list_ports(self, call: Call, query: Query) -> Page[port_pb2.Port]:
        return await list_page(self._session, call, query, self._listings.ports)

    async def get_router(self, call: Call, _request: router_pb2.GetRouterRequest) -> router_pb2.Router:
        return await read_one(self._session, call, self._listings.routers)

    async def list_routers(self, call: Call, query: Query) -> Page[router_pb2.Router]:
        return await list_page(self._session, call, query, self._listings.routers)
