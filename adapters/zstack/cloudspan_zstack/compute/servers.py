"""Reads of servers: one, and pages of them, with what ZStack tells of them elsewhere.

A destroyed server lingers for days and is found by Get as SOFT_DELETED; lists leave it out unless `show_deleted` asks
for it. Appliances (routers) lie among the servers and are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import NotFound
from cloudspan_kit import ABSENT, Capability
from cloudspan_zstack.cloud.beside import Marks, both, read_marks, rows_by
from cloudspan_zstack.cloud.labels import read_system_tags
from cloudspan_zstack.cloud.markers import servers_of
from cloudspan_zstack.cloud.queries import condition, one_of, page_of
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.transits import transits_of
from cloudspan_zstack.compute.server_rows import PASSING, STATES, Beside, ServerMapping, ServerRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from cloudspan_common.listing.filter_ast import Filter
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Page, Query
    from cloudspan_zstack.cloud.rows import Rows
    from cloudspan_zstack.cloud.session import Session

VM = "VmInstanceVO"
_SORT_FIELDS = {"display_name": "name", "create_time": "createDate", "update_time": "lastOpDate"}
# Equalities of the contract's fields that are references: field, native field.
_REFERENCES = (
    ("image", "imageUuid"), ("flavor", "instanceOfferingUuid"), ("zone", "zoneUuid"), ("host", "hostUuid"),
    ("host_id", "hostUuid"),
)  # fmt: skip
_HOSTNAME = "hostname::"
_UNTOLD = (ABSENT, "the platform does not tell it")
_FIELDS = {
    "key_pair": (ABSENT, "ZStack does not tell which keys a server was given"),
    "flavor_snapshot": (ABSENT, "ZStack keeps no copy of the offering; vcpus and memory_mib are the server's own"),
    "power_state": (ABSENT, "ZStack has one state for what it does and what the hypervisor does"),
    "fault": (ABSENT, "ZStack tells why something failed to the one who asked for it, and keeps no fault"),
    "launch_time": _UNTOLD,
    "user": _UNTOLD,
    "progress_percent": _UNTOLD,
    "hypervisor_hostname": (ABSENT, "a host's name stands with the host"),
    "tags": (ABSENT, "a tag without a value is a label without one"),
    "config_drive": _UNTOLD,
    "locked": (ABSENT, "ZStack has no locks on servers"),
    "server_groups": (ABSENT, "ZStack has no server groups"),
    "network_interfaces.network_display_name": (ABSENT, "ZStack tells a network's name with the network"),
    "volume_attachments.device": (ABSENT, "ZStack does not tell the guest's device path"),
}


class GroupRef(msgspec.Struct, rename="camel"):
    """A NIC in a security group; such a row has no uuid of its own."""

    vm_instance_uuid: str = ""
    vm_nic_uuid: str = ""
    security_group_uuid: str = ""


class GroupRow(Row):
    """A security group, as far as servers are concerned."""


class EipRow(Row):
    """An EIP, as far as servers are concerned."""

    vm_nic_uuid: str = ""
    vip_ip: str = ""


class ServerReader:
    """What the server areas of one cluster share: rows, and rows as messages."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self.session = session
        self.ref = ref
        self._mapping = ServerMapping(ref, session.zone)

    async def row(self, call: Call, uuid: str) -> ServerRow:
        """Return a server as ZStack tells it, a destroyed one too.

        Raises:
            NotFound: There is none of that uuid under the cluster's account.
        """
        return await self.session.get_one(call, "/vm-instances/{uuid}", ServerRow, args={"uuid": uuid})

    async def row_or_none(self, call: Call, uuid: str) -> ServerRow | None:
        """Return as `row`; None where there is none."""
        try:
            return await self.row(call, uuid)
        except NotFound:
            return None

    async def server(self, call: Call, uuid: str) -> server_pb2.Server:
        """Return a server as a message, with ZStack's own document under view FULL.

        Raises:
            NotFound: There is none of that uuid under the cluster's account.
        """
        template = "/vm-instances/{uuid}"
        row, document = await self.session.get_with_document(call, template, ServerRow, args={"uuid": uuid})
        return (await self.messages(call, [row], [document]))[0]

    async def messages(
        self, call: Call, rows: Sequence[ServerRow], documents: Sequence[Mapping[str, Any]] = ()
    ) -> list[server_pb2.Server]:
        """Return rows as messages, with what belongs to them looked up for all of them at once."""
        beside = await self._beside(call, rows) if rows else Beside(Marks({}, {}), {}, {}, {}, {}, {})
        found = [self._mapping.message(row, beside) for row in rows]
        if call.full:
            for message, document in zip(found, documents, strict=False):
                message.native.update(dict(document))
        return found

    async def _beside(self, call: Call, rows: Sequence[ServerRow]) -> Beside:
        uuids = [row.uuid for row in rows]
        nics = [nic.uuid for row in rows for nic in row.vm_nics]
        data = [disk.uuid for row in rows for disk in row.all_volumes if disk.type != "Root"]
        ((marks, hostnames), along), ((groups, names), floating) = await both(
            both(
                both(read_marks(self.session, call, self.ref, VM, rows), self._hostnames(call, uuids)),
                servers_of(self.session, call, data),
            ),
            both(self._groups(call, uuids), self._floating(call, nics)),
        )
        return Beside(marks, groups, names, floating, along, hostnames)

    async def _hostnames(self, call: Call, uuids: Sequence[str]) -> dict[str, str]:
        tags = await read_system_tags(self.session, call, VM, uuids, f"{_HOSTNAME}%")
        return {uuid: found[0].removeprefix(_HOSTNAME) for uuid, found in tags.items()}

    async def _groups(self, call: Call, uuids: Sequence[str]) -> tuple[dict[str, list[str]], dict[str, str]]:
        """Return groups by server, and names by group. A server is in a group when one of its NICs is."""
        refs = await rows_by(
            self.session, call, "/security-groups/vm-instances/nics", GroupRef, "vmInstanceUuid", uuids
        )
        found: dict[str, list[str]] = {}
        for ref in refs:
            groups = found.setdefault(ref.vm_instance_uuid, [])
            if ref.security_group_uuid not in groups:
                groups.append(ref.security_group_uuid)
        wanted = {uuid for groups in found.values() for uuid in groups}
        named = await rows_by(self.session, call, "/security-groups", GroupRow, "uuid", wanted)
        return {server: sorted(groups) for server, groups in found.items()}, {row.uuid: row.name for row in named}

    async def _floating(self, call: Call, nics: Sequence[str]) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in await rows_by(self.session, call, "/eips", EipRow, "vmNicUuid", nics):
            found.setdefault(row.vm_nic_uuid, []).append(row.vip_ip)
        return found


