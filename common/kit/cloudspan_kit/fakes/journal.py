"""The log of native requests, for tests that count logins and calls. Secrets are masked before they are kept.

A fake's `Request` adds what its platform tells of a call; the fake says which keys are secret.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Call, Reply

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
    """The last requests, oldest first.

    `secret` names keys of bodies (`password`, or `token.id` for a key below another); `secret_text` matches texts
    whose first group may be shown.
    """

    def __init__(self, entry: type[SeenT], secret: frozenset[str], secret_text: re.Pattern[str] | None = None) -> None:
        self._entry, self._secret, self._secret_text = entry, secret, secret_text
        self._requests: deque[SeenT] = deque(maxlen=_KEPT)

    def __repr__(self) -> str:
        return f"<Journal: {len(self._requests)} requests>"

    def note(self, at: float, call: Call, answer: Reply | None, fault: str) -> None:
        """Keep one request."""
        noted = {
            "at": at,
            "service": call.service,
            "method": call.method,
            "path": call.path,
            "query": "&".join(f"{name}={value}" for name, value in call.query),
            "status": answer.status if answer else 0,
            "fault": fault,
            "body": self._masked(call.raw),
        }
        self._requests.append(self._entry(**noted | dict(call.notes())))

    def requests(self, service: str = "", method: str = "", path: str = "", **more: str) -> list[SeenT]:
        """Return the requests with these fields, if not empty, whose path matches the regular expression."""
        pattern = re.compile(path)
        wanted = [(name, value) for name, value in {"service": service, "method": method, **more}.items() if value]
        return [
            r for r in self._requests
            if all(getattr(r, name) == value for name, value in wanted) and pattern.search(r.path)
        ]  # fmt: skip

    def clear(self) -> None:
        self._requests.clear()

    def _masked(self, raw: bytes) -> Any:
        """Return a body without its secrets; None for none, a size for what is not JSON."""
        if not raw:
            return None
        try:
            return self._hidden(msgspec.json.decode(raw))
        except msgspec.DecodeError:
            return f"<{len(raw)} bytes>"

    def _hidden(self, value: Any, below: str = "") -> Any:
        if isinstance(value, list):
            return [self._hidden(item, below) for item in value]
        if isinstance(value, str) and self._secret_text is not None:
            return self._secret_text.sub(rf"\1{MASK}", value)
        if not isinstance(value, dict):
            return value
        return {
            key: MASK if self._is_secret(key, below) and not isinstance(item, dict) else self._hidden(item, key)
            for key, item in value.items()
        }

    def _is_secret(self, key: str, below: str) -> bool:
        return key in self._secret or f"{below}.{key}" in self._secret
