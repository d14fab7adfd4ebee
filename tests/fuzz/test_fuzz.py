"""Random requests for minutes: no fault of ours, no death, and no memory that stays.

    make fuzz SECONDS=600 SEED=1

Valid-shaped requests, changed and random bytes, odd metadata and raw HTTP/2, to the gateway and to an adapter.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2
from google.protobuf.message import DecodeError
from tests.fuzz.requests import MAIN, TEXTS, VALUES, Requests
from tests.harness import http2
from tests.harness.processes import World, world

from cloudspan.v1 import server_pb2
from cloudspan_common import contract

SECONDS, SEED = 600.0, 1
WORKERS = 8
GROWTH_MB = 40
OURS = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS}
LIST = "/cloudspan.v1.ServerService/ListServers"
HEADERS = (b"tracestate", b"x-cloudspan-odd", b"x-request-id", b"grpc-timeout", b"grpc-encoding", b"x-wait", b"te")
OPERATIONS = {
    "/google.longrunning.Operations/GetOperation": operations_pb2.GetOperationRequest,
    "/google.longrunning.Operations/ListOperations": operations_pb2.ListOperationsRequest,
    "/google.longrunning.Operations/WaitOperation": operations_pb2.WaitOperationRequest,
    "/google.longrunning.Operations/CancelOperation": operations_pb2.CancelOperationRequest,
    "/google.longrunning.Operations/DeleteOperation": operations_pb2.DeleteOperationRequest,
}

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


class Fuzz:
    """What was asked, and how it ended."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311 - dice, not a secret
        self.requests = Requests(self.dice)
        self.codes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.raw = 0
        self.methods = [(m.path, m.request, m.response, m.server_streaming) for m in contract.methods().values()]
        self.methods += [(path, kind, operations_pb2.Operation, False) for path, kind in OPERATIONS.items()]

    async def call(self, channel: grpc.aio.Channel) -> None:
        """Make one call by a gRPC library."""
        path, kind, answered, streams = self.dice.choice(self.methods)
        body, metadata = self.requests.body(kind), self.requests.metadata()
        timeout = self.dice.choice((0.001, 0.05, 1.0, 3.0))
        try:
            if streams:
                async for _ in channel.unary_stream(path)(body, timeout=min(timeout, 0.2), metadata=metadata):
                    pass
            else:
                answer = await channel.unary_unary(path)(body, timeout=timeout, metadata=metadata)
                self.requests.remember(answer, answered)
                self._look_at(path, answer, answered, body)
            self.codes["OK"] += 1
        except grpc.aio.AioRpcError as error:
            self.codes[error.code().name] += 1
            if error.code() in OURS:
                self.faults[
                    f"{path} {error.code().name}: {str(error.details())[:300]}; {body[:200]!r} {metadata!r}"
                ] += 1

    def _look_at(self, path: str, answer: bytes, kind: Any, body: bytes) -> None:
        if kind is not operations_pb2.Operation:
            return
        try:
            operation = operations_pb2.Operation.FromString(answer)
        except DecodeError:
            return
        if operation.error.code in {code.value[0] for code in OURS}:
            self.faults[f"{path} ended with {operation.error.message[:300]}; {body[:200]!r}"] += 1

    async def send_raw(self, port: int) -> None:
        """Send what no library would."""
        self.raw += 1
        path = self.dice.choice((LIST.encode(), self.dice.randbytes(9), b"/a\xff/b", b"", b"/", LIST.encode() + b"/x"))
        if self.dice.random() < 0.95 and path != path.decode(errors="ignore").encode():
            path = LIST.encode()  # each path that is not UTF-8 makes a new server
        odd = self.dice.choice((self.dice.randbytes(20), b"\x00\x01", b"\xc3\x28", *(t.encode()[:100] for t in TEXTS)))
        names = (
            b"tracestate",
            b"x-cloudspan-odd",
            b"x-request-id",
            b"grpc-timeout",
            b"grpc-encoding",
            b"x-wait",
            b"te",
        )
        more = [(self.dice.choice(names), odd), (b"x-tenant", self.dice.choice(VALUES).encode()[:100])]
        frames = http2.request(path, more=more, is_whole=False)
        message = self.requests.body(server_pb2.ListServersRequest)[:16_000]
        frames += http2.data(message, compressed=self.dice.choice((0, 0, 1, 255)))
        if self.dice.random() < 0.3:
            place = self.dice.randrange(len(frames))
            frames = frames[:place] + self.dice.randbytes(3) + frames[place:]
        try:
            await http2.send(port, frames)
        except ConnectionError:
            self.codes["refused"] += 1  # while the server takes its own place


async def _work(fuzz: Fuzz, addresses: tuple[str, ...], until: float) -> None:
    options = (("grpc.initial_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 50))
    channels = [grpc.aio.insecure_channel(address, options=options) for address in addresses]
    while time.monotonic() < until:
        place = 0 if fuzz.dice.random() < 0.8 else 1
        if fuzz.dice.random() < 0.1:
            await fuzz.send_raw(int(addresses[place].rpartition(":")[2]))
        else:
            await fuzz.call(channels[place])
    for channel in channels:
        await channel.close()


async def _is_well(address: str) -> None:
    """Raise unless a list is answered, with one retry."""
    async with grpc.aio.insecure_channel(address) as channel:
        body = server_pb2.ListServersRequest(parent=MAIN).SerializeToString()
        try:
            await channel.unary_unary(LIST)(body, timeout=20)
        except grpc.aio.AioRpcError:
            await asyncio.sleep(0.05)
            await channel.unary_unary(LIST)(body, timeout=20)


def _is_defect(line: str) -> bool:
    """Whether an error was logged, other than that a server ended by a path that is not UTF-8."""
    if not line.startswith("{"):
        return "Traceback" in line
    event = json.loads(line)
    if event["level"] not in {"error", "critical"}:
        return False
    return "UnicodeDecodeError" not in line and "codec can't decode" not in line


@pytest.fixture
def running(tmp_path: Path) -> Any:
    with world(tmp_path) as made:
        made.adapter("cloudspan_memory", "--cluster", "main")
        yield made


async def test_random_requests_find_no_fault_no_death_and_leave_no_memory(running: World) -> None:
    """The end of it prints how calls ended."""
    seconds = float(os.environ.get("CLOUDSPAN_FUZZ_SECONDS") or SECONDS)
    fuzz = Fuzz(int(os.environ.get("CLOUDSPAN_FUZZ_SEED") or SEED))
    addresses = (running.address, running.addresses()[0])
    await asyncio.gather(*(_work(fuzz, addresses, time.monotonic() + seconds / 20) for _ in range(WORKERS)))
    rest_mb, until = running.gateway.rss_mb, time.monotonic() + seconds
    await asyncio.gather(*(_work(fuzz, addresses, until) for _ in range(WORKERS)))
    for address in addresses:
        await _is_well(address)
    after_mb = running.gateway.rss_mb
    print(f"{fuzz.codes.total()} calls and {fuzz.raw} raw connections: {dict(fuzz.codes)}")
    print(f"gateway: {rest_mb:.0f} MB after a twentieth of the time, {after_mb:.0f} MB at the end")
    for fault, count in fuzz.faults.most_common(40):
        print(f"{count} x {fault}")
    logs = [
        running.gateway.log.read_text(errors="replace"),
        *(adapter.log.read_text(errors="replace") for adapter in running.adapters.values()),
    ]
    defects = [line for log in logs for line in log.splitlines() if _is_defect(line)]
    for line in defects[:20]:
        print(line)
    assert not fuzz.faults
    assert not defects
    assert after_mb - rest_mb < GROWTH_MB
