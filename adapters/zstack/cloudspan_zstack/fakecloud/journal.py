"""The log of native requests, for tests that count logins and calls. Secrets are masked before they are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudspan_common.fakes.journal import MASK, RequestLog, Seen, masked, query_text

if TYPE_CHECKING:
    from cloudspan_zstack.fakecloud.wire import Call, Json, Reply

_SECRET = {"password", "oldPassword", "consolePassword", "privateKey", "AccessKeySecret", "SshKey"}
_SECRET_TAG = re.compile(r"^(userdata|rootPassword|consolePassword|sshkey)::.*", re.DOTALL)
_SESSION_PATH = re.compile("(?<=/sessions/)[^/]+")


@dataclass(frozen=True, slots=True)
class Request(Seen):
    """One native request as it was answered, with what only this platform tells of it."""

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


class Journal(RequestLog[Request]):
    """What the fake was asked."""

    def note(self, at: float, call: Call, answer: Reply | None, fault: str) -> None:
        """Keep one request."""
        path = _SESSION_PATH.sub(MASK, call.path)
        status = answer.status if answer else 0
        job = call.headers.get("X-Job-UUID", "") or call.job_uuid
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


def _hidden(value: Any) -> Any:
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if isinstance(value, str):
        return _SECRET_TAG.sub(rf"\1::{MASK}", value)
    if not isinstance(value, dict):
        return value
    return {key: MASK if key in _SECRET else _hidden(item) for key, item in value.items()}
