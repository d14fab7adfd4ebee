"""Asynchronous calls: accepted, polled, repeated, lost; and what is refused before there is a job."""

from __future__ import annotations

import pytest

from cloudspan_common.testing import FakeClock
from cloudspan_zstack_fake import FakeCloud

JOB = "0123456789abcdef0123456789abcdef"
KEY = {"params": {"name": "key", "publicKey": "ssh-ed25519 AAAA demo"}}


async def test_a_job_runs_and_then_answers(demo, cloud):
    """202 with a location that names a host no client reaches, 202 while it runs, then 200."""
    accepted = await demo.send("POST", "/ssh-key-pair", KEY, headers={"X-Job-UUID": JOB})
    assert accepted.document == {
        "location": f"http://192.0.2.10:8080/zstack/v1/api-jobs/{JOB}",
        "apiTimeout": 1_800_000,
    }
    running = await demo.poll(accepted)
    assert (running.status, running.document) == (202, {})
    await cloud.control.advance(0.02)
    done = await demo.poll(accepted)
    assert (done.status, done.row["name"]) == (200, "key")


async def test_a_job_uuid_is_used_once_and_has_32_characters(demo):
    """Both refusals are plain text."""
    headers = {"X-Job-UUID": JOB}
    assert (await demo.send("POST", "/ssh-key-pair", KEY, headers=headers)).status == 202
    again = await demo.send("POST", "/ssh-key-pair", KEY, headers=headers)
    assert (again.status, again.text) == (400, f"Duplicate job uuid[{JOB}]")
    short = await demo.send("POST", "/ssh-key-pair", KEY, headers={"X-Job-UUID": "abc"})
    assert short.status == 400
    assert "X-Job-UUID" in short.text


async def test_a_job_record_is_forgotten_three_hours_after_its_creation(demo, cloud):
    """An unknown job and an expired one look the same; then the uuid is free again."""
    accepted = await demo.send("POST", "/ssh-key-pair", KEY, headers={"X-Job-UUID": JOB})
    await cloud.control.advance(10_700)
    assert (await demo.poll(accepted)).status == 200
    await cloud.control.advance(100)
    gone = await demo.poll(accepted)
    assert gone.status == 404
    assert "expired" in gone.text
    assert (await demo.send("GET", f"/api-jobs/{'f' * 32}")).status == 404


async def test_the_job_url_takes_get_only(demo):
    """Anything else is 405."""
    assert (await demo.send("DELETE", f"/api-jobs/{JOB}")).status == 405


async def test_a_failed_job_tells_the_chain_of_causes(demo):
    """The most specific code is at the bottom; a reboot is refused by two parts of the server."""
    stopped = await demo.named("/vm-instances", "batch-1")
    failed = await demo.run("PUT", f"/vm-instances/{stopped['uuid']}/actions", {"rebootVmInstance": {}})
    assert (failed.status, failed.codes()) == (503, ["VM.1003", "VM.1003", "VM.1010"])


async def test_validation_errors_come_with_the_job(demo):
    """Required, enumerated, ranged and badly named parameters are all accepted first."""
    for body in (
        {"params": {"publicKey": "ssh-rsa A"}},
        {"params": {"name": "x" * 256, "publicKey": "ssh-rsa A"}},
        {"params": {"name": "k", "publicKey": "ssh-rsa A", "resourceUuid": "z" * 32}},
    ):
        assert (await demo.run("POST", "/ssh-key-pair", body)).error["code"] == "SYS.1007"
    vm = await demo.named("/vm-instances", "web-1")
    stop = {"stopVmInstance": {"type": "hard"}}
    assert "type" in (await demo.run("PUT", f"/vm-instances/{vm['uuid']}/actions", stop)).error["details"]


async def test_wrong_types_are_refused_at_once_as_text(demo):
    """Numbers may be strings, but must be numbers."""
    body = {"params": {"name": "vm", "cpuNum": "two"}}
    refused = await demo.send("POST", "/vm-instances", body)
    assert (refused.status, refused.document) == (400, None)
    assert "cpuNum" in refused.text


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/flavors", None, 404),
        ("POST", "/vm-instances/0/actions", {}, 405),
        ("PUT", "/vm-instances/0/actions", {"explodeVmInstance": {}}, 400),
        ("POST", "/ssh-key-pair", [], 400),
    ],
)
async def test_what_the_reference_does_not_know_is_refused_as_text(demo, method, path, body, status):
    """Unknown path, wrong method, unknown action, no object."""
    refused = await demo.send(method, path, body)
    assert (refused.status, refused.document) == (status, None)


