"""A smallest fake cloud on a real socket: its clock, its faults, its log and its handle."""

from __future__ import annotations

import asyncio
import enum
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.testing import FakeClock, LeapingClock
from cloudspan_kit.fakes import faults
from cloudspan_kit.fakes.control import CloudControl
from cloudspan_kit.fakes.faults import Rule
from cloudspan_kit.fakes.journal import MASK, RequestLog, Seen, masked, query_text
from cloudspan_kit.fakes.serving import FakeServer, until_signalled
from cloudspan_kit.fakes.timeline import Timeline


class Kind(enum.StrEnum):
    LATENCY = faults.LATENCY
    LOST_REPLY = faults.LOST_REPLY
    HANG = faults.HANG
    CUT_BODY = faults.CUT_BODY


@dataclass
class Timing:
    build_s: float = 1.0


class Store:
    def __init__(self, clock: Clock) -> None:
        self.clock, self.timeline, self.timing = clock, Timeline(clock), Timing()

    def now(self) -> float:
        return self.clock.now()


@dataclass
class Call:
    service: str
    method: str
    path: str


@dataclass
class Reply:
    status: int = 200
    payload: bytes = b"carried out"
    content_type: str = "text/plain"
    headers: dict[str, str] = field(default_factory=lambda: {"X-Extra": "yes"})


def make_fault(kind: str, **rule: Any) -> Rule[Call]:
    return Rule(Kind(kind), **rule)


class Cloud(FakeServer):
    def __init__(self, clock: Clock) -> None:
        store = Store(clock)
        super().__init__(store, "127.0.0.1", 0)
        self.control: CloudControl[Rule[Call], Seen] = CloudControl(store, RequestLog[Seen](), make_fault)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = masked(await request.read(), lambda value: {**value, "password": MASK})
        fault = await self._sit_out(self.control.faults.match(Call("any", request.method, request.path)))
        query = query_text(request.rel_url.query.items())
        name = "" if fault is None else fault.kind.value
        self.control.journal.keep(Seen(0.0, "any", request.method, request.path, query, 200, name, body))
        return self._response(Reply()) if fault is None else await self._deliver(request, fault, Reply())


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


def test_a_body_that_is_no_json_is_kept_as_its_size() -> None:
    assert masked(b"\x00" * 12, lambda value: value) == "<12 bytes>"
    assert masked(b"", lambda value: value) is None


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
