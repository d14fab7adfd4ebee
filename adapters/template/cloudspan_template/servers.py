"""Servers: the kind as data, and a driver that says it in the contract's words. A function is named as its rpc."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Never

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import Defect, NotFound
from cloudspan_kit import (
    BY_MARKER,
    Call,
    Kind,
    KindDriver,
    Made,
    Marked,
    MarkedRows,
    Operation,
    Query,
    RowPage,
    Rows,
    Source,
)
from cloudspan_kit.drivers import ServerDriver
from cloudspan_template.cloud import Cloud, Machine

State = server_pb2.Server.State
# Each status of the platform has its state; one that is not here is UNKNOWN, and shows in `native_state`.
_STATES = {"booting": State.STATE_BUILDING, "up": State.STATE_RUNNING, "failed": State.STATE_ERROR}
AnyKind = Kind[Any, Any, Never]


class Machines(Source[str]):
    """How machines are read, booted and destroyed. A platform with many kinds has one source for all of them."""

    def id_of(self, row: object) -> str:
        return str(getattr(row, "id", ""))

    async def one(self, call: Call, kind: AnyKind, native_id: str) -> Rows[Any]:
        machine = await _cloud(call).machine(native_id)
        if machine is None:
            name = call.cluster.resource(kind.collection, native_id)
            raise NotFound(f"{name} does not exist; ListServers shows what does", resource=name)
        return Rows([machine])

    async def page(self, call: Call, kind: AnyKind, query: Query) -> RowPage[Any]:
        # One more than asked for shows whether there is another page.
        found = await _cloud(call).machines(after=query.cursor, limit=query.limit + 1)
        page = found[: query.limit]
        return RowPage(Rows(page), more=len(found) > len(page), position=lambda index: page[index].id)

    async def sweep(self, call: Call, kind: AnyKind) -> AsyncIterator[Sequence[Any]]:
        page = await _cloud(call).machines()
        while page:
            yield page
            page = await _cloud(call).machines(after=page[-1].id)

    async def create(self, op: Operation, kind: AnyKind, body: str, step: str, *, part: bool) -> Made[Any]:
        async def send(marker: str) -> Made[Any]:
            return Made((await _cloud(op.call).boot(body, marker)).id)

        async def find(marker: str) -> list[Made[Any]]:
            return [Made(machine.id) for machine in await _cloud(op.call).tagged(marker) if machine.tag == marker]

        undo = _cloud(op.call).destroy
        made = await op.create_step(step, send=send, find=find, undo=undo, safety=kind.safety)
        if not part:
            op.set_resource(op.call.cluster.resource(kind.collection, made.id))
        return made

    async def discard(self, call: Call, kind: AnyKind, native_id: str) -> None:
        await _cloud(call).destroy(native_id)


def _cloud(call: Call) -> Cloud:
    """Return what the cluster gave as its `cloud`."""
    if not isinstance(call.cloud, Cloud):
        raise Defect(f"{call.cluster} has no cloud")
    return call.cloud


SERVERS = Kind(
    collection="servers",
    message=server_pb2.Server,
    row=Machine,
    source=Machines(),
    settled=lambda machine: machine.status != "booting",
    failed=lambda machine: machine.status if machine.status == "failed" else "",
    failed_reason="SERVER_IN_ERROR",
    safety=BY_MARKER,
    marker=MarkedRows[Machine](lambda machine: [Marked(machine.id, machine.tag, machine.label)]),
)


class Servers(KindDriver[Machine, server_pb2.Server], ServerDriver):
    """ServerService; GetServer and ListServers come from the kind."""

    kind = SERVERS

    def message(self, row: Machine) -> server_pb2.Server:
        return server_pb2.Server(
            name=self._ref.resource("servers", row.id),
            display_name=row.label,
            state=_STATES.get(row.status, State.STATE_UNKNOWN),
            native_state=row.status,
        )

    async def create_server(self, op: Operation, request: server_pb2.CreateServerRequest) -> server_pb2.Server:
        made = await op.create(SERVERS, request.server.display_name)
        return await self.to_message(op.call, await op.ready(SERVERS, made, step="running"))
