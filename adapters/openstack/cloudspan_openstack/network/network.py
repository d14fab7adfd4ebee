"""The network area: reads of everything that Neutron keeps, and changes of networks.

`cluster` lists it among its areas; the kit calls the functions by their names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan_kit import BY_MARKER, EMULATED, Capability, Page
from cloudspan_openstack.cloud import pushdown
from cloudspan_openstack.cloud.marker_pages import list_page, read_one
from cloudspan_openstack.network.device_ports import ports_of
from cloudspan_openstack.network.network_create import NetworkCreation
from cloudspan_openstack.network.network_listings import SORTABLE, Kind, Kinds, M, R, parts
from cloudspan_openstack.network.network_mapping import NetworkMapper
from cloudspan_openstack.network.network_options import CreateNetworkOptions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan.v1 import (
        network_pb2,
        port_pb2,
        router_pb2,
    )
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Query
    from cloudspan_openstack.cloud.session import Session


class Network(NetworkCreation):
    """Networks, ports and routers of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_networks": Capability(sortable=tuple(SORTABLE["networks"])),
        "list_ports": Capability(sortable=tuple(SORTABLE["ports"])),
        "list_routers": Capability(sortable=tuple(SORTABLE["routers"])),
        "create_network": Capability(
            create_safety=BY_MARKER,
            options=CreateNetworkOptions,
            fields={
                "subnets": (EMULATED, "made one by one behind the network"),
                "router": (EMULATED, "made, or taken as it is, and given an interface in each subnet"),
            },
        ),
    }

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        mapper = NetworkMapper(ref)
        super().__init__(session, ref, mapper)
        self._kinds = Kinds.of(ref, mapper)

    def __repr__(self) -> str:
        return f"<Network {self._ref}>"

    async def get_network(self, call: Call, _request: network_pb2.GetNetworkRequest) -> network_pb2.Network:
        return await self._one(call, self._kinds.networks)

    async def list_networks(self, call: Call, query: Query) -> Page[network_pb2.Network]:
        return await self._page(call, query, self._kinds.networks)

    async def get_port(self, call: Call, _request: port_pb2.GetPortRequest) -> port_pb2.Port:
        return await self._one(call, self._kinds.ports)

    async def list_ports(self, call: Call, query: Query) -> Page[port_pb2.Port]:
        return await self._page(call, query, self._kinds.ports)

    async def get_router(self, call: Call, _request: router_pb2.GetRouterRequest) -> router_pb2.Router:
        router = await self._one(call, self._kinds.routers)
        await self._add_interfaces(call, [router])
        return router

    async def list_routers(self, call: Call, query: Query) -> Page[router_pb2.Router]:
        page = await self._page(call, query, self._kinds.routers)
        await self._add_interfaces(call, page.items)
        return page

    async def _add_interfaces(self, call: Call, routers: Sequence[router_pb2.Router]) -> None:
        """Say how routers join subnets, where somebody looks at that: it is a call of its own."""
        if not call.wants("interfaces"):
            return
        by_id = {router.name.rpartition("/")[2]: router for router in routers}
        ports = await ports_of(self._session, call, list(by_id))
        for router_id, router in by_id.items():
            router.interfaces.extend(self._mapper.router_interfaces(ports.get(router_id, ())))

    async def _one(self, call: Call, kind: Kind[R, M]) -> M:
        return await read_one(self._session, call, kind.listing, kind.row, key=kind.one)

    async def _page(self, call: Call, query: Query, kind: Kind[R, M]) -> Page[M]:
        scopes = parts(await self._session.scope(call), self._ref, query, kind)
        push = pushdown.pushed(query, kind.pushes)
        return await list_page(self._session, call, kind.listing, query, pushed=push, scopes=scopes)
