"""Faults on demand, the log of requests, and the control endpoint."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest


async def test_a_lost_reply_carries_out_and_resets_the_connection(client, cloud):
    """The network is there although nobody was told."""
    cloud.control.fault("lost_reply", service="network", method="POST", count=1)
    with pytest.raises(aiohttp.ClientError):
        await client.neutron("POST", "/networks", {"network": {"name": "lost"}})
    assert len((await client.neutron("GET", "/networks?name=lost"))[1]["networks"]) == 1


async def test_a_late_commit_lands_after_a_look_up_that_found_nothing(client, cloud):
    """So a look-up right after an unknown outcome proves nothing."""
    cloud.control.fault("late_commit", service="network", method="POST", seconds=10, count=1)
    with pytest.raises(aiohttp.ClientError):
        await client.neutron("POST", "/networks", {"network": {"name": "late"}})
    counts = []
    for seconds in (0, 9, 1):
        await cloud.control.advance(seconds)
        counts.append(len((await client.neutron("GET", "/networks?name=late"))[1]["networks"]))
    assert counts == [0, 0, 1]


async def test_a_closed_connection_carries_nothing_out(client, cloud):
    """And ends with the fault's count."""
    fault = cloud.control.fault("close", path="/networks$", count=1)
    with pytest.raises(aiohttp.ClientError):
        await client.neutron("POST", "/networks", {"network": {"name": "closed"}})
    assert (await client.neutron("GET", "/networks?name=closed"))[1]["networks"] == []
    assert fault.hits == 1


async def test_a_rate_limit_and_a_server_error_come_in_the_dialect_or_as_a_proxy_page(client, cloud):
    """Retry-After as the rule says."""
    cloud.control.fault("rate_limit", service="compute", retry_after="7", count=1)
    cloud.control.fault("server_error", service="compute", status=502, body="html", count=1)
    limited, broken = [await client.nova("GET", "/servers") for _ in range(2)]
    assert (limited[0], limited[2]["Retry-After"], limited[1]["overLimit"]["code"]) == (429, "7", 429)
    assert (broken[0], "<h1>502 Bad Gateway</h1>" in broken[1]) == (502, True)


async def test_pages_lie_in_three_ways(client, cloud):
    """Half without a link, whole without a link, a link to itself."""
    cloud.control.seed(servers=6)
    seen = []
    for kind in ("half_page", "missing_next", "repeated_marker"):
        cloud.control.fault(kind, service="compute", count=1)
        _, document, _ = await client.nova("GET", "/servers?limit=4")
        seen.append((len(document["servers"]), [link["href"] for link in document.get("servers_links", ())]))
    assert seen == [(2, []), (4, []), (4, [f"{cloud.base_url}/compute/v2.1/servers?limit=4"])]


async def test_bodies_break_in_three_ways(client, cloud):
    """Truncated JSON, a cut transfer, a sign-in page with 200."""
    cloud.control.fault("truncated_json", count=1)
    with pytest.raises(json.JSONDecodeError):
        await client.nova("GET", "/servers/detail")
    cloud.control.fault("cut_body", count=1)
    with pytest.raises(aiohttp.ClientError):
        await client.nova("GET", "/flavors/detail")
    cloud.control.fault("html_200", count=1)
    status, page, headers = await client.nova("GET", "/servers")
    assert (status, headers["Content-Type"][:9], "Sign in" in page) == (200, "text/html", True)


async def test_a_revoked_token_is_401_until_the_next_login(client, cloud):
    """Only the one that met the rule."""
    cloud.control.fault("revoked_token", service="compute", count=1)
    assert [(await client.nova("GET", "/servers"))[0] for _ in range(2)] == [401, 401]
    await client.login()
    assert (await client.nova("GET", "/servers"))[0] == 200


async def test_latency_waits_on_the_clock_and_a_hang_ends_with_the_cloud(client, cloud):
    """Neither blocks other calls."""
    cloud.control.fault("latency", path="/servers$", seconds=30, count=1)
    cloud.control.fault("hang", path="/flavors$", count=1)
    async with asyncio.TaskGroup() as group:
        slow = group.create_task(client.nova("GET", "/servers"))
        hung = group.create_task(_outcome(client.nova("GET", "/flavors")))
        # The server has no event for "a call sleeps" or "a call hangs".
        while cloud.store.clock.sleepers < 1 or cloud.control.count("compute", "GET", "/flavors$") < 1:  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.001)
        assert (await client.nova("GET", "/limits"))[0] == 200
        await cloud.control.advance(30)
        assert (await slow)[0] == 200
        await cloud.stop()
    assert isinstance(hung.result(), aiohttp.ClientError)


async def _outcome(call):
    try:
        return await call
    except aiohttp.ClientError as error:
        return error


async def test_probability_is_seeded_and_skip_and_count_are_kept(client, cloud):
    """The same seed meets the same calls."""
    seen = []
    for _ in range(2):
        cloud.control.fault("server_error", path="/limits$", probability=0.5, seed=7, skip=1, count=3)
        seen.append([(await client.nova("GET", "/limits"))[0] for _ in range(12)])
        cloud.control.clear_faults()
    assert (seen[0], seen[0][0], seen[0].count(500)) == (seen[1], 200, 3)


async def test_the_log_counts_logins_and_masks_secrets(client, cloud):
    """No password, token or user data is kept."""
    await client.login()
    body = {"name": "x", "flavorRef": "1", "imageRef": "", "networks": "none", "user_data": "c2VjcmV0"}
    await client.nova("POST", "/servers", {"server": body})
    kept = json.dumps([request.document() for request in cloud.control.requests()])
    (last,) = cloud.control.requests("compute", "POST")
    assert (cloud.control.logins(), last.status, last.microversion) == (2, 400, "2.93")
    assert [word in kept for word in ("demo-password", "c2VjcmV0", client.token)] == [False] * 3


async def test_control_over_http_does_what_python_does(client, cloud):
    """Faults, requests, time, seeding, quota, timing, revocation."""
    base = f"{cloud.base_url}/_control"
    rule = {"kind": "server_error", "service": "image", "status": 503, "count": 1}
    status, document, _ = await client("POST", f"{base}/faults", rule)
    assert (status, document["fault"]["hits"]) == (201, 0)
    assert (await client.glance("GET", "/images"))[0] == 503
    assert (await client("GET", f"{base}/faults"))[1]["faults"][0]["hits"] == 1
    assert (await client("DELETE", f"{base}/faults/{document['fault']['id']}"))[0] == 204
    assert (await client("POST", f"{base}/faults", {"kind": "nonsense"}))[0] == 400
    assert (await client("POST", f"{base}/seed", {"servers": 3, "volumes": 2}))[1] == {
        "seeded": {"servers": 3, "volumes": 2}
    }
    assert len((await client("GET", f"{base}/requests?service=image"))[1]["requests"]) == 1
    assert (await client("POST", f"{base}/time", {"advance": 5}))[1]["now"] == cloud.store.now()
    assert (await client("POST", f"{base}/tokens/revoke"))[0] == 204
    assert (await client.nova("GET", "/servers"))[0] == 401
