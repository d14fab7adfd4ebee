"""Servers: what the contract asks for, said in the platform's calls. A function is named as its rpc, in snake case."""

from typing import ClassVar

from cloudspan.v1 import server_pb2
from cloudspan_common.adapterkit.driver import BY_MARKER, Call, Capability, Made, Operation, Page, Query
from cloudspan_common.errors import GaveUp, NotFound
from cloudspan_common.names import ClusterRef
from cloudspan_template.cloud import Cloud, Machine

State = server_pb2.Server.State
# Each status of the platform has its state; one that is not here is UNKNOWN, and shows in `native_state`.
_STATES = {"booting": State.STATE_BUILDING, "up": State.STATE_RUNNING, "failed": State.STATE_ERROR}


class Compute:
    """The compute area of one cluster."""

    capabilities: ClassVar[dict[str, Capability]] = {"create_server": Capability(create_safety=BY_MARKER)}

    def __init__(self, ref: ClusterRef, cloud: Cloud) -> None:
        self._ref = ref
        self._cloud = cloud

    async def get_server(self, call: Call, _: server_pb2.GetServerRequest) -> server_pb2.Server:
        machine = await self._cloud.machine(call.id)
        if machine is None:
            name = self._ref.resource("servers", call.id)
            raise NotFound(f"{name} does not exist; ListServers shows what does", resource=name)
        return self._server(machine)

    async def list_servers(self, _: Call, query: Query) -> Page[server_pb2.Server]:
        # One more than asked for tells whether there is another page.
        found = await self._cloud.machines(after=query.cursor, limit=query.limit + 1)
        page = found[: query.limit]
        return Page(
            [self._server(machine) for machine in page],
            more=len(found) > len(page),
            position=lambda index: page[index].id,
        )

    async def create_server(self, op: Operation, request: server_pb2.CreateServerRequest) -> server_pb2.Server:
        async def send(marker: str) -> Made:
            machine = await self._cloud.boot(request.server.display_name, marker)
            return Made(machine.id)

        async def find(marker: str) -> list[Made]:
            return [Made(machine.id) for machine in await self._cloud.tagged(marker)]

        made = await op.create("server", send=send, find=find, undo=self._cloud.destroy)
        op.touches(self._ref.resource("servers", made.id))
        return await op.until("running", lambda: self._running(made.id))

    async def _running(self, machine_id: str) -> server_pb2.Server | None:
        """The server once it runs; None while it is on its way."""
        machine = await self._cloud.machine(machine_id)
        if machine is None or machine.status == "failed":
            raise GaveUp(f"machine {machine_id} did not come up", reason="SERVER_IN_ERROR")
        return self._server(machine) if machine.status == "up" else None

    def _server(self, machine: Machine) -> server_pb2.Server:
        return server_pb2.Server(
            name=self._ref.resource("servers", machine.id),
            display_name=machine.label,
            state=_STATES.get(machine.status, State.STATE_UNKNOWN),
            native_state=machine.status,
        )
