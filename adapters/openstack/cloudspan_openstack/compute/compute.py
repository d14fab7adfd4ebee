"""What the compute areas of one cluster share: session, mapping, flavor book, and single servers read or asked for.

`cluster` makes one `Compute`, and of it the areas `servers`, `server_create`, `server_changes`, `server_volumes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import CloudspanError, NotFound
from cloudspan_kit import converted
from cloudspan_openstack.compute.cells import Cells
from cloudspan_openstack.compute.flavors import FlavorBook
from cloudspan_openstack.compute.server_mapping import ServerMapping, Shown
from cloudspan_openstack.compute.server_rows import ServerAnswer, ServerRow
from cloudspan_openstack.network.device_ports import DevicePorts, ports_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan.v1 import server_pb2
    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call
    from cloudspan_openstack.cloud.catalogue import Microversion
    from cloudspan_openstack.cloud.session import Session


class Compute:
    """The shared part of one cluster's compute areas."""

    def __init__(self, session: Session, ref: ClusterRef, clock: Clock) -> None:
        self.session = session
        self.ref = ref
        self.mapping = ServerMapping(ref)
        self.book = FlavorBook(session, clock)
        self.cells = Cells(session, clock)

    async def row(self, call: Call, server_id: str) -> ServerRow:
        """Return a server as Nova tells it.

        Raises:
            NotFound: There is none of that id under the cluster's scope.
        """
        answer = await self.session.get(call, "compute", "/servers/{id}", ServerAnswer, args={"id": server_id})
        return answer.server

    async def server(self, call: Call, server_id: str) -> server_pb2.Server:
        """Return a server as a message, with Nova's own document under view FULL.

        Raises:
            NotFound: There is none of that id under the cluster's scope.
        """
        if not call.full:
            return await self.message(call, await self.row(call, server_id))
        body = await self.session.get(call, "compute", "/servers/{id}", dict[str, Any], args={"id": server_id})
        message = await self.message(call, converted(body, ServerAnswer).server)
        message.native.update(body["server"])
        return message

    async def message(self, call: Call, row: ServerRow) -> server_pb2.Server:
        """Return a row as a message."""
        [message] = await self.messages(call, [row], await self._ports(call, [row]))
        return message

    async def messages(
        self, call: Call, rows: Sequence[ServerRow], ports: DevicePorts, flavor_id: str = ""
    ) -> list[server_pb2.Server]:
        """Return rows as messages.

        `flavor_id` is the flavor that Nova was asked for, if it was for one: from 2.47 on its rows don't say.
        """
        await self.book.learn(call, [row.flavor for row in rows])
        message, find, shown = self.mapping.message, self.book.find, Shown.of(call)
        return [message(row, find(row.flavor), ports.get(row.id, ()), flavor_id, shown) for row in rows]

    async def ports_seen(self, call: Call, rows: Sequence[ServerRow]) -> tuple[DevicePorts, str]:
        """Return the ports of servers, and why they are missing if Neutron doesn't tell them.

        A Neutron that is down costs a list its interfaces' ports, not the servers.
        """
        try:
            return await self._ports(call, rows), ""
        except CloudspanError as error:
            return {}, f"interfaces lack their ports and subnets, and servers their security groups: {error.message}"

    async def _ports(self, call: Call, rows: Sequence[ServerRow]) -> DevicePorts:
        """Return the ports of servers where somebody looks at interfaces or security groups."""
        if not call.wants("network_interfaces", "security_groups"):
            return {}
        return await ports_of(self.session, call, [row.id for row in rows])

    async def version(self, call: Call) -> Microversion:
        """Return the microversion that calls to Nova speak."""
        return await self.session.microversion(call, "compute")

    async def action(self, call: Call, server_id: str, body: dict[str, Any]) -> None:
        """Ask Nova for an action on a server: sent once, see `Session.send`."""
        await self.session.send(
            call, "POST", "compute", "/servers/{id}/action", None, args={"id": server_id}, json=body
        )

    async def delete(self, call: Call, server_id: str) -> None:
        """Ask for a server's deletion; done as well when there is none of that id."""
        try:
            await self.session.send(
                call, "DELETE", "compute", "/servers/{id}", None, args={"id": server_id}, redo_ok=True
            )
        except NotFound:
            return

    async def gone(self, call: Call, server_id: str) -> ServerRow | bool:
        """Return True when the server is deleted, or soft-deleted; its row as long as it is not.

        With `reclaim_instance_interval` a deleted server answers Get with 200 and SOFT_DELETED for days. A moment
        before it is gone it answers with DELETED, which a caller who looks right afterwards would still be shown.
        """
        try:
            row = await self.row(call, server_id)
        except NotFound:
            return True
        return True if row.status == "SOFT_DELETED" else row
