"""Volume types are disk offerings; what a volume of one is like `test_volumes` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan.v1 import volume_type_pb2

from .conftest import GIB

if TYPE_CHECKING:
    from adapters.zstack.tests.lab import Lab

T = volume_type_pb2.VolumeType


async def test_a_volume_type_is_a_size_with_a_name(member: Lab) -> None:
    """What the platform says of it besides are its extra specs."""
    (found,) = await member.everything(member.storage.list_volume_types, T, 'display_name = "disk-10"')
    assert (found.size_bytes, found.extra_specs["state"]) == (10 * GIB, "Enabled")
    assert found == await member.storage.get_volume_type(
        member.call(found.name), volume_type_pb2.GetVolumeTypeRequest()
    )


async def test_volume_types_are_sorted_by_size(member: Lab) -> None:
    """By the cloud."""
    found = await member.everything(member.storage.list_volume_types, T, order_by=(("size_bytes", False),))
    sizes = [one.size_bytes for one in found]
    assert sizes == sorted(sizes)
