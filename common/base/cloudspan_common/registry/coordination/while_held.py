"""Work that ends when the lock is lost under which it is done."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from cloudspan_common.registry.coordination.base import Held


async def while_held(held: Held, work: Coroutine[Any, Any, None]) -> bool:
    """Do work until it ends or what is held is lost, and return whether it ended; raises what it raises."""
    working: asyncio.Future[Any] = asyncio.ensure_future(work)
    losing: asyncio.Future[Any] = asyncio.ensure_future(held.lost.wait())
    try:
        await asyncio.wait({working, losing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        losing.cancel()
        await asyncio.wait({working, losing})
    if working.cancelled():
        return False
    await working
    return True
