"""The error catalogue, by answers recorded from a real cloud (Zed): each in our words, with who must act."""

from __future__ import annotations

import json

import pytest
from prometheus_client import CollectorRegistry

from cloudspan_common.errors import (
    AlreadyExists,
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
from cloudspan_openstack.errors import Answer, Asked, Catalogue

COMPUTE, NETWORK, VOLUME, IMAGE, IDENTITY = "compute", "network", "volume", "image", "identity"


def nova(kind: str, code: int, message: str) -> bytes:
    return json.dumps({kind: {"code": code, "message": message}}).encode()


def neutron(kind: str, message: str) -> bytes:
    return json.dumps({"NeutronError": {"type": kind, "message": message, "detail": ""}}).encode()


GLANCE_404 = b"""<html>
 <head>
  <title>404 Not Found</title>
 </head>
 <body>
  <h1>404 Not Found</h1>
  No image found with ID nope<br /><br />
 </body>
</html>"""
_ID = "80f1c179-1796-494d-af9f-1d1cf007bdda"
_VOLUME_STATE = (
    "Invalid volume: Volume status must be available or error or error_restoring or error_extending or error_managing "
    "and must not be migrating, attached, belong to a group, have snapshots, awaiting a transfer, or be disassociated "
    "from snapshots after volume transfer."
)

RECORDED = [
    (COMPUTE, 404, nova("itemNotFound", 404, "Instance nope could not be found."), NotFound, "NOT_FOUND"),
    (COMPUTE, 403, nova("forbidden", 403, "Quota exceeded for instances: Requested 11, but already used 0 of 10 instances"), QuotaExceeded, "QUOTA_EXCEEDED"),
    (COMPUTE, 403, nova("forbidden", 403, "Policy doesn't allow compute:servers:create:requested_destination to be performed."), Forbidden, "FORBIDDEN"),
    (COMPUTE, 409, nova("conflictingRequest", 409, f"Cannot 'start' instance {_ID} while it is in vm_state active"), PreconditionFailed, "WRONG_STATE"),
    (COMPUTE, 409, nova("conflictingRequest", 409, f"Cannot 'reboot' instance {_ID} while it is in task_state rebooting"), PreconditionFailed, "WRONG_STATE"),
    (COMPUTE, 409, nova("conflictingRequest", 409, f"Instance {_ID} is locked"), PreconditionFailed, "LOCKED"),
    (COMPUTE, 409, nova("conflictingRequest", 409, "Multiple possible networks found, use a Network ID to be more specific."), InvalidRequest, "NETWORK_AMBIGUOUS"),
    (COMPUTE, 409, nova("conflictingRequest", 409, "Key pair 'a1-k' already exists."), AlreadyExists, "ALREADY_EXISTS"),
    (COMPUTE, 409, nova("conflictingRequest", 409, f"Port {_ID} is still in use."), PreconditionFailed, "PORT_IN_USE"),
    (COMPUTE, 400, nova("badRequest", 400, f"Fixed IP address 10.77.0.4 is already in use on instance {_ID}."), AlreadyExists, "ADDRESS_IN_USE"),
    (COMPUTE, 400, nova("badRequest", 400, f"Invalid volume: volume {_ID} is already attached to instances: {_ID}"), PreconditionFailed, "VOLUME_IN_USE"),
    (COMPUTE, 400, nova("badRequest", 400, "Flavor 99 could not be found."), InvalidRequest, "REFERENCE_NOT_FOUND"),
    (COMPUTE, 400, nova("badRequest", 400, "Can not find requested image"), InvalidRequest, "REFERENCE_NOT_FOUND"),
    (COMPUTE, 400, nova("badRequest", 400, "Invalid key_name provided."), InvalidRequest, "REFERENCE_NOT_FOUND"),
    (COMPUTE, 400, nova("badRequest", 400, "Unable to find security_group with name or id 'nosg'"), InvalidRequest, "REFERENCE_NOT_FOUND"),
    (COMPUTE, 400, nova("badRequest", 400, "The requested availability zone is not available"), InvalidRequest, "REFERENCE_NOT_FOUND"),
    (COMPUTE, 400, nova("badRequest", 400, "Keypair data is invalid: failed to generate fingerprint"), InvalidRequest, "NATIVE_BAD_REQUEST"),
    (COMPUTE, 406, nova("computeFault", 406, "Version 2.999 is not supported by the API. Minimum is 2.1 and maximum is 2.93."), Unsupported, "MICROVERSION_UNSUPPORTED"),
    (COMPUTE, 401, b'{"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}}', LoginRefused, "TOKEN_REJECTED"),
    (VOLUME, 413, nova("overLimit", 413, "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota."), QuotaExceeded, "QUOTA_EXCEEDED"),
    (VOLUME, 400, nova("badRequest", 400, _VOLUME_STATE), PreconditionFailed, "WRONG_STATE"),
    (NETWORK, 404, neutron("NetworkNotFound", "Network nope could not be found."), NotFound, "NOT_FOUND"),
    (NETWORK, 409, neutron("OverQuota", "Quota exceeded for resources: ['network']."), QuotaExceeded, "QUOTA_EXCEEDED"),
    (NETWORK, 409, neutron("NetworkInUse", f"Unable to complete operation on network {_ID}. There are one or more ports still in use on the network"), PreconditionFailed, "IN_USE"),
    (NETWORK, 409, neutron("SubnetInUse", f"Unable to complete operation on subnet {_ID}: One or more ports have an IP allocation from this subnet."), PreconditionFailed, "IN_USE"),
    (NETWORK, 409, neutron("IpAddressAlreadyAllocated", f"IP address 10.77.0.4 already allocated in subnet {_ID}"), AlreadyExists, "ADDRESS_IN_USE"),
    (NETWORK, 409, neutron("IpAddressGenerationFailure", f"No more IP addresses available on network {_ID}."), QuotaExceeded, "ADDRESSES_EXHAUSTED"),
    (NETWORK, 400, neutron("InvalidInput", "Invalid input for operation: Requested subnet with cidr: 10.77.0.0/29 overlaps with another subnet."), InvalidRequest, "NATIVE_BAD_REQUEST"),
    (IMAGE, 404, GLANCE_404, NotFound, "NOT_FOUND"),
    (IDENTITY, 403, b'{"error":{"code":403,"message":"You are not authorized to perform the requested action: identity:list_users.","title":"Forbidden"}}', Forbidden, "FORBIDDEN"),
    (COMPUTE, 502, b"<html><head><title>502</title></head><body><h1>502 Bad Gateway</h1></body></html>", Unreachable, "BAD_GATEWAY"),
    (COMPUTE, 429, nova("overLimit", 429, "This request was rate-limited."), RateLimited, "RATE_LIMITED"),
    (COMPUTE, 500, nova("computeFault", 500, "Unexpected API Error."), PlatformFault, "NATIVE_FAULT"),
]  # fmt: skip  # one recorded answer a line


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def catalogue(registry) -> Catalogue:
    return Catalogue(registry)


def error_of(catalogue: Catalogue, service: str, status: int, body: bytes, **headers: str):
    asked = Asked("openstack", "east", service, "GET", "/things/1")
    return catalogue.error(asked, Answer(status, headers, body))


def unmapped(registry: CollectorRegistry) -> float:
    return sum(
        sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "cloudspan_unmapped_native_errors_total"
    )


@pytest.mark.parametrize(("service", "status", "body", "error", "reason"), RECORDED)
def test_a_recorded_answer_means(service, status, body, error, reason, catalogue, registry):
    """Its class and reason, with no answer left unmapped."""
    found = error_of(catalogue, service, status, body)
    assert (type(found), found.reason, unmapped(registry)) == (error, reason, 0)


def test_an_error_carries_where_it_came_from(catalogue):
    """Enough to find it in the cloud's own logs."""
    body = neutron("NetworkNotFound", "Network nope could not be found.")
    found = error_of(catalogue, NETWORK, 404, body, **{"x-openstack-request-id": "req-1"})
    assert found.metadata == {
        "platform": "openstack",
        "cluster": "east",
        "native_service": "network",
        "native_code": "NetworkNotFound",
        "native_request_id": "req-1",
        "http_status": "404",
    }
    assert found.message == (
        "GET /things/1 of network in east was refused with HTTP 404: Network nope could not be found"
    )


def test_a_page_of_html_is_read_for_its_words(catalogue):
    """Glance answers a 404 with a page."""
    assert "No image found with ID nope" in error_of(catalogue, IMAGE, 404, GLANCE_404).message


def test_an_unknown_conflict_is_readable_and_counted(catalogue, registry):
    """A defect to mend, not a riddle for the caller."""
    found = error_of(catalogue, COMPUTE, 409, nova("conflictingRequest", 409, "The moon is in the wrong house."))
    assert ("The moon is in the wrong house" in found.message, found.reason) == (True, "NATIVE_CONFLICT")
    assert unmapped(registry) == 1


def test_an_unknown_status_is_the_platforms_fault_and_counted(catalogue, registry):
    """Nobody answers 418."""
    found = error_of(catalogue, COMPUTE, 418, b"teapot")
    assert (type(found), found.reason, unmapped(registry)) == (PlatformFault, "UNMAPPED_NATIVE_ERROR", 1)


def test_a_quota_with_retry_after_zero_is_no_rate_limit(catalogue):
    """Cinder says quota with 413 and Retry-After 0."""
    found = error_of(catalogue, VOLUME, 413, nova("overLimit", 413, "quota"), **{"Retry-After": "0"})
    assert (type(found), found.retry_after_s) == (QuotaExceeded, None)


@pytest.mark.parametrize(
    ("told", "seconds"), [("7", 7.0), ("Sun, 22 Nov 2026 03:35:40 GMT", 10.0), ("soon", None), ("", None)]
)
def test_retry_after_is_read_as_seconds_or_date(catalogue, told, seconds):
    """And ignored where it is neither."""
    headers = {"Retry-After": told, "Date": "Sun, 22 Nov 2026 03:35:30 GMT"}
    found = error_of(catalogue, COMPUTE, 503, b"", **headers)
    assert (type(found), found.retry_after_s) == (RateLimited if seconds else Unreachable, seconds)


def test_a_refused_body_is_not_repeated_with_its_secrets(catalogue):
    """Nova's schema errors quote the whole request, passwords included."""
    whole = (
        "Invalid input for field/attribute server. Value: {'name': 'x', 'adminPass': 's3cret. '}. "
        "'networks' is a required property"
    )
    field = "Invalid input for field/attribute adminPass. Value: s3cret. 's3cret' is too short"
    texts = [error_of(catalogue, COMPUTE, 400, nova("badRequest", 400, text)).message for text in (whole, field)]
    assert ["s3cret" in text for text in texts] == [False, False]
    assert "'networks' is a required property" in texts[0]
