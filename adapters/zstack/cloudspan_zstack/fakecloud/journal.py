"""The log of native requests, for tests that count logins and calls. Secrets are masked before they are kept."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from cloudspan_zstack.fakecloud.wire import Call, Json, Reply

_KEPT = 100_000
_SECRET = {"password", "oldPassword", "consolePassword", "privateKey", "AccessKeySecret", "SshKey"}
_SECRET_TAG = re.compile(r"^(userdata|rootPassword|consolePassword|sshkey)::.*", re.DOTALL)
_SESSION_PATH = re.compile("(?<=/sessions/)[^/]+")
_MASK = "***"


@dataclass(frozen=True, slots=True)
class Request:
    """One native request as it was answered; status 0 means that no answer was sent."""

    at: float
    service: str
    call: str
    method: str
    path: str
    query: str
    status: int
    job_uuid: str
    fault: str
    body: Any

    def document(self) -> Json:
        return {name: getattr(self, name) for name in self.__slots__}


class Journal:
    """The last requests, oldest first."""

    def __init__(self) -> None:
        self._requests: deque[Request] = deque(maxlen=_KEPT)

    def __repr__(self) -> str:
        return f"<Journal: {len(self._requests)} requests>"

    def note(self, at: float, call: Call, answer: Reply | None, fault: str) -> None:
        """Keep one request."""
        query = "&".join(f"{name}={value}" for name, value in call.query)
        path = _SESSION_PATH.sub(_MASK, call.path)
        status = answer.status if answer else 0
        job = call.headers.get("X-Job-UUID", "") or call.job_uuid
        body = masked(call.raw)
        self._requests.append(
            Request(at, call.service, call.name, call.method, path, query, status, job, fault, body)
        )  # fmt: skip

    def requests(self, service: str = "", method: str = "", path: str = "", call: str = "") -> list[Request]:
        """Return the requests of a service, method and call whose path matches the regular expression."""
        pattern = re.compile(path)
        return [
            r for r in self._requests
            if service in ("", r.service) and method in ("", r.method) and call in ("", r.call)
            and pattern.search(r.path)
        ]  # fmt: skip

    def clear(self) -> None:
        self._requests.clear()


def masked(raw: bytes) -> Any:
    """Return a request's body with its secrets replaced; None for none, a size for what is not JSON."""
    if not raw:
        return None
    try:
        return _masked(msgspec.json.decode(raw))
    except msgspec.DecodeError:
        return f"<{len(raw)} bytes>"


def _masked(value: Any) -> Any:
    if isinstance(value, list):
        return [_masked(item) for item in value]
    if isinstance(value, str):
        return _SECRET_TAG.sub(rf"\1::{_MASK}", value)
    if not isinstance(value, dict):
        return value
    return {key: _MASK if key in _SECRET else _masked(item) for key, item in value.items()}
