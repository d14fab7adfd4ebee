"""Pages of network rows as messages, with what stands beside them. `network` and `network_changes` share one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack.cloud.beside import both, by_uuid, read_marks, rows_by
from cloudspan_zstack.network.network_mapping import NetworkMapper, by_nic
from cloudspan_zstack.network.network_rows import L2Row, L3Row, NicGroupRef, VmKindRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan.v1 import network_pb2, port_pb2, router_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call
    from cloudspan_zstack.cloud.beside import HasUuid, Marks
    from cloudspan_zstack.cloud.session import Session
    from cloudspan_zstack.network.network_rows import NicRow, RouterRow

_APPLIANCE = "ApplianceVm"
_ROUTERS = "/vm-instances/appliances/virtual-routers"


class NetworkMessages:
    """Turns network rows of one cluster into messages."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref
        self._mapper = NetworkMapper(ref, session.zone)

    async def networks(self, call: Call, rows: Sequence[L3Row]) -> list[network_pb2.Network]:
        below = (row.l2_network_uuid for row in rows)
        marks, l2s = await both(
            self._marks(call, "L3NetworkVO", rows),
            rows_by(self._session, call, "/l2-networks", L2Row, "uuid", below),
        )
        known = by_uuid(l2s)
        return [self._mapper.network(row, marks, known.get(row.l2_network_uuid)) for row in rows]

    async def ports(self, call: Call, rows: Sequence[NicRow]) -> list[port_pb2.Port]:
        session = self._session
        vms, groups = await both(
            rows_by(session, call, "/vm-instances", VmKindRow, "uuid", (row.vm_instance_uuid for row in rows)),
            rows_by(
                session, call, "/security-groups/vm-instances/nics", NicGroupRef, "vmNicUuid", (r.uuid for r in rows)
            ),
        )
        appliances = [vm.uuid for vm in vms if vm.type == _APPLIANCE]
        marks, routers = await both(
            self._marks(call, "VmNicVO", [*rows, *vms]),
            rows_by(session, call, _ROUTERS, VmKindRow, "uuid", appliances),
        )
        kinds, groups_of, of_routers = by_uuid(vms), by_nic(groups), by_uuid(routers)
        return [
            self._mapper.port(
                row,
                marks,
                kinds.get(row.vm_instance_uuid),
                groups_of.get(row.uuid, ()),
                of_a_router=row.vm_instance_uuid in of_routers,
            )
            for row in rows
        ]

    async def routers(self, call: Call, rows: Sequence[RouterRow]) -> list[router_pb2.Router]:
        marks = await self._marks(call, "VmInstanceVO", rows)
        return [self._mapper.router(row, marks) for row in rows]

    async def _marks(self, call: Call, kind: str, rows: Sequence[HasUuid]) -> Marks:
        return await read_marks(self._session, call, self._ref, kind, rows)
