"""What goes with a server that is deleted: the ports and floating IPs that were made with it.

`server_changes` looks them up before the delete, while their places still tell whose they are, and removes them once
the server is gone. A floating IP that leads elsewhere by then, or a port that another device took, stays. A server
that is only soft-deleted takes them along as well: nothing would remove them when Nova reclaims it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import NotFound
from cloudspan_openstack.cloud.values import WITH_SERVER
from cloudspan_openstack.network.floating_ips import ADDRESSES, FLOATING_IPS
from cloudspan_openstack.network.ports import PORT_SOURCE, PORTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Operation
    from cloudspan_openstack.cloud.session import Session


class ServerLeaving:
    """Takes along what goes with the servers of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session = session

    async def look(self, call: Call, server_id: str) -> Mapping[str, Any]:
        """Return what goes with a server: its ports of ours, and the floating IPs of ours with where they lead."""
        if not self._session.has("network"):
            return {}
        ports = await PORT_SOURCE.find_own(call, PORTS, (("device_id", server_id),))
        return {
            "ports": [row.id for row in ports if WITH_SERVER in row.tags],
            "floating_ips": await self._leading_to(call, {row.id for row in ports}),
        }

    async def _leading_to(self, call: Call, port_ids: set[str]) -> dict[str, str]:
        if not port_ids:
            return {}
        asked = (("tags", WITH_SERVER), *(("port_id", port_id) for port_id in sorted(port_ids)))
        own = await ADDRESSES.own_scope(call)
        rows = await ADDRESSES.find(call, FLOATING_IPS, (*asked, *own))
        return {row.id: row.port_id for row in rows if WITH_SERVER in row.tags and row.port_id in port_ids}

    async def remove(self, op: Operation, with_it: Mapping[str, Any], server_id: str) -> None:
        """Remove, a step each, what was looked up before."""
        for i, (address_id, port_id) in enumerate(sorted(with_it.get("floating_ips", {}).items())):
            await self._release(op, f"floating-ip-{i}", address_id, port_id)
        for i, port_id in enumerate(with_it.get("ports", ())):
            await self._delete_port(op, f"port-{i}", port_id, server_id)

    async def _release(self, op: Operation, step: str, address_id: str, port_id: str) -> None:
        async def release() -> None:
            row = await ADDRESSES.row(op.call, FLOATING_IPS, address_id)
            if row.port_id in (None, "", port_id):
                await ADDRESSES.remove(op.call, address_id)

        await op.change(step, lambda: _unless_gone(release()))

    async def _delete_port(self, op: Operation, step: str, port_id: str, server_id: str) -> None:
        async def delete() -> None:
            row = await PORT_SOURCE.row(op.call, PORTS, port_id)
            if row.device_id in (None, "", server_id):
                await PORT_SOURCE.remove(op.call, port_id)

        await op.change(step, lambda: _unless_gone(delete()))


async def _unless_gone(work: Any) -> None:
    try:
        await work
    except NotFound:
        return