class Servers:
    """GetServer and ListServers."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "get_server": Capability(fields=_FIELDS),
        "list_servers": Capability(sortable=tuple(_SORT_FIELDS), fields=_FIELDS),
    }

    def __init__(self, reader: ServerReader) -> None:
        self._reader = reader
        self.transits = {"servers": transits_of(reader.session, "/vm-instances", "state", PASSING)}

    async def get_server(self, call: Call, _request: server_pb2.GetServerRequest) -> server_pb2.Server:
        return await self._reader.server(call, call.id)

    async def list_servers(self, call: Call, query: Query) -> Page[server_pb2.Server]:
        async def messages(found: Rows[ServerRow]) -> list[server_pb2.Server]:
            return await self._reader.messages(call, found.rows, found.documents)

        return await page_of(
            self._reader.session,
            call,
            query,
            "/vm-instances",
            ServerRow,
            messages,
            conditions=_conditions(query),
            sort_fields=_SORT_FIELDS,
        )


def _conditions(query: Query) -> list[str]:
    """Return what ZStack can filter by; the kit applies the whole filter to what comes back."""
    asked = query.filter
    deleted = [] if query.show_deleted else ["state!=Destroyed"]
    conditions = ["type=UserVm", *_state(asked), *deleted, *condition("name", asked.equal("display_name") or "")]
    for field, native in _REFERENCES:
        conditions += condition(native, (asked.equal(field) or "").rpartition("/")[2])
    return conditions


def _state(asked: Filter) -> list[str]:
    """Return nothing for an unknown state too: that may be any that we don't know."""
    wanted = asked.equal("state")
    known = server_pb2.Server.State.items()
    value = dict(known).get(f"STATE_{(wanted or '').removeprefix('STATE_')}")
    if value in (None, server_pb2.Server.STATE_UNKNOWN):
        return []
    if value == server_pb2.Server.STATE_BUILDING:
        return ["state=Starting"]
    native = [name for name, ours in STATES.items() if ours == value]
    # A state that ZStack has not is that of no server.
    return one_of("state", native or ["none"])
