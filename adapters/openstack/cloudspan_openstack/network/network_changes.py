"""Make subnets, each exactly once, and delete networks and subnets.

`network_create` builds on it, and `network.Network` on that.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from cloudspan.v1 import common_pb2, network_pb2, subnet_pb2
from cloudspan_common.errors import NotFound, PreconditionFailed
from cloudspan_kit.driver import BY_KEY
from cloudspan_kit.serve.options import read_options
from cloudspan_kit.values import listed, native_id
from cloudspan_openstack.cloud.values import tags_of
from cloudspan_openstack.network.network_making import NETWORK, SUBNET, NetworkMaking, Wish, bad, check_text
from cloudspan_openstack.network.network_options import CreateSubnetOptions
from cloudspan_openstack.network.network_rows import Ports

if TYPE_CHECKING:
    from typing import Any

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.driver import Call, Operation
    from cloudspan_openstack.cloud.session import Session
    from cloudspan_openstack.network.network_making import Kind
    from cloudspan_openstack.network.network_mapping import NetworkMapper

NewSubnet = subnet_pb2.Subnet | network_pb2.NewSubnet
"""A subnet that is asked for: by itself, or together with its network."""
Range = IPv4Network | IPv6Network

# Of 8 equal creates of a subnet sent at once Neutron carried out one and refused 7 for the overlap.
SUBNET_SAFETY = BY_KEY


class NetworkChanges:
    """CreateSubnet, DeleteSubnet and DeleteNetwork of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef, mapper: NetworkMapper) -> None:
        self._session, self._ref, self._mapper = session, ref, mapper
        self._making = NetworkMaking(session, ref)

    async def create_subnet(self, op: Operation, request: subnet_pb2.CreateSubnetRequest) -> subnet_pb2.Subnet | None:
        wanted = request.subnet
        options = read_options(request.options, CreateSubnetOptions)
        network_id = native_id(self._ref, "networks", wanted.network, "subnet.network")
        wish = subnet_wish(wanted, "subnet", {"network_id": network_id, **options.body()})
        made = await self._making.make(op, SUBNET, "subnet", wish, safety=SUBNET_SAFETY)
        op.set_resource(self._ref.resource("subnets", made.id))
        await self._making.dress(op, SUBNET, "subnet", made.id, wish)
        row = await op.wait_until("readable", lambda: self._making.get(op.call, SUBNET, made.id), percent=90)
        return self._mapper.subnet(row)

    async def delete_network(self, op: Operation, request: network_pb2.DeleteNetworkRequest) -> None:
        await self._delete(op, NETWORK, request.name, "network_id={id}")

    async def delete_subnet(self, op: Operation, request: subnet_pb2.DeleteSubnetRequest) -> None:
        await self._delete(op, SUBNET, request.name, "fixed_ips=subnet_id={id}")

    async def _delete(self, op: Operation, kind: Kind[Any], name: str, users: str) -> None:
        op.set_resource(name)
        resource_id = native_id(self._ref, kind.collection, name, "name")

        async def delete() -> None:
            try:
                await self._making.remove(op.call, kind, resource_id)
            except PreconditionFailed as error:
                raise await self._in_use(op.call, name, users.format(id=resource_id), error) from error

        await op.change("delete", delete)
        await op.wait_until("gone", lambda: self._gone(op.call, kind, resource_id), percent=90)

    async def _gone(self, call: Call, kind: Kind[Any], resource_id: str) -> bool | None:
        try:
            await self._making.get(call, kind, resource_id)
        except NotFound:
            return True
        return None

    async def _in_use(self, call: Call, name: str, users: str, error: PreconditionFailed) -> PreconditionFailed:
        """Say which ports stand in the way; Neutron names one of them at most."""
        field, _, value = users.partition("=")
        page = await self._session.get(call, "network", "/ports", Ports, params=((field, value),))
        if not page.rows:
            return error  # others' ports, which these credentials do not see
        ports = listed(
            f"{self._ref.resource('ports', port.id)} ({port.device_owner or 'unused'})" for port in page.rows
        )
        text = f"{name} is in use by {len(page.rows)} ports, remove them first: {ports}"
        return PreconditionFailed(text, reason="IN_USE", metadata=error.metadata, resource=name)


