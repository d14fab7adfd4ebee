"""What the tests of network, storage, image and identity share: a fake cloud, and who works with it."""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common.clock import SystemClock
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import Busy
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock, LeapingClock
from cloudspan_kit import Call, Query
from cloudspan_kit.engine.step import take_step
from cloudspan_kit.testing import Functions
from cloudspan_zstack.cloud.clouds import make_cloud
from cloudspan_zstack.cluster import Shared, ZStackCluster
from cloudspan_zstack_fake import FakeCloud

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

REF = ClusterRef("zstack", "lab")
SETTLE_S = 30.0


class HastyClock(SystemClock):
    """Real time, but a session's short pauses are over at once and the cloud's own time passes meanwhile."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    async def sleep(self, seconds: float) -> None:
        if seconds > 6:
            await asyncio.sleep(seconds)  # a time-out, or until the login is renewed
            return
        await self._clock.advance(seconds)
        await asyncio.sleep(0.001)


class Lab:
    """One account of the fake cloud, with the drivers under test."""

    def __init__(self, cloud: FakeCloud, cluster: ZStackCluster, clock: FakeClock, account: str) -> None:
        self.cloud, self.clock, self.session = cloud, clock, cluster.session
        self._account = account
        self._session_id: str | None = None
        self.network = self.storage = self.image = self.identity = Functions(cluster)

    def call(self, resource: str = "", *, full: bool = False) -> Call:
        return Call(REF, Deadline.after(20), uuid.uuid4().hex, resource.rsplit("/", 1)[-1], full, cloud=self.session)

    def query(self, kind: Any, text: str = "", **more: Any) -> Query:
        return Query(Filter.parse(text, kind.DESCRIPTOR), **({"limit": 100} | more))

    async def everything(self, function: Any, kind: Any, text: str = "", *, limit: int = 100, **more: Any) -> list[Any]:
        """List to the end, as the kit does: filtered by what was asked."""
        items: list[Any] = []
        query = self.query(kind, text, limit=limit, **more)
        while True:
            page = await function(self.call(), query)
            assert not page.partial
            items += [item for item in page.items if predicate(query.filter)(item)]
            if not page.more:
                return items
            query = self.query(kind, text, limit=limit, cursor=page.end or page.position(len(page.items) - 1), **more)

    async def act(self, method: str, template: str, action: str = "", **params: Any) -> dict[str, Any]:
        """Do something behind the adapter's back, as people in the platform's own UI do; return its inventory."""
        if self._session_id is None:
            self._session_id = await self._log_in()
        body = {action or "params": params} if method in ("POST", "PUT") else None
        status, answer = await self._send(method, template, body)
        job = str(answer.get("location", "")).rpartition("/")[2]
        while status == 202:
            await self.clock.advance(0.1)
            status, answer = await self._send("GET", f"/api-jobs/{job}", None)
        inventory: dict[str, Any] = answer.get("inventory", {})
        return inventory

    async def _log_in(self) -> str:
        name, password = self.cloud.credentials(self._account)
        digest = hashlib.sha512(password.encode()).hexdigest()
        body = {"logInByAccount": {"accountName": name, "password": digest}}
        _, answer = await self._send("PUT", "/accounts/login", body)
        return str(answer["inventory"]["uuid"])

    async def _send(self, method: str, template: str, body: Any) -> tuple[int, dict[str, Any]]:
        headers = {"Authorization": f"OAuth {self._session_id}"}
        url = f"{self.cloud.endpoint}/v1{template}"
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.request(method, url, json=body) as response,
        ):
            assert response.status in (200, 202), await response.text()
            return response.status, await response.json()

    async def native(self, template: str, *conditions: str) -> list[dict[str, Any]]:
        """Return rows as the platform tells them."""
        found = await self.session.query(self.call(), template, dict[str, Any], conditions=conditions, limit=1000)
        return found.rows

    async def native_one(self, template: str, *conditions: str) -> dict[str, Any]:
        (row,) = await self.native(template, *conditions)
        return row

    async def operate(
        self,
        function: Any,
        request: Any,
        *,
        meanwhile: Callable[[step_pb2.StepRequest], None] | None = None,
        forgetful: bool = False,
    ) -> step_pb2.StepResponse:
        """Take an operation to its end, step by step, as the gateway does.

        `meanwhile` may change the world, or the next step, between two steps. A forgetful gateway dies each time
        before it stores an answer: every step is taken twice.
        """
        step = step_pb2.StepRequest(operation_id=uuid.uuid4().hex, attempt=1, installation="test")
        leap = LeapingClock(self.clock)
        for _ in range(300):
            call = self.call(_name_in(request))
            step.attempt = 1
            if forgetful:
                await self._take_and_forget(function, request, step, leap)
                step.attempt = 2
            answer = await take_step(function, request, step, call, settle_s=SETTLE_S, clock=leap)
            if answer.done:
                return answer
            step.cursor = answer.cursor
            if meanwhile is not None:
                meanwhile(step)
            await leap.sleep(answer.retry_after.ToNanoseconds() / 1e9 or 0.001)
        raise AssertionError(f"not done after 300 steps: {answer.stage}")

    async def _take_and_forget(
        self, function: Any, request: Any, step: step_pb2.StepRequest, clock: LeapingClock
    ) -> None:
        try:
            await take_step(function, request, step, self.call(_name_in(request)), settle_s=SETTLE_S, clock=clock)
        except Busy:
            return  # it waits before what may have been done, and says so

    async def made(self, function: Any, request: Any, kind: Any) -> Any:
        """Return what a create made; fails with the operation's error."""
        answer = await self.operate(function, request)
        assert not answer.HasField("error"), answer.error.message
        message = kind()
        answer.response.Unpack(message)
        return message


def _name_in(request: Any) -> str:
    """Return the name of what a request is about; an Update has it in the resource."""
    first = getattr(request, request.DESCRIPTOR.fields[0].name)
    return str(getattr(first, "name", "") or getattr(request, "name", ""))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=time.time())


@pytest.fixture
async def cloud(clock: FakeClock) -> AsyncIterator[FakeCloud]:
    async with FakeCloud("fake", clock=clock, demo=True) as running:
        yield running


@pytest.fixture
async def user(cloud: FakeCloud, clock: FakeClock) -> AsyncIterator[Callable[[str], Lab]]:
    """Make a lab for an account of the fake."""
    async with AsyncExitStack() as stack:

        def make(account: str) -> Lab:
            name, password = cloud.credentials(account)
            entry = {"endpoint": cloud.endpoint, "account": name, "password": password}
            cluster = ZStackCluster(REF, make_cloud("lab", entry), Shared(clock=HastyClock(clock)))
            stack.push_async_callback(cluster.close)
            stack.callback(cloud.control.clear_faults)
            return Lab(cloud, cluster, clock, account)

        yield make


@pytest.fixture
def member(user: Callable[[str], Lab]) -> Lab:
    return user("demo")


@pytest.fixture
def admin(user: Callable[[str], Lab]) -> Lab:
    return user("admin")
