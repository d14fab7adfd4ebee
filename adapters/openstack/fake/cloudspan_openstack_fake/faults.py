"""The faults that the fake OpenStack commits when told to: those of every fake, and broken pages.

`Control` adds rules; what a broken page looks like is in `app`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cloudspan_kit.fakes import faults
from cloudspan_kit.fakes.faults import Rule
from cloudspan_openstack_fake.wire import Call


class Kind(enum.StrEnum):
    """What a rule does; the words of every fake are explained where they come from."""

    LATENCY = faults.LATENCY
    RATE_LIMIT = faults.RATE_LIMIT
    SERVER_ERROR = faults.SERVER_ERROR
    LOST_REPLY = faults.LOST_REPLY
    LATE_COMMIT = faults.LATE_COMMIT
    HANG = faults.HANG
    CLOSE = faults.CLOSE
    HALF_PAGE = faults.HALF_PAGE
    TRUNCATED_JSON = faults.TRUNCATED_JSON
    CUT_BODY = faults.CUT_BODY
    HTML_200 = faults.HTML_200
    REVOKED_TOKEN = faults.REVOKED_TOKEN
    MISSING_NEXT = "missing_next"
    """All rows of the page, but no next link."""
    REPEATED_MARKER = "repeated_marker"
    """The next link leads to the page it is on."""


@dataclass(slots=True)
class Fault(Rule[Call]):
    """One rule; `service` is identity, compute, image, network or volume."""

    kind: Kind

    def __post_init__(self) -> None:
        self.kind = Kind(self.kind)
        Rule.__post_init__(self)  # a class with slots is made anew by `dataclass`: `super()` would not find it
