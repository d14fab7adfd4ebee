"""The rows of the error catalogue: which native code means what. Read by `errors` only, from the top.

ZStack answers every business failure with HTTP 503 and a chain of codes; the deepest code that has a row decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudspan_common.errors import (
    AlreadyExists,
    Busy,
    Cancelled,
    CloudspanError,
    Forbidden,
    InvalidRequest,
    LoginRefused,
    NotFound,
    OutcomeUnknown,
    PlatformFault,
    PreconditionFailed,
    QuotaExceeded,
    RateLimited,
    Unreachable,
    Unsupported,
)
from cloudspan_kit import REDIRECTS, NoReply


class SessionEnded(LoginRefused):
    """The session of a request is invalid or expired: nothing was done, a new one may do it."""

    default_reason = "SESSION_ENDED"


class DuplicateJob(AlreadyExists):
    """A job of this uuid was accepted before: what was asked is under way, or has ended."""

    default_reason = "DUPLICATE_JOB"


class LostJob(OutcomeUnknown):
    """The platform no longer knows the job, or never did: the resource has to tell what became of it."""

    default_reason = "JOB_LOST"


class JobNotBegun(Busy):
    """A job was refused with its session before it began: nothing was done, and its uuid is used up."""

    default_reason = "SESSION_ENDED"


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: a native code or an HTTP status, and what it means. An empty pattern matches all texts."""

    code: str
    pattern: str
    error: type[CloudspanError]
    reason: str
    mapped: bool = True

    def matches(self, code: str, text: str) -> bool:
        """Whether the row is about `code`, an exact one or a prefix that ends in `*`, told with `text`."""
        if self.code != code and not (self.code.endswith("*") and code.startswith(self.code[:-1])):
            return False
        return not self.pattern or re.search(self.pattern, text, re.IGNORECASE) is not None


# What to do next, by reason.
ADVICE = {
    "QUOTA_EXCEEDED": "free something, or ask the cloud's operator for a larger quota",
    "NO_VALID_HOST": "the cloud has no room for it; use a smaller size or another zone, or ask its operator",
    "TOO_MANY_SESSIONS": "the user has too many sessions; wait until old ones expire or use an access key",
    "FORBIDDEN": "the cluster's account lacks the permission",
    "CLUSTER_LOGIN_REFUSED": "fix the cluster's credentials",
    "REDIRECTED": "redirects are not followed: correct the endpoint in the clouds file",
    "REQUEST_TOO_LARGE": "send less at once: shorter user data, fewer items, a shorter filter",
    "SECOND_FACTOR_NEEDED": "use an account without a second factor, or an access key",
    "REQUEST_TIME_SKEWED": "set the cluster's `timezone` to the server's zone and both clocks by NTP",
    "WRONG_STATE": "bring it into a state that allows this",
    "REFERENCE_NOT_FOUND": "look at the names that the request refers to",
    "NATIVE_TIMEOUT": "it may still go on: look at the resource before asking again",
    "NOT_ON_THIS_EDITION": "this server has no such call; commercial editions may",
    "AGENT_UNREACHABLE": "a host or storage of the cloud does not answer; ask its operator",
    "NATIVE_FAULT": "give the job's uuid to the cloud's operator",
    "BAD_GATEWAY": "the proxy before the server answers, the server does not; retry later",
    "SERVICE_UNAVAILABLE": "the server is starting or a proxy refuses; retry later",
    "GATEWAY_TIMEOUT": "the proxy before the server got no answer from it in time; retry later",
    "UNMAPPED_NATIVE_ERROR": "report this answer as a defect",
}

# A wrong access key is told under one code or another; only the text says so.
WRONG_KEY = r"wrong accessKey signature|access ?key id"

