"""CreateServer: from the contract's request to a running server, exactly once.

The server's uuid is made of the operation's marker and sent along, and so is the uuid of the job: a create that is
sent twice is refused by both. The job tells why a create failed, since the row of such a server disappears again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan_common.errors import AlreadyExists, GaveUp, PreconditionFailed
from cloudspan_kit import ABSENT, BY_KEY, EMULATED, Capability, Made, Watch, read_options
from cloudspan_zstack.cloud.error_rules import JobNotBegun, LostJob
from cloudspan_zstack.cloud.markers import marked, marked_kind
from cloudspan_zstack.cloud.session import Change, Job, job_uuid, resource_uuid
from cloudspan_zstack.compute.server_deletion import LEAVING, SERVER, erase_server, undo_server
from cloudspan_zstack.compute.server_parts import ServerParts
from cloudspan_zstack.compute.server_request import NO_NEW_PORT, CreateServerOptions, ServerPlan, plan_of
from cloudspan_zstack.compute.server_rows import PASSING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import server_pb2
    from cloudspan_kit import Call, Operation
    from cloudspan_zstack.compute.servers import ServerReader

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
                "network_interfaces.port": (ABSENT, "ZStack makes the NICs of a new server itself"),
                "network_interfaces.new_port": (ABSENT, NO_NEW_PORT),
                "network_interfaces.floating_network": (EMULATED, "a VIP and an EIP; DeleteServer removes them"),
                "boot_volume.delete_with_server": (EMULATED, "a boot volume always goes with its server"),
                "new_volumes": (EMULATED, "made before the server and attached to it when it is there"),
                "new_volumes.delete_with_server": (EMULATED, "DeleteServer deletes them, ZStack's own UI does not"),
                "server.tags": (ABSENT, "on ZStack a tag without a value is a label without one"),
                "server.config_drive": (ABSENT, "ZStack gives guests their metadata by the network only"),
            },
        )
    }

    def __init__(self, reader: ServerReader) -> None:
        self._reader = reader
        self._session = reader.session
        self._parts = ServerParts(reader)
        self.marked = {"servers": marked_kind(reader.session, SERVER, ("VmInstanceVO",), self._remove_marked)}

    async def create_server(self, op: Operation, request: server_pb2.CreateServerRequest) -> server_pb2.Server:
        plan = plan_of(request, read_options(request.options, CreateServerOptions), self._reader.ref)
        await op.read_once("check", lambda: self._parts.check(op.call, plan))
        if not plan.has_parts:
            return await self._reader.server(op.call, await self._make(op, plan))
        uuid = resource_uuid(op.marker("server"))
        volumes = await self._parts.make_volumes(op, plan, uuid)
        addresses = await self._parts.make_addresses(op, plan, uuid)
        made = await self._make(op, plan)
        await self._parts.join(op, plan, made, volumes, addresses)
        return await self._reader.server(op.call, made)

    async def _make(self, op: Operation, plan: ServerPlan) -> str:
        """Make the server itself, and wait until it runs, or stands still where it shall; return its uuid."""
        made = await op.create_step(
            "server",
            send=lambda marker: self._send(op.call, plan, marker),
            find=lambda marker: self._find(op.call, plan, marker),
            undo=lambda uuid: undo_server(self._reader, op, uuid, "server"),
            safety=BY_KEY,
            collection="servers",
        )
        name = self._reader.ref.resource("servers", made.id)
        op.set_resource(name)
        # A create that takes longer than a refusal would has its row by now, which passes until it is over.
        watch = Watch("servers", made.id)
        state = await op.wait_until("built", lambda: self._built(op.call, made, plan), percent=50, watch=watch)
        if state in _LEFT:
            text = f"{name} was deleted by someone else while it was being built"
            raise PreconditionFailed(text, reason="DELETED_MEANWHILE", resource=name)
        if state in _ENDED_BADLY:
            text = f"ZStack built {name} and it ended in state {state}"
            raise GaveUp(text, reason="SERVER_ERROR", resource=name)
        return made.id

    async def _remove_marked(self, call: Call, uuid: str) -> None:
        # Of one key the platform does a job once, even if it failed: asked again later, it is another one.
        key = f"{uuid} {call.request_id}"
        await erase_server(self._reader, call, uuid, (f"{key} undo", f"{key} expunge"))

    async def _send(self, call: Call, plan: ServerPlan, marker: str) -> Made[object]:
        uuid = resource_uuid(marker)
        params = {**plan.params, "resourceUuid": uuid}
        change = Change("POST", plan.template, params=params, system_tags=plan.system_tags, user_tags=plan.user_tags)
        try:
            job = await self._session.send(call, marked(change, marker), job=marker)
        except AlreadyExists:
            found = await self._find(call, plan, marker)
            if not found:
                raise
            return found[0]
        return Made(uuid, job.kept())

    async def _find(self, call: Call, plan: ServerPlan, marker: str) -> list[Made[object]]:
        """The uuid is ours alone, so whatever has it was made by this step, a destroyed server too."""
        row = await self._reader.row_or_none(call, resource_uuid(marker))
        return [Made(row.uuid, Job(job_uuid(marker), "POST", plan.template).kept())] if row else []

    async def _built(self, call: Call, made: Made[object], plan: ServerPlan) -> str | None:
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
