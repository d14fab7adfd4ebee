"""Delete, start, stop and reboot servers: look first, ask once, follow the job, and end on the state that is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import GaveUp, PreconditionFailed
from cloudspan_kit import EMULATED, Capability, Watch
from cloudspan_zstack.cloud.error_rules import LostJob
from cloudspan_zstack.cloud.session import Change, Job
from cloudspan_zstack.compute.server_along import ServerAlong
from cloudspan_zstack.compute.server_deletion import LEAVING, destroying, expunging
from cloudspan_zstack.compute.server_rows import PASSING, ServerRow

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cloudspan_kit import Call, Operation
    from cloudspan_zstack.compute.servers import ServerReader

_HARD = server_pb2.RebootServerRequest.MODE_HARD
_STOPPED = frozenset({"Stopped", "Created"})
_RUNNING = frozenset({"Running"})
_COLD = {"type": "cold"}
_GONE = "gone"


class ServerChanges:
    """DeleteServer, StartServer, StopServer, RebootServer."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "reboot_server": Capability(fields={"mode": (EMULATED, "MODE_HARD powers the server off and starts it")})
    }

    def __init__(self, reader: ServerReader, *, purge: bool = False) -> None:
        self._reader = reader
        self._session = reader.session
        self._purge = purge
        self._along = ServerAlong(reader, purge=purge)

    async def delete_server(self, op: Operation, request: server_pb2.DeleteServerRequest) -> None:
        """Destroy a server; it stays recoverable unless the cluster is configured to purge."""
        op.set_resource(request.name)
        along = await op.read_once("along", lambda: self._along.look(op.call, op.call.id))
        kept, watch = await op.change("delete", lambda: self._destroy(op)), _watch(op)
        state = await op.wait_until(
            "deleted", lambda: self._destroyed(op.call, kept, request.name), percent=50, watch=watch
        )
        if self._purge and state != _GONE:
            kept = await op.change("expunge", lambda: self._expunge(op))
            await op.wait_until(
                "expunged", lambda: self._expunged(op.call, kept, request.name), percent=75, watch=watch
            )
        await self._along.remove(op, along)

    async def start_server(self, op: Operation, request: server_pb2.StartServerRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        await op.read_once("check", lambda: self._check(op.call, "startVmInstance"))
        await self._start(op, request.name)
        return await self._reader.server(op.call, op.call.id)

    async def stop_server(self, op: Operation, request: server_pb2.StopServerRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        await op.read_once("check", lambda: self._check(op.call, "stopVmInstance"))
        kept = await op.change("stop", lambda: self._power(op, "stopVmInstance", "stop", _STOPPED | {"Stopping"}))
        await op.wait_until(
            "stopped", lambda: self._settled(op.call, kept, _STOPPED, request.name), percent=50, watch=_watch(op)
        )
        return await self._reader.server(op.call, op.call.id)

    async def reboot_server(self, op: Operation, request: server_pb2.RebootServerRequest) -> server_pb2.Server:
        """Reboot once: the job's uuid is the operation's, so the same reboot asked twice is one."""
        op.set_resource(request.name)
        if request.mode == _HARD:
            await op.read_once("check", lambda: self._check(op.call, "stopVmInstance"))
            kept = await op.change("power-off", lambda: self._power(op, "stopVmInstance", "power-off", _STOPPED, _COLD))
            await op.wait_until(
                "off", lambda: self._settled(op.call, kept, _STOPPED, request.name), percent=30, watch=_watch(op)
            )
            await self._start(op, request.name)
        else:
            before = await op.read_once("look", lambda: self._look(op.call))
            kept = await op.change("reboot", lambda: self._power(op, "rebootVmInstance", "reboot", frozenset()))
            await op.wait_until(
                "rebooted", lambda: self._rebooted(op.call, kept, before, request.name), percent=50, watch=_watch(op)
            )
        return await self._reader.server(op.call, op.call.id)

    async def _start(self, op: Operation, name: str) -> None:
        kept = await op.change("start", lambda: self._power(op, "startVmInstance", "start", _RUNNING | {"Starting"}))
        await op.wait_until(
            "running", lambda: self._settled(op.call, kept, _RUNNING, name), percent=60, watch=_watch(op)
        )

    # ------------------------------------------------------------------ power

    async def _power(
        self, op: Operation, action: str, step: str, done: frozenset[str], params: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Ask for an action unless its end is reached or near; return the job to follow, if there is one."""
        call = op.call
        row = await self._reader.row(call, call.id)
        if row.state in done:
            return {}
        _refuse(row, action)
        change = Change("PUT", "/vm-instances/{uuid}/actions", {"uuid": call.id}, action=action, params=params or {})
        return (await self._session.send(call, change, job=op.marker(step))).kept()

    async def _check(self, call: Call, action: str) -> None:
        """Refuse before anything is sent what would be refused then, as for a server that is not there."""
        _refuse(await self._reader.row(call, call.id), action)

    async def _settled(self, call: Call, kept: Mapping[str, Any], wanted: frozenset[str], name: str) -> str | None:
        """Return the wanted state that is reached; a job that is lost or never ends is judged by it."""
        row = await self._reader.row(call, call.id)
        if row.state in wanted:
            return row.state
        try:
            done = await self._session.follow(call, Job.of(kept))
        except LostJob as error:
            if row.state in PASSING:
                return None
            raise _lost(name, row, error) from error
        if not done or row.state in PASSING:
            return None
        row = await self._reader.row(call, call.id)
        if row.state in wanted:
            return row.state
        if row.state in PASSING:
            return None
        text = f"{name} was to be {' or '.join(sorted(wanted))} and is {row.state}; look at it before asking again"
        raise GaveUp(text, reason="WRONG_END_STATE", resource=name)

    async def _look(self, call: Call) -> dict[str, Any]:
        row = await self._reader.row(call, call.id)
        return {"changed": row.last_op_date or ""}

    async def _rebooted(self, call: Call, kept: Mapping[str, Any], before: Mapping[str, Any], name: str) -> str | None:
        """Only the job tells, since the state is the same before and after; without it the date of the last change."""
        try:
            done = await self._session.follow(call, Job.of(kept))
        except LostJob as error:
            row = await self._reader.row(call, call.id)
            if row.state == "Running" and (row.last_op_date or "") != before["changed"]:
                return row.state
            if row.state in PASSING:
                return None
            raise _lost(name, row, error) from error
        return await self._settled(call, {}, _RUNNING, name) if done else None

    # ------------------------------------------------------------------ deletion

    async def _destroy(self, op: Operation) -> dict[str, Any]:
        row = await self._reader.row_or_none(op.call, op.call.id)
        if row is None or row.state in LEAVING:
            return {}
        return (await self._session.send(op.call, destroying(row.uuid), job=op.marker("delete"))).kept()

    async def _destroyed(self, call: Call, kept: Mapping[str, Any], name: str) -> str | None:
        row = await self._reader.row_or_none(call, call.id)
        if row is None:
            return _GONE
        if row.state == "Destroyed":
            return row.state
        try:
            done = await self._session.follow(call, Job.of(kept))
        except LostJob as error:
            if row.state in PASSING:
                return None
            raise _lost(name, row, error) from error
        # Where a policy keeps servers for ever the job ends and the server does not.
        if done and row.state not in PASSING and (await self._reader.row(call, call.id)).state not in LEAVING:
            text = f"ZStack says that {name} is deleted, and it is {row.state}: look at its deletion policy"
            raise GaveUp(text, reason="NOT_DELETED", resource=name)
        return None

    async def _expunge(self, op: Operation) -> dict[str, Any]:
        row = await self._reader.row_or_none(op.call, op.call.id)
        if row is None or row.state == "Expunging":
            return {}
        return (await self._session.send(op.call, expunging(row.uuid), job=op.marker("expunge"))).kept()

    async def _expunged(self, call: Call, kept: Mapping[str, Any], name: str) -> str | None:
        row = await self._reader.row_or_none(call, call.id)
        if row is None:
            return _GONE
        try:
            await self._session.follow(call, Job.of(kept))
        except LostJob as error:
            if row.state in PASSING:
                return None
            raise _lost(name, row, error) from error
        return None


def _refuse(row: ServerRow, action: str) -> None:
    if row.state in ("Paused", "Pausing") and action == "startVmInstance":
        text = f"server {row.uuid} is {row.state}, which Start does not end; only a stopped server can be started"
        raise PreconditionFailed(text, reason="WRONG_STATE")


def _watch(op: Operation) -> Watch:
    return Watch("servers", op.call.id)


def _lost(name: str, row: ServerRow, error: LostJob) -> GaveUp:
    text = f"ZStack lost the job on {name}, which is {row.state} now; look whether it was carried out"
    return GaveUp(text, reason=error.reason, metadata=error.metadata, resource=name)
