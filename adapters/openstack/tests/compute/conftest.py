"""What the tests of session, errors and compute share: a fake cloud, a cluster on it, and who steps its operations."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import server_pb2
from cloudspan_common.clock import SystemClock
from cloudspan_common.deadlines import Deadline
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_kit import Call, Query
from cloudspan_kit.engine.step import take_step
from cloudspan_kit.testing import Functions
from cloudspan_openstack.cloud.clouds import read_cloud
from cloudspan_openstack.cluster import OpenStackCluster, Shared
from cloudspan_openstack_fake import FakeCloud

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

REF = ClusterRef("openstack", "east")
SETTLE_S = 30.0


class ImpatientClock(SystemClock):
    """Real time, but the pauses between tries are over at once."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.005) if seconds < 2 else seconds)


class LeapingClock(FakeClock):
    """Time of a fake cloud that passes for whoever sleeps, at once."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.now = clock.now  # type: ignore[method-assign]
        self.monotonic = clock.monotonic  # type: ignore[method-assign]

    async def sleep(self, seconds: float) -> None:
        await self._clock.advance(seconds)


class Bench:
    """A cluster of the adapter over a fake cloud."""

    def __init__(
        self, cloud: FakeCloud, clock: FakeClock, cluster: OpenStackCluster, registry: CollectorRegistry
    ) -> None:
        self.cloud, self.clock, self.cluster, self.registry = cloud, clock, cluster, registry
        self.session = cluster.session

    def call(self, name: str = "", *, full: bool = False, seconds: float = 20.0, fields: str = "") -> Call:
        """Return a call; `fields` are those that somebody looks at, all when empty."""
        wanted = frozenset(fields.split())
        return Call(
            REF, Deadline.after(seconds), uuid.uuid4().hex, name.rsplit("/", 1)[-1], full, wanted, self.cluster.cloud
        )

    def function(self, name: str) -> Any:
        return getattr(Functions(self.cluster), name)

    async def read(self, method: str, name: str, *, full: bool = False) -> Any:
        return await self.function(method)(self.call(name, full=full), None)

    async def page(self, method: str, kind: Any, text: str = "", *, fields: str = "", **more: Any) -> Any:
        return await self.function(method)(
            self.call(fields=fields), Query(Filter.parse(text, kind.DESCRIPTOR), **({"limit": 100} | more))
        )

    async def everything(self, method: str, kind: Any, text: str = "", *, limit: int = 100, **more: Any) -> list[Any]:
        items, cursor = [], ""
        while True:
            page = await self.page(method, kind, text, limit=limit, cursor=cursor, **more)
            items += [item for item in page.items if predicate(Filter.parse(text, kind.DESCRIPTOR))(item)]
            if not page.more:
                return items
            cursor = page.position(len(page.items) - 1)

    async def operate(
        self, method: str, request: Any, *, steps: int = 300, cancel_after: int = 300, cursor: bytes = b""
    ) -> step_pb2.StepResponse:
        """Take an operation to its end, step by step, as the gateway does; cancelled after so many steps."""
        step = step_pb2.StepRequest(operation_id=uuid.uuid4().hex, attempt=1, installation="test", cursor=cursor)
        leap, function = LeapingClock(self.clock), self.function(method)
        for taken in range(steps):
            step.undo = taken >= cancel_after
            call = self.call(getattr(request, "name", ""))
            answer = await take_step(function, request, step, call, settle_s=SETTLE_S, clock=leap)
            if answer.done:
                return answer
            step.cursor = answer.cursor
            await leap.sleep(answer.retry_after.ToNanoseconds() / 1e9 or 0.001)
        raise AssertionError(f"not done after {steps} steps: {answer.stage}")

    async def done(self, method: str, request: Any, kind: Any) -> Any:
        """Return what an operation ended with; fails with the operation's error."""
        answer = await self.operate(method, request)
        assert not answer.HasField("error"), answer.error.message
        message = kind()
        answer.response.Unpack(message)
        return message

    async def ids(self) -> dict[str, str]:
        """Names of the fake's image, private network and first flavor."""
        image = (await self.session.get(self.call(), "image", "/images", dict))["images"][0]["id"]
        params = {"name": "private"}
        network = (await self.session.get(self.call(), "network", "/networks", dict, params=params))["networks"][0][
            "id"
        ]
        return {"image": f"{REF}/images/{image}", "network": f"{REF}/networks/{network}", "flavor": f"{REF}/flavors/1"}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=time.time())


@pytest.fixture
async def cloud(clock: FakeClock) -> AsyncIterator[FakeCloud]:
    async with FakeCloud("fake", clock=clock) as running:
        yield running


@pytest.fixture
def clouds_yaml(cloud: FakeCloud, tmp_path: Path) -> Path:
    file = tmp_path / "clouds.yaml"
    cloud.write_clouds(file)
    return file


@pytest.fixture
async def bench(cloud: FakeCloud, clock: FakeClock, clouds_yaml: Path) -> AsyncIterator[Bench]:
    registry = CollectorRegistry()
    cluster = OpenStackCluster(REF, read_cloud("fake", clouds_yaml), Shared(registry, ImpatientClock()))
    yield Bench(cloud, clock, cluster, registry)
    await cluster.close()


@pytest.fixture
async def server(bench: Bench) -> str:
    """A running server's name."""
    names = await bench.ids()
    wanted = server_pb2.Server(display_name="web", image=names["image"], flavor=names["flavor"])
    request = server_pb2.CreateServerRequest(parent=str(REF), server=wanted)
    made = await bench.done("create_server", request, server_pb2.Server)
    return str(made.name)
