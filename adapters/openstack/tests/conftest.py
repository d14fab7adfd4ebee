"""What the tests of kinds share: a fake cloud, and who works with it."""

from __future__ import annotations

import time
import uuid
import warnings
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from cloudspan.adapter.v1 import step_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock, LeapingClock
from cloudspan_kit import Call, Query
from cloudspan_kit.engine.step import take_step
from cloudspan_kit.testing import Functions
from cloudspan_openstack.cloud.clouds import read_cloud
from cloudspan_openstack.cluster import OpenStackCluster, Shared
from cloudspan_openstack_fake import FakeCloud

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

REF = ClusterRef("openstack", "east")
SETTLE_S = 30.0


class Lab:
    """One user of the fake cloud, with the functions under test."""

    def __init__(self, cloud: FakeCloud, cluster: OpenStackCluster, clock: FakeClock) -> None:
        self.cloud, self.clock, self.session = cloud, clock, cluster.session
        self.network = self.storage = self.image = self.identity = Functions(cluster)

    def call(self, resource: str = "", *, full: bool = False, fields: str = "") -> Call:
        """Return a call; `fields` are those that somebody looks at, all when empty."""
        wanted = frozenset(fields.split())
        return Call(REF, Deadline.after(20), uuid.uuid4().hex, resource.rsplit("/", 1)[-1], full, wanted, self.session)

    def query(self, kind: Any, text: str = "", **more: Any) -> Query:
        return Query(Filter.parse(text, kind.DESCRIPTOR), **({"limit": 100} | more))

    async def everything(self, function: Any, kind: Any, text: str = "", *, limit: int = 100, **more: Any) -> list[Any]:
        """List to the end, as the kit does: filtered by what was asked."""
        items: list[Any] = []
        query = self.query(kind, text, limit=limit, **more)
        while True:
            page = await function(self.call(), query)
            items += [item for item in page.items if predicate(query.filter)(item)]
            if not page.more:
                return items
            query = self.query(kind, text, limit=limit, cursor=page.position(len(page.items) - 1), **more)

    async def native(self, method: str, service: str, path: str, json: Any = None) -> Any:
        """Do something behind the adapter's back."""
        if method == "GET":
            return await self.session.get(self.call(), service, path, dict)
        into = None if method == "DELETE" else dict
        return await self.session.send(self.call(), method, service, path, into, json=json)

    async def operate(
        self, function: Any, request: Any, *, meanwhile: Callable[[step_pb2.StepRequest], None] | None = None
    ) -> step_pb2.StepResponse:
        """Take an operation to its end, step by step, as the gateway does.

        `meanwhile` may change the world, or the next step, between two steps.
        """
        step = step_pb2.StepRequest(operation_id=uuid.uuid4().hex, attempt=1, installation="test")
        leap = LeapingClock(self.clock)
        for _ in range(200):
            call = self.call(_name_in(request))
            answer = await take_step(function, request, step, call, settle_s=SETTLE_S, clock=leap)
            if answer.done:
                return answer
            step.cursor = answer.cursor
            if meanwhile is not None:
                meanwhile(step)
            await leap.sleep(answer.retry_after.ToNanoseconds() / 1e9)
        raise AssertionError(f"not done after 200 steps: {answer.stage}")

    async def made(self, function: Any, request: Any, kind: Any) -> Any:
        """Return what a create made; fails with the operation's error."""
        answer = await self.operate(function, request)
        assert not answer.HasField("error"), answer.error.message
        message = kind()
        answer.response.Unpack(message)
        return message


def _name_in(request: Any) -> str:
    """Return the name of what a request is about; an Update has it in the resource."""
    field = next((f.name for f in request.DESCRIPTOR.fields if f.name == "name" or f.number == 1), "")
    told = getattr(request, field)
    return told if isinstance(told, str) else str(told.name)


@pytest.fixture
def clock() -> FakeClock:
    # The cloud's time must be near ours: its tokens say when they expire.
    return FakeClock(now=time.time())


@pytest.fixture
async def cloud(clock: FakeClock) -> AsyncIterator[FakeCloud]:
    async with FakeCloud("fake", clock=clock) as running:
        yield running


@pytest.fixture
async def user(cloud: FakeCloud, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Callable[[str], Lab]]:
    """Make a lab for an entry of the fake's clouds.yaml."""
    file = tmp_path / "clouds.yaml"
    cloud.write_clouds(file)
    async with AsyncExitStack() as stack:

        def make(name: str) -> Lab:
            with warnings.catch_warnings():
                # openstacksdk warns of its own InfluxDB defaults while it reads a clouds.yaml that has none.
                warnings.filterwarnings("ignore", message="Support for InfluxDB")
                entry = read_cloud(name, file)
            cluster = OpenStackCluster(REF, entry, Shared())
            stack.push_async_callback(cluster.close)
            return Lab(cloud, cluster, clock)

        yield make


@pytest.fixture
def member(user: Callable[[str], Lab]) -> Lab:
    return user("fake")


@pytest.fixture
def admin(user: Callable[[str], Lab]) -> Lab:
    return user("fake-admin")
