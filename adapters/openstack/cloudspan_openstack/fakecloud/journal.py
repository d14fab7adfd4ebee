"""The log of native requests, for tests that count logins and calls. Secrets are masked before they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudspan_common.fakes.journal import MASK, RequestLog, Seen, masked, query_text

if TYPE_CHECKING:
    from cloudspan_openstack.fakecloud.wire import Call, Json, Reply

_SECRET = {"password", "original_password", "secret", "adminPass", "private_key", "user_data", "passcode"}


@dataclass(frozen=True, slots=True)
class Request(Seen):
    """One native request as it was answered, with what only this platform tells of it."""

    at: float
    service: str
    method: str
    path: str
    query: str
    status: int
    microversion: str
    request_id: str
    fault: str
    body: Any


class Journal(RequestLog[Request]):
    """What the fake was asked."""

    def note(self, at: float, call: Call, answer: Reply | None, fault: str) -> None:
        """Keep one request."""
        version = ".".join(str(part) for part in call.version) if call.version[0] else ""
        status = answer.status if answer else 0
        self._requests.append(
            Request(at, call.service, call.method, call.path, query, status, version, call.request_id, fault, body)
        )

    def requests(self, service: str = "", method: str = "", path: str = "") -> list[Request]:
        """Return the requests of a service and method whose path matches the regular expression."""
        pattern = re.compile(path)
        return [
            r for r in self._requests
            if service in ("", r.service) and method in ("", r.method) and pattern.search(r.path)
        ]  # fmt: skip

    def clear(self) -> None:
        self._requests.clear()


def _hidden(value: Any) -> Any:
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if not isinstance(value, dict):
        return value
    shown = {
        key: MASK if key in _SECRET and not isinstance(item, dict) else _hidden(item) for key, item in value.items()
    }
    token = shown.get("token")
    if isinstance(token, dict):
        shown["token"] = {**token, "id": MASK}
    return shown
