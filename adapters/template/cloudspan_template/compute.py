"""Servers: what the contract asks for, said in the platform's calls. A function is named as its rpc, in snake case."""

from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import GaveUp, NotFound
from cloudspan_common.names import ClusterRef
from cloudspan_kit.driver import (
    BY_MARKER,
    Call,
    Capability,
    Made,
    Marked,
    MarkedKind,
    Operation,
    Page,
    Query,
    Watch,
)
from cloudspan_kit.transits import in_transit
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
        # Both by collection: what operations wait for is looked at together, what they made is found by its mark.
        self.transits = {"servers": self._in_transit}
        self.marked = {"servers": MarkedKind(self._marked, self._remove)}

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
        async def send(marker: str) -> Made[object]:
            machine = await self._cloud.boot(request.server.display_name, marker)
            return Made(machine.id)

        async def find(marker: str) -> list[Made[object]]:
            return [Made(machine.id) for machine in await self._cloud.tagged(marker) if machine.tag == marker]

        made = await op.create_step("server", send=send, find=find, undo=self._cloud.destroy)
        op.set_resource(self._ref.resource("servers", made.id))
        return await op.wait_until("running", lambda: self._running(made.id), watch=Watch("servers", made.id))

    async def _in_transit(self, _: Call, ids: Sequence[str]) -> set[str]:
        return await in_transit(ids, self._is_booting, self._each_booting)

    async def _is_booting(self, machine_id: str) -> bool:
        machine = await self._cloud.machine(machine_id)
        return machine is not None and machine.status == "booting"

    async def _each_booting(self) -> AsyncIterator[tuple[str, bool]]:
        page = await self._cloud.machines()
        while page:
            for machine in page:
                yield machine.id, machine.status == "booting"
            page = await self._cloud.machines(after=page[-1].id)

    async def _marked(self, _: Call, prefix: str) -> Sequence[Marked]:
        return [Marked(m.id, m.tag, m.label) for m in await self._cloud.tagged(prefix)]

    async def _remove(self, _: Call, machine_id: str) -> None:
        await self._cloud.destroy(machine_id)

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
