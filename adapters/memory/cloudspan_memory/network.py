"""Networks, subnets, ports and routers."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan_common.names import parse_resource
from cloudspan_kit import BY_KEY, Call, Capability, Operation, Page, Query
from cloudspan_memory.cloud.store import Store, copied
from cloudspan_memory.making import delete, delete_parts, look_at_parts, marked
from cloudspan_memory.network_create import make_network, make_subnet, parts_of, refuse_used

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import network_pb2, port_pb2, router_pb2, subnet_pb2

_NOT_HOSTS = 2  # the network's own address and the broadcast


class Network:
    """The network area of one cluster."""

    capabilities: Mapping[str, Capability] = {
        "create_network": Capability(create_safety=BY_KEY),
        "create_subnet": Capability(create_safety=BY_KEY),
    }

    def __init__(self, store: Store) -> None:
        self._store = store
        store.before_delete("networks", self._let_go)
        store.before_delete("subnets", self._refuse_used)
        self.marked = {kind: marked(store, kind) for kind in ("networks", "subnets", "ports", "routers")}

    async def get_network(self, call: Call, _: network_pb2.GetNetworkRequest) -> network_pb2.Network:
        return self._shown(self._store.get("networks", call.id))

    async def list_networks(self, _: Call, query: Query) -> Page[network_pb2.Network]:
        page = self._store.page("networks", query)
        return Page([self._shown(row) for row in page.items], page.more, page.position)

    async def get_subnet(self, call: Call, _: subnet_pb2.GetSubnetRequest) -> subnet_pb2.Subnet:
        return self._counted(self._store.get("subnets", call.id))

    async def list_subnets(self, _: Call, query: Query) -> Page[subnet_pb2.Subnet]:
        page = self._store.page("subnets", query)
        return Page([self._counted(row) for row in page.items], page.more, page.position)

    async def get_port(self, call: Call, _: port_pb2.GetPortRequest) -> port_pb2.Port:
        return copied(self._store.get("ports", call.id))

    async def list_ports(self, _: Call, query: Query) -> Page[port_pb2.Port]:
        return self._store.page("ports", query)

    async def get_router(self, call: Call, _: router_pb2.GetRouterRequest) -> router_pb2.Router:
        return self._joined(self._store.get("routers", call.id))

    async def list_routers(self, _: Call, query: Query) -> Page[router_pb2.Router]:
        page = self._store.page("routers", query)
        return Page([self._joined(row) for row in page.items], page.more, page.position)

    async def create_network(self, op: Operation, request: network_pb2.CreateNetworkRequest) -> network_pb2.Network:
        network_id = await make_network(op, self._store, request)
        op.set_resource(self._store.name("networks", network_id))
        return self._shown(self._store.get("networks", network_id))

    async def create_subnet(self, op: Operation, request: subnet_pb2.CreateSubnetRequest) -> subnet_pb2.Subnet:
        subnet_id = await make_subnet(op, self._store, "subnet", request.subnet, request.subnet.network)
        op.set_resource(self._store.name("subnets", subnet_id))
        return self._counted(self._store.get("subnets", subnet_id))

    async def delete_network(self, op: Operation, request: network_pb2.DeleteNetworkRequest) -> None:
        op.set_resource(request.name)
        # Its routers' interfaces would stand in the way, and a router that was made for it is nobody else's.
        parts = await look_at_parts(op, lambda: parts_of(self._store, op.call.id))
        await delete_parts(op, self._store, parts)
        await op.change("delete", lambda: delete(self._store, "networks", op.call.id))

    async def delete_subnet(self, op: Operation, request: subnet_pb2.DeleteSubnetRequest) -> None:
        op.set_resource(request.name)
        await op.change("delete", lambda: delete(self._store, "subnets", op.call.id))

    def _let_go(self, network: network_pb2.Network) -> None:
        """Its subnets go with it; ports don't."""
        refuse_used(network.name, [port.name for port in self._store.all("ports") if port.network == network.name])
        for subnet in self._subnets(network.name):
            self._store.delete("subnets", parse_resource(subnet, "subnets")[1])

    def _refuse_used(self, subnet: subnet_pb2.Subnet) -> None:
        ports = self._store.all("ports")
        refuse_used(
            subnet.name, [port.name for port in ports if any(ip.subnet == subnet.name for ip in port.fixed_ips)]
        )

    def _subnets(self, network: str) -> list[str]:
        return [subnet.name for subnet in self._store.all("subnets") if subnet.network == network]

    def _shown(self, network: network_pb2.Network) -> network_pb2.Network:
        shown = copied(network)
        shown.subnets[:] = self._subnets(network.name)
        return shown

    def _counted(self, subnet: subnet_pb2.Subnet) -> subnet_pb2.Subnet:
        """With the addresses that ports and floating IPs have taken."""
        shown, net = copied(subnet), ipaddress.ip_network(subnet.cidr)
        fixed = [ip.ip_address for p in self._store.all("ports") for ip in p.fixed_ips if ip.subnet == subnet.name]
        floating = [ip.ip_address for ip in self._store.all("floatingIps") if ip.external_network == subnet.network]
        used = {address for address in (*fixed, *floating) if ipaddress.ip_address(address) in net}
        shown.total_address_count = max(net.num_addresses - _NOT_HOSTS, 0)
        shown.used_address_count = len(used | {subnet.gateway_ip} - {""})
        shown.available_address_count = max(shown.total_address_count - shown.used_address_count, 0)
        return shown

    def _joined(self, router: router_pb2.Router) -> router_pb2.Router:
        """With its interfaces."""
        shown = copied(router)
        for port in self._store.all("ports"):
            if port.device == router.name:
                shown.interfaces.add(
                    port=port.name, network=port.network, fixed_ips=port.fixed_ips, mac_address=port.mac_address
                )
        return shown
