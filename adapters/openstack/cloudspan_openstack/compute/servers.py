"""Servers: Nova's, with their ports and security groups from Neutron, and what is done to them.

What was made with a server goes with it, see `server_parts`. Nova sets a server's task before it answers an action, so
after the answer a server without task is at the end of it, well or badly.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import CloudspanError, GaveUp, NotFound, PreconditionFailed, QuotaExceeded
from cloudspan_kit import (
    BY_MARKER,
    EMULATED,
    Capability,
    Kind,
    KindDriver,
    Made,
    each,
    native_id,
    push,
    read_options,
    watch_of,
)
from cloudspan_kit.drivers import ServerDriver
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.nova import PASSWORD, MarkedServers, NovaServers, ServerBody
from cloudspan_openstack.cloud.session import Session
from cloudspan_openstack.cloud.source import session_of
from cloudspan_openstack.compute.flavors import FlavorBook, is_copy
from cloudspan_openstack.compute.server_create import SINCE, CreateServerOptions, plan_of
from cloudspan_openstack.compute.server_parts import (
    attach,
    check_ports,
    detach,
    make_floating_ips,
    make_parts,
    parts_of,
    remove_parts,
    show_floating_ips,
)
from cloudspan_openstack.compute.server_rows import STATES, TASK_STATES, ServerMapping, ServerRow, Shown
from cloudspan_openstack.network.ports import ports_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Operation, Query
    from cloudspan_openstack.compute.flavors import FlavorRow
    from cloudspan_openstack.network.ports import DevicePorts

_S = server_pb2.Server
_HARD = server_pb2.RebootServerRequest.MODE_HARD
# A server that is DELETED is shown for a moment before it is gone.
_MOVING = frozenset({
    "BUILD", "REBOOT", "HARD_REBOOT", "RESIZE", "REVERT_RESIZE", "MIGRATING", "REBUILD", "PASSWORD", "DELETED",
})  # fmt: skip
# The microversions from which on a server tells them.
_TOLD_SINCE = {
    "locked": Microversion(2, 9),
    "description": Microversion(2, 19),
    "tags": Microversion(2, 26),
    "flavor_snapshot": Microversion(2, 47),
    "server_groups": Microversion(2, 71),
    "locked_reason": Microversion(2, 73),
}
# What only a start does not end.
_NO_START = (_S.STATE_PAUSED, _S.STATE_SUSPENDED, _S.STATE_SHELVED, _S.STATE_RESCUED)
# Nova's `name` is a regular expression of the cloud's database; these stand for themselves in all of them, others
# do inside brackets, and a name with one that does in none is left to the kit.
_PLAIN = re.compile(r"[A-Za-z0-9 _,:;@#%&=!~'\"<>-]")
_BRACKETED = re.compile(r"[.*+?(){}|$/]")


def _as_regex(name: str) -> str:
    parts = [c if _PLAIN.match(c) else f"[{c}]" if _BRACKETED.match(c) else "" for c in name]
    return f"^{''.join(parts)}$" if all(parts) else ""


def _named(name: str, _cluster: ClusterRef) -> Sequence[push.Condition]:
    pattern = _as_regex(name)
    return (("name", pattern),) if pattern else ()


def _statuses() -> Mapping[str, Sequence[push.Condition]]:
    """Nova's statuses for each of our states; states that a task decides, whatever the status, can't be asked for."""
    found: dict[str, list[push.Condition]] = {}
    for status, state in STATES.items():
        if status != "DELETED" and state not in (*TASK_STATES.values(), _S.STATE_UNKNOWN):
            found.setdefault(_S.State.Name(state).removeprefix("STATE_"), []).append(("status", status))
    return found


_OF_FLAVOR = push.ref("flavor", "flavors")
_NOVA = NovaServers("/servers", "server")

SERVERS = Kind(
    collection="servers",
    message=server_pb2.Server,
    row=ServerRow,
    source=_NOVA,
    sort={"display_name": "display_name", "create_time": "created_at", "update_time": "updated_at"},
    # Not pushed: metadata (a member gets all servers, an administrator a 400), and zone (Nova compares what was asked
    # for at creation, not where the server is).
    changes_since="changes-since",
    push={
        "display_name": _named,
        "state": push.words(_statuses()),
        "image": push.ref("image", "images"),
        "flavor": _OF_FLAVOR,
        "host": push.ref("host", "hosts"),
        "key_pair": push.ref("key_name", "keyPairs"),
    },
    settled=lambda row: not row.task and row.status not in _MOVING,
    gone=lambda row: row.status == "SOFT_DELETED",
    failed_reason="SERVER_ERROR",
    safety=BY_MARKER,
    marker=MarkedServers(),
)


class Action(msgspec.Struct):
    """One row of what was done to a server."""

    action: str
    request_id: str


class Actions(msgspec.Struct):
    """Answer of `/servers/{id}/os-instance-actions`."""

    actions: list[Action] = msgspec.field(name="instanceActions")


class Servers(KindDriver[ServerRow, server_pb2.Server], ServerDriver):
    """ServerService."""

    kind = SERVERS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "create_server": Capability(
            options=CreateServerOptions,
            fields={
                "new_volumes": (EMULATED, "made in Cinder before the server"),
                "network_interfaces.new_port": (EMULATED, "made in Neutron before the server, deleted after it"),
                "network_interfaces.floating_network": (EMULATED, "taken once the server runs, released after it"),
            },
        )
    }

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._mapping, self._book = ServerMapping(ref), FlavorBook()

    def lacking(self, cloud: object) -> Mapping[str, Mapping[str, str]]:
        """By Nova's microversion, once it is known."""
        version = cloud.known_microversion("compute") if isinstance(cloud, Session) else None
        if version is None:
            return {}
        read = {field: f"told from Nova {since} on" for field, since in _TOLD_SINCE.items() if version < since}
        taken = {field: f"needs Nova {since}" for field, since in SINCE.values() if version < since}
        return {
            "get_server": read,
            "list_servers": read,
            "create_server": {field: why for field, why in taken.items() if not field.startswith("options.")},
        }

    # ------------------------------------------------------------------ reading

    async def messages(self, call: Call, rows: Sequence[ServerRow]) -> Sequence[server_pb2.Server]:
        return await self._messages(call, rows, await _ports(call, rows))

    async def listed(
        self, call: Call, query: Query, rows: Sequence[ServerRow]
    ) -> tuple[Sequence[server_pb2.Server], str]:
        """A Neutron that is down costs a list its interfaces' ports, not the servers."""
        lacking, ports = "", dict[str, Any]()
        try:
            ports |= await _ports(call, rows)
        except CloudspanError as error:
            lacking = f"interfaces lack their ports and subnets, and servers their security groups: {error.message}"
        # From 2.47 on Nova's rows don't say their flavor's id; one that was asked for is that of its copies.
        asked = _OF_FLAVOR(query.filter.equal("flavor") or "", call.cluster)
        flavor_id = "".join(c[1] for c in asked if not isinstance(c, str))
        flavor = await self._book.get(call, flavor_id) if flavor_id and rows else None
        return await self._messages(call, rows, ports, flavor), lacking

    async def _messages(
        self, call: Call, rows: Sequence[ServerRow], ports: DevicePorts, asked: FlavorRow | None = None
    ) -> Sequence[server_pb2.Server]:
        """Return rows as messages; `asked` is the flavor that Nova was asked for servers of."""
        await self._book.learn(call, [row.flavor for row in rows])
        message, find, shown = self._mapping.message, self._book.find, Shown.of(call)
        ids = [asked.id if asked and is_copy(row.flavor, asked) else "" for row in rows]

        def convert(pair: tuple[ServerRow, str]) -> server_pb2.Server:
            row, flavor_id = pair
            return message(row, find(row.flavor), ports.get(row.id, ()), flavor_id, shown)

        return await each(call, list(zip(rows, ids, strict=True)), convert)

    async def _server(self, call: Call) -> server_pb2.Server:
        return await self.to_message(call, await _NOVA.row(call, SERVERS, call.id))

    # ------------------------------------------------------------------ create and delete

    async def create_server(self, op: Operation, request: server_pb2.CreateServerRequest) -> server_pb2.Server:
        plan = plan_of(request, read_options(request.options, CreateServerOptions), self._ref)
        plan.check(await session_of(op.call).microversion(op.call, "compute"))
        parts = await make_parts(op, plan)
        made = await op.create(SERVERS, ServerBody(lambda version: plan.document(version, parts), plan.exclusive))
        server: server_pb2.Server = await op.wait_until(
            "active", lambda: self._built(op.call, made.id), percent=60, watch=watch_of(SERVERS, made.id)
        )
        floating_ips = await make_floating_ips(op, plan, parts, made.id)
        await check_ports(op.call, parts, made.id)
        show_floating_ips(server, floating_ips)
        if not request.admin_password:
            server.generated_password = made.data.get(PASSWORD, "")
        return server

    async def _built(self, call: Call, server_id: str) -> server_pb2.Server | None:
        name = self._ref.resource("servers", server_id)
        try:
            row = await _NOVA.row(call, SERVERS, server_id)
        except NotFound as error:
            text = f"{name} was deleted by someone else while it was being built"
            raise PreconditionFailed(text, reason="DELETED_MEANWHILE", resource=name) from error
        if row.status == "ERROR":
            raise _build_failed(name, row)
        return None if row.status in ("BUILD", "UNKNOWN") else await self.to_message(call, row)

    async def delete_server(self, op: Operation, request: server_pb2.DeleteServerRequest) -> None:
        op.set_resource(request.name)
        server_id = op.call.id
        with_it = await op.read_once("with it", lambda: parts_of(op.call, server_id))
        await op.delete(SERVERS, server_id)
        await remove_parts(op, with_it, server_id)

    # ------------------------------------------------------------------ power

    async def start_server(self, op: Operation, request: server_pb2.StartServerRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        await op.change("start", lambda: self._power(op.call, request.name, on=True))
        return await self._settled(op, request.name, _S.STATE_RUNNING, "start")

    async def stop_server(self, op: Operation, request: server_pb2.StopServerRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        await op.change("stop", lambda: self._power(op.call, request.name, on=False))
        return await self._settled(op, request.name, _S.STATE_STOPPED, "stop")

    async def reboot_server(self, op: Operation, request: server_pb2.RebootServerRequest) -> server_pb2.Server:
        """Reboot once: a reboot without reply is looked for among Nova's recorded actions until it has settled."""
        op.set_resource(request.name)
        before = await op.read_once("look", lambda: _look(op.call))
        how = "HARD" if request.mode == _HARD else "SOFT"
        seen = frozenset(str(request_id) for request_id in before["reboots"])
        await op.create_step(
            "reboot", send=lambda _marker: _reboot(op.call, how), find=lambda _marker: _find_reboot(op.call, seen)
        )
        return await self._settled(op, request.name, _S.STATE_RUNNING, "reboot")

    async def _power(self, call: Call, name: str, *, on: bool) -> None:
        row = await _NOVA.row(call, SERVERS, call.id)
        done = (_S.STATE_RUNNING, _S.STATE_STARTING) if on else (_S.STATE_STOPPED, _S.STATE_STOPPING)
        if row.state in done:
            return
        if on and row.state in _NO_START:
            text = f"{name} is {row.status}, which Start does not end; only a stopped server can be started"
            raise PreconditionFailed(text, reason="WRONG_STATE", resource=name)
        await _NOVA.ask(call, call.id, {"os-start" if on else "os-stop": None})

    async def _settled(self, op: Operation, name: str, wanted: server_pb2.Server.State, verb: str) -> _S:
        """Wait for the end of an action and return the server; an end in another state is its failure."""
        watch = watch_of(SERVERS, op.call.id)
        row: ServerRow | str = await op.wait_until("done", lambda: _idle(op.call), percent=50, watch=watch)
        if isinstance(row, str):
            raise PreconditionFailed(f"{name} was deleted meanwhile", reason="DELETED_MEANWHILE", resource=name)
        if row.state != wanted:
            why = f": {row.fault.message}" if row.fault else ""
            text = f"{name} did not {verb}: Nova ended in status {row.status}{why}"
            raise GaveUp(text, reason="ACTION_FAILED", resource=name)
        return await self.to_message(op.call, row)

    # ------------------------------------------------------------------ volumes

    async def attach_volume(self, op: Operation, request: server_pb2.AttachVolumeRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        await attach(op, request, native_id(self._ref, "volumes", request.volume, "volume"))
        return await self._server(op.call)

    async def detach_volume(self, op: Operation, request: server_pb2.DetachVolumeRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        await detach(op, request, native_id(self._ref, "volumes", request.volume, "volume"))
        return await self._server(op.call)


async def _ports(call: Call, rows: Sequence[ServerRow]) -> DevicePorts:
    """Return the ports of servers where somebody looks at interfaces or security groups."""
    if not call.wants("network_interfaces", "security_groups"):
        return {}
    return await ports_of(call, [row.id for row in rows])


async def _idle(call: Call) -> ServerRow | str | None:
    try:
        row = await _NOVA.row(call, SERVERS, call.id)
    except NotFound:
        return "gone"
    return None if row.task or row.status in ("REBOOT", "HARD_REBOOT", "UNKNOWN", "BUILD") else row


async def _look(call: Call) -> dict[str, Any]:
    return {"reboots": sorted(await _reboots(call))}


async def _reboot(call: Call, how: str) -> Made[object]:
    await _NOVA.ask(call, call.id, {"reboot": {"type": how}})
    return Made("")


async def _find_reboot(call: Call, seen: frozenset[str]) -> list[Made[object]]:
    return [Made("")] if await _reboots(call) - seen else []


async def _reboots(call: Call) -> set[str]:
    path = "/servers/{id}/os-instance-actions"
    found = await session_of(call).get(call, "compute", path, Actions, args={"id": call.id})
    return {action.request_id for action in found.actions if action.action == "reboot"}


def _build_failed(name: str, row: ServerRow) -> QuotaExceeded | GaveUp:
    fault = row.fault.message if row.fault else "Nova gave no reason"
    text = f"Nova took {name} and then failed to build it: {fault}"
    if "No valid host" in fault:
        more = "the cloud has no room for its flavor in this zone; use another flavor or zone, or ask its operator"
        return QuotaExceeded(f"{text}; {more}", reason="NO_VALID_HOST", resource=name)
    return GaveUp(text, reason="SERVER_ERROR", resource=name)
