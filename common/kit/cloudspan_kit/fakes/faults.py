"""Faults that a fake cloud commits when told to: which calls they meet, and how often.

Each fake names the kinds it knows in an enum of its own, made of the words here and of its platform's; its `Fault`
is a `Rule` with that enum. The handle (`control`) adds rules; `serving` carries out what concerns connections.
"""

from __future__ import annotations

import enum
import random
import re
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

LATENCY: Final = "latency"
"""Wait `seconds`, then answer; combines with a further rule."""
RATE_LIMIT: Final = "rate_limit"
"""`status` (429) with Retry-After `retry_after`, as a proxy before the server may; not carried out."""
SERVER_ERROR: Final = "server_error"
"""`status` (500) with a body of the kind `body`; carried out before only with `carried_out`."""
LOST_REPLY: Final = "lost_reply"
"""Carry out, then reset the connection instead of answering."""
LATE_COMMIT: Final = "late_commit"
"""Reset the connection at once; carry out `seconds` later."""
HANG: Final = "hang"
"""Never answer; carried out only with `carried_out`."""
CLOSE: Final = "close"
"""Reset the connection without carrying out, as a dead server's port does."""
HALF_PAGE: Final = "half_page"
"""Half of the rows, and nothing that leads to the others."""
TRUNCATED_JSON: Final = "truncated_json"
"""Half of the body, with the length of that half."""
CUT_BODY: Final = "cut_body"
"""The whole length announced, half of the body sent, then a reset."""
HTML_200: Final = "html_200"
"""A proxy's login page with status 200."""
REVOKED_TOKEN: Final = "revoked_token"  # noqa: S105 - the name of a fault
"""The token or session of the call, or with `scope` all every one, ends just before."""

REFUSALS = frozenset({RATE_LIMIT, SERVER_ERROR})
"""Faults that answer in the place of the service."""
SILENT = frozenset({LOST_REPLY, LATE_COMMIT, HANG, CLOSE})
"""Faults after which no answer is sent."""
NOT_CARRIED_OUT = REFUSALS | {LATE_COMMIT, HANG, CLOSE}
"""Faults that keep the call from the service, unless a rule says `carried_out`."""


class Body(enum.StrEnum):
    """What a SERVER_ERROR or RATE_LIMIT carries."""

    NATIVE = "native"
    """The service's own error, in its own form."""
    HTML = "html"
    """A proxy's or an application server's page."""
    TEXT = "text"
    EMPTY = "empty"


class RequestInfo(Protocol):
    """What every fake's call tells about itself."""

    @property
    def service(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...


CallT_contra = TypeVar("CallT_contra", bound=RequestInfo, contravariant=True)


@dataclass(slots=True)
class Rule(Generic[CallT_contra]):
    """One rule. An empty `service` or `method` meets every one; `path` is a pattern for what follows the service."""

    kind: enum.StrEnum
    service: str = ""
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
    id: str = ""
    hits: int = 0
    _seen: int = field(default=0, repr=False)
    _dice: random.Random = field(init=False, repr=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.body = Body(self.body)
        self._dice = random.Random(self.seed)  # noqa: S311 - a test must meet the same faults each time
        self._pattern = re.compile(self.path)

    def document(self) -> dict[str, Any]:
        """Return the rule as `/_control` shows it."""
        return {f.name: getattr(self, f.name) for f in fields(self) if not f.name.startswith("_")}

    def fits(self, call: CallT_contra) -> bool:
        """Whether the rule is about such calls."""
        if self.service not in ("", call.service) or self.method not in ("", call.method):
            return False
        return self._pattern.search(call.path) is not None

    def meets(self, call: CallT_contra) -> bool:
        """Whether this call is met; counts it if so."""
        if self.count is not None and self.hits >= self.count:
            return False
        if not self.fits(call):
            return False
        self._seen += 1
        if self._seen <= self.skip or self._dice.random() >= self.probability:
            return False
        self.hits += 1
        return True

    @property
    def refusal_status(self) -> int:
        """The status that a RATE_LIMIT or SERVER_ERROR answers."""
        return self.status or (429 if self.kind == RATE_LIMIT else 500)


RuleT = TypeVar("RuleT", bound=Rule[Any])


class FaultBox(Generic[RuleT]):
    """The rules in force."""

    def __init__(self) -> None:
        self._rules: dict[str, RuleT] = {}
        self._made = 0

    def __repr__(self) -> str:
        return f"<FaultBox: {len(self._rules)} rules>"

    def add(self, fault: RuleT) -> str:
        """Put a rule in force; return its id."""
        self._made += 1
        fault.id = fault.id or f"fault-{self._made}"
        self._rules[fault.id] = fault
        return fault.id

    def rules(self) -> list[RuleT]:
        return list(self._rules.values())

    def remove(self, fault_id: str) -> bool:
        return self._rules.pop(fault_id, None) is not None

    def clear(self) -> None:
        self._rules.clear()

    def match(self, call: RequestInfo) -> list[RuleT]:
        """Return the latencies that meet this call, and at most one other fault: the first in force."""
        met: list[RuleT] = []
        for rule in self._rules.values():
            if (rule.kind == LATENCY or decisive(met) is None) and rule.meets(call):
                met.append(rule)
        return met


def decisive(met: Iterable[RuleT]) -> RuleT | None:
    """Return the fault that decides what becomes of a call; None when there are latencies at most."""
    return next((fault for fault in met if fault.kind != LATENCY), None)
