"""The log of native requests, for tests that count logins and calls. Secrets are masked before they are kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudspan_kit.fakes.journal import MASK, RequestLog, Seen, masked, query_text

if TYPE_CHECKING:
    from cloudspan_zstack_fake.wire import Call, Reply

_SECRET = {"password", "oldPassword", "consolePassword", "privateKey", "AccessKeySecret", "SshKey"}
_SECRET_TAG = re.compile(r"^(userdata|rootPassword|consolePassword|sshkey)::.*", re.DOTALL)
_SESSION_PATH = re.compile("(?<=/sessions/)[^/]+")


@dataclass(frozen=True, slots=True)
class Request(Seen):
    """One native request as it was answered, with what only this platform tells of it."""

    call: str
    job_uuid: str


class Journal(RequestLog[Request]):
    """What the fake was asked."""

    def note(self, at: float, call: Call, answer: Reply | None, fault: str) -> None:
        """Keep one request."""
        self.keep(
            Request(
                at=at,
                service=call.service,
                method=call.method,
                path=_SESSION_PATH.sub(MASK, call.path),
                query=query_text(call.query),
                status=answer.status if answer else 0,
                fault=fault,
                body=masked(call.raw, _hidden),
                call=call.name,
                job_uuid=call.headers.get("X-Job-UUID", "") or call.job_uuid,
            )
        )

    def requests(self, service: str = "", method: str = "", path: str = "", call: str = "") -> list[Request]:
        """Return the requests of a service, method and call whose path matches the regular expression."""
        return [request for request in super().requests(service, method, path) if call in ("", request.call)]


def _hidden(value: Any) -> Any:
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    if isinstance(value, str):
        return _SECRET_TAG.sub(rf"\1::{MASK}", value)
    if not isinstance(value, dict):
        return value
    return {key: MASK if key in _SECRET else _hidden(item) for key, item in value.items()}
