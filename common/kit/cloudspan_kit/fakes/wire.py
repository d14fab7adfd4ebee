"""A native request and its answer between the HTTP server and a fake's own code.

A fake's `Call` is this one and what its platform adds to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, Any]
JSON = "application/json"
HTML = "text/html; charset=UTF-8"
TEXT = "text/plain; charset=utf-8"


@dataclass(slots=True)
class Call:
    """One native request; `path` is what follows the service's own prefix."""

    service: str
    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[str, str]
    raw: bytes
    base: str

    def one(self, name: str, default: str = "") -> str:
        """Return the last value of a query parameter."""
        return next((value for key, value in reversed(self.query) if key == name), default)

    def many(self, name: str) -> list[str]:
        return [value for key, value in self.query if key == name]

    def notes(self) -> Mapping[str, Any]:
        """Return the fields of the journal's entry that only this platform has, or that it shows in another way."""
        return {}


@dataclass(slots=True)
class Reply:
    """One answer; `headers` are those beyond what is always sent."""

    status: int = 200
    payload: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


def reply(document: Any, status: int = 200, **headers: str) -> Reply:
    """Return `document` as a JSON answer; header names are given with underscores."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, msgspec.json.encode(document), JSON, named)
