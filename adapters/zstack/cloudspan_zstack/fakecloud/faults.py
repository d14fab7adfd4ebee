"""Faults that the fake cloud commits when told to: which calls they meet, and how often.

`Control` adds rules; `app` asks `match` for each call and carries them out.
What a rule does to an answer is in `tamper`, what it does to a job in `jobs`.
"""

from __future__ import annotations

import enum
import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudspan_zstack.fakecloud.wire import Call


class Kind(enum.StrEnum):
    """What a rule does."""

    LATENCY = "latency"
    """Wait `seconds`, then answer; combines with a further rule."""
    RATE_LIMIT = "rate_limit"
    """`status` (429) with Retry-After `retry_after`, as a proxy before the server may; not carried out."""
    SERVER_ERROR = "server_error"
    """`status` (500) with a body of the kind `body`; carried out before only with `carried_out`."""
    LOST_REPLY = "lost_reply"
    """Carry out, then reset the connection instead of answering."""
    LATE_COMMIT = "late_commit"
    """Reset the connection at once; carry out `seconds` later."""
    HANG = "hang"
    """Never answer; carried out only with `carried_out`."""
    CLOSE = "close"
    """Reset the connection without carrying out, as a dead server's port does."""
    HALF_PAGE = "half_page"
    """Half of the rows, while `total` stays."""
    TRUNCATED_JSON = "truncated_json"
    """Half of the body, with the length of that half."""
    CUT_BODY = "cut_body"
    """The whole length announced, half of the body sent, then a reset."""
    HTML_200 = "html_200"
    """A proxy's login page with status 200."""
    REVOKED_TOKEN = "revoked_token"  # noqa: S105 - the name of a fault
    """The session of the call, or with `scope` all every session, ends just before."""
    FAILURE = "failure"
    """A business error `code` with `message`: 503 of a synchronous call, the end of an asynchronous call's job."""
    LOST_JOB = "lost_job"
    """Carried out, but the job's record is gone: 404 when it is polled."""
    STUCK_JOB = "stuck_job"
    """The job stays processing for ever; nothing is done, the first stage with `scope` half, all with `carried_out`."""
    DUPLICATE_JOB = "duplicate_job"
    """Carried out, but answered as a second request with the same job uuid, as after a proxy's own retry."""
    WRONG_LOCATION = "wrong_location"
    """`location` names the host `scope`."""


JOB_KINDS = frozenset({Kind.FAILURE, Kind.LOST_JOB, Kind.STUCK_JOB})
"""Faults that decide what becomes of a job."""


class Body(enum.StrEnum):
    """What a SERVER_ERROR or RATE_LIMIT carries."""

    NATIVE = "native"
    """The server's own plain text."""
    HTML = "html"
    """A proxy's or Tomcat's page."""
    TEXT = "text"
    EMPTY = "empty"


@dataclass(slots=True)
class Fault:
    """One rule. An empty `service`, `call` or `method` meets every one; `path` is a pattern for what follows `/zstack`.

    `service` is the reference's category of a call (vm, volume, l3, auth, ...) or `job` for a poll, `call` its name.
    """

    kind: Kind
    service: str = ""
    call: str = ""
    method: str = ""
    path: str = ""
    count: int | None = None
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    seconds: float = 0.0
    status: int = 0
    retry_after: str | None = "1"
    body: Body = Body.NATIVE
    carried_out: bool = False
    scope: str = "this"
    code: str = "SYS.1001"
    message: str = "the operation timed out"
    id: str = ""
    hits: int = 0
    _seen: int = field(default=0, repr=False)
    _dice: random.Random = field(init=False, repr=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.kind, self.body = Kind(self.kind), Body(self.body)
        self._dice = random.Random(self.seed)  # noqa: S311 - a test must meet the same faults each time
        self._pattern = re.compile(self.path)

    def meets(self, call: Call) -> bool:
        """Whether this call is met; counts it if so."""
        if self.count is not None and self.hits >= self.count:
            return False
        asked = ((self.service, call.service), (self.call, call.name), (self.method, call.method))
        if any(wanted not in ("", got) for wanted, got in asked) or not self._pattern.search(call.path):
            return False
        self._seen += 1
        if self._seen <= self.skip or self._dice.random() >= self.probability:
            return False
        self.hits += 1
        return True


class FaultBox:
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: dict[str, Fault] = {}
        self._made = 0

    def __repr__(self) -> str:
        return f"<FaultBox: {len(self._rules)} rules>"

    def add(self, fault: Fault) -> str:
        """Put a rule in force; return its id."""
        self._made += 1
        fault.id = fault.id or f"fault-{self._made}"
        self._rules[fault.id] = fault
        return fault.id

    def rules(self) -> list[Fault]:
        return list(self._rules.values())

    def remove(self, fault_id: str) -> bool:
        return self._rules.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._rules.clear()

    def match(self, call: Call) -> list[Fault]:
        """Return the latencies that meet this call, and at most one other fault: the first in force."""
        met: list[Fault] = []
        for rule in self._rules.values():
            decided = any(fault.kind is not Kind.LATENCY for fault in met)
            if (rule.kind is Kind.LATENCY or not decided) and rule.meets(call):
                met.append(rule)
        return met
