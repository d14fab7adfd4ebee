"""Which equalities of a filter a cloud applies itself, and how it calls them: the `push` table of a `Kind`.

What is not in the table the kit applies alone; it applies all of the filter to what comes back anyway, so a push may
let too much through (databases compare names without case) but never too little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from cloudspan_common.names import ClusterRef

if TYPE_CHECKING:
    from cloudspan_kit.kind import Query

Condition = tuple[str, str] | str
"""What a source asks the platform for: a field that equals a value, or a condition in the platform's own words."""
Push = Callable[[str, ClusterRef], Sequence[Condition]]
"""`(value, cluster) -> conditions` for `field = value`; none where that can't be asked."""

FLAGS = {"true": "true", "false": "false"}


def text(native: str) -> Push:
    """Push a text as it is."""
    return lambda value, _: ((native, value),)


def word(native: str, words: Mapping[str, str]) -> Push:
    """Push one of our words as the cloud's, where there is exactly one for it."""
    return lambda value, _: ((native, words[value]),) if value in words else ()


def words(conditions: Mapping[str, Sequence[Condition]]) -> Push:
    """Push one of our words as several conditions that all rows of that word meet; none for other words."""
    return lambda value, _: conditions.get(value, ())


def ref(native: str, collection: str) -> Push:
    """Push a resource name of `collection` as the platform's id."""

    def push(value: str, cluster: ClusterRef) -> Sequence[Condition]:
        prefix = f"{cluster}/{collection}/"
        return ((native, unquote(value.removeprefix(prefix))),) if value.startswith(prefix) else ()

    return push


def pushed(query: Query, cluster: ClusterRef, table: Mapping[str, Push]) -> list[Condition]:
    """Return the conditions for what the query's filter demands and the cloud can do."""
    if query.filter.is_empty:
        return []
    found: list[Condition] = []
    for field, push in table.items():
        value = query.filter.equal(field)
        # An empty value asks for what is unset, which clouds take for no filter, or for nothing at all.
        if value:
            found += push(value, cluster)
    return found
