"""Which equalities of a filter a cloud applies itself, and how it calls them.

The areas say for each kind what Neutron, Cinder and Glance were seen to do right, in a table field -> `Push`. What is
not in the table, the kit applies alone; it applies all of the filter to what comes back anyway, so a push may let
too much through (MySQL compares names without case) but never too little.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from cloudspan_kit import Query

# `project:*`, `project != "..."`, `project = "a" OR project = "b"`: whoever writes so means projects beyond his own.
_PROJECT = re.compile(r"(?<![\w.\"'])project\s*(?:!?=|:|<|>)")

Params = tuple[tuple[str, str], ...]
Push = Callable[[str], tuple[str, str] | None]


def text(native: str) -> Push:
    """Push a text as it is."""
    return lambda value: (native, value)


def word(native: str, words: Mapping[str, str]) -> Push:
    """Push one of ours as the cloud's word, where there is exactly one."""
    return lambda value: (native, words[value]) if value in words else None


def name(native: str, prefix: str) -> Push:
    """Push a resource name as the platform's id; `prefix` ends in a slash."""
    return lambda value: (native, unquote(value.removeprefix(prefix))) if value.startswith(prefix) else None


FLAGS = {"true": "True", "false": "False"}


def pushed(query: Query, pushes: Mapping[str, Push]) -> Params:
    """Return the parameters for what the query's filter demands and the cloud can do."""
    if query.filter.is_empty:
        return ()
    found = []
    for field, push in pushes.items():
        value = query.filter.equal(field)
        # An empty value asks for what is unset, which to the clouds means no filter.
        if value and (param := push(value)):
            found.append(param)
    return tuple(found)


def asks_for_projects(query: Query) -> bool:
    """Whether the filter speaks of projects, so that an administrator's own is not all that is wanted."""
    return not query.filter.is_empty and _PROJECT.search(query.filter.text) is not None
