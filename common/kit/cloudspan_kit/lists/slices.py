"""Work on many rows in slices, so that in the background it lets calls that somebody waits for go on in between.

A thousand servers take 50 ms to become messages, and as long would everybody wait who calls the adapter meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from cloudspan_kit.cluster import Call

T = TypeVar("T")
R = TypeVar("R")

SLICE_ROWS = 25
"""Some 2 ms of work."""


async def slices(rows: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Yield rows in slices; others may run before each but the first."""
    for start in range(0, len(rows), SLICE_ROWS):
        if start:
            await asyncio.sleep(0)
        yield rows[start : start + SLICE_ROWS]


async def each(call: Call, rows: Sequence[T], convert: Callable[[T], R]) -> list[R]:
    """Return what `convert` makes of each row: at once where somebody waits, in slices in the background."""
    if not call.background:
        return [convert(row) for row in rows]
    return [convert(row) async for some in slices(rows) for row in some]
