"""Servers, flavors and key pairs."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from cloudspan.v1 import flavor_pb2, key_pair_pb2, server_pb2
from cloudspan_common.adapterkit.driver import BY_KEY, Call, Capability, Made, Operation, Page, Query
from cloudspan_common.adapterkit.options import read_options
from cloudspan_common.errors import AlreadyExists, GaveUp, InvalidRequest, PreconditionFailed
from cloudspan_common.names import parse_resource
from cloudspan_memory.store import Store, copied

if TYPE_CHECKING:
    from collections.abc import Mapping

State = server_pb2.Server.State
_FIXED = (State.STATE_BUILDING, State.STATE_DELETING, State.STATE_ERROR)


class ServerOptions(msgspec.Struct, forbid_unknown_fields=True):
    """What only this platform knows of a server."""

    fail: bool = False
    """End in ERROR: for trying out what a failed create looks like."""


class Compute:
    """The compute area of one cluster."""

    capabilities: Mapping[str, Capability] = {
        "create_server": Capability(create_safety=BY_KEY, options=ServerOptions),
        "create_key_pair": Capability(create_safety=BY_KEY),
    }

    def __init__(self, store: Store) -> None:
        self._store = store

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
        flavor = self._store.get("flavors", _id_of(request.server.flavor, "flavors", "server.flavor"))
        options = read_options(request.options, ServerOptions) or ServerOptions()

        async def send(marker: str) -> Made:
            server = copied(request.server)
            server.ClearField("user_data")
            server.ClearField("admin_password")
            server.state, server.vcpus, server.memory_mib = State.STATE_BUILDING, flavor.vcpus, flavor.memory_mib
            kept = self._store.put("servers", self._store.id_for(marker), server)
            outcome = State.STATE_ERROR if options.fail else State.STATE_RUNNING
            self._store.later(kept, lambda: _set_state(kept, outcome))
            return Made(self._store.id_for(marker))

        made = await op.create("server", send=send, find=self._find, undo=self._delete, safety=BY_KEY)
        op.touches(self._store.name("servers", made.id))
        return await op.until("running", lambda: self._reached(made.id, State.STATE_RUNNING), percent=50)

    async def delete_server(self, op: Operation, _: server_pb2.DeleteServerRequest) -> None:
        op.touches(self._store.name("servers", op.call.id))
        await op.act("delete", lambda: self._begin_delete(op.call.id))
        await op.until("gone", lambda: self._gone(op.call.id))

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
            volume.attachments.add(server=server.name, device=request.device or "/dev/vdb")
            volume.state = volume.STATE_IN_USE

        op.touches(request.name)
        await op.act("attach", attach)
        return self._shown(self._store.get("servers", op.call.id))

    async def detach_volume(self, op: Operation, request: server_pb2.DetachVolumeRequest) -> server_pb2.Server:
        async def detach() -> None:
            volume = self._store.find("volumes", _id_of(request.volume, "volumes", "volume"))
            if volume is not None and any(a.server == request.name for a in volume.attachments):
                del volume.attachments[:]
                volume.state = volume.STATE_AVAILABLE

        op.touches(request.name)
        await op.act("detach", detach)
        return self._shown(self._store.get("servers", op.call.id))

    async def create_key_pair(self, op: Operation, request: key_pair_pb2.CreateKeyPairRequest) -> key_pair_pb2.KeyPair:
        name = request.key_pair.display_name
        if not name:
            raise InvalidRequest("key_pair.display_name is empty; here a key pair's name is its id")

        async def send(_: str) -> Made:
            there = self._store.find("keyPairs", name)
            if there is not None and there.public_key != request.key_pair.public_key:
                raise AlreadyExists(f"{there.name} exists with another key; choose another name", resource=there.name)
            if there is not None:
                return Made(name)
            key_pair = copied(request.key_pair)
            key_pair.key_type = "ssh"
            key_pair.fingerprint = hashlib.sha256(key_pair.public_key.encode()).hexdigest()[:32]
            self._store.put("keyPairs", name, key_pair)
            return Made(name)

        async def find(_: str) -> list[Made]:
            there = self._store.find("keyPairs", name)
            return [Made(name)] if there is not None and there.public_key == request.key_pair.public_key else []

        made = await op.create("key", send=send, find=find, safety=BY_KEY, collection="keyPairs")
        return copied(self._store.get("keyPairs", made.id))

    async def delete_key_pair(self, op: Operation, _: key_pair_pb2.DeleteKeyPairRequest) -> None:
        async def delete() -> None:
            self._store.delete("keyPairs", op.call.id)

        await op.act("delete", delete)

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
            self._store.later(server, lambda: _set_state(server, to))

        op.touches(self._store.name("servers", op.call.id))
        await op.act(step, begin)
        return await op.until(str(State.Name(to))[6:].lower(), lambda: self._reached(op.call.id, to), percent=50)

    async def _reached(self, server_id: str, state: State) -> server_pb2.Server | None:
        server = self._store.get("servers", server_id)
        if server.state == State.STATE_ERROR:
            raise GaveUp(f"{server.name} ended in ERROR: {server.fault.message}", reason="SERVER_IN_ERROR")
        return self._shown(server) if server.state == state else None

    async def _find(self, marker: str) -> list[Made]:
        found = self._store.find("servers", self._store.id_for(marker))
        return [Made(self._store.id_for(marker))] if found is not None else []

    async def _delete(self, server_id: str) -> None:
        self._store.delete("servers", server_id)

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
        for volume in self._store.all("volumes"):
            for attachment in volume.attachments:
                if attachment.server == server.name:
                    shown.volume_attachments.add(volume=volume.name, device=attachment.device)
        return shown


def _set_state(server: server_pb2.Server, state: State) -> None:
    server.state = state
    if state == State.STATE_ERROR:
        server.fault.code, server.fault.message = 500, "failed as the option `fail` asked"


def _id_of(name: str, collection: str, field: str) -> str:
    return parse_resource(name, collection, field)[1]
