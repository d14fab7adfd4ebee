"""Delete, start, stop and reboot servers: look first, ask once, watch until Nova's state is final.

What was made with a server goes with it, see `server_leaving`.

Nova sets a server's task before it answers an action, so after the answer a server without task is at the end of it,
well or badly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import msgspec

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import GaveUp, NotFound, PreconditionFailed
from cloudspan_kit import Capability, Made, Watch
from cloudspan_openstack.compute.server_leaving import ServerLeaving
from cloudspan_openstack.compute.server_rows import ServerRow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cloudspan_kit import Call, Operation
    from cloudspan_openstack.compute.compute import Compute

_S = server_pb2.Server
_HARD = server_pb2.RebootServerRequest.MODE_HARD
_LEAVING = frozenset({_S.STATE_DELETING, _S.STATE_SOFT_DELETED})


class Action(msgspec.Struct):
    """One row of what was done to a server."""

    action: str
    request_id: str


class Actions(msgspec.Struct):
    """Answer of `/servers/{id}/os-instance-actions`."""

    actions: list[Action] = msgspec.field(name="instanceActions")


class ServerChanges:
    """DeleteServer, StartServer, StopServer, RebootServer."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._session = compute.session
        self._leaving = ServerLeaving(compute.session, compute.ref)

    async def delete_server(self, op: Operation, request: server_pb2.DeleteServerRequest) -> None:
        op.set_resource(request.name)
        server_id = op.call.id
        with_it = await op.read_once("with it", lambda: self._leaving.look(op.call, server_id))
        await op.change("delete", lambda: self._delete(op.call))
        await op.wait_until("gone", lambda: self._deleted(op.call, request.name), percent=50, watch=_watch(op))
        await self._leaving.remove(op, with_it, server_id)

    async def start_server(self, op: Operation, request: server_pb2.StartServerRequest) -> _S:
        op.set_resource(request.name)
        await op.change("start", lambda: self._power(op.call, request.name, on=True))
        return await self._settled(op, request.name, _S.STATE_RUNNING, "start")

    async def stop_server(self, op: Operation, request: server_pb2.StopServerRequest) -> _S:
        op.set_resource(request.name)
        await op.change("stop", lambda: self._power(op.call, request.name, on=False))
        return await self._settled(op, request.name, _S.STATE_STOPPED, "stop")

    async def reboot_server(self, op: Operation, request: server_pb2.RebootServerRequest) -> _S:
        """Reboot once: a reboot without reply is looked for among Nova's recorded actions until it has settled."""
        op.set_resource(request.name)
        before = await op.read_once("look", lambda: self._look(op.call))
        kind = "HARD" if request.mode == _HARD else "SOFT"
        seen = frozenset(str(request_id) for request_id in before["reboots"])
        await op.create_step(
            "reboot",
            send=lambda _marker: self._reboot(op.call, kind),
            find=lambda _marker: self._find_reboot(op.call, seen),
        )
        return await self._settled(op, request.name, _S.STATE_RUNNING, "reboot")

    async def _delete(self, call: Call) -> None:
        row = await self._compute.gone(call, call.id)
        if isinstance(row, ServerRow) and row.state not in _LEAVING:
            await self._compute.delete(call, call.id)

    async def _deleted(self, call: Call, name: str) -> bool | None:
        row = await self._compute.gone(call, call.id)
        if not isinstance(row, ServerRow):
            return True
        if row.task or row.status == "DELETED":
            return None
        why = row.fault.message if row.fault else f"it is in status {row.status} with no task"
        text = f"Nova could not delete {name}: {why}; ask the cloud's operator"
        raise GaveUp(text, reason="SERVER_ERROR", resource=name)

    async def _power(self, call: Call, name: str, *, on: bool) -> None:
        row = await self._compute.row(call, call.id)
        done = (_S.STATE_RUNNING, _S.STATE_STARTING) if on else (_S.STATE_STOPPED, _S.STATE_STOPPING)
        if row.state in done:
            return
        if on and row.state in (_S.STATE_PAUSED, _S.STATE_SUSPENDED, _S.STATE_SHELVED, _S.STATE_RESCUED):
            text = f"{name} is {row.status}, which Start does not end; only a stopped server can be started"
            raise PreconditionFailed(text, reason="WRONG_STATE", resource=name)
        await self._compute.action(call, call.id, {"os-start" if on else "os-stop": None})

    async def _look(self, call: Call) -> dict[str, Any]:
        return {"reboots": sorted(await self._reboots(call))}

    async def _reboot(self, call: Call, kind: str) -> Made[object]:
        await self._compute.action(call, call.id, {"reboot": {"type": kind}})
        return Made("")

    async def _find_reboot(self, call: Call, seen: frozenset[str]) -> list[Made[object]]:
        return [Made("")] if await self._reboots(call) - seen else []

    async def _reboots(self, call: Call) -> set[str]:
        path = "/servers/{id}/os-instance-actions"
        listed = await self._session.get(call, "compute", path, Actions, args={"id": call.id})
        return {action.request_id for action in listed.actions if action.action == "reboot"}

    async def _settled(self, op: Operation, name: str, wanted: _S.State, verb: str) -> _S:
        """Wait for the end of an action and return the server; an end in another state is its failure."""
        row: ServerRow | str = await op.wait_until("done", lambda: self._idle(op.call), percent=50, watch=_watch(op))
        if isinstance(row, str):
            raise PreconditionFailed(f"{name} was deleted meanwhile", reason="DELETED_MEANWHILE", resource=name)
        if row.state != wanted:
            why = f": {row.fault.message}" if row.fault else ""
            text = f"{name} did not {verb}: Nova ended in status {row.status}{why}"
            raise GaveUp(text, reason="ACTION_FAILED", resource=name)
        return await self._compute.message(op.call, row)

    async def _idle(self, call: Call) -> ServerRow | str | None:
        try:
            row = await self._compute.row(call, call.id)
        except NotFound:
            return "gone"
        return None if row.task or row.status in ("REBOOT", "HARD_REBOOT", "UNKNOWN", "BUILD") else row


def _watch(op: Operation) -> Watch:
    return Watch("servers", op.call.id)
