"""CreateServer: from the contract's request to a running server, exactly once.

The server's uuid is made of the operation's marker and sent along, and so is the uuid of the job: a create that is
sent twice is refused by both. The job tells why a create failed, since the row of such a server disappears again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan_common.adapterkit.driver import ABSENT, BY_KEY, EMULATED, Capability, Made
from cloudspan_common.adapterkit.options import read_options
from cloudspan_common.errors import AlreadyExists, GaveUp, PreconditionFailed
from cloudspan_zstack.error_rules import JobNotBegun, LostJob
from cloudspan_zstack.server_deletion import LEAVING, remove_server
from cloudspan_zstack.server_request import CreateServerOptions, ServerPlan, plan_of
from cloudspan_zstack.server_rows import PASSING
from cloudspan_zstack.session import Change, Job, job_uuid, resource_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import server_pb2
    from cloudspan_common.adapterkit.driver import Call, Operation
    from cloudspan_zstack.servers import ServerReader

_GONE = "gone"
_ENDED_BADLY = frozenset({"Error", "Crashed"})
_LEFT = LEAVING | {_GONE}


class ServerCreation:
    """CreateServer."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "create_server": Capability(
            create_safety=BY_KEY,
            options=CreateServerOptions,
            fields={
                "server.network_interfaces.port": (ABSENT, "ZStack makes the NICs of a new server itself"),
                "server.boot_volume.delete_with_server": (EMULATED, "a boot volume always goes with its server"),
            },
        )
    }

    def __init__(self, reader: ServerReader) -> None:
        self._reader = reader
        self._session = reader.session

    async def create_server(self, op: Operation, request: server_pb2.CreateServerRequest) -> server_pb2.Server:
        plan = plan_of(request.server, read_options(request.options, CreateServerOptions), self._reader.ref)
        made = await op.create(
            "server",
            send=lambda marker: self._send(op.call, plan, marker),
            find=lambda marker: self._find(op.call, plan, marker),
            undo=lambda uuid: remove_server(self._reader, op, uuid, "server"),
            safety=BY_KEY,
            collection="servers",
        )
        name = self._reader.ref.resource("servers", made.id)
        op.touches(name)
        state = await op.until("built", lambda: self._built(op.call, made, plan), percent=50)
        if state in _LEFT:
            text = f"{name} was deleted by someone else while it was being built"
            raise PreconditionFailed(text, reason="DELETED_MEANWHILE", resource=name)
        if state in _ENDED_BADLY:
            text = f"ZStack built {name} and it ended in state {state}"
            raise GaveUp(text, reason="SERVER_ERROR", resource=name)
        return await self._reader.server(op.call, made.id)

    async def _send(self, call: Call, plan: ServerPlan, marker: str) -> Made:
        uuid = resource_uuid(marker)
        params = {**plan.params, "resourceUuid": uuid}
        change = Change("POST", plan.template, params=params, system_tags=plan.system_tags, user_tags=plan.user_tags)
        try:
            job = await self._session.send(call, change, job=marker)
        except AlreadyExists:
            found = await self._find(call, plan, marker)
            if not found:
                raise
            return found[0]
        return Made(uuid, job.kept())

    async def _find(self, call: Call, plan: ServerPlan, marker: str) -> list[Made]:
        """The uuid is ours alone, so whatever has it was made by this step, a destroyed server too."""
        row = await self._reader.row_or_none(call, resource_uuid(marker))
        return [Made(row.uuid, Job(job_uuid(marker), "POST", plan.template).kept())] if row else []

    async def _built(self, call: Call, made: Made, plan: ServerPlan) -> str | None:
        try:
            done = await self._session.follow(call, Job.of(made.data))
        except (LostJob, JobNotBegun) as error:
            row = await self._reader.row_or_none(call, made.id)
            if row is None:
                text = f"the server was not built, and why is lost with its job: {error.message}"
                raise GaveUp(text, reason=error.reason, metadata=error.metadata) from error
            return None if row.state in PASSING - _LEFT else row.state
        row = await self._reader.row_or_none(call, made.id)
        # A job that never ends although the server is there is that of a management node which was restarted.
        ready = row is not None and row.state == ("Stopped" if plan.stays_stopped else "Running")
        passing = row is not None and row.state in PASSING - _LEFT
        if not ready and (passing or not done):
            return None
        return row.state if row is not None else _GONE
