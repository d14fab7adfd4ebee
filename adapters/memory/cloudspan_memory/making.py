"""How every area makes, finds and watches what it has: one resource exactly once, by its marker, in transit or not.

The areas call `make` for each create, and declare `marked` and `transits` with what is here.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from cloudspan_kit import BY_KEY, Call, Made, Marked, in_transit
from cloudspan_kit.driver import MarkedKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from cloudspan_kit import Operation
    from cloudspan_kit.driver import Transits
    from cloudspan_memory.cloud.store import Store

# What a parent was made with goes before it does, in this order.
_PARTS = ("floatingIps", "ports", "volumes", "routers")


async def make(
    op: Operation,
    store: Store,
    step: str,
    collection: str,
    build: Callable[[str], Any],
    *,
    becomes: Callable[[Any], None] | None = None,
) -> str:
    """Make one resource and return its id; `becomes` is what the cloud does to it after a while.

    The id is chosen by us, out of the marker: BY_KEY. `find` decides after a lost reply, and nothing is made twice.
    """

    async def send(marker: str) -> Made[object]:
        made_id = store.id_for(marker)
        kept = store.put(collection, made_id, build(made_id), marker)
        if becomes is not None:
            store.later(kept, lambda: becomes(kept))
        return Made(made_id)

    async def find(marker: str) -> list[Made[object]]:
        made_id = store.id_for(marker)
        return [Made(made_id)] if store.find(collection, made_id) is not None else []

    made = await op.create_step(
        step,
        send=send,
        find=find,
        undo=lambda made_id: delete(store, collection, made_id),
        safety=BY_KEY,
        collection=collection,
    )
    return made.id


async def delete(store: Store, collection: str, resource_id: str) -> None:
    """Delete a resource; done as well when it is gone."""
    store.delete(collection, resource_id)


async def look_at_parts(op: Operation, parts: Callable[[], Collection[tuple[str, str]]]) -> Sequence[tuple[str, str]]:
    """Return what has to go with a parent, as it was before anything of it went: (collection, id)."""

    async def look() -> dict[str, list[str]]:
        found = parts()
        return {kind: [part_id for collection, part_id in found if collection == kind] for kind in _PARTS}

    seen = await op.read_once("parts", look)
    return [(kind, part_id) for kind in _PARTS for part_id in seen[kind]]


async def delete_parts(op: Operation, store: Store, parts: Sequence[tuple[str, str]]) -> None:
    """Delete what `look_at_parts` saw, one a step."""
    for collection, part_id in parts:
        await op.change(f"delete {part_id}", functools.partial(delete, store, collection, part_id))


def marked(store: Store, collection: str) -> MarkedKind:
    """Return how the marks on a collection are found: here the store remembers them."""

    async def find(_: Call, prefix: str) -> Sequence[Marked]:
        return [
            Marked(row_id, marker, row.display_name, row.create_time.ToMilliseconds() / 1000)
            for row_id, row in store.items(collection)
            if (marker := store.marker_of(collection, row_id)) and marker.startswith(prefix)
        ]

    return MarkedKind(find, lambda _, row_id: delete(store, collection, row_id))


def transits(store: Store, collection: str, states: Collection[int]) -> Transits:
    """Return a function that lists a collection's resources in states that end by themselves."""

    async def look(row_id: str) -> bool:
        return store.get(collection, row_id).state in states

    async def each() -> AsyncIterator[tuple[str, bool]]:
        for row_id, row in store.items(collection):
            yield row_id, row.state in states

    async def moving(_: Call, ids: Sequence[str]) -> set[str]:
        return await in_transit(ids, look, each)

    return moving
