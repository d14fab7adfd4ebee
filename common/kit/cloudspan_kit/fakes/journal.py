"""The log of native requests, for tests that count logins and calls. Secrets are masked before they are kept.

A fake's `Request` adds what its platform tells of a call; its `Journal` makes them, and says what is secret.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_KEPT = 100_000
MASK = "***"
"""What stands in the place of a secret."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One native request as it was answered; status 0 means that no answer was sent."""

    at: float
    service: str
    method: str
    path: str
    query: str
    status: int
    fault: str
    body: Any

    def document(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


SeenT = TypeVar("SeenT", bound=Seen)


class RequestLog(Generic[SeenT]):
    """The last requests, oldest first."""

    def __init__(self) -> None:
        self._requests: deque[SeenT] = deque(maxlen=_KEPT)

    def __repr__(self) -> str:
        return f"<Journal: {len(self._requests)} requests>"

    def keep(self, request: SeenT) -> None:
        self._requests.append(request)

    def requests(self, service: str = "", method: str = "", path: str = "") -> list[SeenT]:
        """Return the requests of a service and method whose path matches the regular expression."""
        pattern = re.compile(path)
        return [
            r for r in self._requests
            if service in ("", r.service) and method in ("", r.method) and pattern.search(r.path)
        ]  # fmt: skip

    def clear(self) -> None:
        self._requests.clear()


def query_text(query: Iterable[tuple[str, str]]) -> str:
    """Return a query as it is kept: `limit=2&marker=x`."""
    return "&".join(f"{name}={value}" for name, value in query)


def masked(raw: bytes, hide: Callable[[Any], Any]) -> Any:
    """Return a request's body as `hide` leaves it; None for none, a size for what is not JSON."""
    if not raw:
        return None
    try:
        return hide(msgspec.json.decode(raw))
    except msgspec.DecodeError:
        return f"<{len(raw)} bytes>"
