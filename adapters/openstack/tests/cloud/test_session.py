"""What a session does with a cloud that falters: retries, logins, lost replies, and one record of each call."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import pytest

from cloudspan_common.errors import (
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    OutOfTime,
    PlatformFault,
    RateLimited,
    Unreachable,
)
from cloudspan_common.limits import LimitSettings
from cloudspan_common.listing.filter_ast import EVERYTHING
from cloudspan_common.telemetry import collecting
from cloudspan_kit import Query


async def test_a_hundred_callers_without_a_token_make_one_login(bench):
    """The keeper logs in once for all."""
    await asyncio.gather(*(bench.session.get(bench.call(), "compute", "/flavors", dict) for _ in range(100)))
    assert bench.cloud.control.logins() == 1


async def test_a_revoked_token_is_replaced_and_nobody_notices(bench):
    """A 401 retires the token and the call goes on with the next."""
    await bench.session.get(bench.call(), "compute", "/flavors", dict)
    bench.cloud.control.revoke_tokens()
    bench.clock.step_wall(2)
    answers = await asyncio.gather(*(bench.session.get(bench.call(), "compute", "/flavors", dict) for _ in range(20)))
    assert (len(answers), bench.cloud.control.logins()) == (20, 2)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "close"},
        {"kind": "cut_body"},
        {"kind": "server_error", "status": 502, "body": "html"},
        {"kind": "server_error", "status": 503},
        {"kind": "server_error", "status": 504, "body": "html"},
        {"kind": "rate_limit", "retry_after": "0"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
async def test_a_read_is_asked_again_after(bench, fault):
    """Broken connections and answers that say later."""
    rule = bench.cloud.control.fault(service="compute", path="/flavors", count=2, **fault)
    with collecting() as calls:
        found = await bench.session.get(bench.call(), "compute", "/flavors", dict)
    assert (bool(found["flavors"]), rule.hits) == (True, 2)
    # The HTTP library sends a GET again by itself when a connection that it kept open breaks.
    assert (calls[-1].template, calls[-1].status, calls[-1].retries in (1, 2)) == ("/flavors", 200, True)


async def test_a_read_gives_up_in_the_end_and_says_why(bench):
    """Four tries, then the proxy's own words."""
    rule = bench.cloud.control.fault("server_error", service="compute", path="/flavors", status=502, body="html")
    with pytest.raises(Unreachable, match="502 Bad Gateway") as caught:
        await bench.session.get(bench.call(), "compute", "/flavors", dict)
    assert (rule.hits, caught.value.reason, caught.value.metadata["http_status"]) == (4, "BAD_GATEWAY", "502")


async def test_a_rate_limit_longer_than_the_deadline_is_told_at_once(bench):
    """With the cloud's own time to wait, and for the first caller in its own words."""
    bench.cloud.control.fault("rate_limit", service="compute", path="/flavors", retry_after="250")
    for told in ("HTTP 429: This request was rate-limited", "asks for a pause"):
        with pytest.raises(RateLimited, match=told) as caught:
            await bench.session.get(bench.call(), "compute", "/flavors", dict)
        assert 200 < caught.value.retry_after_s <= 250


async def test_a_rate_limit_said_with_413_is_waited_out(bench, cluster_of, clock):
    """As one said with 429, for the time it names."""
    body = {"overLimit": {"code": 413, "message": "This request was rate-limited.", "retryAfter": "2"}}
    limit = bench.cloud.alter("/compute/v2.1/flavors", status=413, times=1, headers={"Retry-After": "2"}, body=body)
    patient, began = cluster_of(clock=clock), clock.monotonic()
    asked = asyncio.create_task(patient.session.get(bench.call(), "compute", "/flavors", dict))
    while not asked.done():
        await clock.advance(0.5 if limit.hits else 0.0)
        await asyncio.sleep(0.001)
    assert ("flavors" in await asked, limit.hits, clock.monotonic() - began >= 2.0) == (True, 1, True)


async def test_a_write_that_a_proxy_finds_too_large_is_the_callers_to_shorten(bench):
    """Not a quota, and nothing was carried out."""
    page = "<html><body><h1>Request Entity Too Large</h1></body></html>"
    bench.cloud.alter("/compute/v2.1/servers", method="POST", status=413, body=page)
    with pytest.raises(InvalidRequest, match="user data") as caught:
        await bench.session.send(bench.call(), "POST", "compute", "/servers", None, json={})
    assert caught.value.reason == "REQUEST_TOO_LARGE"


