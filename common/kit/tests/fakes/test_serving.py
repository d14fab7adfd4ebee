"""A smallest fake cloud on a real socket: its clock, its faults, its log and its handle."""

from __future__ import annotations

import asyncio
import enum
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.testing import FakeClock, LeapingClock
from cloudspan_kit.fakes import faults
from cloudspan_kit.fakes.control import CloudControl
from cloudspan_kit.fakes.faults import Rule
from cloudspan_kit.fakes.journal import MASK, RequestLog, Seen
from cloudspan_kit.fakes.program import until_signalled
from cloudspan_kit.fakes.serving import FakeServer
from cloudspan_kit.fakes.timeline import Timeline
from cloudspan_kit.fakes.wire import Call, Json, Reply, reply


class Kind(enum.StrEnum):
    LATENCY = faults.LATENCY
    LOST_REPLY = faults.LOST_REPLY
    HANG = faults.HANG
    CUT_BODY = faults.CUT_BODY
    HALF_PAGE = faults.HALF_PAGE
    TRUNCATED_JSON = faults.TRUNCATED_JSON
    SERVER_ERROR = faults.SERVER_ERROR
    LATE_COMMIT = faults.LATE_COMMIT


FAULT = {
    "kind": "hang", "service": "", "method": "", "path": "^/never", "count": None, "skip": 0, "probability": 1.0,
    "seed": 0, "seconds": 0.0, "status": 0, "retry_after": "1", "body": "native", "carried_out": False,
    "scope": "this", "hits": 0,
}  # fmt: skip


@dataclass
class Timing:
    build_s: float = 1.0


class Store:
    def __init__(self, clock: Clock) -> None:
        self.clock, self.timeline, self.timing = clock, Timeline(clock), Timing()

    def now(self) -> float:
        return self.clock.now()


def make_fault(kind: str, **rule: Any) -> Rule[Call]:
    return Rule(Kind(kind), **rule)


def bulk_servers(prefix: str, count: int, project: str) -> list[str]:
    return [f"{prefix}-{project}-{place}" for place in range(count)]


class Control(CloudControl[Rule[Call], Seen]):
    bulk = MappingProxyType({"servers": bulk_servers})


class Cloud(FakeServer[Call, Rule[Call]]):
    def __init__(self, clock: Clock) -> None:
        store = Store(clock)
        super().__init__(store, "127.0.0.1", 0)
        self.control = Control(store, RequestLog(Seen, frozenset({"password", "token.id"})), make_fault, "bulk")
        self.carried_out: list[str] = []

    def _read(self, request: web.Request, raw: bytes) -> Call:
        query = list(request.rel_url.query.items())
        return Call("any", request.method, request.path, query, request.headers, raw, "")

    def _turn_away(self, request: web.Request, call: Call) -> Reply | None:
        return Reply(404, b"nowhere", "text/plain") if request.path == "/elsewhere" else None

    def _carry_out(self, call: Call) -> Reply:
        self.carried_out.append(call.path)
        if call.path == "/list":
            return reply({"rows": [1, 2, 3, 4]}, X_Extra="yes")
        return Reply(200, b"carried out", "text/plain", {"X-Extra": "yes"})

    def _native_error(self, call: Call, status: int) -> Reply:
        return Reply(status, b"the cloud's own words", "text/plain")

    def _revoke(self, call: Call, *, everyone: bool) -> None:
        raise NotImplementedError

    def _spoil_page(self, kind: str, call: Call, document: Json) -> None:
        document["rows"] = document["rows"][:2]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=1_000_000_000.0)


@pytest.fixture
async def cloud(clock: FakeClock) -> AsyncIterator[Cloud]:
    async with Cloud(clock) as running:
        yield running


@pytest.fixture
async def http(cloud: Cloud) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cloud.base_url) as session:
        yield session


async def test_an_answer_tells_the_time_of_the_cloud(http: aiohttp.ClientSession) -> None:
    async with http.get("/") as response:
        assert response.headers["Date"] == "Sun, 09 Sep 2001 01:46:40 GMT"
        assert (response.headers["X-Extra"], response.content_type) == ("yes", "text/plain")
        assert await response.read() == b"carried out"


