"""Networks, subnets, ports, routers, floating IPs and security groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.names import parse_resource
from cloudspan_kit.driver import BY_KEY, Call, Capability, Operation, Page, Query
from cloudspan_memory.making import delete, delete_parts, look_at_parts, marked
from cloudspan_memory.network_create import make_network, make_subnet, parts_of, refuse_used
from cloudspan_memory.store import Store, copied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import floating_ip_pb2, network_pb2, port_pb2, router_pb2, security_group_pb2, subnet_pb2


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
        self.marked = {kind: marked(store, kind) for kind in ("networks", "subnets", "ports", "routers", "floatingIps")}

    async def get_network(self, call: Call, _: network_pb2.GetNetworkRequest) -> network_pb2.Network:
        return self._shown(self._store.get("networks", call.id))

    async def list_networks(self, _: Call, query: Query) -> Page[network_pb2.Network]:
        page = self._store.page("networks", query)
        return Page([self._shown(row) for row in page.items], page.more, page.position)

    async def get_subnet(self, call: Call, _: subnet_pb2.GetSubnetRequest) -> subnet_pb2.Subnet:
        return copied(self._store.get("subnets", call.id))

    async def list_subnets(self, _: Call, query: Query) -> Page[subnet_pb2.Subnet]:
        return self._store.page("subnets", query)

    async def get_port(self, call: Call, _: port_pb2.GetPortRequest) -> port_pb2.Port:
        return copied(self._store.get("ports", call.id))

    async def list_ports(self, _: Call, query: Query) -> Page[port_pb2.Port]:
        return self._store.page("ports", query)

    async def get_router(self, call: Call, _: router_pb2.GetRouterRequest) -> router_pb2.Router:
        return copied(self._store.get("routers", call.id))

    async def list_routers(self, _: Call, query: Query) -> Page[router_pb2.Router]:
        return self._store.page("routers", query)

    async def get_floating_ip(self, call: Call, _: floating_ip_pb2.GetFloatingIpRequest) -> floating_ip_pb2.FloatingIp:
        return copied(self._store.get("floatingIps", call.id))

    async def list_floating_ips(self, _: Call, query: Query) -> Page[floating_ip_pb2.FloatingIp]:
        return self._store.page("floatingIps", query)

    async def get_security_group(
        self, call: Call, _: security_group_pb2.GetSecurityGroupRequest
    ) -> security_group_pb2.SecurityGroup:
        return copied(self._store.get("securityGroups", call.id))

    async def list_security_groups(self, _: Call, query: Query) -> Page[security_group_pb2.SecurityGroup]:
        return self._store.page("securityGroups", query)

    async def create_network(self, op: Operation, request: network_pb2.CreateNetworkRequest) -> network_pb2.Network:
        network_id = await make_network(op, self._store, request)
        op.set_resource(self._store.name("networks", network_id))
        return self._shown(self._store.get("networks", network_id))

    async def create_subnet(self, op: Operation, request: subnet_pb2.CreateSubnetRequest) -> subnet_pb2.Subnet:
        subnet_id = await make_subnet(op, self._store, "subnet", request.subnet, request.subnet.network)
        op.set_resource(self._store.name("subnets", subnet_id))
        return copied(self._store.get("subnets", subnet_id))

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
