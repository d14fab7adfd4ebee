"""The rows of the error catalogue: which native code means what. Read by `errors` only, from the top.

ZStack answers every business failure with HTTP 503 and a chain of codes; the deepest code that has a row decides. A few
codes, SYS.1006 and SYS.1007 above all, are told for many things: of these the words decide, in the two languages that
the server speaks (Chinese unless it is configured otherwise). Words that its catalogue of messages tells in English
beside are looked at too. Where the adapter can look for itself what stands in the way, it does, and needs no words.
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
    GaveUp,
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

_NOT_THE_OWNER = r"permission denied|is not the owner|的所有者"
_NO_ROOM = (
    r"enough|no (more )?(available|free) |exhaust|no ip is available|required size|primary storage size"
    r"|size > [\d,]+|[大小容量] ?> ?[\d,]+|不足|没有足够|所需大小|保留容量|可用容量|没有可用的?(IP|物理机|主存储)"
)
_IN_USE = r"already|duplicate|in us(e|ing)|occupied|has been|has attached|已经|已有|已存在|占用|使用中|重复"
_USED_ALREADY = r"in us(e|ing)\b|it is used|occupied|more than 1 \w* ?eip|绑定超过|占用|使用中|正在使用"
_OTHER_CIDR = r"multiple CIDR|多个CIDR|gateway .*(inconsistent|different|conflict)|网关地址.*(冲突|不同)"

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
    # A hypervisor did not do it: nothing that another request would change.
    Rule("HOST.*", "", GaveUp, "SERVER_OPERATION_FAILED"),
    # What a create meets with a security group that is not there; a constraint is broken by that too.
    Rule("SYS.1000", r"SecurityGroup\w*\.applyNetworkService", InvalidRequest, "REFERENCE_NOT_FOUND"),
    # A chosen uuid that is taken breaks a constraint of the database, and nothing puts that into words.
    Rule("SYS.1000", r"duplicate|ConstraintViolationException", AlreadyExists, "ALREADY_EXISTS"),
    Rule("SYS.1000", "", PlatformFault, "NATIVE_FAULT"),
    Rule("SYS.1001", "", OutcomeUnknown, "NATIVE_TIMEOUT"),
    Rule("SYS.1003", "", NotFound, "NOT_FOUND"),
    Rule("SYS.1006", _NOT_THE_OWNER, Forbidden, "FORBIDDEN"),
    Rule("SYS.1006", r"on (the )?kvm ?host\[|KVM物理机\[", GaveUp, "SERVER_OPERATION_FAILED"),
    Rule("SYS.1006", r"key pair\[.*not found", NotFound, "NOT_FOUND"),
    Rule("SYS.1006", r"public key", InvalidRequest, "NATIVE_BAD_REQUEST"),
    Rule("SYS.1006", r"no host (having|with)|未找到CPU|找不到具有", QuotaExceeded, "NO_VALID_HOST"),
    Rule("SYS.1006", _NO_ROOM, QuotaExceeded, "CAPACITY_EXCEEDED"),
    Rule("SYS.1006", r"in (the )?(state|status) of|状态", PreconditionFailed, "WRONG_STATE"),
    Rule("SYS.1006", _IN_USE, PreconditionFailed, "IN_USE"),
    Rule("SYS.1006", "", PreconditionFailed, "OPERATION_REFUSED"),
    Rule("SYS.1007", _NOT_THE_OWNER, Forbidden, "FORBIDDEN"),
    Rule("SYS.1007", r"unsupported \w+ ?type|不支持的\w+类型", Unsupported, "NOT_ON_THIS_EDITION"),
    Rule("SYS.1007", r"overlap|重叠", AlreadyExists, "RANGE_OVERLAPS"),
    Rule("SYS.1007", _OTHER_CIDR, PreconditionFailed, "ONE_CIDR_A_NETWORK"),
    Rule("SYS.1007", _USED_ALREADY, PreconditionFailed, "IN_USE"),
    Rule("SYS.1007", r"duplicate|already|attached to cluster|重复|已经|已存在", AlreadyExists, "ALREADY_EXISTS"),
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
    Rule("VM.*", "", GaveUp, "SERVER_OPERATION_FAILED"),
    Rule("VOLUME.*", "", PreconditionFailed, "VOLUME_OPERATION_FAILED"),
    Rule("L3.1000", r"cannot find ip range|找不到.*IP", InvalidRequest, "NATIVE_BAD_REQUEST"),
    Rule("L3.1000", "", QuotaExceeded, "ADDRESSES_EXHAUSTED"),
    Rule("L2.*", "", PreconditionFailed, "NETWORK_OPERATION_FAILED"),
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
    Rule("500", r"RestAuthenticationType", Unsupported, "NOT_ON_THIS_EDITION"),  # an access key, where there are none
    Rule("500", "", PlatformFault, "NATIVE_FAULT"),
    Rule("502", "", Unreachable, "BAD_GATEWAY"),
    Rule("503", "", Unreachable, "SERVICE_UNAVAILABLE"),
    Rule("504", "", NoReply, "GATEWAY_TIMEOUT"),
    *(Rule(str(status), "", PlatformFault, "REDIRECTED") for status in REDIRECTS),
)

UNMAPPED = Rule("*", "", PlatformFault, "UNMAPPED_NATIVE_ERROR", mapped=False)
