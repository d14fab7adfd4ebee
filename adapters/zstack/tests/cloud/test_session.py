"""What a session does with a ZStack that falters: retries, ended sessions, jobs that are lost, doubled or stuck."""

from __future__ import annotations

import asyncio

import pytest

from cloudspan_common.errors import (
    GaveUp,
    NotFound,
    OutcomeUnknown,
    OutOfTime,
    PlatformFault,
    QuotaExceeded,
    RateLimited,
    Unreachable,
    Unsupported,
)
from cloudspan_common.telemetry import collecting
from cloudspan_zstack.cloud.creation import Creation, Kind
from cloudspan_zstack.cloud.error_rules import JobNotBegun, LostJob
from cloudspan_zstack.cloud.jobs import Change, Job, job_uuid, resource_uuid
from cloudspan_zstack.cloud.rows import Row

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2Vha2V5ZmFrZWtleWZha2VrZXlmYWtla2V5ZmFr me@example"
_CREATE = Change("POST", "/ssh-key-pair", params={"name": "k", "publicKey": _KEY, "description": None})


async def _keys(bench):
    return (await bench.session.query(bench.call(), "/ssh-key-pair", Row, count=True)).total


async def test_a_change_is_carried_out_and_its_inventory_told(bench):
    """Accepted with 202, polled, decoded."""
    made = await bench.session.act(bench.call(), _CREATE, job="one", into=Row)
    assert (made.name, await _keys(bench)) == ("k", 1)


