"""Faults of the fake ZStack: of the network, of jobs, of sessions; and the control over HTTP."""

from __future__ import annotations

import asyncio

import aiohttp
import msgspec
import pytest

from cloudspan_zstack_fake import Kind

JOB = {"X-Job-UUID": "0123456789abcdef0123456789abcdef"}
KEY = {"params": {"name": "key", "publicKey": "ssh-ed25519 AAAA demo"}}
GROUP = {"params": {"name": "sg", "resourceUuid": "33333333333343338333333333333333"}}


async def groups(client) -> list[str]:
    return [row["name"] for row in await client.rows("/security-groups", "name=sg")]


async def test_a_lost_reply_was_carried_out(demo, cloud):
    """Sent again with the same job uuid it is a duplicate, and the job answers."""
    cloud.control.fault("lost_reply", call="CreateSecurityGroup", count=1)
    with pytest.raises(aiohttp.ClientError):
        await demo.send("POST", "/security-groups", GROUP, headers=JOB)
    again = await demo.send("POST", "/security-groups", GROUP, headers=JOB)
    assert (again.status, "Duplicate job uuid" in again.text) == (400, True)
    await cloud.control.advance(1)
    assert (await demo.send("GET", f"/api-jobs/{JOB['X-Job-UUID']}")).status == 200


async def test_a_late_commit_lands_after_the_look_up(demo, cloud):
    """Neither job nor resource is there at first."""
    cloud.control.fault("late_commit", call="CreateSecurityGroup", seconds=5, count=1)
    with pytest.raises(aiohttp.ClientError):
        await demo.send("POST", "/security-groups", GROUP, headers=JOB)
    assert (await demo.send("GET", f"/api-jobs/{JOB['X-Job-UUID']}")).status == 404
    assert await groups(demo) == []
    await cloud.control.advance(5)
    assert await groups(demo) == ["sg"]


async def test_a_closed_or_hanging_call_was_not_carried_out(demo, cloud):
    """One is reset, the other never answered."""
    cloud.control.fault("close", call="CreateSecurityGroup", count=1)
    with pytest.raises(aiohttp.ClientError):
        await demo.send("POST", "/security-groups", GROUP)
    cloud.control.fault("hang", call="CreateSecurityGroup", count=1)
    with pytest.raises(TimeoutError):
        await demo.send("POST", "/security-groups", GROUP, timeout=aiohttp.ClientTimeout(total=0.05))
    assert await groups(demo) == []


async def test_a_lost_job_is_unknown_though_its_work_is_done(demo, cloud):
    """As after a purge of the records."""
    cloud.control.fault("lost_job", call="CreateSecurityGroup")
    assert (await demo.run("POST", "/security-groups", GROUP)).status == 404
    assert await groups(demo) == ["sg"]


@pytest.mark.parametrize(
    ("rule", "states"), [({}, []), ({"scope": "half"}, ["Starting"]), ({"carried_out": True}, ["Running"])]
)
async def test_a_stuck_job_is_processing_for_ever(demo, cloud, rule, states):
    """With nothing done, the first stage, or all."""
    cloud.control.fault("stuck_job", call="CreateVmInstance", **rule)
    image, zone = await demo.named("/images", "ubuntu-24.04"), await demo.named("/zones", "zone-1")
    params = {"name": "x", "cpuNum": 1, "memorySize": 1 << 30, "imageUuid": image["uuid"], "zoneUuid": zone["uuid"]}
    accepted = await demo.send("POST", "/vm-instances", {"params": params})
    await cloud.control.advance(20_000)
    await demo.log_in()
    assert (await demo.poll(accepted)).status == 202
    assert [row["state"] for row in await demo.rows("/vm-instances", "name=x")] == states


async def test_a_first_request_may_be_told_a_duplicate(demo, cloud):
    """As when a proxy has sent it twice; the job is there."""
    cloud.control.fault("duplicate_job", call="CreateSshKeyPair", count=1)
    refused = await demo.send("POST", "/ssh-key-pair", KEY, headers=JOB)
    assert (refused.status, refused.text) == (400, f"Duplicate job uuid[{JOB['X-Job-UUID']}]")
    await cloud.control.advance(1)
    assert (await demo.send("GET", f"/api-jobs/{JOB['X-Job-UUID']}")).row["name"] == "key"


async def test_a_failure_is_chosen_by_its_code(demo, cloud):
    """In the job of an asynchronous call, at once in a synchronous one; carried out or not."""
    cloud.control.fault("failure", service="securitygroup", method="POST", code="SYS.1001", carried_out=True)
    assert (await demo.run("POST", "/security-groups", GROUP)).codes() == ["SYS.1001"]
    assert await groups(demo) == ["sg"]
    cloud.control.fault("failure", call="QueryZone", code="SYS.1010", count=1)
    assert (await demo.send("GET", "/zones")).codes() == ["SYS.1010"]
    assert (await demo.send("GET", "/zones")).status == 200


