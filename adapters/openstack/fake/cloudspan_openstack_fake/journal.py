"""The log of native requests, for tests that count logins and calls. Secrets are masked before they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudspan_kit.fakes.journal import MASK, RequestLog, Seen, masked, query_text

if TYPE_CHECKING:
    from cloudspan_openstack_fake.wire import Call, Reply

_SECRET = {"password", "original_password", "secret", "adminPass", "private_key", "user_data", "passcode"}


@dataclass(frozen=True, slots=True)
class Request(Seen):
    """One native request as it was answered, with what only this platform tells of it."""

    microversion: str
    request_id: str


class Journal(RequestLog[Request]):
    """What the fake was asked."""

    def note(self, at: float, call: Call, answer: Reply | None, fault: str) -> None:
        """Keep one request."""
        self.keep(
            Request(
                at=at,
                service=call.service,
                method=call.method,
                path=call.path,
                query=query_text(call.query),
                status=answer.status if answer else 0,
                fault=fault,
                body=masked(call.raw, _hidden),
                microversion=".".join(str(part) for part in call.version) if call.version[0] else "",
                request_id=call.request_id,
            )
        )


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
