"""`cloudspan up` as a real process on free ports, for the flows that need everything running."""

from __future__ import annotations

import os
import random
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from cloudspan_common.errors import PreconditionFailed
from cloudspan_gateway.demo import plan
from cloudspan_gateway.demo.launcher import check_free

ROOT = Path(__file__).parents[2]
_CLI = (sys.executable, "-m", "cloudspan.cli")
_LAST_LINE = "Ctrl-C ends all of it"


def cli(*arguments: str, timeout_s: float = 20.0) -> subprocess.CompletedProcess[str]:
    """Run a `cloudspan` command to its end."""
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [*_CLI, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def free_base() -> int:
    """Return a base whose ports are all free, of those that no other worker of this run takes meanwhile."""
    first = 20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8 * 1_200
    while True:
        base = random.randrange(first, first + 1_200, 30)  # noqa: S311 - spreads parallel runs
        try:
            check_free(plan.demo(Path(), base).ports)
        except PreconditionFailed:
            continue
        return base


class Demo:
    """One `cloudspan up`."""

    def __init__(self, state: Path, *options: str) -> None:
        self.base = free_base()
        self.state = state
        self.gateway = f"127.0.0.1:{self.base}"
        self.printed: list[str] = []
        self.ready_s = 0.0
        command = [*_CLI, "up", "--port-base", str(self.base), "--state", str(state), *options]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1
        )

    def wait_until_ready(self) -> float:
        """Read what it prints until it says that it is ready; return how long that took, in seconds."""
        began = time.monotonic()
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\n"))
            if line.startswith(_LAST_LINE):
                return time.monotonic() - began
        raise AssertionError("cloudspan up ended:\n" + "\n".join(self.printed))

    @property
    def buf_calls(self) -> list[list[str]]:
        """The buf curl calls as printed, each as a command's words."""
        return [shlex.split(line) for line in self.printed if " curl --http2-prior-knowledge" in line]

    @property
    def grpcurl_calls(self) -> list[list[str]]:
        """The grpcurl calls as printed, each as a command's words."""
        return [shlex.split(line) for line in self.printed if line.startswith("grpcurl ")]

    def children(self) -> list[int]:
        """Process ids of what it started."""
        return [int(each.name) for each in Path("/proc").glob("[0-9]*") if _parent(each) == self.process.pid]

    def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)

    def end(self) -> None:
        """End it if it still runs, and close what it printed to."""
        if self.process.poll() is None:
            self.stop()
        assert self.process.stdout is not None
        self.process.stdout.close()


def is_alive(pid: int) -> bool:
    """Whether the process still runs; one that only waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def _parent(process: Path) -> int | None:
    """The process's parent; None when it ended meanwhile."""
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1])
