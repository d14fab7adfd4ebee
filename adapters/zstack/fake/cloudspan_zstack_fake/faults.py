"""The faults that the fake ZStack commits when told to: those of every fake, and broken jobs.

`Control` adds rules; what one does to a job is in `jobs`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from cloudspan_kit.fakes import faults
from cloudspan_kit.fakes.faults import Rule
from cloudspan_zstack_fake.wire import Call


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
    """Here `total` stays."""
    TRUNCATED_JSON = faults.TRUNCATED_JSON
    CUT_BODY = faults.CUT_BODY
    HTML_200 = faults.HTML_200
    REVOKED_TOKEN = faults.REVOKED_TOKEN
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


@dataclass(slots=True)
class Fault(Rule[Call]):
    """One rule; an empty `call` meets every one, `path` is a pattern for what follows `/zstack`.

    `service` is the reference's category of a call (vm, volume, l3, auth, ...) or `job` for a poll, `call` its name.
    """

    kind: Kind
    call: str = ""
    code: str = "SYS.1001"
    message: str = "the operation timed out"

    def __post_init__(self) -> None:
        self.kind = Kind(self.kind)
        Rule.__post_init__(self)  # a class with slots is made anew by `dataclass`: `super()` would not find it

    def fits(self, call: Call) -> bool:
        return self.call in ("", call.name) and Rule.fits(self, call)
