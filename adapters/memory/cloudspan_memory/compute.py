"""Servers, flavors and key pairs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cloudspan.v1 import flavor_pb2, key_pair_pb2, server_pb2
from cloudspan_common.errors import AlreadyExists, GaveUp, InvalidRequest, PreconditionFailed, Violation
from cloudspan_common.names import parse_resource
from cloudspan_kit import BY_KEY, Call, Capability, Made, Operation, Page, Query, Watch
from cloudspan_memory.cloud.store import Store, copied
from cloudspan_memory.making import delete, delete_parts, look_at_parts, marked, transits
from cloudspan_memory.server_create import NOT_SERVED, ServerOptions, make_server, set_state
from cloudspan_memory.server_parts import parts_of, plug_volume, show_addresses, unplug_all, unplug_volume

if TYPE_CHECKING:
    from collections.abc import Mapping

State = server_pb2.Server.State
_FIXED = (State.STATE_BUILDING, State.STATE_DELETING, State.STATE_ERROR)
_MOVING = (
    State.STATE_BUILDING,
    State.STATE_STARTING,
    State.STATE_STOPPING,
    State.STATE_REBOOTING,
    State.STATE_DELETING,
)

_POWER = {
    State.STATE_BUILDING: server_pb2.Server.POWER_STATE_SHUTDOWN,
    State.STATE_STOPPED: server_pb2.Server.POWER_STATE_SHUTDOWN,
    State.STATE_ERROR: server_pb2.Server.POWER_STATE_UNKNOWN,
}


class Compute:
    """The compute area of one cluster."""

    capabilities: Mapping[str, Capability] = {
        "create_server": Capability(create_safety=BY_KEY, options=ServerOptions, fields=NOT_SERVED),
        "create_key_pair": Capability(create_safety=BY_KEY),
    }

    def __init__(self, store: Store) -> None:
        self._store = store
        self.transits = {"servers": transits(store, "servers", _MOVING)}
        self.marked = {"servers": marked(store, "servers")}
        store.before_delete("servers", lambda server: unplug_all(store, server))

    async def get_server(self, call: Call, _: server_pb2.GetServerRequest) -> server_pb2.Server:
        return self._shown(self._store.get("servers", call.id))

    async def list_servers(self, _: Call, query: Query) -> Page[server_pb2.Server]:
        page = self._store.page("servers", query)
        return Page([self._shown(row) for row in page.items], page.more, page.position)

    async def get_flavor(self, call: Call, _: flavor_pb2.GetFlavorRequest) -> flavor_pb2.Flavor:
        return copied(self._store.get("flavors", call.id))

    async def list_flavors(self, _: Call, query: Query) -> Page[flavor_pb2.Flavor]:
        return self._store.page("flavors", query)

    async def get_key_pair(self, call: Call, _: key_pair_pb2.GetKeyPairRequest) -> key_pair_pb2.KeyPair:
        return copied(self._store.get("keyPairs", call.id))

    async def list_key_pairs(self, _: Call, query: Query) -> Page[key_pair_pb2.KeyPair]:
        return self._store.page("keyPairs", query)

    async def create_server(self, op: Operation, request: server_pb2.CreateServerRequest) -> server_pb2.Server:
        server_id = await make_server(op, self._store, request)
        op.set_resource(self._store.name("servers", server_id))
        return await self._until(op, server_id, State.STATE_RUNNING)

    async def delete_server(self, op: Operation, _: server_pb2.DeleteServerRequest) -> None:
        op.set_resource(self._store.name("servers", op.call.id))
        parts = await look_at_parts(op, lambda: parts_of(self._store, op.call.id))
        await op.change("delete", lambda: self._begin_delete(op.call.id))
        await op.wait_until("gone", lambda: self._gone(op.call.id), watch=Watch("servers", op.call.id))
        await delete_parts(op, self._store, parts)

    async def start_server(self, op: Operation, _: server_pb2.StartServerRequest) -> server_pb2.Server:
        return await self._change(op, "start", State.STATE_STARTING, State.STATE_RUNNING)

    async def stop_server(self, op: Operation, _: server_pb2.StopServerRequest) -> server_pb2.Server:
        return await self._change(op, "stop", State.STATE_STOPPING, State.STATE_STOPPED)

    async def reboot_server(self, op: Operation, _: server_pb2.RebootServerRequest) -> server_pb2.Server:
        return await self._change(
            op, "reboot", State.STATE_REBOOTING, State.STATE_RUNNING, only_from=State.STATE_RUNNING
        )

    async def attach_volume(self, op: Operation, request: server_pb2.AttachVolumeRequest) -> server_pb2.Server:
        volume_id = _id_of(request.volume, "volumes", "volume")

        async def attach() -> None:
            volume = self._store.get("volumes", volume_id)
            server = self._store.get("servers", op.call.id)
            if any(a.server == server.name for a in volume.attachments):
                return
            if volume.attachments:
                raise PreconditionFailed(
                    f"{volume.name} is attached to {volume.attachments[0].server}; detach it first"
                )
            plug_volume(server, volume, request.device)

        op.set_resource(request.name)
        for collection, resource_id in (("servers", op.call.id), ("volumes", volume_id)):
            self._store.get(collection, resource_id)
        await op.change("attach", attach)
        return self._shown(self._store.get("servers", op.call.id))

    async def detach_volume(self, op: Operation, request: server_pb2.DetachVolumeRequest) -> server_pb2.Server:
        async def detach() -> None:
            server = self._store.find("servers", op.call.id)
            if server is not None:
                unplug_volume(self._store, server, request.volume)

        op.set_resource(request.name)
        await op.change("detach", detach)
        return self._shown(self._store.get("servers", op.call.id))

    async def create_key_pair(self, op: Operation, request: key_pair_pb2.CreateKeyPairRequest) -> key_pair_pb2.KeyPair:
        name = request.key_pair_id or request.key_pair.display_name
        if not name:
            text = "key_pair_id and key_pair.display_name are empty; here a key pair's name is its id"
            raise InvalidRequest(text, violations=[Violation("key_pair_id", text)])

        async def send(_: str) -> Made[object]:
            there = self._store.find("keyPairs", name)
            if there is not None and there.public_key != request.key_pair.public_key:
                raise AlreadyExists(f"{there.name} exists with another key; choose another name", resource=there.name)
            if there is not None:
                return Made(name)
            key_pair = copied(request.key_pair)
            key_pair.display_name, key_pair.key_type = name, key_pair_pb2.KeyPair.KEY_TYPE_SSH
            key_pair.fingerprint = hashlib.sha256(key_pair.public_key.encode()).hexdigest()[:32]
            self._store.put("keyPairs", name, key_pair)
            return Made(name)

        async def find(_: str) -> list[Made[object]]:
            there = self._store.find("keyPairs", name)
            return [Made(name)] if there is not None and there.public_key == request.key_pair.public_key else []

        made = await op.create_step("key", send=send, find=find, safety=BY_KEY, collection="keyPairs")
        return copied(self._store.get("keyPairs", made.id))

    async def delete_key_pair(self, op: Operation, _: key_pair_pb2.DeleteKeyPairRequest) -> None:
        await op.change("delete", lambda: delete(self._store, "keyPairs", op.call.id))

    async def _change(
        self, op: Operation, step: str, through: State, to: State, *, only_from: State | None = None
    ) -> server_pb2.Server:
        async def begin() -> None:
            server = self._store.get("servers", op.call.id)
            if server.state == through or (server.state == to and only_from is None):
                return
            if server.state in _FIXED or (only_from is not None and server.state != only_from):
                state = State.Name(server.state)[6:]
                raise PreconditionFailed(f"{server.name} can't {step} while it is {state}; wait or choose another call")
            server.state = through
            self._store.later(server, lambda: set_state(server, to))

        op.set_resource(self._store.name("servers", op.call.id))
        self._store.get("servers", op.call.id)  # before the first step, so that a check alone misses it too
        await op.change(step, begin)
        return await self._until(op, op.call.id, to)

    async def _until(self, op: Operation, server_id: str, state: State) -> server_pb2.Server:
        word, watch = str(State.Name(state))[6:].lower(), Watch("servers", server_id)
        return await op.wait_until(word, lambda: self._reached(server_id, state), percent=50, watch=watch)

    async def _reached(self, server_id: str, state: State) -> server_pb2.Server | None:
        server = self._store.get("servers", server_id)
        if server.state == State.STATE_ERROR:
            raise GaveUp(f"{server.name} ended in ERROR: {server.fault.message}", reason="SERVER_IN_ERROR")
        return self._shown(server) if server.state == state else None

    async def _begin_delete(self, server_id: str) -> None:
        server = self._store.find("servers", server_id)
        if server is not None and server.state != State.STATE_DELETING:
            server.state = State.STATE_DELETING
            self._store.later(server, lambda: self._store.delete("servers", server_id))

    async def _gone(self, server_id: str) -> bool | None:
        return True if self._store.find("servers", server_id) is None else None

    def _shown(self, server: server_pb2.Server) -> server_pb2.Server:
        shown = copied(server)
        shown.native_state = State.Name(server.state)[6:].lower()
        shown.power_state = _POWER.get(server.state, server_pb2.Server.POWER_STATE_RUNNING)
        for interface in shown.network_interfaces:
            show_addresses(self._store, interface)
        return shown


def _id_of(name: str, collection: str, field: str) -> str:
    return parse_resource(name, collection, field)[1]
