"""Ports: Neutron's, by which servers and routers are in networks; those of a page of them are read at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from cloudspan.v1 import port_pb2
from cloudspan_common.errors import PreconditionFailed
from cloudspan_common.names import encode_id
from cloudspan_kit import BY_MARKER, Kind, KindDriver, listed, push
from cloudspan_kit.drivers import PortDriver
from cloudspan_openstack.cloud.neutron import Neutron, Row, in_tags, state_of
from cloudspan_openstack.cloud.source import session_of
from cloudspan_openstack.cloud.values import description_of, labels_of, timestamp

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cloudspan_common.errors import CloudspanError
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call

Port = port_pb2.Port

PUSHED_STATES = {"ACTIVE": "ACTIVE", "CREATING": "BUILD", "ERROR": "ERROR"}
"""BUILD is CREATING and nothing else; ACTIVE rows may be DOWN for us, since their owner switched them off."""
# What stands in `device_id` for ports whose owner begins so; for the others it is free text.
_DEVICES = {
    "compute:": "servers",
    "network:router": "routers",
    "network:ha_router": "routers",
    "network:floatingip": "floatingIps",
}


class FixedIp(msgspec.Struct):
    ip_address: str | None = None
    subnet_id: str | None = None


class AddressPair(msgspec.Struct):
    ip_address: str | None = None
    mac_address: str | None = None


class PortRow(Row, kw_only=True):
    network_id: str
    status: str | None = None
    admin_state_up: bool = True
    device_id: str | None = None
    device_owner: str | None = None
    mac_address: str | None = None
    fixed_ips: list[FixedIp] = msgspec.field(default_factory=list)
    security_groups: list[str] = msgspec.field(default_factory=list)
    port_security_enabled: bool | None = None
    allowed_address_pairs: list[AddressPair] = msgspec.field(default_factory=list)
    vnic_type: str | None = msgspec.field(name="binding:vnic_type", default=None)
    host: str | None = msgspec.field(name="binding:host_id", default=None)
    dns_name: str | None = None


PORT_SOURCE = Neutron("/ports", "port")

PORTS = Kind(
    collection="ports",
    message=Port,
    row=PortRow,
    source=PORT_SOURCE,
    # Neutron sorts by few attributes: created_at and description are refused with 400.
    sort={"display_name": "name", "native_state": "status", "mac_address": "mac_address"},
    changes_since="changed_since",
    push={
        "name": push.ref("id", "ports"),
        "display_name": push.text("name"),
        "network": push.ref("network_id", "networks"),
        "server": push.ref("device_id", "servers"),
        "state": push.word("status", PUSHED_STATES),
        "native_state": push.text("status"),
        "device_id": push.text("device_id"),
        "device_owner": push.text("device_owner"),
        "mac_address": push.text("mac_address"),
    },
    # They are made as parts of servers only.
    safety=BY_MARKER,
    marker=in_tags(),
)


class Ports(KindDriver[PortRow, Port], PortDriver):
    """PortService."""

    kind = PORTS

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._base, self._ports, self._projects = f"{ref}/", f"{ref}/ports/", f"{ref}/projects/"
        self._networks, self._subnets, self._groups = f"{ref}/networks/", f"{ref}/subnets/", f"{ref}/securityGroups/"

    def message(self, row: PortRow) -> Port:
        groups, subnets, owner = self._groups, self._subnets, row.device_owner or ""
        device = self._device(row.device_id, owner)
        return Port(
            name=self._ports + row.id,
            display_name=row.name,
            state=state_of(row.status, row.admin_state_up),
            native_state=row.status,
            project=self._projects + row.project if row.project else None,
            labels=labels_of(row.tags),
            create_time=timestamp(row.created_at),
            update_time=timestamp(row.updated_at),
            description=description_of(row.description),
            network=self._networks + row.network_id,
            server=device if owner.startswith("compute:") else None,
            device=device,
            device_id=row.device_id,
            device_owner=owner,
            mac_address=row.mac_address,
            fixed_ips=[
                Port.FixedIp(ip_address=ip.ip_address, subnet=subnets + ip.subnet_id if ip.subnet_id else None)
                for ip in row.fixed_ips
            ],
            security_groups=[groups + group for group in row.security_groups],
            admin_up=row.admin_state_up,
            port_security_enabled=row.port_security_enabled,
            allowed_address_pairs=[
                Port.AddressPair(ip_address=pair.ip_address, mac_address=pair.mac_address)
                for pair in row.allowed_address_pairs
            ],
            vnic_type=row.vnic_type,
            host=f"{self._base}hosts/{encode_id(row.host)}" if row.host else None,
            dns_name=row.dns_name,
            etag=row.etag,
        )

    def _device(self, device_id: str | None, owner: str) -> str | None:
        """Return the name of what has a port, where the owner says what `device_id` is."""
        if device_id and owner:
            for prefix, collection in _DEVICES.items():
                if owner.startswith(prefix):
                    return f"{self._base}{collection}/{device_id}"
        return None


def name_ports(
    collection: str, field: str, users: str
) -> Callable[[Call, str, PreconditionFailed], Awaitable[CloudspanError | None]]:
    """Return what `op.delete` asks after a refusal: the ports whose `field` is `users`, with the id in `{id}`.

    Neutron names one of them at most.
    """

    async def refused(call: Call, native_id: str, error: PreconditionFailed) -> CloudspanError:
        rows = await PORT_SOURCE.find(call, PORTS, ((field, users.format(id=native_id)),))
        if not rows:
            return error  # others' ports, which these credentials do not see
        name = call.cluster.resource(collection, native_id)
        ports = listed(f"{call.cluster.resource('ports', row.id)} ({row.device_owner or 'unused'})" for row in rows)
        text = f"{name} is in use by {len(rows)} ports, remove them first: {ports}"
        return PreconditionFailed(text, reason="IN_USE", metadata=error.metadata, resource=name)

    return refused


# ---------------------------------------------------------------------- the ports of servers and routers

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
    fixed_ips: list[PortAddress] = msgspec.field(default_factory=list)
    groups: list[str] = msgspec.field(name="security_groups", default_factory=list)


DevicePorts = Mapping[str, Sequence[DevicePort]]
"""Ports by the id of their server or router."""

_DEVICE_PORTS = Kind("ports", Port, DevicePort, PORT_SOURCE)


async def ports_of(call: Call, device_ids: Sequence[str]) -> DevicePorts:
    """Return the ports of servers or routers by their ids, each in the order of ids; none without a Neutron.

    Raises:
        CloudspanError: Neutron does not answer.
    """
    if not device_ids or not session_of(call).has("network"):
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