async def test_a_redirect_is_not_followed(bench, cloud):
    """The token would go along."""
    elsewhere = cloud.alter("/elsewhere", status=200, body={})
    cloud.alter("/compute/v2.1/flavors", status=302, headers={"Location": "@ME@/elsewhere"})
    with pytest.raises(PlatformFault, match=f"{cloud.base_url}/elsewhere"):
        await bench.session.get(bench.call(), "compute", "/flavors", dict)
    assert elsewhere.hits == 0


async def test_a_service_that_asks_for_a_pause_holds_up_nothing_else(bench, cluster_of):
    """Cinder under maintenance: the same host's servers and networks answer, and another cluster's volumes."""
    page = {"body": "<html>Maintenance</html>", "headers": {"Retry-After": "120"}}
    pause = bench.cloud.alter("/volume/v3/[^/]+/.*", status=503, **page)
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            await bench.session.get(bench.call(), "volume", "/volumes", dict)
        assert caught.value.retry_after_s == pytest.approx(120, abs=5)
    assert pause.hits == 1
    assert "servers" in await bench.session.get(bench.call(), "compute", "/servers", dict)
    assert "networks" in await bench.session.get(bench.call(), "network", "/networks", dict)
    pause.times = 0
    assert "volumes" in await cluster_of("fake-demo2").session.get(bench.call(), "volume", "/volumes", dict)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost_reply"},
        {"kind": "server_error", "status": 500, "carried_out": True},
        {"kind": "server_error", "status": 502, "body": "html", "carried_out": True},
        {"kind": "truncated_json"},
        {"kind": "html_200"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
async def test_a_write_is_never_sent_twice_after(bench, fault):
    """It may have been carried out, and the error says so."""
    rule = bench.cloud.control.fault(service="network", method="POST", count=1, **fault)
    with pytest.raises(OutcomeUnknown):
        await bench.session.send(bench.call(), "POST", "network", "/networks", dict, json={"network": {"name": "once"}})
    assert (rule.hits, bench.cloud.control.count("network", "POST")) == (1, 1)


@pytest.mark.parametrize("fault", [{"kind": "rate_limit", "retry_after": "0"}, {"kind": "server_error", "status": 503}])
async def test_a_write_is_sent_again_when_it_was_surely_not_carried_out(bench, fault):
    """429 and 503 come before the service acts."""
    bench.cloud.control.fault(service="network", method="POST", count=1, **fault)
    made = await bench.session.send(
        bench.call(), "POST", "network", "/networks", dict, json={"network": {"name": "once"}}
    )
    assert made["network"]["name"] == "once"


async def test_a_write_that_meets_a_dead_token_is_sent_again(bench):
    """A 401 proves that nothing was done."""
    bench.cloud.control.fault("revoked_token", service="network", method="POST", count=1)
    await bench.session.send(bench.call(), "POST", "network", "/networks", dict, json={"network": {"name": "once"}})
    listed = await bench.session.get(bench.call(), "network", "/networks", dict, params={"name": "once"})
    assert len(listed["networks"]) == 1


async def test_an_idempotent_write_may_be_sent_again(bench):
    """A DELETE whose reply was lost meets its own work: 404."""
    made = await bench.session.send(bench.call(), "POST", "network", "/networks", dict, json={"network": {}})
    bench.cloud.control.fault("lost_reply", service="network", method="DELETE", count=1)
    with pytest.raises(NotFound):
        await bench.session.send(
            bench.call(), "DELETE", "network", "/networks/{id}", None, args={"id": made["network"]["id"]}, redo_ok=True
        )
    assert bench.cloud.control.count("network", "DELETE") == 2


async def test_a_write_without_time_is_not_sent(bench):
    """Better refused than unknown."""
    await bench.session.get(bench.call(), "network", "/networks", dict)
    with pytest.raises(OutOfTime, match="was not sent"):
        await bench.session.send(bench.call(seconds=0.1), "POST", "network", "/networks", dict, json={"network": {}})
    assert bench.cloud.control.count("network", "POST") == 0


async def test_a_write_that_queued_too_long_is_not_sent_and_may_come_again(bench):
    """Sent in its caller's last moments it would end unknown; unsent it is only asked to wait."""
    limiter, _ = bench.session._caller._parts.guards.of(bench.cloud.base_url + "/compute/v2.1")
    await bench.session.microversion(bench.call(), "compute")
    async with contextlib.AsyncExitStack() as others:
        for _ in range(limiter.limit):
            await others.enter_async_context(limiter.slot(timeout_s=1))
        with pytest.raises(RateLimited, match="was not sent") as caught:
            await bench.session.send(bench.call(seconds=0.6), "POST", "compute", "/servers", None, json={})
    assert caught.value.reason == "QUEUED_TOO_LONG"
    assert bench.cloud.control.count(method="POST", path="/servers") == 0


async def test_a_hanging_cloud_ends_a_read_with_its_deadline_and_leaves_a_write_unknown(bench):
    """Both within the caller's time."""
    await bench.session.get(bench.call(), "network", "/networks", dict)
    bench.cloud.control.fault("hang", service="network")
    with pytest.raises(OutOfTime):
        await bench.session.get(bench.call(seconds=0.05), "network", "/networks", dict)
    with pytest.raises(OutcomeUnknown):
        await bench.session.send(bench.call(seconds=0.3), "POST", "network", "/networks", dict, json={"network": {}})


@pytest.mark.parametrize(("kind", "reason"), [("html_200", "NOT_JSON"), ("truncated_json", "TRUNCATED_JSON")])
async def test_an_answer_that_is_no_json_is_the_platforms_fault(bench, kind, reason):
    """And says what came instead."""
    bench.cloud.control.fault(kind, service="compute", path="/flavors", count=1)
    with pytest.raises(PlatformFault) as caught:
        await bench.session.get(bench.call(), "compute", "/flavors", dict)
    assert caught.value.reason == reason


async def test_a_service_that_keeps_failing_is_left_alone_for_a_while(bench):
    """The breaker opens; the other services of the cloud still answer."""
    await bench.session.get(bench.call(), "compute", "/flavors", dict)
    bench.cloud.control.fault("server_error", service="compute", status=502, body="html")
    for _ in range(2):
        with pytest.raises(Unreachable):
            await bench.session.get(bench.call(), "compute", "/flavors", dict)
    asked = bench.cloud.control.count("compute")
    with pytest.raises(Unreachable) as caught:
        await bench.session.get(bench.call(), "compute", "/flavors", dict)
    assert (caught.value.reason, bench.cloud.control.count("compute")) == ("BREAKER_OPEN", asked)
    assert "networks" in await bench.session.get(bench.call(), "network", "/networks", dict)


async def test_each_call_is_recorded_once_with_what_it_took(bench):
    """Login and version document are calls of their own."""
    with collecting() as calls, pytest.raises(NotFound):
        await bench.session.get(bench.call(), "compute", "/servers/{id}", dict, args={"id": "none"})
    assert [(c.service, c.method, c.template, c.status) for c in calls if c.service != "identity"] == [
        ("compute", "GET", "/", 200),
        ("compute", "GET", "/servers/{id}", 404),
    ]
    assert calls[-1].native_request_id.startswith("req-")


@pytest.mark.parametrize("background", [True, False])
async def test_a_sweeps_calls_are_sent_after_those_that_somebody_waits_for(bench, background):
    """Whoever came first; a sweep's page is of the calls that nobody waits for."""
    await bench.session.get(bench.call(), "compute", "/flavors", dict)
    limiter, _ = bench.session._caller._parts.guards.of(bench.cloud.base_url + "/compute/v2.1")
    limiter._limit, limiter._settings = 1.0, LimitSettings(max_concurrency=1)
    bench.cloud.control.clear_requests()
    async with limiter.slot(timeout_s=None):
        sweep = replace(bench.call(), background=background)
        listed = asyncio.create_task(bench.function("list_flavors")(sweep, Query(EVERYTHING, 100)))
        await bench.clock.settle()
        reads = [asyncio.create_task(bench.session.get(bench.call(), "compute", "/flavors", dict)) for _ in range(3)]
        await bench.clock.settle()
        assert "4 waiting" in repr(limiter)
    await asyncio.gather(listed, *reads)
    sent = [seen.path.rpartition("/")[2] for seen in bench.cloud.control.requests("compute", path="/flavors")]
    assert sent[:4] == (["flavors"] * 3 + ["detail"] if background else ["detail"] + ["flavors"] * 3)
