"""What was made together with a server or a network, and goes with it.

`servers` and `networks` say what that is; here it is looked up once and deleted, one part a step.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from cloudspan_kit import Operation
    from cloudspan_memory.cloud.store import Store

_ORDER = ("floatingIps", "ports", "volumes", "routers")


async def look_at_parts(op: Operation, parts: Callable[[], Collection[tuple[str, str]]]) -> Sequence[tuple[str, str]]:
    """Return what has to go with a parent, as it was before anything of it went: (collection, id), in that order."""

    async def look() -> dict[str, list[str]]:
        found = parts()
        return {kind: [part_id for collection, part_id in found if collection == kind] for kind in _ORDER}

    seen = await op.read_once("parts", look)
    return [(kind, part_id) for kind in _ORDER for part_id in seen[kind]]


async def delete_parts(op: Operation, store: Store, parts: Sequence[tuple[str, str]]) -> None:
    """Delete what `look_at_parts` saw, one a step."""
    for collection, part_id in parts:
        await op.change(f"delete {part_id}", functools.partial(_delete, store, collection, part_id))


async def _delete(store: Store, collection: str, part_id: str) -> None:
    store.delete(collection, part_id)