async def test_a_lost_reply_ends_the_connection(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    cloud.control.fault("lost_reply")
    with pytest.raises(aiohttp.ClientError):
        await http.post("/")


async def test_a_cut_body_breaks_off_in_the_middle(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    cloud.control.fault("cut_body")
    async with http.get("/") as response:
        assert response.headers["Content-Length"] == "11"
        with pytest.raises(aiohttp.ClientError):
            await response.read()


async def test_a_latency_lasts_until_the_clock_has_moved(
    cloud: Cloud, clock: FakeClock, http: aiohttp.ClientSession
) -> None:
    cloud.control.fault("latency", seconds=5.0)
    asked = asyncio.create_task(http.get("/"))
    while not clock.sleepers:  # noqa: ASYNC110 - a fake clock's sleepers set no event
        await asyncio.sleep(0.001)
    assert not asked.done()
    await cloud.control.advance(5.0)
    assert (await asked).status == 200


async def test_a_call_that_hangs_is_reset_when_the_cloud_stops(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    cloud.control.fault("hang")
    asked = asyncio.create_task(http.get("/"))
    while not cloud.control.count():  # noqa: ASYNC110 - a log of requests sets no event
        await asyncio.sleep(0.001)
    await cloud.stop()
    with pytest.raises(aiohttp.ClientError):
        await asked


async def test_the_log_finds_requests_and_hides_what_is_secret(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    await http.post("/users?a=1&b=2", data=json.dumps({"name": "demo", "password": "p4ss"}))
    await http.get("/servers")
    (found,) = cloud.control.requests(path="^/users")
    assert found.document()["query"] == "a=1&b=2"
    assert found.body == {"name": "demo", "password": MASK}
    assert cloud.control.count("any", "GET") == 1
    cloud.control.clear_requests()
    assert cloud.control.count() == 0


def note(body: bytes) -> Any:
    log = RequestLog(Seen, frozenset({"password", "token.id"}), re.compile("^(userdata::).*"))
    log.note(0.0, Call("any", "POST", "/", [], {}, body, ""), None, "")
    (kept,) = log.requests()
    return kept.body


def test_a_body_that_is_not_json_is_kept_as_its_size() -> None:
    assert note(b"\x00" * 12) == "<12 bytes>"
    assert note(b"") is None


def test_secrets_are_masked_by_their_key_by_their_place_and_by_their_text() -> None:
    sent = {"password": {"user": "a", "password": "b"}, "token": {"id": "c"}, "id": "d", "tags": ["userdata::e", "f"]}
    kept = {"password": {"user": "a", "password": MASK}, "token": {"id": MASK}, "id": "d"}
    assert note(json.dumps(sent).encode()) == kept | {"tags": [f"userdata::{MASK}", "f"]}


async def test_what_is_not_of_the_api_is_turned_away_without_a_note(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    async with http.get("/elsewhere") as response:
        assert (response.status, await response.text()) == (404, "nowhere")
    assert (cloud.carried_out, cloud.control.count()) == ([], 0)


async def test_half_a_page_and_half_a_body_are_still_answered(cloud: Cloud, http: aiohttp.ClientSession) -> None:
    cloud.control.fault("half_page", count=1)
    async with http.get("/list") as response:
        assert await response.json() == {"rows": [1, 2]}
    cloud.control.fault("truncated_json", count=1)
    async with http.get("/list") as response:
        assert await response.text() == '{"rows":['


@pytest.mark.parametrize(("body", "text"), [("native", "the cloud's own words"), ("text", "502 Bad Gateway\n")])
async def test_a_server_error_speaks_the_words_of_the_cloud_or_of_a_proxy(
    cloud: Cloud, http: aiohttp.ClientSession, body: str, text: str
) -> None:
    cloud.control.fault("server_error", status=502, body=body)
    async with http.get("/") as response:
        assert (response.status, await response.text()) == (502, text)
    assert cloud.carried_out == []


async def test_a_late_commit_is_carried_out_after_the_connection_broke(
    cloud: Cloud, http: aiohttp.ClientSession
) -> None:
    cloud.control.fault("late_commit", seconds=3.0, count=1)
    with pytest.raises(aiohttp.ClientError):
        await http.post("/late")
    assert cloud.carried_out == []
    await cloud.control.advance(3.0)
    assert cloud.carried_out == ["/late"]


async def test_faults_requests_seeding_and_time_are_served_below_control(
    cloud: Cloud, http: aiohttp.ClientSession
) -> None:
    async def ask(method: str, path: str, /, **body: Any) -> tuple[int, Any]:
        async with http.request(method, f"/_control/{path}", json=body or None) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None

    assert await ask("POST", "faults", kind="hang", path="^/never") == (201, {"fault": {**FAULT, "id": "fault-1"}})
    await http.get("/servers")
    status, found = await ask("GET", "requests?path=servers")
    assert (status, [r["path"] for r in found["requests"]]) == (200, ["/servers"])
    assert await ask("DELETE", "faults/fault-1") == (204, None)
    assert await ask("DELETE", "faults/fault-1") == (404, {"error": "no fault fault-1"})
    assert await ask("POST", "seed", servers=2) == (201, {"seeded": {"servers": 2}})
    assert (await ask("POST", "seed", routers=1))[0] == 400
    assert await ask("POST", "time", advance=5) == (200, {"now": 1_000_000_005.0})
    assert await ask("POST", "timing", build_s=9.0) == (200, {"build_s": 9.0})
    assert (await ask("GET", "requests?nothing=1"))[0] == 400
    assert (await ask("GET", "nothing"))[0] == 404


async def test_the_handle_shows_faults_and_requests_and_knows_only_its_kinds(cloud: Cloud) -> None:
    cloud.control.fault("hang")
    assert "<FaultBox: 1 rules>, <Journal: 0 requests>" in repr(cloud.control)
    with pytest.raises(ValueError, match="html_200"):
        cloud.control.fault("html_200")
    cloud.control.clear_faults()
    assert cloud.control.faults.rules() == []


async def test_timing_is_changed_by_name(cloud: Cloud) -> None:
    cloud.control.set_timing(build_s=9.0)
    assert cloud.control.store.timing == Timing(9.0)


async def test_real_time_cannot_be_advanced() -> None:
    with pytest.raises(TypeError, match="real time"):
        await Cloud(SystemClock()).control.advance(1.0)


async def test_deferred_changes_come_in_the_order_of_their_times(cloud: Cloud) -> None:
    order: list[str] = []
    timeline = cloud.control.store.timeline
    timeline.after(2.0, lambda: order.append("late"))
    timeline.after(1.0, lambda: order.append("early"))
    timeline.after(9.0, lambda: order.append("never"))
    await cloud.control.advance(2.0)
    assert order == ["early", "late"]
    assert repr(timeline) == "<Timeline: 1 to come>"


async def test_a_signal_ends_a_fake_that_runs_as_a_program() -> None:
    waiting = asyncio.create_task(until_signalled())
    await asyncio.sleep(0)
    assert not waiting.done()
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.wait_for(waiting, 1.0)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)


async def test_time_leaps_for_whoever_sleeps(clock: FakeClock) -> None:
    leaping, before = LeapingClock(clock), clock.now()
    await leaping.sleep(60.0)
    assert leaping.now() == clock.now() == before + 60.0
    assert leaping.monotonic() == clock.monotonic()
