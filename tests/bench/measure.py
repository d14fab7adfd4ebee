"""What the benchmarks share: CPU of other processes to the nanosecond, percentiles, tables, and peers as programs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import yaml
from tests.harness.processes import Program, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

PEERS = Path(__file__).parent / "peers"
_START_S = 60.0


def cpu_s(program: Program) -> float:
    """CPU seconds of a program's living threads so far; psutil counts in ticks of 10 ms."""
    tasks = Path(f"/proc/{program.pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def p50(values: Sequence[float]) -> float:
    return statistics.median(values)


@dataclass
class Table:
    """A table that a test prints at its end, whether a bar was missed or not."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        self.rows.append(tuple(f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in cells))

    def text(self) -> str:
        """Return it as Markdown."""
        rows = [self.columns, *self.rows]
        widths = [max(len(row[i]) for row in rows) for i in range(len(self.columns))]
        lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join([f"\n## {self.title}", "", *lines])


def peer(name: str, *arguments: str) -> dict[str, Any]:
    """Run a peer as a program of its own; return what it measured of itself."""
    command = (sys.executable, str(PEERS / f"{name}.py"), *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@dataclass
class Fake:
    """A fake OpenStack as a program, its clouds.yaml, and its control door."""

    program: Program
    clouds: Path
    url: str
    http: aiohttp.ClientSession | None = None

    @property
    def auth_url(self) -> str:
        return f"{self.url}/identity/v3"

    @asynccontextmanager
    async def controlled(self) -> AsyncIterator[Fake]:
        """Open the control door for the block."""
        async with aiohttp.ClientSession() as http:
            self.http = http
            yield self

    async def control(self, method: str, path: str, body: object = None) -> Any:
        """Tell or ask the cloud something; see its control API."""
        assert self.http is not None
        async with self.http.request(method, f"{self.url}/_control{path}", json=body) as answer:
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def logins(self) -> int:
        """Return how many tokens were asked for."""
        found = await self.control("GET", "/requests?service=identity&method=POST&path=^/v3/auth/tokens$")
        return len(found["requests"])


@contextmanager
def fake(directory: Path, name: str, *options: str) -> Iterator[Fake]:
    """A fake OpenStack in a process of its own."""
    port, clouds = free_port(), directory / f"{name}.yaml"
    command = ("-m", "cloudspan_openstack_fake", "--name", name, "--listen", f"127.0.0.1:{port}", "--empty")
    with Program(directory / f"{name}.log", *command, "--write-clouds", str(clouds), *options) as program:
        give_up = time.monotonic() + _START_S
        while "fake OpenStack" not in program.log.read_text():
            assert time.monotonic() < give_up, program.log.read_text()
            time.sleep(0.01)
        yield Fake(program, clouds, f"http://127.0.0.1:{port}")


def credentials(file: Fake, name: str) -> dict[str, str]:
    """Return the `auth` of a cloud's member."""
    found: dict[str, str] = yaml.safe_load(file.clouds.read_text())["clouds"][name]["auth"]
    return found
