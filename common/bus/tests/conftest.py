"""What the bus's tests share: a real RabbitMQ, a gateway over a memory cluster, a bus between them, and callers."""

from __future__ import annotations

import asyncio
import gc
import uuid
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pika
import pytest
from common.bus.tests import broker as rabbit
from pika.exceptions import ChannelClosedByBroker
from tests.harness.in_process import deployment, ready

from cloudspan_bus.app import serve
from cloudspan_bus.config import BusConfig
from cloudspan_bus.oslo import cfg, oslo_messaging
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_memory.cluster import MemoryCluster

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from common.bus.tests.broker import Broker
    from tests.harness.in_process import Deployment

CLUSTER = "platforms/memory/clusters/main"
SERVERS, VOLUMES, OPERATIONS = (
    "cloudspan.v1.ServerService", "cloudspan.v1.VolumeService", "google.longrunning.Operations",
)  # fmt: skip
DRAIN_S = 5.0


class Caller:
    """A program that knows oslo.messaging and nothing of gRPC."""

    def __init__(self, url: str, topic: str, exchange: str = "openstack", *, exmods: tuple[str, ...] = ()) -> None:
        cfg.CONF([], default_config_files=[], default_config_dirs=[])
        self.transport = oslo_messaging.get_rpc_transport(cfg.CONF, url, allowed_remote_exmods=list(exmods))
        self.topic, self.exchange = topic, exchange

    def client(self, namespace: str, **target: Any) -> Any:
        version_cap = target.pop("version_cap", None)
        timeout_s = target.pop("timeout", 20)
        fields = {"exchange": self.exchange, "version": "1.0", **target}
        where = oslo_messaging.Target(topic=self.topic, namespace=namespace, **fields)
        return oslo_messaging.get_rpc_client(self.transport, where, version_cap=version_cap, timeout=timeout_s)

    async def call(self, namespace: str, method: str, said: dict | None = None, /, **arguments: Any) -> Any:
        return await asyncio.to_thread(lambda: self.client(namespace).call(said or {}, method, **arguments))

    async def cast(self, namespace: str, method: str, said: dict | None = None, /, **arguments: Any) -> None:
        await asyncio.to_thread(lambda: self.client(namespace).cast(said or {}, method, **arguments))

    def close(self) -> None:
        self.transport.cleanup()


@dataclass
class World:
    """A deployment, and the bus processes before it."""

    broker: Broker
    deployment: Deployment
    cluster: MemoryCluster
    topic: str = field(default_factory=lambda: f"cs{uuid.uuid4().hex[:8]}")
    registry: MemoryRegistry = field(default_factory=MemoryRegistry)
    _closing: list[Callable[[], None]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.deployment.gateway.server.port}"

    def config(self, **options: Any) -> BusConfig:
        return BusConfig(
            **{
                "broker": self.broker.url,
                "gateway": self.address,
                "topic": self.topic,
                "host": "one",
                "drain_s": DRAIN_S,
                "at_once": 10,
                "reply_for": 2.0,
                **options,
            }
        )

    @asynccontextmanager
    async def bus(self, **options: Any) -> AsyncIterator[None]:
        """Run a bus, in this process, for the block."""
        stop, taking = asyncio.Event(), asyncio.Event()
        work = asyncio.create_task(serve(self.config(**options), stop, registry=self.registry, ready=taking.set))
        taken = asyncio.create_task(taking.wait())
        await asyncio.wait({work, taken}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
        try:
            yield
        finally:
            stop.set()
            await work

    def slow(self, seconds: float) -> None:
        """Let changes of the cloud take that long."""
        self.cluster.store._delay_s = seconds

    def dead_letters(self) -> list[tuple[dict[str, Any], bytes]]:
        """Take what is among the dead letters: headers and bodies; nothing where there is no queue of them."""
        found = []
        with pika.BlockingConnection(self.pika) as connection, suppress(ChannelClosedByBroker):
            channel = connection.channel()
            while True:
                method, properties, body = channel.basic_get(f"{self.topic}.dead", auto_ack=True)
                if method is None:
                    return found
                found.append((dict(properties.headers), body))
        return found

    def delete_queue(self, queue: str) -> None:
        with pika.BlockingConnection(self.pika) as connection:
            connection.channel().queue_delete(queue)

    async def dead_letter(self) -> tuple[dict[str, Any], bytes]:
        """Wait for the one dead letter."""
        async with asyncio.timeout(10):
            while not (found := await asyncio.to_thread(self.dead_letters)):  # noqa: ASYNC110 - a broker has no event
                await asyncio.sleep(0.05)
        (letter,) = found
        return letter

    @property
    def pika(self) -> pika.ConnectionParameters:
        """How a program without oslo.messaging connects."""
        login = pika.PlainCredentials(rabbit.USER, rabbit.PASSWORD)
        return pika.ConnectionParameters("127.0.0.1", self.broker.port, "tests", login)

    def publish(self, body: bytes, routing_key: str = "", exchange: str = "amq.topic", **properties: Any) -> None:
        """Send what no oslo.messaging would."""
        with pika.BlockingConnection(self.pika) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            known = {"content_type": "application/json", "content_encoding": "utf-8", **properties}
            channel.basic_publish(exchange, routing_key or self.topic, body, pika.BasicProperties(**known))

    def caller(self, **options: Any) -> Caller:
        made = Caller(self.broker.url, self.topic, **options)
        self._closing.append(made.close)
        return made

    def close(self) -> None:
        for close in self._closing:
            close()


@pytest.fixture(autouse=True)
def _collected(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what kombu leaves open of a broker that was killed, before a test that does not expect it."""
    yield
    if request.node.get_closest_marker("faults") is not None:
        gc.collect()


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """The broker of this test process."""
    return rabbit.needed()


@pytest.fixture
async def world(broker: Broker) -> AsyncIterator[World]:
    """A gateway with a memory cluster, and the broker; no bus yet."""
    cluster = MemoryCluster(ClusterRef("memory", "main"), delay_s=0.02)
    cluster.seed_servers(3)
    async with deployment(cluster) as running:
        await ready(cluster)
        found = World(broker, running, cluster)
        try:
            yield found
        finally:
            found.close()


@pytest.fixture
async def bus(world: World) -> AsyncIterator[World]:
    """The same with one bus process."""
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(world.bus())
        yield world
