"""What is made with a server and is a resource of its own: data volumes, and floating IPs for its interfaces.

`server_create` makes volumes and addresses before the server, since they are refused soonest, and joins them to it once
it is there. What shall go with the server carries a tag that names it; `server_along` finds it by that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import GaveUp, InvalidRequest, NotFound, PreconditionFailed, Violation
from cloudspan_zstack.cloud.beside import together
from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.cloud.markers import with_server
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.session import Change
from cloudspan_zstack.network.floating_ips import EIP, VIP
from cloudspan_zstack.network.networks import L3, L3Row
from cloudspan_zstack.volume.volumes import VOLUME, check_size, volume_change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_kit import Call, Operation
    from cloudspan_zstack.compute.server_request import Interface, NewVolume, Reference, ServerPlan
    from cloudspan_zstack.compute.servers import ServerReader


class ServerParts:
    """Makes the parts of new servers of one cluster."""

    def __init__(self, reader: ServerReader) -> None:
        self._reader = reader
        self._session = reader.session
        self._creation = Creation(reader.session)

    async def check(self, call: Call, plan: ServerPlan) -> None:
        """Refuse, before anything is made, what the platform would refuse when half of it is there.

        Raises:
            InvalidRequest: Something that the request names is not there, or a disk offering has another size.
            PreconditionFailed: A network serves no floating IPs.
        """
        await together([self._check_reference(call, one) for one in plan.references])
        for volume in plan.volumes:
            if volume.wish.names_its_size_twice:
                await check_size(self._session, call, volume.wish)
        for interface in plan.interfaces:
            if interface.floating:
                await self._check_floating(call, interface)

    async def make_volumes(self, op: Operation, plan: ServerPlan, server: str) -> list[str]:
        """Make the data volumes; return their uuids, in order."""
        return [await self._make_volume(op, f"volume-{i}", new, server) for i, new in enumerate(plan.volumes)]

    async def make_addresses(self, op: Operation, plan: ServerPlan, server: str) -> dict[int, str]:
        """Take the addresses of the floating IPs; return their VIPs by the interface's number."""
        name = str(plan.params["name"])
        return {
            interface.number: await self._make_vip(op, interface, name, server)
            for interface in plan.interfaces
            if interface.floating
        }

    async def join(
        self, op: Operation, plan: ServerPlan, server: str, volumes: Sequence[str], vips: Mapping[int, str]
    ) -> None:
        """Attach the volumes to the server, and lead the addresses to its interfaces."""
        for i, volume in enumerate(volumes):
            await self._attach(op, f"attach-{i}", volume, server)
        if not vips:
            return
        nics = await op.read_once("nics", lambda: self._nics(op.call, server))
        for interface in plan.interfaces:
            if interface.number in vips:
                nic = self._nic_of(interface, nics, server)
                await self._lead(op, plan, interface.number, vips[interface.number], nic, server)

    # ------------------------------------------------------------------ volumes

    async def _make_volume(self, op: Operation, step: str, new: NewVolume, server: str) -> str:
        async def change(_call: Call, uuid: str) -> Change:
            made = volume_change(new.wish, "", uuid)
            return _tagged(made, server) if new.goes_along else made

        return await self._creation.make(op, step, VOLUME, change)

    async def _attach(self, op: Operation, step: str, volume: str, server: str) -> None:
        async def holds() -> bool:
            row = await self._creation.row(op.call, VOLUME, volume)
            return row is not None and row.vm_instance_uuid == server

        async def detach(_done: Mapping[str, Any]) -> None:
            if not await holds():
                return
            change = Change("DELETE", "/volumes/{volume}/vm-instances", {"volume": volume}, params={"vmUuid": server})
            try:
                await self._session.act(op.call, change, job=f"{op.marker(step)} undo")
            except PreconditionFailed:
                return  # what the server does not let go of now goes off it when it is removed, which comes next

        change = Change("POST", "/volumes/{volume}/vm-instances/{server}", {"volume": volume, "server": server})
        await self._creation.apply(op, step, change, holds=holds, undo=detach)

    # ------------------------------------------------------------------ floating IPs

    async def _check_reference(self, call: Call, named: Reference) -> None:
        try:
            await self._session.get_one(call, named.template, Row, args={"uuid": named.uuid})
        except NotFound as error:
            text = f"{named.field}: {error.message}"
            raise InvalidRequest(
                text, reason="REFERENCE_NOT_FOUND", violations=[Violation(named.field, text)]
            ) from error

    async def _check_floating(self, call: Call, interface: Interface) -> None:
        path = f"network_interfaces[{interface.number}]"
        await self._network(call, interface.floating, f"{path}.floating_network")
        inside = await self._network(call, interface.network, f"{path}.network")
        if "Eip" not in inside.services:
            name = self._reader.ref.resource("networks", inside.uuid)
            text = (
                f"{path}.floating_network: {name} ({inside.name}) has no service Eip, so no floating IP leads into it"
            )
            raise PreconditionFailed(text, reason="NO_FLOATING_IPS", resource=name)

    async def _network(self, call: Call, uuid: str, field: str) -> L3Row:
        try:
            return await self._session.get_one(call, L3.one, L3Row, args={"uuid": uuid})
        except NotFound as error:
            text = f"{field}: {error.message}"
            raise InvalidRequest(text, reason="REFERENCE_NOT_FOUND", violations=[Violation(field, text)]) from error

    async def _make_vip(self, op: Operation, interface: Interface, name: str, server: str) -> str:
        async def change(_call: Call, uuid: str) -> Change:
            params = {"name": name, "l3NetworkUuid": interface.floating, "resourceUuid": uuid}
            return _tagged(Change("POST", "/vips", params=params), server)

        return await self._creation.make(op, f"vip-{interface.number}", VIP, change)

    async def _lead(self, op: Operation, plan: ServerPlan, number: int, vip: str, nic: str, server: str) -> None:
        async def change(_call: Call, uuid: str) -> Change:
            params = {"name": plan.params["name"], "vipUuid": vip, "vmNicUuid": nic, "resourceUuid": uuid}
            return _tagged(Change("POST", "/eips", params=params), server)

        await self._creation.make(op, f"eip-{number}", EIP, change)

    async def _nics(self, call: Call, server: str) -> dict[str, str]:
        """Return the server's NICs by their network: it has one a network."""
        return {nic.l3_network_uuid: nic.uuid for nic in (await self._reader.row(call, server)).vm_nics}

    def _nic_of(self, interface: Interface, nics: Mapping[str, str], server: str) -> str:
        found = nics.get(interface.network)
        if found is None:
            name, network = (
                self._reader.ref.resource("servers", server), self._reader.ref.resource("networks", interface.network),
            )  # fmt: skip
            text = f"{name} was made without a NIC on {network}, so no floating IP can lead to it"
            raise GaveUp(text, reason="NIC_MISSING", resource=name)
        return str(found)


def _tagged(change: Change, server: str) -> Change:
    return Change(
        change.method, change.template, change.args, change.action, change.params, change.system_tags,
        [*change.user_tags, with_server(server)],
    )  # fmt: skip