async def test_an_empty_string_is_not_unset(demo):
    """An empty uuid is looked up and not found."""
    body = {"params": {"name": "v", "diskSize": 1024, "primaryStorageUuid": ""}}
    assert (await demo.run("POST", "/volumes/data", body)).error["code"] == "SYS.1003"


async def test_a_chosen_uuid_is_used_and_never_twice(demo):
    """Not even for a resource of another type."""
    chosen = "11111111111141118111111111111111"
    params = KEY["params"] | {"resourceUuid": chosen}
    assert (await demo.made("POST", "/ssh-key-pair", {"params": params}))["uuid"] == chosen
    taken = await demo.run("POST", "/security-groups", {"params": {"name": "sg", "resourceUuid": chosen}})
    assert taken.error["code"] == "SYS.1000"
    assert "ConstraintViolationException" in taken.error["details"]


async def test_an_open_source_server_has_no_commercial_calls(anonymous, http):
    """Their paths are unknown there."""
    async with FakeCloud("open", clock=FakeClock(), commercial=False) as cloud:
        client = type(anonymous)(cloud, http)
        await client.log_in()
        assert (await client.send("GET", "/accesskeys")).status == 404
        assert (await client.send("GET", "/zones")).status == 200


async def test_only_the_administrator_makes_offerings_and_accounts(demo, admin):
    """A normal account's job fails with permission denied."""
    body = {"params": {"name": "tiny", "cpuNum": 1, "memorySize": 1 << 29}}
    assert (await demo.run("POST", "/instance-offerings", body)).error["code"] == "ID.1002"
    assert (await admin.made("POST", "/instance-offerings", body))["cpuNum"] == 1


async def test_a_bug_of_the_fake_fails_its_job_and_no_other(demo, cloud, caplog):
    """As an internal error, and in the log."""

    def broken(call):
        yield 0.1
        raise KeyError(call.name)

    cloud._building.handlers["CreateSshKeyPair"] = broken
    failed = await demo.run("POST", "/ssh-key-pair", KEY)
    assert failed.codes() == ["SYS.1000"]
    assert "job failed by a bug" in caplog.text
    assert await demo.rows("/ssh-key-pair")


async def test_a_malformed_body_is_the_servers_own_fault(demo):
    """Not the caller's, by its status."""
    headers = {"Authorization": f"OAuth {demo.session}", "Content-Type": "application/json"}
    url = f"{demo.cloud.endpoint}/v1/ssh-key-pair"
    async with demo.http.post(url, data=b'{"params": ', headers=headers) as response:
        assert response.status == 500


async def test_jobs_tell_more_of_an_error_than_calls_that_answer_at_once(demo):
    """`causes`, which is empty, and how long the innermost step took; both elaborate on words that the server knows."""
    vm = await demo.named("/vm-instances", "web-1")
    await demo.run("DELETE", f"/vm-instances/{vm['uuid']}")
    failed = await demo.run("PUT", f"/vm-instances/{vm['uuid']}/actions", {"startVmInstance": {}})
    assert (failed.error["causes"], failed.error["cause"]["cost"]) == ([], "1ms")
    assert failed.error["elaboration"] == "Error message: " + failed.error["messages"]["message_en"]
    demo.session = "0" * 32
    at_once = await demo.send("GET", "/zones")
    assert set(at_once.error) == {"code", "description", "details", "elaboration", "messages"}


async def test_an_installation_speaks_chinese_unless_told_otherwise(demo, cloud):
    """The code stays; an English message is beside the words where the server elaborates on them."""
    cloud.control.set_installation(locale="zh_CN")
    public = await demo.named("/l3-networks", "public")
    vip = {"params": {"name": "v", "l3NetworkUuid": public["uuid"], "requiredIp": "203.0.113.9"}}
    await demo.made("POST", "/vips", vip)
    failed = await demo.run("POST", "/vips", vip)
    assert failed.codes() == ["SYS.1006"]
    assert "vip[203.0.113.9]" in failed.error["details"]
    assert not failed.error["details"].isascii()
    assert failed.error["messages"]["message_en"].startswith("A VIP [203.0.113.9] already exists")
