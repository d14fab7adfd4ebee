"""The rows of the error catalogue: which native answer means what. Read by `errors` only, from the top.

A row is a recorded native answer (see the tests), or the meaning of a status where no text changes it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudspan_common.errors import (
    AlreadyExists,
    Busy,
    CloudspanError,
    Forbidden,
    InvalidRequest,
    LoginRefused,
    NotFound,
    PlatformFault,
    PreconditionFailed,
    QuotaExceeded,
    RateLimited,
    Unreachable,
    Unsupported,
)
from cloudspan_kit import REDIRECTS, NoReply


@dataclass(frozen=True, slots=True)
class Rule:
    """One row: which answers, and what they mean. Empty service, 0 and empty pattern match all."""

    service: str
    status: int
    pattern: str
    error: type[CloudspanError]
    reason: str
    mapped: bool = True
    waits: bool = False
    """Only of answers that ask for some time to be waited."""

    def matches(self, service: str, status: int, text: str, wait_s: float | None) -> bool:
        """Whether the row is about such an answer; `text` is the native code and message."""
        if (self.service and self.service != service) or (self.status and self.status != status):
            return False
        if self.waits and not wait_s:
            return False
        return not self.pattern or re.search(self.pattern, text, re.IGNORECASE) is not None


# What to do next, by reason.
ADVICE = {
    "QUOTA_EXCEEDED": "free something, or ask the cloud's operator for a larger quota",
    "ADDRESSES_EXHAUSTED": "use another subnet, or free addresses",
    "LOCKED": "unlock it first",
    "FORBIDDEN": "the cluster's user lacks the role that the cloud's policy asks for",
    "CLUSTER_LOGIN_REFUSED": "fix the cluster's credentials",
    "TOKEN_REJECTED": "the service rejects fresh tokens: its operator should look at keystone_authtoken",
    "REFERENCE_NOT_FOUND": "look at the names that the request refers to",
    "NETWORK_AMBIGUOUS": "say which network in network_interfaces",
    "WRONG_STATE": "bring it into a state that allows this",
    "VOLUME_IN_USE": "detach it first, or use another volume",
    "PORT_IN_USE": "use another port",
    "ADDRESS_IN_USE": "ask for another address",
    "IN_USE": "remove what uses it first",
    "BUSY": "wait until the change under way has ended, then ask again",
    "MICROVERSION_UNSUPPORTED": "the service offers another version than it advertised; retry",
    "REVISION_CHANGED": "read it again, then change it",
    "RATE_LIMITED": "retry later",
    "REQUEST_TOO_LARGE": "send less at once: shorter user data, fewer items, a shorter filter",
    "REDIRECTED": "redirects are not followed: correct the endpoint in the cloud's catalogue, or set it in clouds.yaml",
    "BAD_GATEWAY": "the proxy before the service answers, the service does not; retry later",
    "SERVICE_UNAVAILABLE": "retry later",
    "GATEWAY_TIMEOUT": "the proxy before the service got no answer from it in time; retry later",
    "NATIVE_FAULT": "give the native request id to the cloud's operator",
    "UNMAPPED_NATIVE_ERROR": "report this answer as a defect",
}

# A flavor, image, network, key or group in a create that does not exist is a 400 of Nova.
_UNKNOWN_REFERENCE = r"could not be found|can ?not find|unable to find|invalid key_name|zone is not available"

# Names of quotas among the words of a 413; and words of limiters.
_QUOTA = r"quota|LimitExceeded|maximum number of"
_RATE = r"rate.?limit|too many requests|request\(s\) can be made|throttl"
# No native code before the words: a proxy's page, or no words at all.
_TOO_LARGE = r"^ |(is|entity|body|payload|content) too (large|big|long)"

RULES = (
    # Nova says "quota" and "policy" with the same 403.
    Rule("compute", 403, r"quota exceeded|quota .* exceed|maximum number of", QuotaExceeded, "QUOTA_EXCEEDED"),
    # 413 means three things. Cinder says quota with Retry-After 0, Glance in a page of HTML.
    Rule("", 413, _QUOTA, QuotaExceeded, "QUOTA_EXCEEDED"),
    Rule("", 413, r"", RateLimited, "RATE_LIMITED", waits=True),
    Rule("", 413, _RATE, RateLimited, "RATE_LIMITED"),
    Rule("", 413, _TOO_LARGE, InvalidRequest, "REQUEST_TOO_LARGE"),
    Rule("", 413, r"", QuotaExceeded, "QUOTA_EXCEEDED"),
    Rule("", 414, r"", InvalidRequest, "REQUEST_TOO_LARGE"),
    Rule("network", 409, r"OverQuota|Quota exceeded", QuotaExceeded, "QUOTA_EXCEEDED"),
    Rule("", 403, r"is locked", PreconditionFailed, "LOCKED"),
    Rule("", 403, r"", Forbidden, "FORBIDDEN"),
    Rule("identity", 401, r"", LoginRefused, "CLUSTER_LOGIN_REFUSED"),
    Rule("", 401, r"", LoginRefused, "TOKEN_REJECTED"),
    Rule("compute", 409, r"Multiple possible networks", InvalidRequest, "NETWORK_AMBIGUOUS"),
    Rule("compute", 409, r"key pair .* already exists", AlreadyExists, "ALREADY_EXISTS"),
    Rule("compute", 409, r"while it is in (vm_state|task_state)", PreconditionFailed, "WRONG_STATE"),
    Rule("compute", 409, r"is locked", PreconditionFailed, "LOCKED"),
    Rule("compute", 409, r"Port .* (still )?in use", PreconditionFailed, "PORT_IN_USE"),
    Rule("compute", 409, r"Fixed IP .* (already )?in use", AlreadyExists, "ADDRESS_IN_USE"),
    Rule("network", 409, r"AllocationPool", InvalidRequest, "BAD_ALLOCATION_POOL"),
    Rule("network", 409, r"IpAddressInUse|AddressAlreadyAllocated|MacAddressInUse", AlreadyExists, "ADDRESS_IN_USE"),
    Rule("network", 409, r"IpAddressGenerationFailure|Exhausted|No more IP", QuotaExceeded, "ADDRESSES_EXHAUSTED"),
    Rule("network", 409, r"Exists\b|already exists|already has", AlreadyExists, "ALREADY_EXISTS"),
    Rule("network", 409, r"CannotRemoveDefault|CannotUpdateDefault", PreconditionFailed, "OPERATION_REFUSED"),
    Rule("network", 409, r"InUse|in use|still ha|has ports|cannot be deleted", PreconditionFailed, "IN_USE"),
    Rule("", 409, r"in use|dependent", PreconditionFailed, "IN_USE"),
    Rule("", 409, r"already exists|duplicate", AlreadyExists, "ALREADY_EXISTS"),
    Rule("", 409, r"try again|concurrent|conflict occurred|being (processed|updated|modified)", Busy, "BUSY"),
    # A conflict of a kind not met yet: readable, and counted until it has a row.
    Rule("", 409, r"", PreconditionFailed, "NATIVE_CONFLICT", mapped=False),
    Rule("volume", 400, r"status must|must not be|dependent", PreconditionFailed, "WRONG_STATE"),
    Rule("compute", 400, r"already attached|Invalid volume: .*status", PreconditionFailed, "VOLUME_IN_USE"),
    Rule("compute", 400, r"address .* is already in use", AlreadyExists, "ADDRESS_IN_USE"),
    Rule("compute", 400, _UNKNOWN_REFERENCE, InvalidRequest, "REFERENCE_NOT_FOUND"),
    Rule("", 400, r"", InvalidRequest, "NATIVE_BAD_REQUEST"),
    # The subnet has no way to the floating IP's external network; what was asked for is there.
    Rule("network", 404, r"ExternalGatewayForFloatingIPNotFound", PreconditionFailed, "OPERATION_REFUSED"),
    Rule("", 404, r"", NotFound, "NOT_FOUND"),
    Rule("", 406, r"", Unsupported, "MICROVERSION_UNSUPPORTED"),
    Rule("", 410, r"", NotFound, "NOT_FOUND"),
    Rule("", 412, r"", Busy, "REVISION_CHANGED"),
    Rule("", 429, r"", RateLimited, "RATE_LIMITED"),
    Rule("", 500, r"", PlatformFault, "NATIVE_FAULT"),
    Rule("", 501, r"", Unsupported, "NOT_IMPLEMENTED"),
    Rule("", 502, r"", Unreachable, "BAD_GATEWAY"),
    Rule("", 503, r"", Unreachable, "SERVICE_UNAVAILABLE"),
    Rule("", 504, r"", NoReply, "GATEWAY_TIMEOUT"),
    *(Rule("", status, r"", PlatformFault, "REDIRECTED") for status in REDIRECTS),
)

UNMAPPED = Rule("", 0, "", PlatformFault, "UNMAPPED_NATIVE_ERROR", mapped=False)
