"""Changes, and the jobs that they become: what to call, and the uuids by which a change is the same when asked again.

`session` sends and follows them; drivers and `creation` make changes.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MARKER_TAG = "cloudspan::marker::"
"""What the tag of a create's marker begins with."""
_NAMESPACE = uuid.UUID("6f2f4f0e-5f0b-5c59-9d0b-0d8c9a2f7a11")
_JSON = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Change:
    """One change: what to call, with what."""

    method: str
    template: str
    args: Mapping[str, str] = field(default_factory=dict)
    """Values of the template's names; percent-encoded when sent."""
    action: str = ""
    """The key of an action in the body: `stopVmInstance`; empty for POST and DELETE."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """In the body for POST and PUT, in the query for DELETE; None values are left out."""
    system_tags: Sequence[str] = ()
    user_tags: Sequence[str] = ()

    def query(self) -> list[tuple[str, str]]:
        """Return the parameters as a query; a list repeats its key."""
        found: list[tuple[str, str]] = []
        for name, value in self.params.items():
            several = value if isinstance(value, list | tuple) else [value]
            found += [(name, _text(item)) for item in several if item is not None]
        return found

    def body(self) -> bytes:
        """Return the parameters as a body; tags stand beside them."""
        inner = {name: value for name, value in self.params.items() if value is not None}
        document: dict[str, Any] = {self.action or "params": inner}
        if self.system_tags:
            document["systemTags"] = list(self.system_tags)
        if self.user_tags:
            document["userTags"] = list(self.user_tags)
        return _JSON.encode(document)


def marked(change: Change, marker: str) -> Change:
    """Return a create that carries its marker as a tag."""
    return replace(change, user_tags=[*change.user_tags, MARKER_TAG + marker])


@dataclass(frozen=True, slots=True)
class Job:
    """A change that the platform has taken. `kept` goes into an operation's cursor and comes back by `Job.of`."""

    uuid: str
    method: str
    path: str
    done: bool = False

    def kept(self) -> dict[str, Any]:
        return {"job": self.uuid, "method": self.method, "path": self.path, "done": self.done}

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Job | None:
        """Return the job that `kept` tells of; None where nothing had to be done."""
        if not kept.get("job"):
            return None
        return cls(str(kept["job"]), str(kept["method"]), str(kept["path"]), bool(kept["done"]))


def job_uuid(key: str, attempt: int = 0) -> str:
    """Return the uuid of the job that carries out the change of that key; each session that ended takes another."""
    return uuid.uuid5(_NAMESPACE, f"job {attempt} {key}").hex


def resource_uuid(marker: str) -> str:
    """Return the uuid that what is created with `marker` gets (`resourceUuid`), and is found again by."""
    return uuid.uuid5(_NAMESPACE, f"resource {marker}").hex


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