async def test_the_same_key_is_the_same_change_however_often_it_is_asked(bench):
    """The server refuses the job's uuid a second time, and the first job's result is told again."""
    first = await bench.session.act(bench.call(), _CREATE, job="one", into=Row)
    again = await bench.session.act(bench.call(), _CREATE, job="one", into=Row)
    assert (again.uuid, await _keys(bench)) == (first.uuid, 1)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "lost_reply"},
        {"kind": "close"},
        {"kind": "late_commit", "seconds": 0.05},
        {"kind": "duplicate_job"},
        {"kind": "wrong_location", "scope": "192.0.2.1"},
        {"kind": "server_error", "status": 502, "body": "html", "carried_out": True},
        {"kind": "server_error", "status": 503, "body": "html"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
async def test_a_change_is_made_once_whatever_happens_to_its_request(bench, fault):
    """It may be sent again, for its job is the same; where the job is to be polled only its uuid says."""
    rule = bench.cloud.control.fault(call="CreateSshKeyPair", count=1, **fault)
    made = await bench.session.act(bench.call(), _CREATE, job="one", into=Row)
    assert (made.name, rule.hits, await _keys(bench)) == ("k", 1, 1)


async def test_a_change_whose_repetition_was_not_taken_may_still_have_been_carried_out(bench):
    """The first request had no answer: that the second one met a closed door says nothing of it."""
    bench.cloud.control.fault("late_commit", count=1, seconds=0.3, call="CreateSshKeyPair")
    bench.cloud.control.fault("server_error", status=503, body="html", call="CreateSshKeyPair")
    with pytest.raises(OutcomeUnknown):
        await bench.session.act(bench.call(), _CREATE, job="one")


async def test_a_change_that_was_taken_and_can_not_be_followed_may_have_been_carried_out(bench):
    """The platform has its job; that nobody can ask how it goes on proves nothing."""
    bench.cloud.control.fault("close", service="job")
    with pytest.raises(OutcomeUnknown, match="was taken"):
        await bench.session.send(bench.call(), _CREATE, job="one")
    bench.cloud.control.clear_faults()
    assert await _keys(bench) == 1


async def test_a_crash_of_the_server_leaves_the_outcome_unknown_until_the_same_key_tells(bench):
    """A 500 proves nothing; asking again is harmless."""
    bench.cloud.control.fault("server_error", call="CreateSshKeyPair", count=1, status=500, carried_out=True)
    with pytest.raises(OutcomeUnknown):
        await bench.session.act(bench.call(), _CREATE, job="one")
    await bench.session.act(bench.call(), _CREATE, job="one")
    assert await _keys(bench) == 1


async def test_a_session_that_ended_is_replaced_and_nobody_notices(bench):
    """A read meets it at once, as a business error."""
    await _keys(bench)
    bench.cloud.control.revoke_tokens()
    bench.clock.step_wall(5)
    await asyncio.gather(*(_keys(bench) for _ in range(20)))
    assert bench.cloud.control.logins() == 2


async def test_a_change_that_meets_an_ended_session_takes_a_new_job(bench):
    """The server accepts it and fails the job, which has used up its uuid."""
    await _keys(bench)
    bench.cloud.control.revoke_tokens()
    await bench.session.act(bench.call(), _CREATE, job="one")
    sent = [request.job_uuid for request in bench.cloud.control.requests(call="CreateSshKeyPair")]
    assert (sent, bench.cloud.control.logins()) == ([job_uuid("one", 0), job_uuid("one", 1)], 2)
    assert await _keys(bench) == 1


async def test_a_change_asked_again_passes_over_the_job_that_an_ended_session_used_up(bench):
    """The chain of job uuids is the same in every process."""
    await _keys(bench)
    bench.cloud.control.revoke_tokens()
    await bench.session.act(bench.call(), _CREATE, job="one")
    await bench.session.act(bench.call(), _CREATE, job="one")
    assert (bench.cloud.control.logins(), await _keys(bench)) == (2, 1)


async def test_a_job_that_is_lost_says_so(bench):
    """What became of the change only the resource can tell."""
    bench.cloud.control.fault("lost_job", call="CreateSshKeyPair", count=1)
    with pytest.raises(LostJob):
        await bench.session.act(bench.call(), _CREATE, job="one")
    assert await _keys(bench) == 1


async def test_a_job_that_outlives_the_deadline_leaves_the_outcome_unknown(bench):
    """And the error names the job."""
    await _keys(bench)
    bench.cloud.control.fault("stuck_job", call="CreateSshKeyPair", count=1)
    with pytest.raises(OutcomeUnknown, match=job_uuid("one")):
        await bench.session.act(bench.call(seconds=1.0), _CREATE, job="one")


async def test_a_long_job_is_sent_and_followed(bench):
    """`send` waits no longer than a refusal takes."""
    bench.cloud.control.set_timing(job_s=30.0)
    job = await bench.session.send(bench.call(), _CREATE, job="one")
    assert not await bench.session.follow(bench.call(), Job.of(job.kept()))
    await bench.clock.advance(60)
    assert await bench.session.follow(bench.call(), Job.of(job.kept()))


async def test_whether_a_change_is_over_is_known_by_its_key(bench):
    """Under way, ended, and passed over by an ended session; one that was never asked is over too."""
    await _keys(bench)
    bench.cloud.control.revoke_tokens()
    bench.cloud.control.set_timing(job_s=30.0)
    await bench.session.send(bench.call(), _CREATE, job="one")
    over = [await bench.session.is_over(bench.call(), "one")]
    await bench.clock.advance(60)
    over += [await bench.session.is_over(bench.call(), key) for key in ("one", "never")]
    assert over == [False, True, True]


async def test_the_undo_of_a_create_waits_for_the_job_that_a_second_session_began(bench):
    """The first session's job was never begun: its end says nothing of the second one's."""
    await _keys(bench)
    bench.cloud.control.revoke_tokens()
    bench.cloud.control.set_timing(job_s=30.0)
    await bench.session.send(bench.call(), _CREATE, job="one")
    pairs, uuid = Kind("/ssh-key-pair", Row, "keyPairs"), resource_uuid("one")
    with pytest.raises(RateLimited, match="still being made"):
        await Creation(bench.session).unmake(bench.call(), pairs, uuid, "one")
    await bench.clock.advance(60)
    await Creation(bench.session).unmake(bench.call(), pairs, uuid, "one")


async def test_a_refusal_shows_when_a_change_is_sent(bench):
    """Validation errors come in the job only."""
    bad = Change("POST", "/vm-instances", params={"name": "x"})
    with pytest.raises(Exception, match=r"(?i)cpu|zone|memory") as caught:
        await bench.session.send(bench.call(), bad, job="one")
    assert caught.value.code.name in ("FAILED_PRECONDITION", "INVALID_ARGUMENT")


async def test_a_job_that_failed_for_a_passing_reason_has_failed_for_good(bench):
    """Waiting would not mend it; the error says that it is over."""
    bench.cloud.control.fault("failure", call="CreateSshKeyPair", count=1, code="SYS.1016", message="agent is silent")
    with pytest.raises(GaveUp, match="agent is silent") as caught:
        await bench.session.act(bench.call(), _CREATE, job="one")
    assert caught.value.reason == "AGENT_UNREACHABLE"


async def test_a_job_whose_session_ended_while_it_was_followed_was_not_begun(bench):
    """The caller may ask anew."""
    bench.cloud.control.set_timing(job_s=30.0)
    bench.cloud.control.fault("failure", call="CreateSshKeyPair", count=1, code="ID.1001", message="session expired")
    with pytest.raises(JobNotBegun):
        await bench.session.follow(bench.call(), Job(await _failed_job(bench), "POST", "/ssh-key-pair"))


async def _failed_job(bench):
    await bench.session.act(bench.call(), _CREATE, job="one")
    return job_uuid("one", 0)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "close"},
        {"kind": "cut_body"},
        {"kind": "server_error", "status": 502, "body": "html"},
        {"kind": "server_error", "status": 503, "body": "empty"},
        {"kind": "server_error", "status": 504, "body": "html"},
        {"kind": "rate_limit", "status": 429, "retry_after": "0"},
    ],
    ids=lambda fault: f"{fault['kind']}-{fault.get('status', '')}",
)
async def test_a_read_is_asked_again_after(bench, fault):
    """Broken connections and answers of proxies."""
    rule = bench.cloud.control.fault(call="QueryZone", count=2, **fault)
    found = await bench.session.query(bench.call(), "/zones", Row)
    assert (len(found.rows), rule.hits) == (1, 2)


