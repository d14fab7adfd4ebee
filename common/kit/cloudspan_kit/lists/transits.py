"""Which of many resources are still in transit, by as few native calls as it takes: for an area's `transits`.

`transits = {"servers": self._in_transit}`, and `_in_transit` returns `await in_transit(ids, look_one, list_all)`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cloudspan_common.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

FEW = 8
"""Up to so many are looked at one by one: as many gets at once cost less than a page of a listing."""


async def in_transit(
    ids: Sequence[str],
    look_one: Callable[[str], Awaitable[bool]],
    list_all: Callable[[], AsyncIterator[tuple[str, bool]]],
    *,
    few: int = FEW,
) -> set[str]:
    """Return those of `ids` that are in transit.

    Args:
        ids: The platform's own ids.
        look_one: `async (id) -> bool`, whether it is in transit; NotFound is a no.
        list_all: Yields (id, whether in transit) of the whole listing, page after page; it is left as soon as all
            ids were seen, and what it does not show counts as gone.
        few: Up to so many ids are looked at one by one.
    """
    wanted = set(ids)
    if len(wanted) <= few:
        return await _each(sorted(wanted), look_one)
    found: set[str] = set()
    async for native_id, moving in list_all():
        if native_id in wanted and moving:
            found.add(native_id)
        wanted.discard(native_id)
        if not wanted:
            break
    return found


async def _each(ids: Sequence[str], look_one: Callable[[str], Awaitable[bool]]) -> set[str]:
    async def look(native_id: str) -> bool:
        try:
            return await look_one(native_id)
        except NotFound:
            return False

    # All are waited for, so that no look outlives the call.
    answers = await asyncio.gather(*map(look, ids), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return {native_id for native_id, moving in zip(ids, answers, strict=True) if moving}
