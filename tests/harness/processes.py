"""Programs of ours as processes, for the end-to-end tests and the benchmarks: started, found, watched, ended.

Plain `subprocess`, so that a process may outlive the event loop of one test.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import psutil

from cloudspan_common.registry.adapters_file import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

START_S = 30.0
_STOP_S = 15.0
_POLL_S = 0.005


class Program:
    """One process; what it prints is in its log."""

    def __init__(self, log: Path, *command: str, python: str = sys.executable) -> None:
        self.log = log
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CLOUDSPAN_")}
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                (python, *command), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=environment
            )
        self.started = time.monotonic()

    def __repr__(self) -> str:
        return f"<Program {self.pid}, log {self.log}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def cpu_s(self) -> float:
        """CPU seconds of all its threads so far."""
        times = psutil.Process(self.pid).cpu_times()
        return times.user + times.system

    @property
    def rss_mb(self) -> float:
        return psutil.Process(self.pid).memory_info().rss / 1e6

    @property
    def peak_rss_mb(self) -> float:
        """The most memory that it ever had, by the kernel's own count."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:  # noqa: PTH123 - a file of the kernel
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024 / 1e6

    def forget_peak(self) -> None:
        """Begin to count the peak anew."""
        with open(f"/proc/{self.pid}/clear_refs", "w", encoding="ascii") as refs:  # noqa: PTH123 - same
            refs.write("5")

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Ask it to end; kill it when it does not."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()

    def event(self, name: str, limit_s: float = START_S) -> dict[str, Any]:
        """Wait for a line of its log; return its fields.

        Raises:
            AssertionError: It ended, or said nothing in time; with the end of its log.
        """
        give_up = time.monotonic() + limit_s
        while True:
            ended = self._process.poll() is not None
            found = logged(self.log, name, is_last_look=ended or time.monotonic() > give_up)
            if found is not None:
                return found
            time.sleep(_POLL_S)


def logged(log: Path, name: str, *, is_last_look: bool) -> dict[str, Any] | None:
    """Return the fields of the first line of a log that holds `name`; None while there is none.

    Raises:
        AssertionError: There is none and this is the last look; with the end of the log.
    """
    text = log.read_text(errors="replace")
    for line in text.splitlines():
        if name in line and line.startswith("{"):
            return dict(json.loads(line))
    if is_last_look:
        raise AssertionError(f"no {name!r} in {log}: {text[-2000:]}")
    return None


def free_port() -> int:
    """Return a port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class World:
    """A gateway, its registry file, and the adapters that were started into it."""

    directory: Path
    stack: ExitStack
    gateway: Program
    address: str
    metrics: str
    adapters: dict[str, Program] = field(default_factory=dict)

    @property
    def registry(self) -> Path:
        return self.directory / "registry.yaml"

    def adapter(self, module: str, *arguments: str, name: str = "adapter") -> Program:
        """Start an adapter and wait until it has registered."""
        program = self.spawn(module, *arguments, name=name)
        program.event("adapter serves")
        return program

    def spawn(self, module: str, *arguments: str, name: str) -> Program:
        """Start an adapter without waiting for it."""
        options = ("-m", module, "--registry", f"static:{self.registry}", "--drain", "1", *arguments)
        program = self.stack.enter_context(Program(self.directory / f"{name}.log", *options))
        self.adapters[name] = program
        return program

    def addresses(self) -> list[str]:
        """Return where the registered adapters listen."""
        return [instance.address for instance in parse(self.registry.read_text()).instances]


@contextmanager
def world(directory: Path, *options: str, inventory: bool = False) -> Iterator[World]:
    """A gateway over a registry file of its own; ends with all its adapters."""
    metrics = f"127.0.0.1:{free_port()}"
    (directory / "registry.yaml").write_text("adapters: []\n")
    listen = ("--listen", "127.0.0.1:0", "--metrics", metrics, "--registry", f"static:{directory / 'registry.yaml'}")
    with ExitStack() as stack:
        command = (
            "-m",
            "cloudspan_gateway",
            *listen,
            "--wait-for-adapters",
            "0",
            "--drain",
            "1",
            "--database",
            f"sqlite:{directory / 'operations.db'}",
            *(() if inventory else ("--no-inventory",)),
            *options,
        )
        gateway = stack.enter_context(Program(directory / "gateway.log", *command))
        port = gateway.event("gateway started")["port"]
        yield World(directory, stack, gateway, f"127.0.0.1:{port}", metrics)


def openstack(clouds: Path, tags: Sequence[str], *options: str) -> tuple[str, ...]:
    """Return module and arguments of an OpenStack adapter for `World.adapter`."""
    clusters = (word for tag in tags for word in ("--cluster", tag))
    return ("cloudspan_openstack", "--clouds", str(clouds), *clusters, *options)
