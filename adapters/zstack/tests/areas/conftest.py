"""What the tests of the network, storage, image and identity areas share: a fake cloud, and who works with it."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common.adapterkit.driver import Call, Query
from cloudspan_common.adapterkit.filters import Filter
from cloudspan_common.adapterkit.stepper import take_step
from cloudspan_common.clock import SystemClock
from cloudspan_common.deadlines import Deadline
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_zstack.clouds import make_cloud
from cloudspan_zstack.cluster import Shared, ZStackCluster
from cloudspan_zstack.fakecloud import FakeCloud
from cloudspan_zstack.identity import Identity
from cloudspan_zstack.image import Image
from cloudspan_zstack.network import Network
from cloudspan_zstack.session import Change
from cloudspan_zstack.storage import Storage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

REF = ClusterRef("zstack", "lab")
SETTLE_S = 30.0


class HastyClock(SystemClock):
    """Real time, but a session's short pauses are over at once and the cloud's own time passes meanwhile."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    async def sleep(self, seconds: float) -> None:
        if seconds > 60:
            await asyncio.sleep(seconds)  # until the login is renewed
        await self._clock.advance(seconds)
        await asyncio.sleep(0.001)


class LeapingClock(FakeClock):
    """Time passes for whoever sleeps, at once: an operation's pauses cost a test nothing."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.now = clock.now  # type: ignore[method-assign]
        self.monotonic = clock.monotonic  # type: ignore[method-assign]

    async def sleep(self, seconds: float) -> None:
        await self._clock.advance(seconds)


class Lab:
    """One account of the fake cloud, with the areas under test."""

    def __init__(self, cloud: FakeCloud, cluster: ZStackCluster, clock: FakeClock) -> None:
        self.cloud, self.clock, self.session = cloud, clock, cluster.session
        self.network, self.storage = Network(self.session, REF), Storage(self.session, REF)
        self.image, self.identity = Image(self.session, REF), Identity(self.session, REF)

    def call(self, resource: str = "", *, full: bool = False) -> Call:
        return Call(REF, Deadline.after(20), uuid.uuid4().hex, resource.rsplit("/", 1)[-1], full)

    def query(self, kind: Any, text: str = "", **more: Any) -> Query:
        return Query(Filter.parse(text, kind.DESCRIPTOR), **({"limit": 100} | more))

    async def everything(self, function: Any, kind: Any, text: str = "", *, limit: int = 100, **more: Any) -> list[Any]:
        """List to the end, as the kit does: filtered by what was asked."""
        items: list[Any] = []
        query = self.query(kind, text, limit=limit, **more)
        while True:
            page = await function(self.call(), query)
            assert not page.partial
            items += [item for item in page.items if query.filter.matches(item)]
            if not page.more:
                return items
            query = self.query(kind, text, limit=limit, cursor=page.position(len(page.items) - 1), **more)

    async def act(self, method: str, template: str, action: str = "", *, tags: Any = (), **params: Any) -> Any:
        """Do something behind the areas' back."""
        change = Change(method, template, action=action, params=params, user_tags=tags)
        return await self.session.act(self.call(), change, job=uuid.uuid4().hex, into=dict)

    async def native(self, template: str, *conditions: str) -> list[dict[str, Any]]:
        """Return rows as the platform tells them."""
        found = await self.session.query(self.call(), template, dict[str, Any], conditions=conditions, limit=1000)
        return found.rows

    async def native_one(self, template: str, *conditions: str) -> dict[str, Any]:
        (row,) = await self.native(template, *conditions)
        return row

    async def operate(
        self, function: Any, request: Any, *, meanwhile: Callable[[step_pb2.StepRequest], None] | None = None
    ) -> step_pb2.StepResponse:
        """Take an operation to its end, step by step, as the gateway does.

        `meanwhile` may change the world, or the next step, between two steps.
        """
        step = step_pb2.StepRequest(operation_id=uuid.uuid4().hex, attempt=1, installation="test")
        leap = LeapingClock(self.clock)
        for _ in range(300):
            call = self.call(getattr(request, "name", ""))
            answer = await take_step(function, request, step, call, settle_s=SETTLE_S, clock=leap)
            if answer.done:
                return answer
            step.cursor = answer.cursor
            if meanwhile is not None:
                meanwhile(step)
            await leap.sleep(answer.retry_after.ToNanoseconds() / 1e9 or 0.001)
        raise AssertionError(f"not done after 300 steps: {answer.stage}")

    async def made(self, function: Any, request: Any, kind: Any) -> Any:
        """Return what a create made; fails with the operation's error."""
        answer = await self.operate(function, request)
        assert not answer.HasField("error"), answer.error.message
        message = kind()
        answer.response.Unpack(message)
        return message


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
            return Lab(cloud, cluster, clock)

        yield make


@pytest.fixture
def member(user: Callable[[str], Lab]) -> Lab:
    return user("demo")


@pytest.fixture
def admin(user: Callable[[str], Lab]) -> Lab:
    return user("admin")
