"""Places in a JSON document that a test changes, by JSON pointer with `*` for every item of a list."""

from __future__ import annotations

from typing import Any


def places(document: Any, pointer: str) -> list[tuple[Any, Any]]:
    """Return (list or map, key) of every place that `/flavors/*/vcpus` leads to; none where an item isn't there."""
    holders, names = [document], pointer.strip("/").split("/")
    for name in names[:-1]:
        holders = [holder[key] for holder in holders for key in _keys(holder, name)]
    return [(holder, key) for holder in holders for key in _keys(holder, names[-1])]


def put(document: Any, pointer: str, value: object) -> None:
    """Put a value wherever a pointer leads to."""
    for holder, key in places(document, pointer):
        holder[key] = value


def _keys(holder: Any, name: str) -> list[Any]:
    if isinstance(holder, dict):
        return [name]
    if name == "*":
        return list(range(len(holder)))
    return [int(name)] if int(name) < len(holder) else []
