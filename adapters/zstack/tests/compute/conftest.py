"""What the tests of session, login, errors and servers share: a fake cloud, a cluster on it, who steps operations."""

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
from cloudspan_zstack.cloud.clouds import make_cloud
from cloudspan_zstack.cluster import Shared, ZStackCluster
from cloudspan_zstack_fake import FakeCloud

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

REF = ClusterRef("zstack", "lab")
SETTLE_S = 30.0
_OF_THE_REQUEST = ("network_interfaces", "boot_volume", "new_volumes", "user_data", "admin_password")


class ImpatientClock(SystemClock):
    """Real time, but pauses are over at once, and the cloud's own time passes meanwhile."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.now = clock.now  # type: ignore[method-assign]

    async def sleep(self, seconds: float) -> None:
        if seconds > 6:
            await asyncio.sleep(seconds)  # the end of a wait or a renewal, not a pause
        else:
            await self._clock.advance(seconds)
            await asyncio.sleep(0.001)


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

    def __init__(self, cloud: FakeCloud, clock: FakeClock, account: str, **settings: Any) -> None:
        self.cloud, self.clock = cloud, clock
        name, password = cloud.credentials(account)
        who = {} if "access_key_id" in settings else {"account": name, "password": password}
        entry = {"endpoint": cloud.endpoint} | who | settings
        self.registry = CollectorRegistry()
        shared = Shared(self.registry, ImpatientClock(clock))
        self.cluster = ZStackCluster(REF, make_cloud("lab", entry), shared)
        self.session = self.cluster.session

    def call(self, name: str = "", *, full: bool = False, seconds: float = 20.0) -> Call:
        return Call(
            REF, Deadline.after(seconds), uuid.uuid4().hex, name.rsplit("/", 1)[-1], full, cloud=self.cluster.cloud
        )

    def function(self, name: str) -> Any:
        return getattr(Functions(self.cluster), name)

    async def read(self, method: str, name: str, *, full: bool = False) -> Any:
        return await self.function(method)(self.call(name, full=full), None)

    async def page(self, method: str, kind: Any, text: str = "", **more: Any) -> Any:
        query = Query(Filter.parse(text, kind.DESCRIPTOR), **({"limit": 100} | more))
        return await self.function(method)(self.call(), query)

    async def everything(self, method: str, kind: Any, text: str = "", *, limit: int = 100, **more: Any) -> list[Any]:
        items: list[Any] = []
        cursor = ""
        while True:
            page = await self.page(method, kind, text, limit=limit, cursor=cursor, **more)
            items += [item for item in page.items if predicate(Filter.parse(text, kind.DESCRIPTOR))(item)]
            if not page.more:
                return items
            cursor = page.position(len(page.items) - 1)

    async def operate(
        self,
        method: str,
        request: Any,
        *,
        meanwhile: Callable[[step_pb2.StepRequest, step_pb2.StepResponse], None] | None = None,
        **more: Any,
    ) -> step_pb2.StepResponse:
        """Take an operation to its end, step by step, as the gateway does; `meanwhile` may change the next step."""
        step = step_pb2.StepRequest(**({"operation_id": uuid.uuid4().hex, "attempt": 1, "installation": "test"} | more))
        leap, function = LeapingClock(self.clock), self.function(method)
        for _ in range(300):
            call = self.call(getattr(request, "name", ""))
            answer = await take_step(function, request, step, call, settle_s=SETTLE_S, clock=leap)
            if answer.done:
                return answer
            step.cursor = answer.cursor
            if meanwhile is not None:
                meanwhile(step, answer)
            await leap.sleep(answer.retry_after.ToNanoseconds() / 1e9 or 0.001)
        raise AssertionError(f"not done: {answer.stage}")

    async def done(self, method: str, request: Any, kind: Any) -> Any:
        """Return what an operation ended with; fails with the operation's error."""
        answer = await self.operate(method, request)
        assert not answer.HasField("error"), answer.error.message
        message = kind()
        answer.response.Unpack(message)
        return message

    async def named(self, template: str, name: str, field: str = "uuid") -> str:
        """Return the uuid, or another field, of the fake's own row of that name."""
        found = await self.session.query(self.call(), template, dict, conditions=[f"name={name}"])
        return str(found.rows[0][field])


async def server_request(
    bench: Bench, options: dict[str, Any] | None = None, **more: Any
) -> server_pb2.CreateServerRequest:
    """Return a request for the plainest server, with other fields and options as told."""
    image, network = await bench.named("/images", "ubuntu-24.04"), await bench.named("/l3-networks", "private")
    flavor = await bench.named("/instance-offerings", "small")
    fields = {
        "display_name": "one",
        "flavor": f"{REF}/flavors/{flavor}",
        "image": f"{REF}/images/{image}",
        "network_interfaces": [{"network": f"{REF}/networks/{network}"}],
    } | more
    of_request = {field: fields.pop(field) for field in _OF_THE_REQUEST if field in fields}
    request = server_pb2.CreateServerRequest(parent=str(REF), server=server_pb2.Server(**fields), **of_request)
    request.options.update(options or {})
    return request


async def make_server(bench: Bench, options: dict[str, Any] | None = None, **more: Any) -> Any:
    """Return the server that such a request makes."""
    request = await server_request(bench, options, **more)
    return await bench.done("create_server", request, server_pb2.Server)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(now=time.time())


@pytest.fixture
async def cloud(clock: FakeClock) -> AsyncIterator[FakeCloud]:
    async with FakeCloud("fake", clock=clock) as running:
        yield running


@pytest.fixture
async def make_bench(cloud: FakeCloud, clock: FakeClock) -> AsyncIterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(account: str = "demo", **settings: Any) -> Bench:
        made.append(Bench(cloud, clock, account, **settings))
        return made[-1]

    yield make
    cloud.control.clear_faults()
    for bench in made:
        await bench.cluster.close()


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
