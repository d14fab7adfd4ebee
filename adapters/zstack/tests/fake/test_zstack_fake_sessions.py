"""Logging in to the fake ZStack: sessions, their end, access keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

CHINA = timedelta(hours=8)


async def test_the_password_travels_as_its_sha512(anonymous):
    """A clear password is a wrong one."""
    clear = {"logInByAccount": {"accountName": "demo", "password": "password"}}
    refused = await anonymous.send("PUT", "/accounts/login", clear)
    assert (refused.status, refused.error["code"]) == (503, "ID.1000")
    answer = await anonymous.log_in()
    assert set(answer.row) == {"uuid", "accountUuid", "userUuid", "expiredDate", "createDate", "noSessionEvaluation"}


async def test_a_user_logs_in_below_its_account(anonymous, cloud):
    """Account by name, user by name."""
    password = hashlib.sha512(b"password").hexdigest()
    body = {"logInByUser": {"accountName": "demo", "userName": "developer", "password": password}}
    answer = await anonymous.send("PUT", "/accounts/users/login", body)
    assert answer.row["userUuid"] != answer.row["accountUuid"]
    assert answer.row["accountUuid"] == cloud.store.fixed_uuid("AccountVO", "demo")


async def test_dates_have_no_zone_and_show_the_servers_wall(anonymous, cloud):
    """2023-11-14 22:13:20 UTC is the next morning in the server's zone; newer Javas write it otherwise."""
    answer = await anonymous.log_in()
    assert answer.row["createDate"] == "Nov 15, 2023 6:13:20 AM"
    cloud.control.set_installation(new_java_dates=True)
    answer = await anonymous.log_in()
    assert answer.row["createDate"] == "Nov 15, 2023, 6:13:20\u202fAM"


async def test_a_session_ends_at_its_time_or_by_log_out(demo, cloud):
    """Validity is asked without a session and told by a word."""
    path = f"/accounts/sessions/{demo.session}"
    assert (await demo.send("GET", f"{path}/valid")).document == {"valid": True}
    await cloud.control.advance(7201)
    assert (await demo.send("GET", f"{path}/valid")).document == {"valid": False}
    await demo.log_in()
    assert (await demo.send("DELETE", f"/accounts/sessions/{demo.session}")).document == {}
    assert cloud.control.living_sessions() == 0


async def test_a_session_is_renewed_from_now(demo, cloud):
    """Renewing is a job."""
    await cloud.control.advance(7000)
    await demo.made("PUT", f"/accounts/sessions/{demo.session}/renew", {"renewSession": {}})
    await cloud.control.advance(7000)
    assert await demo.rows("/zones")


async def test_an_ended_session_is_a_business_error_now_or_in_the_job(demo, cloud):
    """Sync 503 at once; async 202, and the job that fails has used up its uuid."""
    cloud.control.revoke_tokens("demo")
    refused = await demo.send("GET", "/vm-instances")
    assert (refused.status, refused.error["code"]) == (503, "ID.1001")
    headers = {"X-Job-UUID": "a" * 32}
    body = {"params": {"name": "sg"}}
    accepted = await demo.send("POST", "/security-groups", body, headers=headers)
    assert accepted.status == 202
    failed = await demo.poll(accepted)
    assert (failed.status, failed.error["code"]) == (503, "ID.1001")
    await demo.log_in()
    again = await demo.send("POST", "/security-groups", body, headers=headers)
    assert (again.status, again.text) == (400, f"Duplicate job uuid[{'a' * 32}]")


async def test_a_missing_header_is_a_malformed_request(anonymous):
    """There is no 401."""
    refused = await anonymous.send("GET", "/vm-instances")
    assert (refused.status, refused.text) == (400, "missing header 'Authorization'")


async def test_sessions_pile_up_to_a_limit_per_user(anonymous, cloud):
    """The limit is of the living ones."""
    cloud.control.set_config("identity", "session.maxConcurrent", "3")
    for _ in range(3):
        assert (await anonymous.log_in()).status == 200
    assert (await anonymous.log_in()).error["code"] == "ID.1006"
    await cloud.control.advance(7201)
    assert (await anonymous.log_in()).status == 200


async def test_with_unique_sessions_each_login_ends_the_one_before(demo, cloud):
    """Replicas that log in each on their own keep throwing each other out."""
    cloud.control.set_config("identity", "enable.unique.session", "true")
    first = demo.session
    await demo.log_in()
    assert (await demo.send("GET", f"/accounts/sessions/{first}/valid")).document == {"valid": False}


def signed(cloud, method: str, path: str, *, skew: timedelta = timedelta(), zone: timedelta = CHINA) -> dict[str, str]:
    key, secret = cloud.control.access_key()
    wall = datetime.fromtimestamp(cloud.store.now(), UTC) + zone + skew
    date = f"{wall:%a, %d %b %Y %H:%M:%S} CST"
    digest = hmac.new(secret.encode(), f"{method}\n{date}\n/v1{path}".encode(), hashlib.sha1).digest()
    return {"Date": date, "Authorization": f"ZStack {key}:{base64.b64encode(digest).decode()}"}


async def test_an_access_key_signs_method_date_and_path(anonymous, cloud):
    """Neither the context path nor the query is signed."""
    headers = signed(cloud, "GET", "/vm-instances")
    answer = await anonymous.send("GET", "/vm-instances", params={"limit": "2"}, headers=headers)
    assert len(answer.rows) == 2
    wrong = await anonymous.send("GET", "/zones", headers=headers)
    assert (wrong.status, wrong.error["code"]) == (503, "ID.1001")
    assert "wrong accessKey signature" in wrong.error["details"]


async def test_the_date_is_compared_as_it_stands_on_the_wall(anonymous, cloud):
    """A right time written in UTC is eight hours off for a server in China."""
    for headers in (
        signed(cloud, "GET", "/zones", skew=timedelta(minutes=16)),
        signed(cloud, "GET", "/zones", zone=timedelta()),
    ):
        answer = await anonymous.send("GET", "/zones", headers=headers)
        assert (answer.status, answer.text) == (403, "requestTimeTooSkewed")


async def test_a_password_change_ends_sessions(demo, cloud):
    """The old password is refused."""
    cloud.control.set_password("demo", "other")
    assert (await demo.send("GET", "/zones")).error["code"] == "ID.1001"
    assert (await demo.log_in()).error["code"] == "ID.1000"
    assert (await demo.log_in(password="other")).status == 200


async def test_version_and_time_are_told_to_anyone(anonymous, cloud):
    """The time is the server's own, in milliseconds under a misspelt name."""
    cloud.control.set_clock_skew(30)
    path = "/management-nodes/actions"
    assert (await anonymous.send("PUT", path, {"getVersion": {}})).document["version"] == "5.2.1"
    told = (await anonymous.send("PUT", path, {"getCurrentTime": {}})).document["currentTime"]
    assert told == {"MillionSeconds": 1_700_000_030_000, "Seconds": 1_700_000_030}
    assert (await anonymous.send("GET", "/management-nodes/ready")).status == 200
