"""Floating IPs that carry a mark: the EIPs, and the VIPs that they stand on, which a lost operation leaves alone.

`network.Network` builds on it. A VIP has no place in resource names; it is told as a floating IP of that uuid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.errors import PreconditionFailed
from cloudspan_kit import listed
from cloudspan_zstack.cloud.markers import find_marked
from cloudspan_zstack.network.network_kinds import EIP, VIP
from cloudspan_zstack.network.network_parts import Changes

if TYPE_CHECKING:
    from cloudspan_kit import Call, Marked


class MarkedAddresses(Changes):
    """Finds and removes marked EIPs and VIPs of one cluster."""

    async def _find_addresses(self, call: Call, prefix: str) -> list[Marked]:
        """Return the EIPs first: a VIP goes when none is on it any more."""
        eips = await find_marked(self._session, call, EIP, ("EipVO",), prefix)
        return eips + await find_marked(self._session, call, VIP, ("VipVO",), prefix)

    async def _discard_address(self, call: Call, uuid: str) -> None:
        if await self._creation.row(call, EIP, uuid) is not None:
            await self._creation.discard(call, EIP, uuid)
            return
        vip = await self._creation.row(call, VIP, uuid)
        if vip is not None and vip.services_refs:
            users = listed(f"{ref.service_type} {ref.uuid}" for ref in vip.services_refs)
            text = f"the virtual address {vip.ip} ({uuid}) is in use, and deleting it would take that along: {users}"
            raise PreconditionFailed(text, reason="IN_USE", resource=self._ref.resource("floatingIps", uuid))
        await self._creation.discard(call, VIP, uuid)
