"""Networks, subnets, ports, routers, floating IPs and security groups."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import floating_ip_pb2, network_pb2, port_pb2, router_pb2, security_group_pb2, subnet_pb2
from cloudspan_common.adapterkit.driver import BY_KEY, Call, Capability, Made, Operation, Page, Query
from cloudspan_common.errors import AlreadyExists, InvalidRequest, PreconditionFailed, Violation
from cloudspan_common.names import parse_resource
from cloudspan_memory.store import Store, copied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Network:
    """The network area of one cluster."""

    capabilities: Mapping[str, Capability] = {
        "create_network": Capability(create_safety=BY_KEY),
        "create_subnet": Capability(create_safety=BY_KEY),
    }

    def __init__(self, store: Store) -> None:
        self._store = store

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
        made = await self._create(
            op, "networks", lambda: _with(request.network, state=network_pb2.Network.STATE_ACTIVE)
        )
        return self._shown(self._store.get("networks", made.id))

    async def create_subnet(self, op: Operation, request: subnet_pb2.CreateSubnetRequest) -> subnet_pb2.Subnet:
        cidr = _cidr(request.subnet.cidr)
        network = self._store.get("networks", parse_resource(request.subnet.network, "networks", "subnet.network")[1])

        def subnet() -> subnet_pb2.Subnet:
            for other in self._store.all("subnets"):
                if other.network == network.name and ipaddress.ip_network(other.cidr).overlaps(cidr):
                    text = f"{cidr} overlaps {other.cidr} of {other.name}; choose a free range"
                    raise AlreadyExists(text, reason="SUBNET_OVERLAPS", resource=other.name)
            made = _with(request.subnet, ip_version=cidr.version)
            if not made.no_gateway and not made.gateway_ip:
                made.gateway_ip = str(cidr[1])
            return made

        made = await self._create(op, "subnets", subnet)
        return copied(self._store.get("subnets", made.id))

    async def delete_network(self, op: Operation, request: network_pb2.DeleteNetworkRequest) -> None:
        await self._delete(op, "networks", request.name, lambda: self._users("ports", "network", request.name))

    async def delete_subnet(self, op: Operation, request: subnet_pb2.DeleteSubnetRequest) -> None:
        await self._delete(op, "subnets", request.name, lambda: self._plugged(request.name))

    async def _create(self, op: Operation, collection: str, build: Callable[[], Any]) -> Made:
        async def send(marker: str) -> Made:
            self._store.put(collection, self._store.id_for(marker), build())
            return Made(self._store.id_for(marker))

        async def find(marker: str) -> list[Made]:
            made_id = self._store.id_for(marker)
            return [Made(made_id)] if self._store.find(collection, made_id) is not None else []

        async def undo(made_id: str) -> None:
            self._store.delete(collection, made_id)

        made = await op.create("create", send=send, find=find, undo=undo, safety=BY_KEY, collection=collection)
        op.touches(self._store.name(collection, made.id))
        return made

    async def _delete(self, op: Operation, collection: str, name: str, users: Callable[[], list[str]]) -> None:
        async def delete() -> None:
            if used := users():
                raise PreconditionFailed(f"{name} is in use by {', '.join(used)}; delete those first")
            self._store.delete(collection, op.call.id)
            for subnet in self._users("subnets", "network", name):  # they go with their network
                self._store.delete("subnets", parse_resource(subnet, "subnets")[1])

        op.touches(name)
        await op.act("delete", delete)

    def _users(self, collection: str, field: str, name: str) -> list[str]:
        return [row.name for row in self._store.all(collection) if getattr(row, field) == name]

    def _plugged(self, subnet: str) -> list[str]:
        return [port.name for port in self._store.all("ports") if any(ip.subnet == subnet for ip in port.fixed_ips)]

    def _shown(self, network: network_pb2.Network) -> network_pb2.Network:
        shown = copied(network)
        shown.subnets[:] = self._users("subnets", "network", network.name)
        return shown


def _with(message: Any, **fields: Any) -> Any:
    changed = copied(message)
    for field, value in fields.items():
        setattr(changed, field, value)
    return changed


def _cidr(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        text = f"subnet.cidr is {text!r}: {error}; expected a range such as 10.0.0.0/24"
        raise InvalidRequest(text, violations=[Violation("subnet.cidr", text)]) from error
