"""Who uses the addresses of a network, or of one of its ranges: looked at before either is deleted.

The platform takes users along without a word. An account sees its own NICs and virtual addresses only; the list of
taken addresses is shown whole, so it tells that another account's are there too, but not what they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cloudspan_common.errors import (
    Forbidden,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    Unsupported,
)
from cloudspan_kit import listed
from cloudspan_zstack.cloud.beside import both, by_uuid, every, rows_by
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import session_of
from cloudspan_zstack.network.ports import APPLIANCE, ROUTERS, NicRow, VmKindRow
from cloudspan_zstack.network.routers import RouterRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_kit import Call

_MOST_NAMED = 3
_RESERVED = "Reserved"
# What a network without a DHCP server of its own answers, from release to release.
_NO_DHCP_SERVER = (Forbidden, InvalidRequest, NotFound, PreconditionFailed, QuotaExceeded, Unsupported)


class AddressRow(Row, kw_only=True):
    """An address that is taken, by a NIC, a virtual address or something of the platform's own."""

    ip: str = ""
    gateway: str = ""
    l3_network_uuid: str = ""
    used_for: str = ""
    vm_nic_uuid: str = ""


class VipNameRow(Row, kw_only=True):
    """As much of a VIP as names it."""

    ip: str = ""
    system: bool = False


class DhcpAddresses(msgspec.Struct):
    """The addresses of a network's own DHCP server."""

    ip: str = ""
    ip6: str = ""


async def refuse_network_users(call: Call, name: str, network: str) -> None:
    """Refuse while NICs or virtual addresses, whosever they are, stand on a network.

    Raises:
        PreconditionFailed: The first of them are named.
    """
    nics = await every(session_of(call), call, "/vm-instances/nics", NicRow, [f"l3NetworkUuid={network}"])
    await _refuse(call, name, f"l3NetworkUuid={network}", nics)


async def refuse_range_users(call: Call, name: str, span: str) -> None:
    """Refuse as `refuse_network_users`, for what has an address of one range."""
    await _refuse(call, name, f"ipRangeUuid={span}", None)


async def _refuse(call: Call, name: str, of_it: str, nics: Sequence[NicRow] | None) -> None:
    session = session_of(call)
    taken, vips = await both(
        every(session, call, "/l3-networks/ip-address", AddressRow, [of_it]),
        every(session, call, "/vips", VipNameRow, [of_it]),
    )
    if nics is None:
        uuids = (address.vm_nic_uuid for address in taken)
        nics = await rows_by(session, call, "/vm-instances/nics", NicRow, "uuid", uuids)
    ports = [_port(nic) for nic in await _without_routers(call, nics)]
    if ports:
        # Whole names would not fit: a status message has 512 bytes.
        text = f"{name} is in use by {len(ports)} ports, remove them first: {listed(ports, _MOST_NAMED)}"
        raise PreconditionFailed(text, reason="IN_USE", resource=name)
    users = [f"{vip.ip} ({vip.name})" for vip in vips if not vip.system]
    if users:
        text = f"{name} has {len(users)} virtual addresses, release them first: {listed(users, _MOST_NAMED)}"
        raise PreconditionFailed(text, reason="IN_USE", resource=name)
    others = await _of_others(call, taken, {nic.uuid for nic in nics}, {vip.ip for vip in vips})
    if others:
        text = (
            f"{name} is in use by {len(others)} addresses that this account is not shown, of other accounts: "
            f"{listed(others, _MOST_NAMED)}; have their owners, or the cloud's operator, remove them first"
        )
        raise PreconditionFailed(text, reason="IN_USE", resource=name)


async def _without_routers(call: Call, nics: Sequence[NicRow]) -> list[NicRow]:
    """Leave out the NICs by which routers serve a network: they are made for it and go with it."""
    session = session_of(call)
    vms = by_uuid(await rows_by(session, call, "/vm-instances", VmKindRow, "uuid", (n.vm_instance_uuid for n in nics)))
    appliances = [uuid for uuid, vm in vms.items() if vm.type == APPLIANCE]
    routers = by_uuid(await rows_by(session, call, ROUTERS, RouterRow, "uuid", appliances))

    def serves(nic: NicRow) -> bool:
        router = routers.get(nic.vm_instance_uuid)
        return router is not None and nic.l3_network_uuid not in _uplinks(router)

    return [nic for nic in nics if not serves(nic)]


def _uplinks(router: RouterRow) -> tuple[str, ...]:
    return router.public_network_uuid, router.management_network_uuid, router.default_route_l3_network_uuid


async def _of_others(call: Call, taken: Sequence[AddressRow], nics: set[str], vips: set[str]) -> list[str]:
    """Return the addresses that belong to nothing that this account sees, nor to the platform."""
    session = session_of(call)
    if (await session.login(call)).is_admin:
        return []  # who sees everything knows that what is left is the platform's own

    def is_known(address: AddressRow) -> bool:
        # A NIC with the gateway's address is that of the router which serves the network.
        of_router = bool(address.vm_nic_uuid) and address.ip == address.gateway
        return of_router or address.ip in vips or address.vm_nic_uuid in nics or address.used_for == _RESERVED

    unseen = [address for address in taken if not is_known(address)]
    networks = sorted({address.l3_network_uuid for address in unseen if not address.vm_nic_uuid})
    dhcp = {ip for network in networks for ip in await _dhcp_addresses(call, network)}
    return sorted(address.ip for address in unseen if address.vm_nic_uuid or address.ip not in dhcp)


async def _dhcp_addresses(call: Call, network: str) -> set[str]:
    """Return the addresses of a network's DHCP server; a network without one is refused the question."""
    try:
        told = await session_of(call).read(call, "/l3-networks/{uuid}/dhcp-ip", DhcpAddresses, args={"uuid": network})
    except _NO_DHCP_SERVER:
        return set()
    return {told.ip, told.ip6}


def _port(nic: NicRow) -> str:
    # A destroyed server keeps its NICs, without addresses, for as long as it can be recovered.
    owner = f"of servers/{nic.vm_instance_uuid}" if nic.vm_instance_uuid else "unused"
    return f"ports/{nic.uuid} ({owner}{f', {nic.ip}' if nic.ip else ''})"