BUSINESS = (
    Rule("*", WRONG_KEY, LoginRefused, "CLUSTER_LOGIN_REFUSED"),
    Rule("ID.1000", "", LoginRefused, "CLUSTER_LOGIN_REFUSED"),
    Rule("ID.1001", "", SessionEnded, "SESSION_ENDED"),
    Rule("ID.1002", "", Forbidden, "FORBIDDEN"),
    Rule("ID.1003", "", QuotaExceeded, "QUOTA_EXCEEDED"),
    Rule("ID.1004", "", InvalidRequest, "QUOTA_INVALID"),
    Rule("ID.1005", "", LoginRefused, "PASSWORD_CHANGE_NEEDED"),
    Rule("ID.1006", "", QuotaExceeded, "TOO_MANY_SESSIONS"),
    Rule("ID.2001", "", LoginRefused, "SECOND_FACTOR_NEEDED"),
    Rule("VM.1010", "", PreconditionFailed, "WRONG_STATE"),
    Rule("HOST_ALLOCATION.*", "", QuotaExceeded, "NO_VALID_HOST"),
    Rule("SYS.1000", r"duplicate", AlreadyExists, "ALREADY_EXISTS"),
    Rule("SYS.1000", "", PlatformFault, "NATIVE_FAULT"),
    Rule("SYS.1001", "", OutcomeUnknown, "NATIVE_TIMEOUT"),
    Rule("SYS.1003", "", NotFound, "NOT_FOUND"),
    Rule("SYS.1006", r"enough|no (more )?(available|free)|exhaust", QuotaExceeded, "CAPACITY_EXCEEDED"),
    Rule("SYS.1006", r"already|duplicate|in use|occupied", PreconditionFailed, "IN_USE"),
    Rule("SYS.1006", "", PreconditionFailed, "OPERATION_REFUSED"),
    Rule("SYS.1007", r"duplicate|already", AlreadyExists, "ALREADY_EXISTS"),
    Rule("SYS.1007", "", InvalidRequest, "NATIVE_BAD_REQUEST"),
    Rule("SYS.1010", "", Unreachable, "NOT_READY"),
    Rule("SYS.1011", "", Unreachable, "NODE_UNREACHABLE"),
    Rule("SYS.1012", "", Unreachable, "NODE_UNREACHABLE"),
    Rule("SYS.1013", "", Unsupported, "NOT_IMPLEMENTED"),
    Rule("SYS.1014", "", Unsupported, "NOT_IMPLEMENTED"),
    Rule("SYS.1015", "", Unreachable, "AGENT_UNREACHABLE"),
    Rule("SYS.1016", "", Unreachable, "AGENT_UNREACHABLE"),
    Rule("SYS.1017", "", Cancelled, "CANCELLED"),
    # These say only which step failed: what their cause says counts, and they decide where there is none.
    Rule("SYS.1002", "", PreconditionFailed, "CREATE_FAILED"),
    Rule("SYS.1004", "", PreconditionFailed, "DELETE_FAILED"),
    Rule("SYS.1005", "", PreconditionFailed, "STATE_CHANGE_FAILED"),
    Rule("VM.*", "", PreconditionFailed, "SERVER_OPERATION_FAILED"),
    Rule("VOLUME.*", "", PreconditionFailed, "VOLUME_OPERATION_FAILED"),
    Rule("L3.1000", "", QuotaExceeded, "ADDRESSES_EXHAUSTED"),
    Rule("L3.*", "", PreconditionFailed, "NETWORK_OPERATION_FAILED"),
)

# Answers without an error object: malformed requests, unknown calls, proxies.
PLAIN = (
    Rule("400", r"Duplicate job uuid", DuplicateJob, "DUPLICATE_JOB"),
    Rule("400", r"(contain|find|unknown|no) .*action", Unsupported, "NOT_ON_THIS_EDITION"),
    Rule("400", r"missing header|Authorization", LoginRefused, "CLUSTER_LOGIN_REFUSED"),
    Rule("400", WRONG_KEY, LoginRefused, "CLUSTER_LOGIN_REFUSED"),
    Rule("400", "", InvalidRequest, "NATIVE_BAD_REQUEST"),
    Rule("403", r"requestTimeTooSkewed", LoginRefused, "REQUEST_TIME_SKEWED"),
    Rule("403", "", Forbidden, "FORBIDDEN"),
    Rule("404", r"\bjob\b", LostJob, "JOB_LOST"),
    Rule("404", "", Unsupported, "NOT_ON_THIS_EDITION"),
    Rule("405", "", Unsupported, "NOT_ON_THIS_EDITION"),
    Rule("409", "", Busy, "BUSY"),
    Rule("413", "", InvalidRequest, "REQUEST_TOO_LARGE"),
    Rule("414", "", InvalidRequest, "REQUEST_TOO_LARGE"),
    Rule("429", "", RateLimited, "RATE_LIMITED"),
    Rule("500", "", PlatformFault, "NATIVE_FAULT"),
    Rule("502", "", Unreachable, "BAD_GATEWAY"),
    Rule("503", "", Unreachable, "SERVICE_UNAVAILABLE"),
    Rule("504", "", NoReply, "GATEWAY_TIMEOUT"),
    *(Rule(str(status), "", PlatformFault, "REDIRECTED") for status in REDIRECTS),
)

UNMAPPED = Rule("*", "", PlatformFault, "UNMAPPED_NATIVE_ERROR", mapped=False)
