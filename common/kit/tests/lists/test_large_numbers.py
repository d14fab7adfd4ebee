"""Numbers that no field holds: the row is converted without them, and they are named."""

from __future__ import annotations

import msgspec

from cloudspan.v1 import volume_pb2
from cloudspan_kit.lists.large_numbers import converted_in_part, lessened


class Part(msgspec.Struct):
    name: str | None = None
    count: int = 0


class Row(msgspec.Struct, kw_only=True):
    id: str
    size: int = 0
    parts: list[Part] = []


def test_numbers_beyond_64_bits_are_left_away_first_at_any_depth():
    """They decode, since Python's numbers have no end; messages can't hold them."""
    row, why = next(lessened(Row(id="odd", size=1 << 70, parts=[Part("a", 1 << 70)])))
    assert (row.size, row.parts) == (0, [Part("a", 0)])
    assert why == f"size: {1 << 70} is too large; parts[0].count: {1 << 70} is too large"


def test_numbers_that_a_field_may_not_hold_are_left_away_the_largest_first():
    """At any depth, each alone and then together; smaller ones stay."""
    row = Row(id="odd", size=1 << 31, parts=[Part("a", 5), Part("b", 1 << 40)])
    left = [(row.size, [part.count for part in row.parts], why) for row, why in lessened(row)]
    assert left == [
        (1 << 31, [5, 0], f"parts[1].count: {1 << 40} is too large"),
        (0, [5, 1 << 40], f"size: {1 << 31} is too large"),
        (0, [5, 0], f"parts[1].count: {1 << 40} is too large; size: {1 << 31} is too large"),
    ]


def test_what_is_left_away_within_an_optional_part_is_named():
    """As anywhere else."""
    (row, why), *_ = lessened(Whole(id="odd", part=Part("a", 1 << 70)))
    assert (row.part, why) == (Part("a", 0), f"part.count: {1 << 70} is too large")


class Whole(msgspec.Struct):
    id: str
    part: Part | None = None


async def test_a_row_is_converted_without_what_does_not_fit():
    """And not at all where nothing helps."""

    async def convert(row):
        return volume_pb2.Volume(size_bytes=row.size << 30)

    message, why = await converted_in_part(Row(id="odd", size=1 << 34), convert)
    assert (message.size_bytes, why) == (0, f"size: {1 << 34} is too large")

    async def fail(row):
        raise ValueError(row.id)

    assert await converted_in_part(Row(id="odd", size=1 << 34), fail) is None
    assert await converted_in_part(volume_pb2.Volume(), fail) is None
