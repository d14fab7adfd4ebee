"""Make and delete subnets: IP ranges of an L3 network, all of one CIDR and with one gateway.

`network.Network` builds on it. DHCP and name servers are the network's, not the range's: a subnet can add name servers
for all of the network and can't choose about DHCP. Deleting a range takes NICs and addresses along, in silence; so they
are looked for first, and refused by name.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from cloudspan_common.errors import PreconditionFailed
from cloudspan_kit.serve.options import read_options
from cloudspan_kit.values import listed, native_id
from cloudspan_zstack.cloud.beside import every
from cloudspan_zstack.cloud.session import resource_uuid
from cloudspan_zstack.network.network_kinds import IP_RANGE, L3
from cloudspan_zstack.network.network_mapping import cidr_of
from cloudspan_zstack.network.network_options import CreateSubnetOptions
from cloudspan_zstack.network.network_parts import Changes
from cloudspan_zstack.network.network_rows import AddressRow, L3Row
from cloudspan_zstack.network.subnet_request import subnet_wish

if TYPE_CHECKING:
    from cloudspan.v1 import subnet_pb2
    from cloudspan_kit.driver import Call, Operation
    from cloudspan_zstack.network.subnet_request import SubnetWish


class SubnetChanges(Changes):
    """The mutations of subnets of one cluster."""

    async def create_subnet(self, op: Operation, request: subnet_pb2.CreateSubnetRequest) -> subnet_pb2.Subnet | None:
        name = request.subnet.network
        network = native_id(self._ref, "networks", name, "subnet.network")
        wish = subnet_wish(request.subnet, "subnet", read_options(request.options, CreateSubnetOptions))
        own = resource_uuid(op.marker("subnet"))
        await op.read_once("check", lambda: self._check_network(op.call, name, network, wish, own))
        uuid = await self._subnets.make(op, wish, network)
        op.set_resource(self._ref.resource("subnets", uuid))
        row = await op.wait_until("readable", lambda: self._creation.row(op.call, IP_RANGE, uuid), percent=90)
        (message,) = await self._messages.subnets(op.call, [row])
        return message

    async def delete_subnet(self, op: Operation, request: subnet_pb2.DeleteSubnetRequest) -> None:
        op.set_resource(request.name)
        uuid = native_id(self._ref, "subnets", request.name, "name")
        await op.read_once("check", lambda: self._refuse_addresses(op.call, request.name, uuid))
        await self._creation.remove(op, "delete", IP_RANGE, uuid)

    async def _discard_subnet(self, call: Call, uuid: str) -> None:
        await self._refuse_addresses(call, self._ref.resource("subnets", uuid), uuid)
        await self._creation.discard(call, IP_RANGE, uuid)

    async def _check_network(self, call: Call, name: str, network: str, wish: SubnetWish, own: str) -> None:
        """Say in our words what the platform would refuse in its own; `own` may be there already.

        Raises:
            AlreadyExists: The range overlaps another one.
            PreconditionFailed: The network has another CIDR, or serves DHCP that is not wanted.
        """
        l3 = await self._session.get_one(call, L3.one, L3Row, args={"uuid": network})
        for span in l3.ip_ranges:
            if span.uuid == own or span.ip_version != wish.cidr.version:
                continue
            other = self._ref.resource("subnets", span.uuid)
            if ip_network(cidr_of(span)).overlaps(wish.cidr) and wish.meets(span.start_ip, span.end_ip):
                raise wish.overlaps(f"{other} has {span.start_ip} to {span.end_ip}")
            if cidr_of(span) != str(wish.cidr) or span.gateway != str(wish.gateway or ""):
                text = (
                    f"{name} is {cidr_of(span)} with the gateway {span.gateway or 'none'} by {other}, and a "
                    f"network has one CIDR and gateway on this platform; {wish.cidr} needs a network of its own"
                )
                raise PreconditionFailed(text, reason="ONE_CIDR_A_NETWORK", resource=name)
        served = "DHCP" in l3.services
        if wish.dhcp is not None and wish.dhcp != served:
            has = "DHCP to all of its subnets" if served else "no DHCP to any of its subnets"
            text = f"{name} serves {has}; another network's options.services may say otherwise"
            raise PreconditionFailed(text, reason="DHCP_OF_THE_NETWORK", resource=name)

    async def _refuse_addresses(self, call: Call, name: str, uuid: str) -> None:
        """Refuse while NICs or virtual addresses are of the range: they would go with it.

        Raises:
            PreconditionFailed: They are listed.
        """
        taken = await every(self._session, call, "/l3-networks/ip-address", AddressRow, [f"ipRangeUuid={uuid}"])
        # The platform's own DHCP server has an address as well, which nobody misses.
        users = [
            f"{self._ref.resource('ports', row.vm_nic_uuid)} ({row.ip})" if row.vm_nic_uuid else f"{row.ip} (a VIP)"
            for row in taken
            if row.vm_nic_uuid or row.used_for.lower().startswith("vip")
        ]
        if users:
            text = f"{name} has {len(users)} addresses in use, release them first: {listed(users)}"
            raise PreconditionFailed(text, reason="IN_USE", resource=name)
