"""P13: what the bus costs: GetServer over RabbitMQ beside GetServer over gRPC, in the same run. Told, without a bar."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from common.bus.tests import broker as rabbit
from common.bus.tests.conftest import CLUSTER, SERVERS, Caller
from tests.bench.measure import cpu_s, p50, quantile
from tests.harness.processes import Program, world

from cloudspan.client import Client
from cloudspan.v1 import server_pb2

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

CALLS = 1600
NAME = f"{CLUSTER}/servers/seed-000000"


def test_reads_over_the_bus_beside_reads_over_grpc(tmp_path, table):
    """By 1 and by 16 callers at once; the CPU is the bus process's alone."""
    broker, topic = rabbit.needed(), f"cs{uuid.uuid4().hex[:8]}"
    found = table(
        f"P13: {CALLS} x GetServer over the bus and over gRPC",
        "way",
        "callers",
        "a second",
        "p50 ms",
        "p99 ms",
        "bus CPU ms",
    )
    with world(tmp_path) as running:
        running.adapter("cloudspan_memory", "--servers", "1")
        command = ("-m", "cloudspan_bus", "--broker", broker.url, "--gateway", running.address, "--topic", topic)
        bus = running.stack.enter_context(Program(tmp_path / "bus.log", *command))
        bus.event("bus takes messages", 60)
        caller = Caller(broker.url, topic, "amq.topic")
        with Client(running.address) as client:
            request = server_pb2.GetServerRequest(name=NAME)
            over_bus = caller.client(SERVERS)
            ways = {
                "gRPC": lambda: client.servers.GetServer(request),
                "bus": lambda: over_bus.call({}, "GetServer", name=NAME),
            }
            for callers in (1, 16):
                for way, call in ways.items():
                    _measured(call, callers, CALLS // 8)
                    before = cpu_s(bus)
                    took, seconds = _measured(call, callers, CALLS)
                    cpu = (cpu_s(bus) - before) / CALLS * 1000 if way == "bus" else 0.0
                    found.add(way, callers, CALLS / seconds, p50(took), quantile(took, 0.99), cpu)
        caller.close()


def _measured(call, callers: int, count: int) -> tuple[list[float], float]:
    """Milliseconds of each call, and seconds of all."""

    def timed(_: int) -> float:
        began = time.perf_counter()
        call()
        return (time.perf_counter() - began) * 1000

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        took = list(pool.map(timed, range(count)))
    return took, time.perf_counter() - began
