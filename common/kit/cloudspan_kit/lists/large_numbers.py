"""Rows with numbers that the contract's fields can't hold: they are converted without them.

`resources` and `kind` call `converted_in_part` for a row whose conversion failed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from google.protobuf.message import Message

from cloudspan_kit.lists.rows import read_leniently

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

R = TypeVar("R")
T = TypeVar("T")

UNEXPECTED = (ValueError, TypeError, ArithmeticError, LookupError, AttributeError)
"""What a mapping raises for a value that it did not expect."""

_LARGE = (1 << 31) - 1  # what the contract's smallest numbers hold


async def converted_in_part(row: R, convert: Callable[[R], Awaitable[T]]) -> tuple[T, str] | None:
    """Return what a row becomes without the numbers that no field holds, and which those are; None if nothing helps."""
    if isinstance(row, Message):  # of a platform that keeps messages: none of its numbers is too large for it
        return None
    for left, why in lessened(row):
        try:
            return await convert(left), why
        except UNEXPECTED:
            continue
    return None


def lessened(row: R) -> Iterator[tuple[R, str]]:
    """Yield a row with less and less of its large numbers, at any depth, and why they are left away.

    First without those that 64 bits can't hold, then without each of those that the contract's smallest fields can't
    hold, the largest first, then without more and more of them: what a number is multiplied by, and how wide its field
    is, only the mapping knows.
    """
    notes: list[str] = []
    left = read_leniently(msgspec.to_builtins(row), type(row), notes)
    if notes:
        yield left, "; ".join(notes)
    found = [(path, value) for path, value in _numbers(msgspec.to_builtins(left), ()) if abs(value) > _LARGE]
    large = sorted(found, key=lambda part: -abs(part[1]))
    for dropped in [*([one] for one in large), *(large[: i + 1] for i in range(1, len(large)))]:
        document = msgspec.to_builtins(left)
        for path, _ in dropped:
            _drop(document, path)
        why = [*notes, *(f"{_dotted(path)}: {value} is too large" for path, value in dropped)]
        yield read_leniently(document, type(row), []), "; ".join(why)


def _numbers(document: object, at: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], int | float]]:
    if isinstance(document, int | float):
        yield at, document
    elif isinstance(document, Mapping):
        for key, part in document.items():
            yield from _numbers(part, (*at, key))
    elif isinstance(document, list):
        for i, part in enumerate(document):
            yield from _numbers(part, (*at, i))


def _drop(document: Any, path: tuple[str | int, ...]) -> None:
    """Put null in a place: no later path of a list moves."""
    *way, last = path
    for part in way:
        document = document[part]
    document[last] = None


def _dotted(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
