"""Metadata near one of ours: what was probably meant, and what is nobody's slip."""

from __future__ import annotations

import pytest

from cloudspan_gateway.pipeline.unknown_metadata import KNOWN, MAX_WARNINGS, is_unknown, meant_by, warnings

SLIPS = {
    "x-requestid": "x-request-id", "x_request_id": "x-request-id", "x-request_id": "x-request-id",
    "x-requst-id": "x-request-id", "x-req-id": "x-request-id", "x-request": "x-request-id",
    "x-pol": "x-pool", "x-pools": "x-pool", "x-plattform": "x-platform", "x_platform": "x-platform",
    "x-clusters": "x-cluster", "x-cluser": "x-cluster", "x-cluster-id": "x-cluster", "x-tenant-id": "x-tenant",
    "x-tennant": "x-tenant", "x-waits": "x-wait", "x_wait": "x-wait", "x-stale": "x-stale-ok",
    "x-cloudspn-trial": "x-cloudspan-trial", "x_cloudspan_trial": "x-cloudspan-trial",
    "x-cloudspan_trial": "x-cloudspan-trial",
}  # fmt: skip
OF_OTHERS = (
    "x-forwarded-for", "x-forwarded-proto", "x-real-ip", "x-envoy-attempt-count", "x-b3-traceid", "x-amzn-trace-id",
    "x-amzn-requestid", "x-cloud-trace-context", "x-correlation-id", "x-goog-request-params", "x-goog-api-client",
    "x-user-agent", "x-grpc-web", "x-api-key", "x-request-start", "x-requested-with", "x-trace-id", "x-auth-token",
    "x-client-version", "x-served-by", "x-",
)  # fmt: skip


@pytest.mark.parametrize(("slip", "meant"), SLIPS.items())
def test_a_slip_of_the_pen_is_understood(slip, meant):
    """A letter missing, doubled or swapped, underscores, a plural, an `-id` too much."""
    assert is_unknown(slip)
    assert meant_by(slip) == meant


@pytest.mark.parametrize("name", OF_OTHERS)
def test_what_proxies_and_libraries_send_is_nobodys_slip(name):
    """No warning on every call behind a proxy."""
    assert warnings([name]) == ()


def test_what_the_gateway_knows_is_not_unknown():
    """Nor is what it carries on to adapters, nor what is not `x-` at all."""
    assert not any(map(is_unknown, (*KNOWN, "x-cloudspan-anything", "traceparent", "user-agent", "grpc-timeout")))


def test_the_warning_names_both():
    """What was found, and what to write instead."""
    text = "unknown metadata x-requestid; did you mean x-request-id?"
    assert warnings(["x-requestid"]) == (("x-cloudspan-warning", text),)


def test_a_flood_of_names_is_cut_off():
    """At a number and a length: who sends thousands is not helped by warnings."""
    assert len(warnings(["x-pol"] * 1000)) == MAX_WARNINGS
    assert warnings(["x-request-i" + "d" * 1000]) == ()