async def test_a_location_may_lead_elsewhere(demo, cloud):
    """Or, behind no NAT, to where the request was sent."""
    cloud.control.fault("wrong_location", scope="198.51.100.7:8080", count=1)
    accepted = await demo.send("POST", "/ssh-key-pair", KEY)
    assert accepted.document["location"].startswith("http://198.51.100.7:8080/zstack/v1/api-jobs/")
    cloud.control.set_installation(management_address="")
    accepted = await demo.send("POST", "/ssh-key-pair", KEY)
    assert accepted.document["location"].startswith(f"{cloud.endpoint}/v1/api-jobs/")


async def test_proxies_answer_in_their_own_words(demo, cloud):
    """HTML and empty bodies, a rate limit, a login page, half a body."""
    for rule, status, start in (
        ({"kind": "server_error", "status": 502, "body": "html"}, 502, "<html>"),
        ({"kind": "server_error", "status": 503, "body": "empty"}, 503, ""),
        ({"kind": "server_error"}, 500, "java.lang"),
        ({"kind": "rate_limit", "body": "text"}, 429, "429"),
        ({"kind": "html_200"}, 200, "<!DOCTYPE"),
    ):
        cloud.control.fault(**rule, count=1, path="^/v1/zones$")
        answer = await demo.send("GET", "/zones")
        assert (answer.status, answer.document) == (status, None)
        assert answer.text.startswith(start)
    cloud.control.fault("truncated_json", call="QueryZone", count=1)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        await demo.send("GET", "/zones")
    cloud.control.fault("cut_body", call="QueryZone", count=1)
    with pytest.raises(aiohttp.ClientError):
        await demo.send("GET", "/zones")


async def test_half_a_page_keeps_its_total(demo, cloud):
    """So that it can be noticed."""
    cloud.control.fault(Kind.HALF_PAGE, call="QueryVmInstance")
    answer = await demo.send("GET", "/vm-instances", params={"replyWithCount": "true"})
    assert (len(answer.rows), answer.document["total"]) == (2, 5)


async def test_a_session_ends_just_before_the_call(demo, cloud):
    """That one, or all."""
    cloud.control.fault("revoked_token", call="QueryZone", count=1)
    assert (await demo.send("GET", "/zones")).codes() == ["ID.1001"]


async def test_latency_passes_on_the_injected_clock(demo, cloud):
    """And does not hinder others."""
    cloud.control.fault("latency", call="QueryZone", seconds=30)
    slow = asyncio.ensure_future(demo.send("GET", "/zones"))
    assert await demo.rows("/clusters")
    assert not slow.done()
    await cloud.control.advance(30)
    assert (await slow).status == 200


async def test_faults_seed_time_and_requests_are_controlled_over_http(demo, cloud, http):
    """As in Python."""
    root = f"{cloud.base_url}/_control"

    async def control(method: str, path: str, body=None):
        async with http.request(method, f"{root}{path}", json=body) as response:
            raw = await response.read()
            return response.status, msgspec.json.decode(raw) if raw else None

    status, made = await control("POST", "/faults", {"kind": "close", "call": "QueryZone", "count": 1})
    assert (status, made["fault"]["id"]) == (201, "fault-1")
    assert (await control("POST", "/faults", {"kind": "close", "colour": "red"}))[0] == 400
    assert (await control("DELETE", "/faults/fault-1"))[0] == 204
    assert (await control("DELETE", "/faults/fault-1"))[0] == 404
    assert await control("POST", "/seed", {"servers": 3, "project": "demo2"}) == (201, {"seeded": {"servers": 3}})
    before = cloud.store.now()
    assert await control("POST", "/time", {"advance": 60}) == (200, {"now": before + 60})
    assert (await control("POST", "/hosts", {"down": True}))[0] == 204
    assert (await control("POST", "/quota", {"limits": {"vm.num": 1}}))[0] == 204
    status, told = await control("GET", "/requests?call=LogInByAccount")
    assert [request["body"]["logInByAccount"]["password"] for request in told["requests"]] == ["***"]
    assert (await control("GET", "/nothing"))[0] == 404
    assert (await control("GET", ""))[1]["VmInstanceVO"] == 9


async def test_the_log_counts_calls_and_keeps_no_session(demo, cloud):
    """By service, method, path and name."""
    await demo.send("DELETE", f"/accounts/sessions/{demo.session}")
    assert cloud.control.logins() == 1
    (request,) = cloud.control.requests("auth", "DELETE", "^/v1/accounts/sessions/")
    assert (request.path, request.status) == ("/v1/accounts/sessions/***", 200)


async def test_the_cloud_says_what_it_is(cloud):
    """In its repr."""
    assert repr(cloud) == f"<FakeCloud zeta at {cloud.endpoint}>"
    assert repr(cloud.store) == "<Store zeta: 6 VMs, 8 volumes, 7 NICs>"
    assert "0 rules" in repr(cloud.control)
