"""Routers: virtual routers, which are appliances of the platform; VPC routers are among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan.v1 import router_pb2
from cloudspan_kit import ABSENT, Call, Capability, Kind, KindDriver, push
from cloudspan_kit.drivers import RouterDriver
from cloudspan_zstack.cloud.beside import read_marks
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import ZStackSource, session_of
from cloudspan_zstack.network.ports import ROUTERS as _PATH
from cloudspan_zstack.network.ports import NicRow, fixed_ips

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

_R = router_pb2.Router
_STATES = {
    "Created": _R.STATE_CREATING, "Starting": _R.STATE_CREATING, "Running": _R.STATE_ACTIVE,
    "Rebooting": _R.STATE_ACTIVE, "Migrating": _R.STATE_ACTIVE, "Stopping": _R.STATE_DOWN, "Stopped": _R.STATE_DOWN,
    "Paused": _R.STATE_DOWN, "Destroying": _R.STATE_DELETING, "Destroyed": _R.STATE_DELETING,
    "Expunging": _R.STATE_DELETING, "Error": _R.STATE_ERROR, "Crashed": _R.STATE_ERROR,
}  # fmt: skip
_OF_THE_AGENT = {"Disconnected": _R.STATE_DOWN, "Connecting": _R.STATE_CREATING}
_UNTOLD = (ABSENT, "the platform does not tell it")


class RouterRow(Row, kw_only=True):
    state: str = ""
    status: str = ""
    public_network_uuid: str = ""
    default_route_l3_network_uuid: str = ""
    management_network_uuid: str = ""
    zone_uuid: str = ""
    ha_status: str = ""
    vm_nics: list[NicRow] = msgspec.field(default_factory=list)


ROUTERS = Kind(
    collection="routers",
    message=router_pb2.Router,
    row=RouterRow,
    source=ZStackSource(_PATH),
    sort={"display_name": "name", "create_time": "createDate", "update_time": "lastOpDate", "native_state": "state"},
    changes_since="lastOpDate",
    push={
        "name": push.ref("uuid", "routers"),
        "display_name": push.text("name"),
        "native_state": push.text("state"),
    },
)


class Routers(KindDriver[RouterRow, router_pb2.Router], RouterDriver):
    """RouterService."""

    kind = ROUTERS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_routers": Capability(
            fields={"routes": _UNTOLD, "snat_enabled": _UNTOLD, "distributed": _UNTOLD, "fault": _UNTOLD}
        )
    }

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        super().__init__(ref)
        self._time = zone.timestamp
        self._routers, self._networks, self._subnets = f"{ref}/routers/", f"{ref}/networks/", f"{ref}/subnets/"
        self._ports, self._zones = f"{ref}/ports/", f"{ref}/zones/"

    async def messages(self, call: Call, rows: Sequence[RouterRow]) -> Sequence[router_pb2.Router]:
        marks = await read_marks(session_of(call), call, self._ref, "VmInstanceVO", rows)
        return [self._message(row, marks) for row in rows]

    def _message(self, row: RouterRow, marks: Marks) -> router_pb2.Router:
        outside = row.public_network_uuid or row.default_route_l3_network_uuid
        nics = sorted(row.vm_nics, key=lambda nic: nic.uuid)  # told in another order from call to call
        return _R(
            name=self._routers + row.uuid,
            display_name=row.name,
            state=_state(row),
            native_state=row.state,
            project=marks.project(row.uuid),
            labels=marks.labels(row.uuid),
            create_time=self._time(row.create_date),
            update_time=self._time(row.last_op_date),
            description=row.description,
            external_network=self._networks + outside if outside else None,
            external_fixed_ips=[
                ip for nic in nics if nic.l3_network_uuid == outside for ip in fixed_ips(nic, self._subnets)
            ],
            admin_up=row.state not in ("Stopping", "Stopped") if row.state else None,
            interfaces=[
                self._interface(nic)
                for nic in nics
                # The platform itself reaches its router by the management network.
                if nic.l3_network_uuid not in (outside, row.management_network_uuid)
            ],
            ha=row.ha_status != "NoHa" if row.ha_status else None,
            zones=[self._zones + row.zone_uuid] if row.zone_uuid else [],
        )

    def _interface(self, nic: NicRow) -> router_pb2.Router.Interface:
        return _R.Interface(
            port=self._ports + nic.uuid,
            network=self._networks + nic.l3_network_uuid,
            fixed_ips=fixed_ips(nic, self._subnets),
            mac_address=nic.mac,
        )


def _state(row: RouterRow) -> _R.State:
    """A router whose agent does not answer routes nothing that could be relied on."""
    state = _STATES.get(row.state, _R.STATE_UNKNOWN)
    return _OF_THE_AGENT.get(row.status, state) if state == _R.STATE_ACTIVE else state
