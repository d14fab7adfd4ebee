"""Servers, volumes, networks and key pairs of two projects, in dicts: what tests of callers with one of them start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from common.kit.tests.acme import EAST
from google.protobuf import struct_pb2

from cloudspan.v1 import key_pair_pb2, network_pb2, server_pb2, subnet_pb2, volume_pb2, zone_pb2
from cloudspan_common.errors import NotFound
from cloudspan_kit import Call, Capability, Operation, Page, Query

MINE, OTHERS = EAST.resource("projects", "main"), EAST.resource("projects", "other")


def _native(**fields: Any) -> struct_pb2.Struct:
    native = struct_pb2.Struct()
    native.update(fields)
    return native


class ServerOptions(msgspec.Struct, forbid_unknown_fields=True):
    """One option of the server itself, and one that names something."""

    within_project: ClassVar[frozenset[str]] = frozenset({"stopped"})
    stopped: bool = False
    same_host: str = ""


class Drivers:
    """Servers, volumes, networks and zones in dicts; what was done to them stands in `done`."""

    capabilities: ClassVar[Mapping[str, Capability]] = {"create_server": Capability(options=ServerOptions)}

    def __init__(self) -> None:
        owners = {"a": MINE, "b": OTHERS, "lost": ""}
        self.servers = {i: server_pb2.Server(display_name=f"server-{i}", project=owner) for i, owner in owners.items()}
        self.volumes = {i: volume_pb2.Volume(project=owner) for i, owner in owners.items()}
        self.networks = {i: network_pb2.Network(project=owner) for i, owner in owners.items()}
        self.networks["all"] = network_pb2.Network(project=OTHERS, shared=True)
        self.key_pairs = {"user": key_pair_pb2.KeyPair(user="u1"), "b": key_pair_pb2.KeyPair(project=OTHERS)}
        self.zones = {"z": zone_pb2.Zone(display_name="z")}
        self.done: list[str] = []
        self.wanted: list[frozenset[str]] = []
        self.fault: Exception | None = None

    def _get(self, collection: str, call: Call) -> Any:
        self.wanted.append(call.fields)
        row = getattr(self, collection).get(call.id)
        if row is None:
            raise NotFound(f"native words about {call.id}", metadata={"native_request_id": f"req-{len(self.wanted)}"})
        if self.fault is not None:
            raise self.fault
        made = type(row)()
        made.CopyFrom(row)
        made.name = EAST.resource(collection.replace("_p", "P"), call.id)
        if call.full:
            made.native.CopyFrom(_native(secret="of the administrator"))
        return made

    def _page(self, collection: str, call: Call, query: Query) -> Page[Any]:
        ids = sorted(i for i in getattr(self, collection) if i > query.cursor)
        page = ids[: query.limit]
        rows = [
            self._get(collection, Call(EAST, call.deadline, id=i, full=call.full, fields=call.fields)) for i in page
        ]
        odd = ["b (size: 1e400 is too large)"] if self.fault is None and "b" in page else []
        return Page(rows, more=len(ids) > len(page), position=lambda i: page[i], unread=odd)

    async def get_server(self, call: Call, _: Any) -> server_pb2.Server:
        return self._get("servers", call)

    async def list_servers(self, call: Call, query: Query) -> Page[server_pb2.Server]:
        return self._page("servers", call, query)

    async def get_volume(self, call: Call, _: Any) -> volume_pb2.Volume:
        return self._get("volumes", call)

    async def get_network(self, call: Call, _: Any) -> network_pb2.Network:
        return self._get("networks", call)

    async def list_networks(self, call: Call, query: Query) -> Page[network_pb2.Network]:
        return self._page("networks", call, query)

    async def list_zones(self, call: Call, query: Query) -> Page[zone_pb2.Zone]:
        return self._page("zones", call, query)

    async def list_key_pairs(self, call: Call, query: Query) -> Page[key_pair_pb2.KeyPair]:
        return self._page("key_pairs", call, query)

    async def get_key_pair(self, call: Call, _: Any) -> key_pair_pb2.KeyPair:
        return self._get("key_pairs", call)

    async def delete_key_pair(self, op: Operation, _: Any) -> None:
        await self._change(op, f"delete key pair {op.call.id}")

    async def _change(self, op: Operation, what: str) -> None:
        async def do() -> None:
            self.done.append(what)

        await op.change(what, do)

    async def delete_server(self, op: Operation, _: Any) -> None:
        await self._change(op, f"delete server {op.call.id}")

    async def stop_server(self, op: Operation, _: Any) -> server_pb2.Server:
        await self._change(op, f"stop server {op.call.id}")
        return self._get("servers", op.call)

    async def attach_volume(self, op: Operation, request: server_pb2.AttachVolumeRequest) -> server_pb2.Server:
        await self._change(op, f"attach {request.volume}")
        return self._get("servers", op.call)

    async def delete_network(self, op: Operation, _: Any) -> None:
        await self._change(op, f"delete network {op.call.id}")

    async def create_subnet(self, op: Operation, _: Any) -> subnet_pb2.Subnet:
        await self._change(op, "create subnet")
        return subnet_pb2.Subnet()

    async def create_server(self, op: Operation, _: Any) -> server_pb2.Server:
        await self._change(op, "create server")
        return server_pb2.Server()
