"""The fake cloud and its users, as the other kinds' tests have them, and volumes to work with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapters.zstack.tests.lab import admin, clock, cloud, member, user
from google.protobuf.struct_pb2 import Struct

from cloudspan.v1 import volume_pb2

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab

__all__ = ["admin", "clock", "cloud", "member", "user"]

PARENT = "platforms/zstack/clusters/lab"
GIB = 1 << 30
V = volume_pb2.Volume


def new_volume(options: dict[str, Any] | None = None, **fields: Any) -> volume_pb2.CreateVolumeRequest:
    struct = Struct()
    struct.update(options or {})
    volume = V(**({"display_name": "v"} | fields))
    return volume_pb2.CreateVolumeRequest(parent=PARENT, volume=volume, options=struct)


async def a_volume(lab: Lab, options: dict[str, Any] | None = None, **fields: Any) -> volume_pb2.Volume:
    fields = fields or {"size_bytes": GIB}
    made: volume_pb2.Volume = await lab.made(lab.storage.create_volume, new_volume(options, **fields), V)
    return made


async def a_snapshot(lab: Lab, volume: str) -> str:
    made = await lab.act("POST", f"/volumes/{volume[-32:]}/volume-snapshots", name="s")
    return f"{PARENT}/snapshots/{made['uuid']}"
