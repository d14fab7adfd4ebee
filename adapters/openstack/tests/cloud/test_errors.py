"""The error catalogue, by answers recorded from a real cloud (Zed): each in our words, with who must act."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from cloudspan_common.errors import (
    InvalidRequest,
    PlatformFault,
    QuotaExceeded,
    RateLimited,
    ServiceUnavailable,
    Unreachable,
)
from cloudspan_kit.http.transport import Answer, RequestInfo
from cloudspan_openstack.cloud.errors import Catalogue

COMPUTE, NETWORK, VOLUME, IMAGE = "compute", "network", "volume", "image"


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
RECORDED = json.loads((Path(__file__).parent / "recorded_errors.json").read_text())


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def catalogue(registry) -> Catalogue:
    return Catalogue(registry)


def error_of(catalogue: Catalogue, service: str, status: int, body: bytes, **headers: str):
    asked = RequestInfo("openstack", "east", service, "GET", "/things/1")
    return catalogue.error(asked, Answer(status, headers, body))


def unmapped(registry: CollectorRegistry) -> float:
    return sum(
        sample.value
        for metric in registry.collect()
        for sample in metric.samples
        if sample.name == "cloudspan_unmapped_native_errors_total"
    )


@pytest.mark.parametrize("row", RECORDED, ids=lambda row: f"{row['service']}-{row['status']}-{row['reason']}")
def test_a_recorded_answer_means(row, catalogue, registry):
    """Its class and reason, with no answer left unmapped."""
    body = row["body"].encode() if isinstance(row["body"], str) else json.dumps(row["body"]).encode()
    found = error_of(catalogue, row["service"], row["status"], body)
    assert (type(found).__name__, found.reason, unmapped(registry)) == (row["error"], row["reason"], 0)


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


TOO_LARGE_PAGE = (
    b"<html><head><title>413 Request Entity Too Large</title></head><body><h1>Request Entity Too Large</h1>"
    b"The amount of data provided in the request exceeds the capacity limit.</body></html>"
)
GLANCE_QUOTA_PAGE = (
    b"<html><head><title>413 Request Entity Too Large</title></head><body><h1>413 Request Entity Too Large</h1>"
    b"Denying attempt to upload image because it exceeds the quota: The size of the data exceeds it</body></html>"
)
WAIT_IN_BODY = json.dumps({"overLimit": {"code": 413, "message": "Slow down.", "retryAfter": "2"}}).encode()
VOLUME_QUOTA = "VolumeLimitExceeded: Maximum number of volumes allowed (10) exceeded for quota 'volumes'."


@pytest.mark.parametrize(
    ("service", "body", "headers", "means"),
    [
        (COMPUTE, nova("overLimit", 413, "This request was rate-limited."), {"Retry-After": "2"}, "RATE_LIMITED"),
        (COMPUTE, nova("overLimit", 413, "Only 10 GET request(s) can be made"), {}, "RATE_LIMITED"),
        (COMPUTE, WAIT_IN_BODY, {}, "RATE_LIMITED"),
        (NETWORK, b"", {"Retry-After": "60"}, "RATE_LIMITED"),
        (VOLUME, nova("overLimit", 413, VOLUME_QUOTA), {"Retry-After": "0"}, "QUOTA_EXCEEDED"),
        (VOLUME, nova("overLimit", 413, VOLUME_QUOTA), {"Retry-After": "30"}, "QUOTA_EXCEEDED"),
        (COMPUTE, nova("overLimit", 413, "Quota exceeded for cores"), {}, "QUOTA_EXCEEDED"),
        (VOLUME, nova("overLimit", 413, "more than there may be"), {"Retry-After": "0"}, "QUOTA_EXCEEDED"),
        (IMAGE, GLANCE_QUOTA_PAGE, {}, "QUOTA_EXCEEDED"),
        (COMPUTE, TOO_LARGE_PAGE, {}, "REQUEST_TOO_LARGE"),
        (IMAGE, b"", {}, "REQUEST_TOO_LARGE"),
        (VOLUME, b'{"message": "Request size limit exceeded"}', {}, "REQUEST_TOO_LARGE"),
        (COMPUTE, nova("error", 413, "Request is too large."), {}, "REQUEST_TOO_LARGE"),
    ],
)
def test_413_is_a_rate_limit_a_quota_or_a_request_that_is_too_large(catalogue, service, body, headers, means):
    """A time to wait or such words say rate, the cloud's own error quota, and a proxy's page size."""
    found = error_of(catalogue, service, 413, body, **headers)
    kinds = {"RATE_LIMITED": RateLimited, "QUOTA_EXCEEDED": QuotaExceeded, "REQUEST_TOO_LARGE": InvalidRequest}
    assert (found.reason, type(found)) == (means, kinds[means])
    assert means == "RATE_LIMITED" or found.retry_after_s is None


def test_a_query_that_is_too_long_for_a_proxy_is_the_callers(catalogue):
    """Its filter names too much."""
    found = error_of(catalogue, COMPUTE, 414, b"<h1>414 Request-URI Too Large</h1>")
    assert (type(found), found.reason) == (InvalidRequest, "REQUEST_TOO_LARGE")


@pytest.mark.parametrize("status", [413, 429, 503])
@pytest.mark.parametrize(("body", "headers"), [(WAIT_IN_BODY, {}), (b"", {"Retry-After": "2"})])
def test_a_time_to_wait_stands_in_the_header_or_in_the_body(catalogue, status, body, headers):
    """The latter as old limiters before Nova say it."""
    found = error_of(catalogue, COMPUTE, status, body, **headers)
    assert (type(found), found.retry_after_s) == (ServiceUnavailable if status == 503 else RateLimited, 2)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_says_where_to(catalogue, registry, status):
    """Whoever looks after the catalogue needs the new place; a login page's query may hold what is secret."""
    location = "https://user:pw@nova.example/v2.1/servers/detail?session=s3cret"
    found = error_of(catalogue, COMPUTE, status, b"<h1>Moved</h1>", Location=location)
    assert (type(found), found.reason, unmapped(registry)) == (PlatformFault, "REDIRECTED", 0)
    assert "https://nova.example/v2.1/servers/detail" in found.message
    assert ["pw" in found.message, "s3cret" in found.message] == [False, False]


