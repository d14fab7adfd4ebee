"""Makes one subnet of a network: the IP range, its labels, and the name servers and routes that it brings along.

`subnet_changes` makes single ones by it, `network_changes` those that come with a new network. The platform gives the
tags of a new range to its network; so labels are sent after it, as tags of the range's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import InvalidRequest
from cloudspan_zstack.cloud.beside import every
from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.cloud.labels import Tag
from cloudspan_zstack.cloud.session import Change
from cloudspan_zstack.network.network_kinds import IP_RANGE, L3
from cloudspan_zstack.network.subnet_request import subnet_change

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_kit.driver import Call, Operation
    from cloudspan_zstack.cloud.session import Session
    from cloudspan_zstack.network.subnet_request import SubnetWish

_TYPE = "IpRangeVO"


class SubnetMaking:
    """Makes subnets of one cluster."""

    def __init__(self, session: Session) -> None:
        self._session, self._creation = session, Creation(session)

    async def make(self, op: Operation, wish: SubnetWish, network: str, number: str = "") -> str:
        """Make a subnet, of several that one operation makes the one of that number; return its uuid.

        Raises:
            AlreadyExists: Its addresses are another one's.
        """

        async def change(_call: Call, uuid: str) -> Change:
            return subnet_change(wish, network, uuid)

        try:
            uuid = await self._creation.make(op, f"subnet{number}", IP_RANGE, change)
        except InvalidRequest as error:
            if "overlap" not in error.message.lower():
                raise
            raise wish.overlaps(error.message) from error
        for i, tag in enumerate(wish.tags):
            await self._label(op, f"label{number}-{i}", uuid, tag)
        for i, server in enumerate(wish.name_servers):
            await self._add_dns(op, f"dns{number}-{i}", network, server)
        for i, (destination, next_hop) in enumerate(wish.routes):
            await self._add_route(op, f"route{number}-{i}", network, destination, next_hop)
        return uuid

    async def _label(self, op: Operation, step: str, uuid: str, tag: str) -> None:
        async def holds() -> bool:
            of_it = [f"resourceType={_TYPE}", f"resourceUuid={uuid}"]
            return tag in [row.tag for row in await every(self._session, op.call, "/user-tags", Tag, of_it)]

        params = {"resourceType": _TYPE, "resourceUuid": uuid, "tag": tag}
        await self._creation.apply(op, step, Change("POST", "/user-tags", params=params), holds=holds)

    async def _add_dns(self, op: Operation, step: str, network: str, server: str) -> None:
        args = {"uuid": network}

        async def holds() -> bool:
            row = await self._creation.row(op.call, L3, network)
            return row is not None and server in row.dns

        async def undo(done: Mapping[str, Any]) -> None:
            if done and await holds():
                change = Change("DELETE", "/l3-networks/{uuid}/dns/{dns}", {**args, "dns": server})
                await self._session.act(op.call, change, job=f"{op.marker(step)} undo")

        change = Change("POST", "/l3-networks/{uuid}/dns", args, params={"dns": server})
        await self._creation.apply(op, step, change, holds=holds, undo=undo)

    async def _add_route(self, op: Operation, step: str, network: str, destination: str, next_hop: str) -> None:
        args = {"uuid": network}

        async def holds() -> bool:
            row = await self._creation.row(op.call, L3, network)
            return row is not None and (destination, next_hop) in [(one.prefix, one.nexthop) for one in row.host_route]

        async def undo(done: Mapping[str, Any]) -> None:
            if done and await holds():
                change = Change("DELETE", "/l3-networks/{uuid}/hostroute", args, params={"prefix": destination})
                await self._session.act(op.call, change, job=f"{op.marker(step)} undo")

        params = {"prefix": destination, "nexthop": next_hop}
        change = Change("POST", "/l3-networks/{uuid}/hostroute", args, params=params)
        await self._creation.apply(op, step, change, holds=holds, undo=undo)
