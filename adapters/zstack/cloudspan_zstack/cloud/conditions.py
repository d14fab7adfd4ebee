"""Which equalities of a filter ZStack applies itself, written as conditions of its query API.

The areas say for each kind what can be asked, in a table field -> `Push`. What is not in the table the kit applies
alone; it applies all of the filter to what comes back anyway, so a condition may let too much through (the database
compares names without case) but never too little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from cloudspan_zstack.cloud.queries import condition

if TYPE_CHECKING:
    from cloudspan_kit import Query

Push = Callable[[str], Sequence[str]]


def text(native: str) -> Push:
    """Push a text as it is."""
    return lambda value: condition(native, value)


def word(words: Mapping[str, Sequence[str]]) -> Push:
    """Push one of our words as conditions that all rows of that word meet; none for other words."""
    return lambda value: words.get(value, ())


def name(native: str, prefix: str) -> Push:
    """Push a resource name as the platform's id; `prefix` ends in a slash."""
    return lambda value: condition(native, unquote(value.removeprefix(prefix))) if value.startswith(prefix) else ()


def pushed(query: Query, pushes: Mapping[str, Push]) -> list[str]:
    """Return the conditions for what the query's filter demands and the cloud can do."""
    if query.filter.is_empty:
        return []
    found: list[str] = []
    for field, push in pushes.items():
        value = query.filter.equal(field)
        # An empty value asks for what is unset, which to the cloud is null and equals nothing.
        if value:
            found += push(value)
    return found