def subnet_wish(wanted: NewSubnet, field: str, more: dict[str, object]) -> Wish:
    """Return what a request asks of a subnet; `field` is its path in the request, `more` what goes along.

    Raises:
        InvalidRequest: It contradicts itself, or Neutron could not keep it.
    """
    tags = tags_of(wanted.labels, f"{field}.labels")
    check_text(wanted.description, f"{field}.description")
    return Wish(_subnet_body(wanted, field) | more, tags, wanted.description)


def subnet_range(wanted: NewSubnet, field: str) -> Range:
    """Return the range that a request asks for.

    Raises:
        InvalidRequest: It is none.
    """
    try:
        return ip_network(wanted.cidr, strict=False)
    except ValueError as error:
        text = f"{field}.cidr is {wanted.cidr!r}, which is not a range ({error}); write it like 10.0.0.0/24"
        raise bad(f"{field}.cidr", text) from error


def _subnet_body(wanted: NewSubnet, field: str) -> dict[str, object]:
    cidr = subnet_range(wanted, field)
    if wanted.ip_version not in (0, cidr.version):
        version = common_pb2.IpVersion.Name(wanted.ip_version)
        raise bad(f"{field}.ip_version", f"{field}.ip_version is {version}, but {cidr} is of IPv{cidr.version}")
    _check_addresses(wanted, field, cidr)
    body: dict[str, object] = {
        "name": wanted.display_name,
        "cidr": str(cidr),
        "ip_version": cidr.version,
        "enable_dhcp": wanted.dhcp_enabled or not wanted.HasField("dhcp_enabled"),
    }
    if wanted.HasField("gateway_ip"):
        body["gateway_ip"] = wanted.gateway_ip or None
    if wanted.allocation_pools:
        body["allocation_pools"] = [{"start": pool.start, "end": pool.end} for pool in wanted.allocation_pools]
    if wanted.dns_nameservers:
        body["dns_nameservers"] = list(wanted.dns_nameservers)
    if wanted.host_routes:
        body["host_routes"] = [{"destination": r.destination_cidr, "nexthop": r.next_hop} for r in wanted.host_routes]
    return body


def _check_addresses(wanted: NewSubnet, field: str, cidr: Range) -> None:
    """Refuse what is not an address: Neutron's own refusal would come once the network is there."""
    addresses = [
        *([(f"{field}.gateway_ip", wanted.gateway_ip)] if wanted.gateway_ip else []),
        *((f"{field}.dns_nameservers[{i}]", server) for i, server in enumerate(wanted.dns_nameservers)),
        *((f"{field}.host_routes[{i}].next_hop", route.next_hop) for i, route in enumerate(wanted.host_routes)),
    ]
    for path, address in addresses:
        _address(path, address)
    for i, route in enumerate(wanted.host_routes):
        path = f"{field}.host_routes[{i}].destination_cidr"
        try:
            ip_network(route.destination_cidr, strict=False)
        except ValueError as error:
            raise bad(path, f"{path} is {route.destination_cidr!r}, which is not a range ({error})") from error
    for i, pool in enumerate(wanted.allocation_pools):
        path = f"{field}.allocation_pools[{i}]"
        first, last = _address(f"{path}.start", pool.start), _address(f"{path}.end", pool.end)
        if first not in cidr or last not in cidr or int(first) > int(last):
            raise bad(path, f"{path} is {first} to {last}, which is not a range within {cidr}")


def _address(path: str, text: str) -> IPv4Address | IPv6Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise bad(path, f"{path} is {text!r}, which is not an IP address") from error
