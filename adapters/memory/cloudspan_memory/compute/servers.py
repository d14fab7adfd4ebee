"""Servers: created with all their parts, changed, and deleted with what was created for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import GaveUp, PreconditionFailed
from cloudspan_common.names import parse_resource
from cloudspan_kit import BY_KEY, Capability, Kind, watch_of
from cloudspan_kit.drivers import ServerDriver
from cloudspan_memory.cloud.parts import delete_parts, look_at_parts
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource, StoredMarkers
from cloudspan_memory.cloud.store import Store, copied
from cloudspan_memory.compute.server_create import NOT_SERVED, ServerOptions, new_server, set_state
from cloudspan_memory.compute.server_parts import parts_of, plug_volume, show_addresses, unplug_all, unplug_volume

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_kit import Operation

Server = server_pb2.Server
State = Server.State

_FIXED = (State.STATE_BUILDING, State.STATE_DELETING, State.STATE_ERROR)
_MOVING = (
    State.STATE_BUILDING,
    State.STATE_STARTING,
    State.STATE_STOPPING,
    State.STATE_REBOOTING,
    State.STATE_DELETING,
)
_POWER = {
    State.STATE_BUILDING: Server.POWER_STATE_SHUTDOWN,
    State.STATE_STOPPED: Server.POWER_STATE_SHUTDOWN,
    State.STATE_ERROR: Server.POWER_STATE_UNKNOWN,
}

SERVERS = Kind(
    collection="servers",
    message=Server,
    row=Server,
    source=MemorySource(deleting=State.STATE_DELETING),
    changes_since="update_time",
    settled=lambda row: row.state not in _MOVING,
    safety=BY_KEY,
    marker=StoredMarkers(),
)


class Servers(MemoryDriver[Server], ServerDriver):
    """ServerService."""

    kind = SERVERS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "create_server": Capability(options=ServerOptions, fields=NOT_SERVED)
    }

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        store.before_delete("servers", lambda server: unplug_all(store, server))

    def message(self, row: Server) -> Server:
        """Return it with the addresses of its interfaces."""
        shown = copied(row)
        shown.native_state = State.Name(row.state)[6:].lower()
        shown.power_state = _POWER.get(row.state, Server.POWER_STATE_RUNNING)
        for interface in shown.network_interfaces:
            show_addresses(self._store, interface)
        return shown

    async def create_server(self, op: Operation, request: server_pb2.CreateServerRequest) -> Server:
        made = await op.create(SERVERS, await new_server(op, self._store, request))
        return await self._until(op, made.id, State.STATE_RUNNING)

    async def delete_server(self, op: Operation, request: server_pb2.DeleteServerRequest) -> None:
        op.set_resource(self._store.name("servers", op.call.id))
        parts = await look_at_parts(op, lambda: parts_of(self._store, op.call.id))
        await op.delete(SERVERS, op.call.id)
        await delete_parts(op, self._store, parts)

    # ------------------------------------------------------------------ power

    async def start_server(self, op: Operation, request: server_pb2.StartServerRequest) -> Server:
        return await self._power(op, "start", State.STATE_STARTING, State.STATE_RUNNING)

    async def stop_server(self, op: Operation, request: server_pb2.StopServerRequest) -> Server:
        return await self._power(op, "stop", State.STATE_STOPPING, State.STATE_STOPPED)

    async def reboot_server(self, op: Operation, request: server_pb2.RebootServerRequest) -> Server:
        running = State.STATE_RUNNING
        return await self._power(op, "reboot", State.STATE_REBOOTING, running, only_from=running)

    async def _power(
        self, op: Operation, step: str, through: State, to: State, *, only_from: State | None = None
    ) -> Server:
        def begin(server: Server) -> None:
            if server.state == through or (server.state == to and only_from is None):
                return
            if server.state in _FIXED or (only_from is not None and server.state != only_from):
                state = State.Name(server.state)[6:]
                raise PreconditionFailed(f"{server.name} can't {step} while it is {state}; wait or choose another call")
            server.state = through
            self._store.later(server, lambda: set_state(server, to))

        await self._change(op, step, begin)
        return await self._until(op, op.call.id, to)

    async def _until(self, op: Operation, server_id: str, state: State) -> Server:
        async def reached() -> Server | None:
            server = self._store.get("servers", server_id)
            if server.state == State.STATE_ERROR:
                raise GaveUp(f"{server.name} ended in ERROR: {server.fault.message}", reason="SERVER_IN_ERROR")
            return self.message(server) if server.state == state else None

        word = str(State.Name(state))[6:].lower()
        return await op.wait_until(word, reached, percent=50, watch=watch_of(SERVERS, server_id))

    # ------------------------------------------------------------------ volumes

    async def attach_volume(self, op: Operation, request: server_pb2.AttachVolumeRequest) -> Server:
        volume_id = parse_resource(request.volume, "volumes", "volume")[1]

        def attach(server: Server) -> None:
            volume = self._store.get("volumes", volume_id)
            if any(a.server == server.name for a in volume.attachments):
                return
            if volume.attachments:
                raise PreconditionFailed(
                    f"{volume.name} is attached to {volume.attachments[0].server}; detach it first"
                )
            plug_volume(self._store, server, volume_id, request.device)

        op.set_resource(request.name)
        for collection, resource_id in (("servers", op.call.id), ("volumes", volume_id)):
            self._store.get(collection, resource_id)
        return await self._change(op, "attach", attach)

    async def detach_volume(self, op: Operation, request: server_pb2.DetachVolumeRequest) -> Server:
        return await self._change(op, "detach", lambda server: unplug_volume(self._store, server, request.volume))