@pytest.mark.parametrize("location", ["", "http://[", "/v2.1/servers\n/detail"])
def test_a_redirect_to_an_odd_place_is_told_too(catalogue, location):
    """Nothing said, no URL, and control characters."""
    found = error_of(catalogue, COMPUTE, 301, b"", Location=location)
    assert (found.reason, found.message.isprintable()) == ("REDIRECTED", True)


@pytest.mark.parametrize(
    ("told", "seconds"), [("7", 7.0), ("Sun, 22 Nov 2026 03:35:40 GMT", 10.0), ("soon", None), ("", None)]
)
def test_retry_after_is_read_as_seconds_or_date(catalogue, told, seconds):
    """And ignored where it is neither."""
    headers = {"Retry-After": told, "Date": "Sun, 22 Nov 2026 03:35:30 GMT"}
    found = error_of(catalogue, COMPUTE, 503, b"", **headers)
    assert (type(found), found.retry_after_s) == (ServiceUnavailable if seconds else Unreachable, seconds)


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


def test_a_secret_that_a_cloud_repeats_does_not_reach_the_caller() -> None:
    """Its words pass redaction before they are an error's message."""
    body = b'{"error": {"code": 400, "title": "Bad", "message": "bad header X-Auth-Token: gAAAAAabc123"}}'
    error = Catalogue().error(RequestInfo("openstack", "east", "identity", "GET", "/x"), Answer(400, {}, body))
    assert "gAAAAAabc123" not in error.message
    assert "X-Auth-Token" in error.message
