"""Start the processes of a plan, notice when one ends, and end them all.

Each child has a session of its own, so that Ctrl-C reaches the launcher alone, and is tethered to the launcher by a
pipe (see `tether`). What a child prints is in its log.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from cloudspan_common.errors import OutOfTime, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from cloudspan_gateway.demo.plan import Child, Plan

START_S = 30.0
_POLL_S = 0.02
# The children's own drain ends before this.
_STOP_S = 10.0
_TAIL_LINES = 15
_TETHER = "cloudspan_gateway.demo.tether"


class Launcher:
    """The processes of one plan."""

    def __init__(self, plan: Plan, inherited: Sequence[int] = ()) -> None:
        """Take a plan, and descriptors that stay open as long as one of its children lives."""
        self._plan, self._inherited = plan, inherited
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._ready = {child.name: asyncio.Event() for child in plan.children}
        self._ended: asyncio.Queue[Child] = asyncio.Queue()
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping = False

    def __repr__(self) -> str:
        running = [name for name, process in self._processes.items() if process.returncode is None]
        return f"<Launcher {len(running)} of {len(self._plan.children)} running: {', '.join(running) or 'none'}>"

    async def start(self) -> None:
        """Start all children and wait until each takes connections.

        Raises:
            PreconditionFailed: A port is in use, or a distribution is not installed.
            OutOfTime: A child lives but takes no connections.
        """
        check_installed(self._plan.children)
        check_free(self._plan.ports)
        (self._plan.state / "logs").mkdir(parents=True, exist_ok=True)
        for pattern in self._plan.forgotten:
            for left in self._plan.state.glob(pattern):
                left.unlink()
        for name, text in self._plan.files.items():
            file = self._plan.state / name
            file.unlink(missing_ok=True)  # one from an earlier version keeps the mode it had
            file.write_text(text, encoding="utf-8")
        await asyncio.gather(*(self._start(child) for child in self._plan.children))

    async def first_death(self) -> None:
        """Wait until a child ends by itself, and raise.

        Raises:
            PreconditionFailed: Always, with the end of the child's log.
        """
        child = await self._ended.get()
        code = self._processes[child.name].returncode
        text = f"{child.name} ended with exit code {code}; {tail(self._plan.log_of(child))}"
        raise PreconditionFailed(text, reason="CHILD_ENDED")

    async def stop(self) -> None:
        """End all children: ask first, then kill."""
        self._stopping = True
        running = [process for process in self._processes.values() if process.returncode is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        waits = [asyncio.ensure_future(process.wait()) for process in running]
        if waits:
            await asyncio.wait(waits, timeout=_STOP_S)
        for process in running:
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*waits, *self._watchers)

    async def _start(self, child: Child) -> None:
        for name in child.after:
            await self._ready[name].wait()
        process = await self._spawn(child)
        self._processes[child.name] = process
        self._watchers.append(asyncio.create_task(self._watch(child, process), name=f"watch {child.name}"))
        give_up = time.monotonic() + START_S
        while not await _takes_connections(child.port):
            if time.monotonic() > give_up:
                log = tail(self._plan.log_of(child))
                text = f"{child.name} does not listen on port {child.port} after {START_S:g} s; {log}"
                raise OutOfTime(text, reason="CHILD_NOT_READY")
            await asyncio.sleep(_POLL_S)
        self._ready[child.name].set()

    async def _spawn(self, child: Child) -> asyncio.subprocess.Process:
        command = (sys.executable, "-m", _TETHER, child.module, *child.arguments)
        with self._plan.log_of(child).open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
                pass_fds=self._inherited,
            )

    async def _watch(self, child: Child, process: asyncio.subprocess.Process) -> None:
        await process.wait()
        if not self._stopping:
            self._ended.put_nowait(child)


def check_installed(children: Iterable[Child]) -> None:
    """Raise PreconditionFailed for the first child whose distribution is not installed."""
    for child in children:
        if importlib.util.find_spec(child.package) is None:
            text = f"{child.name} needs the distribution {child.distribution}, which is not installed here"
            raise PreconditionFailed(f"{text}; pip install {child.distribution}", reason="NOT_INSTALLED")


def check_free(ports: Mapping[int, str]) -> None:
    """Raise PreconditionFailed that names every port in use."""
    used = [f"{port} ({owner})" for port, owner in ports.items() if not _is_free(port)]
    if used:
        plural = "ports are" if len(used) > 1 else "port is"
        text = f"the {plural} in use: {', '.join(used)}; stop what listens there, or shift all ports with --port-base"
        raise PreconditionFailed(text, reason="PORT_IN_USE")


def tail(log: Path) -> str:
    """Return the end of a log, ready to stand in an error's message."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    if not lines:
        return f"its log {log} is empty"
    return "\n  ".join([f"the end of {log}:", *lines[-_TAIL_LINES:]])


def _environment() -> dict[str, str]:
    """Ours without CLOUDSPAN_*: one address to listen on would be every child's."""
    return {key: value for key, value in os.environ.items() if not key.startswith("CLOUDSPAN_")}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


async def _takes_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
