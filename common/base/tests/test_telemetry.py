"""One native call, three views of it; and the ids of requests and traces."""

from __future__ import annotations

import asyncio
import platform
import re
from importlib.metadata import version

import grpc
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from structlog.testing import capture_logs

from cloudspan_common.telemetry import (
    NativeCall,
    NativeCallMetrics,
    add_build_info,
    collecting,
    new_request_id,
    record_native_call,
    traceparent,
    version_of,
)


def a_call(**changes) -> NativeCall:
    """A good call, but for `changes`."""
    values = {
        "cluster": "os-east", "service": "compute", "method": "GET", "template": "/servers/{id}", "status": 200,
        "ms": 12.0, "native_request_id": "req-1",
    }  # fmt: skip
    return NativeCall(**{**values, **changes})


def test_a_call_is_counted_by_what_it_was_and_how_it_ended():
    """The labels hold the path template and the status class, so they stay few."""
    registry = CollectorRegistry()
    metrics = NativeCallMetrics(registry, "openstack")
    record_native_call(a_call(), metrics)
    record_native_call(a_call(status=404, error="no such server", retries=2, waited_ms=1500), metrics)
    where = {"platform": "openstack", "cluster": "os-east"}
    labels = {**where, "service": "compute", "method": "GET", "template": "/servers/{id}"}
    assert registry.get_sample_value("cloudspan_native_call_seconds_sum", {**labels, "status": "2xx"}) == 0.012
    assert registry.get_sample_value("cloudspan_native_call_seconds_count", {**labels, "status": "4xx"}) == 1
    assert registry.get_sample_value("cloudspan_native_retries_total", where) == 2


def test_what_a_call_waited_for_its_turn_is_apart_from_what_the_cloud_took():
    """A slow cloud and a full limiter are not the same trouble."""
    registry = CollectorRegistry()
    metrics = NativeCallMetrics(registry)
    for waited_ms in (0.0, 1500.0):
        record_native_call(a_call(waited_ms=waited_ms, ms=20.0), metrics)
    where = {"platform": "", "cluster": "os-east"}
    assert registry.get_sample_value("cloudspan_native_wait_seconds_sum", where) == 1.5
    assert registry.get_sample_value("cloudspan_native_wait_seconds_bucket", {**where, "le": "0.001"}) == 1
    assert registry.get_sample_value("cloudspan_native_wait_seconds_count", where) == 2


def test_a_process_says_what_it_runs():
    """One series, whose labels are the answer."""
    registry = CollectorRegistry()
    add_build_info(registry, "cloudspan-common")
    (family,) = registry.collect()
    assert family.name == "cloudspan_build_info"
    assert family.samples[0].labels == {
        "distribution": "cloudspan-common",
        "version": version("cloudspan-common"),
        "python": platform.python_version(),
        "grpcio": grpc.__version__,
    }
    assert [version_of(name) for name in ("cloudspan-nowhere", "")] == ["unknown", "unknown"]


@pytest.mark.parametrize(
    ("call", "level", "event"),
    [
        (a_call(), "debug", "native call done"),
        (a_call(status=404), "debug", "native call done"),
        (a_call(status=404, error="no such server"), "debug", "native call done"),
        (a_call(status=503), "warning", "native call failed"),
        (a_call(status=503, error="quota exceeded", refused=True), "debug", "native call done"),
        (a_call(status=0), "warning", "native call failed"),
        (a_call(error="broken JSON"), "warning", "native call failed"),
        (a_call(ms=5000), "warning", "native call was slow"),
    ],
)
def test_only_failed_and_slow_calls_are_warnings(call, level, event):
    """A 404 is an answer; whether it is bad news is for its caller to say."""
    with capture_logs() as logged:
        record_native_call(call)
    assert [(entry["log_level"], entry["event"]) for entry in logged] == [(level, event)]
    assert logged[0]["native_request_id"] == "req-1"


async def test_a_request_collects_the_calls_of_its_tasks_and_no_others():
    """Two requests at once don't mix."""

    async def request(cluster: str) -> list[NativeCall]:
        async def one(status: int) -> None:
            await asyncio.sleep(0)
            record_native_call(a_call(cluster=cluster, status=status))

        with collecting() as calls:
            async with asyncio.TaskGroup() as group:
                group.create_task(one(200))
                group.create_task(one(201))
        return calls

    east, west = await asyncio.gather(request("east"), request("west"))
    assert [(call.cluster, call.status) for call in east] == [("east", 200), ("east", 201)]
    assert [(call.cluster, call.status) for call in west] == [("west", 200), ("west", 201)]


def test_a_nested_collection_belongs_to_the_outer_one_too():
    """A step's calls are the request's."""
    with collecting() as outer:
        with collecting() as inner:
            record_native_call(a_call())
        record_native_call(a_call(status=204))
    assert [call.status for call in inner] == [200]
    assert [call.status for call in outer] == [200, 204]


def test_two_services_in_one_process_keep_their_metrics_apart():
    """No global registry: the same metric twice does not clash."""
    one, other = CollectorRegistry(), CollectorRegistry()
    NativeCallMetrics(one)
    record_native_call(a_call(), NativeCallMetrics(other))
    assert b"os-east" not in generate_latest(one)


def test_request_ids_are_32_hex_digits_and_differ():
    """They may be used as keys of an explanation."""
    ids = {new_request_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in ids)


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize("flags", ["00", "01"])
def test_a_traceparent_keeps_trace_and_flags_under_a_new_span(flags):
    """Whether to sample is the caller's choice."""
    version, trace, span, kept = traceparent(f"00-{TRACE}-{SPAN}-{flags}").split("-")
    assert (version, trace, kept) == ("00", TRACE, flags)
    assert re.fullmatch("[0-9a-f]{16}", span)
    assert span != SPAN


def test_a_later_version_is_understood_as_far_as_we_know():
    """W3C: read the four known fields, send version 00."""
    assert traceparent(f"01-{TRACE}-{SPAN}-01-more").startswith(f"00-{TRACE}-")


@pytest.mark.parametrize(
    "parent",
    [
        None, "", "rubbish", f"00-{TRACE}-{SPAN}", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-more",
    ],
)  # fmt: skip
def test_a_missing_or_malformed_parent_starts_a_new_trace(parent):
    """Sampled, with an id of its own."""
    version, trace, _span, flags = traceparent(parent).split("-")
    assert (version, flags) == ("00", "01")
    assert re.fullmatch("[0-9a-f]{32}", trace)
    assert trace not in (TRACE, "0" * 32)
