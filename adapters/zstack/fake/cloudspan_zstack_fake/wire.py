"""What a native request and its answer look like between the HTTP door and the fake's resources.

`app` makes a `Call` of each request. A resource's handler returns the result, or a `Work` that takes time, and
raises `Failure` for a business error (JSON, 503) or `BadRequest` for a malformed request (plain text).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan_kit.fakes import wire as kit
from cloudspan_kit.fakes.journal import MASK
from cloudspan_kit.fakes.wire import TEXT, Json, Reply

if TYPE_CHECKING:
    from cloudspan_zstack_fake.api.reference import Api
    from cloudspan_zstack_fake.faults import Fault

Work = Generator[float, None, Json]
"""A job in stages: yields how many seconds the next stage takes, returns the result."""
Handler = Callable[["Call"], "Json | Work"]

_SESSION_PATH = re.compile("(?<=/sessions/)[^/]+")


class BadRequest(Exception):
    """A request that the server does not understand: answered as plain text."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text, self.status = text, status


class Failure(Exception):
    """A business error. `cause` is the more specific one below it."""

    def __init__(self, code: str, details: str, cause: Failure | None = None) -> None:
        super().__init__(f"{code} {details}")
        self.code, self.details, self.cause = code, details, cause


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls: a session's or an access key's owner."""

    account: str
    user: str
    admin: bool
    session: str = ""


@dataclass(slots=True)
class Call(kit.Call):
    """One native request; `service`, `api` and what follows it are filled in on the way.

    `service` is the reference's category of the call (vm, volume, l3, auth, ...), or `job` for a job that is polled;
    `path` is what follows the context path, in clear: `/v1/vm-instances`.
    """

    name: str = ""
    """The call's name in the reference: `CreateVmInstance`."""
    job_uuid: str = ""
    api: Api | None = None
    path_params: dict[str, str] = field(default_factory=dict)
    params: Json = field(default_factory=dict)
    who: Identity | None = None
    fate: Fault | None = None
    """The fault that decides what becomes of the call's job."""

    @property
    def identity(self) -> Identity:
        if self.who is None:
            raise Failure("ID.1001", "Session expired")
        return self.who

    def uuid(self) -> str:
        """Return the uuid in the path, whatever the reference names it there."""
        return self.path_params.get("uuid") or next(iter(self.path_params.values()), "")

    def notes(self) -> Mapping[str, Any]:
        job = self.headers.get("X-Job-UUID", "") or self.job_uuid
        return {"call": self.name, "job_uuid": job, "path": _SESSION_PATH.sub(MASK, self.path)}

    def document(self) -> Json:
        """Return the body as an object; an empty body is an empty object."""
        try:
            decoded = msgspec.json.decode(self.raw or b"{}")
        except msgspec.DecodeError as error:
            raise BadRequest(f"malformed JSON in the body: {error}", 500) from None
        if not isinstance(decoded, dict):
            raise BadRequest("the body must be a JSON object")
        return decoded


def text(message: str, status: int = 400) -> Reply:
    return Reply(status, message.encode(), TEXT)
