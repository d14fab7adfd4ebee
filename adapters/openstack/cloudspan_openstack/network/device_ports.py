"""The ports of servers and routers, for a whole page of them at once.

`compute` asks for these when somebody looks at a server's interfaces or security groups, `routers` for the interfaces
of routers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from cloudspan.v1 import port_pb2
from cloudspan_kit import Kind
from cloudspan_openstack.network.ports import PORT_SOURCE

if TYPE_CHECKING:
    from cloudspan_kit import Call
    from cloudspan_openstack.cloud.session import Session

# As Nova itself asks: more ids make an address that is too long for the web servers in front of Neutron (8 KiB).
_IDS_A_CALL = 150
_FIELDS = tuple(
    ("fields", name)
    for name in ("id", "device_id", "device_owner", "network_id", "mac_address", "fixed_ips", "security_groups")
)


class PortAddress(msgspec.Struct, gc=False):
    """An address of a port."""

    ip_address: str = ""
    subnet_id: str = ""


class DevicePort(msgspec.Struct):
    """A port, as far as its server or router shows it."""

    id: str
    device_id: str = ""
    device_owner: str = ""
    network_id: str = ""
    mac_address: str = ""
    fixed_ips: list[PortAddress] = []
    groups: list[str] = msgspec.field(name="security_groups", default_factory=list)


DevicePorts = Mapping[str, Sequence[DevicePort]]
"""Ports by the id of their server or router."""

_DEVICE_PORTS = Kind("ports", port_pb2.Port, DevicePort, PORT_SOURCE)


async def ports_of(session: Session, call: Call, device_ids: Sequence[str]) -> DevicePorts:
    """Return the ports of servers or routers by their ids, each in the order of ids; none without a Neutron.

    Raises:
        CloudspanError: Neutron does not answer.
    """
    if not device_ids or not session.has("network"):
        return {}
    parts = [device_ids[i : i + _IDS_A_CALL] for i in range(0, len(device_ids), _IDS_A_CALL)]
    try:
        async with asyncio.TaskGroup() as group:
            reading = [group.create_task(_read(call, part)) for part in parts]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    found: dict[str, list[DevicePort]] = {}
    for task in reading:
        for port in task.result():
            found.setdefault(port.device_id, []).append(port)
    return found


async def _read(call: Call, device_ids: Sequence[str]) -> Sequence[DevicePort]:
    params = (*_FIELDS, *(("device_id", device_id) for device_id in device_ids))
    # By id, since a page may come again when the port that the listing stood at was deleted.
    found: dict[str, DevicePort] = {}
    async for rows in PORT_SOURCE.all(call, _DEVICE_PORTS, params):
        found |= {port.id: port for port in rows}
    return list(found.values())
