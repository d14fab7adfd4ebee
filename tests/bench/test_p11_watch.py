"""P11: one change reaches a thousand watches, and they cost no memory while changes come.

The watchers are sockets that speak as much HTTP/2 as a watch needs: a thousand gRPC clients in Python would take longer
to read a change than the gateway takes to send it, on the same two cores.
"""

from __future__ import annotations

import json
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from tests.bench.measure import PEERS, cpu_s
from tests.harness.http2 import PREFACE, data, frame, request

from cloudspan.v1 import inventory_pb2

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]

CONNECTIONS, STREAMS = 10, 100
CHANGES = 200
ALL_WITHIN_S = 0.1
GROWS_AT_MOST_MB = 20.0
_SETTINGS, _HEADERS, _DATA, _WINDOW, _PING = 4, 1, 0, 8, 6
_ACK = 1
_LARGE_WINDOW = struct.pack(">HI", 4, 2**30)  # SETTINGS_INITIAL_WINDOW_SIZE
_PATH = b"/cloudspan.v1.InventoryService/Watch"


@dataclass
class Connection:
    """One connection with its watches: counts the messages of each."""

    port: int
    received: dict[int, int] = field(default_factory=dict)
    _rest: bytes = b""

    def __post_init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port))
        window = frame(_WINDOW, 0, 0, struct.pack(">I", 2**30))
        self.socket.sendall(PREFACE + frame(_SETTINGS, 0, 0, _LARGE_WINDOW) + window)
        self._parts: dict[int, bytes] = {}

    def watch(self, number: int, message: bytes) -> None:
        """Begin a watch."""
        stream = 2 * number + 1
        self.received[stream] = 0
        self._parts[stream] = b""
        self.socket.sendall(request(_PATH, stream=stream, is_whole=False) + data(message, stream=stream))

    def read(self) -> int:
        """Take what has come; return how many messages that were."""
        part = self.socket.recv(2**20)
        assert part, "the gateway closed a connection"
        self._rest += part
        messages = at = 0
        while len(self._rest) - at >= 9:
            length = int.from_bytes(self._rest[at : at + 3], "big")
            if len(self._rest) - at - 9 < length:
                break
            kind, flags = self._rest[at + 3], self._rest[at + 4]
            stream = int.from_bytes(self._rest[at + 5 : at + 9], "big")
            messages += self._frame(kind, flags, stream, self._rest[at + 9 : at + 9 + length])
            at += 9 + length
        self._rest = self._rest[at:]
        return messages

    def _frame(self, kind: int, flags: int, stream: int, payload: bytes) -> int:
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self.socket.sendall(frame(kind, _ACK, 0, payload if kind == _PING else b""))
        assert kind not in (3, 7), f"the gateway ended a watch: frame {kind} {payload!r}"
        if kind != _DATA:
            return 0
        rest, found = self._parts[stream] + payload, 0
        while len(rest) >= 5 and len(rest) >= 5 + (size := int.from_bytes(rest[1:5], "big")):
            rest, found = rest[5 + size :], found + 1
        self._parts[stream] = rest
        self.received[stream] += found
        return found


class Watchers:
    """All connections."""

    def __init__(self, port: int, message: bytes) -> None:
        self.connections = [Connection(port) for _ in range(CONNECTIONS)]
        self._selector = selectors.DefaultSelector()
        for connection in self.connections:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            for number in range(STREAMS):
                connection.watch(number, message)

    def until_each_has(self, count: int) -> list[float]:
        """Read until each watch has so many messages; return when they came, in order."""
        came: list[float] = []
        give_up = time.monotonic() + 60
        while any(least < count for c in self.connections for least in (min(c.received.values()),)):
            assert time.monotonic() < give_up, "not all watches were told"
            for key, _ in self._selector.select(1.0):
                came += [time.monotonic()] * key.data.read()
        return came

    def close(self) -> None:
        """Leave."""
        self._selector.close()
        for connection in self.connections:
            connection.socket.close()


@dataclass
class Gateway:
    """The peer."""

    process: subprocess.Popen[str]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def rss_mb(self) -> float:
        return psutil.Process(self.pid).memory_info().rss / 1e6

    def change(self) -> float:
        """Have one server changed; return when that was committed."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.line()["committed"])

    def line(self) -> dict[str, float]:
        """Return what it says next; the others are of its log."""
        assert self.process.stdout
        line = next(line for line in self.process.stdout if line.startswith("{"))
        found: dict[str, float] = json.loads(line)
        return found


@pytest.fixture
def gateway(tmp_path: Path):
    with (tmp_path / "gateway.log").open("w") as log:
        command = (sys.executable, str(PEERS / "watched_gateway.py"))
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=log, text=True) as process:
            yield Gateway(process)


@pytest.mark.parametrize("kind", ["all", "filtered"])
def test_one_change_reaches_a_thousand_watches(gateway, kind, table):
    """Within 100 ms, the median over the changes; memory after 200 changes is what it was after the first ten."""
    port = int(gateway.line()["port"])
    wanted = inventory_pb2.WatchRequest(changes_only=True)
    if kind == "filtered":
        wanted.collections.append("servers")
        wanted.filter = 'display_name = "web*" AND vcpus = 2'
    firsts, lasts, spent = [], [], []
    with closing(Watchers(port, wanted.SerializeToString())) as watchers:
        watchers.until_each_has(1)
        for number in range(CHANGES):
            if number == 10:
                before_mb = gateway.rss_mb
            cpu = cpu_s(gateway)
            committed = gateway.change()
            came = watchers.until_each_has(2 + number)
            spent.append((cpu_s(gateway) - cpu) * 1e3)
            firsts.append((came[0] - committed) * 1e3)
            lasts.append((came[-1] - committed) * 1e3)
        after_mb = gateway.rss_mb
    found = table(
        f"P11: {CONNECTIONS * STREAMS} watches, {kind}, {CHANGES} changes one by one",
        "", "first ms", "last ms", "CPU ms a change", "MB before", "MB after",
    )  # fmt: skip
    found.add("median", *map(statistics.median, (firsts, lasts, spent)), before_mb, after_mb)
    found.add("best", *map(min, (firsts, lasts, spent)), "", "")
    found.add("worst", *map(max, (firsts, lasts, spent)), "", "")
    assert statistics.median(lasts) <= ALL_WITHIN_S * 1e3
    assert after_mb - before_mb <= GROWS_AT_MOST_MB
