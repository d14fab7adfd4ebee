"""Delete networks. `network_create` builds on it, and `network.Network` on that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.errors import NotFound, PreconditionFailed
from cloudspan_openstack.network.dependants import name_ports
from cloudspan_openstack.network.network_making import NETWORK, NetworkMaking

if TYPE_CHECKING:
    from cloudspan.v1 import network_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Operation
    from cloudspan_openstack.cloud.session import Session
    from cloudspan_openstack.network.network_mapping import NetworkMapper

_name_ports = name_ports("networks", "network_id", "{id}")


class NetworkChanges:
    """DeleteNetwork of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef, mapper: NetworkMapper) -> None:
        self._session, self._ref, self._mapper = session, ref, mapper
        self._making = NetworkMaking(session, ref)

    async def delete_network(self, op: Operation, request: network_pb2.DeleteNetworkRequest) -> None:
        op.set_resource(request.name)

        async def delete() -> None:
            try:
                await self._making.remove(op.call, NETWORK, op.call.id)
            except PreconditionFailed as error:
                raise (await _name_ports(op.call, op.call.id, error) or error) from error

        await op.change("delete", delete)
        await op.wait_until("gone", lambda: self._gone(op.call, op.call.id), percent=90)

    async def _gone(self, call: Call, network_id: str) -> bool | None:
        try:
            await self._making.get(call, NETWORK, network_id)
        except NotFound:
            return True
        return None