async def test_a_read_gives_up_in_the_end_and_says_why(bench):
    """Four tries, then the proxy's own words."""
    rule = bench.cloud.control.fault("server_error", call="QueryZone", status=502, body="html")
    with pytest.raises(Unreachable) as caught:
        await bench.session.query(bench.call(), "/zones", Row)
    assert (rule.hits, caught.value.reason, caught.value.metadata["http_status"]) == (4, "BAD_GATEWAY", "502")


async def test_a_rate_limit_longer_than_the_deadline_is_told_at_once(bench):
    """With the proxy's own time to wait."""
    bench.cloud.control.fault("rate_limit", call="QueryZone", status=429, retry_after="250")
    with pytest.raises(RateLimited) as caught:
        await bench.session.query(bench.call(), "/zones", Row)
    assert 200 < caught.value.retry_after_s <= 250


async def test_business_errors_are_a_sign_of_health(bench):
    """All of them are HTTP 503; the breaker stays closed."""
    bench.cloud.control.fault("failure", call="QueryZone", count=20, code="SYS.1012", message="node is down")
    for _ in range(5):
        with pytest.raises(Unreachable):
            await bench.session.query(bench.call(), "/zones", Row)
    bench.cloud.control.clear_faults()
    assert (await bench.session.query(bench.call(), "/zones", Row)).rows


async def test_a_server_that_is_ill_is_left_alone_for_a_while(bench):
    """A 503 without an error object is a proxy's, or a server that starts."""
    await _keys(bench)
    bench.cloud.control.fault("server_error", status=503, body="html")
    for _ in range(2):
        with pytest.raises(Unreachable):
            await bench.session.query(bench.call(), "/zones", Row)
    asked = bench.cloud.control.count()
    with pytest.raises(Unreachable) as caught:
        await bench.session.query(bench.call(), "/zones", Row)
    assert (caught.value.reason, bench.cloud.control.count()) == ("BREAKER_OPEN", asked)


async def test_a_hanging_server_ends_a_read_with_its_deadline_and_leaves_a_change_unknown(bench):
    """Both within the caller's time."""
    await _keys(bench)
    bench.cloud.control.fault("hang")
    with pytest.raises(OutOfTime):
        await bench.session.query(bench.call(seconds=0.05), "/zones", Row)
    with pytest.raises(OutcomeUnknown):
        await bench.session.act(bench.call(seconds=0.3), _CREATE, job="one")


async def test_a_change_without_time_is_not_sent(bench):
    """Better refused than unknown."""
    await _keys(bench)
    with pytest.raises(OutOfTime, match="was not sent"):
        await bench.session.act(bench.call(seconds=0.1), _CREATE, job="one")
    assert bench.cloud.control.count(call="CreateSshKeyPair") == 0


@pytest.mark.parametrize(("kind", "reason"), [("html_200", "NOT_JSON"), ("truncated_json", "TRUNCATED_JSON")])
async def test_an_answer_that_is_no_json_is_the_platforms_fault(bench, kind, reason):
    """And says what came instead."""
    bench.cloud.control.fault(kind, call="QueryZone", count=1)
    with pytest.raises(PlatformFault) as caught:
        await bench.session.query(bench.call(), "/zones", Row)
    assert caught.value.reason == reason


async def test_an_empty_list_at_a_uuid_means_that_there_is_nothing(bench):
    """The server never says 404 of a resource."""
    with pytest.raises(NotFound):
        await bench.session.get_one(bench.call(), "/zones/{uuid}", Row, args={"uuid": "0" * 32})


async def test_a_call_that_this_edition_has_not_is_unsupported(bench, reference):
    """No api mapping: the server says 404 as plain text."""
    with pytest.raises(Unsupported) as caught:
        await bench.session.query(bench.call(), "/no-such-thing", Row)
    assert caught.value.reason == "NOT_ON_THIS_EDITION"
    assert "no such call in the reference" in reference.violations.pop()


async def test_quota_is_told_as_quota(bench):
    """Whatever the HTTP status."""
    bench.cloud.control.fault("failure", call="CreateSshKeyPair", count=1, code="ID.1003", message="quota exceeding")
    with pytest.raises(QuotaExceeded):
        await bench.session.act(bench.call(), _CREATE, job="one")


async def test_a_change_is_recorded_as_the_request_and_its_job(bench):
    """Once each, however often the job was looked at; the job's uuid is what its logs know it by."""
    await _keys(bench)
    with collecting() as calls:
        await bench.session.act(bench.call(), _CREATE, job="one")
    told = [(c.method, c.template, c.status, c.native_request_id) for c in calls]
    job = job_uuid("one")
    assert told == [("POST", "/ssh-key-pair", 202, job), ("GET", "/api-jobs/{uuid}", 200, job)]
