"""Programs of ours as processes that start in a tenth of a second: forked from one that has imported everything.

    with Nursery("cloudspan_gateway") as nursery:
        child = nursery.start(directory, "gateway", "cloudspan_gateway", "--listen", "127.0.0.1:0")

A crash test starts hundreds of processes, and importing is most of what a start costs. A child is a process of its own
in every way: it is killed, frozen and awaited by its pid. `python -m tests.harness.nursery` is the one that forks.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import functools
import importlib
import json
import os
import random
import select
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Self

from tests.harness.processes import START_S, logged

_STOP_S = 10.0
_POLL_S = 0.005
_PR_SET_PDEATHSIG = 1


class Child:
    """One process; what it prints is in its log.

    It holds a file descriptor for as long as the process lives and no longer: tests that crash things start thousands.
    """

    def __init__(self, name: str, pid: int, log: Path) -> None:
        self.name, self.pid, self.log = name, pid, log
        try:
            self._fd: int | None = os.pidfd_open(pid)
        except ProcessLookupError:
            self._fd = None  # it has ended already

    def __repr__(self) -> str:
        return f"<Child {self.name} {self.pid}{'' if self.alive else ', ended'}>"

    @property
    def alive(self) -> bool:
        return not self._wait(0)

    @property
    def stopped(self) -> bool:
        """Whether it is frozen."""
        if not self.alive:
            return False  # its pid may be another's by now
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        return state == "T"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it still lives."""
        if self.alive and self._fd is not None:
            signal.pidfd_send_signal(self._fd, number)

    def kill(self) -> None:
        """End it without a word, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self._wait(_STOP_S)

    def stop(self) -> None:
        """Ask it to end; kill it when it does not."""
        self.signal(signal.SIGTERM)
        if not self._wait(_STOP_S):
            self.kill()

    async def ended(self) -> None:
        """Return once it has ended."""
        if not self.alive or self._fd is None:
            return
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        watched = os.dup(self._fd)  # so that two may wait
        loop.add_reader(watched, gone.set)
        try:
            await gone.wait()
        finally:
            loop.remove_reader(watched)
            os.close(watched)
        self._wait(0)

    async def event(self, name: str, limit_s: float = START_S) -> dict[str, Any]:
        """Wait for a line of its log; return its fields.

        Raises:
            AssertionError: It ended, or said nothing in time; with the end of its log.
        """
        give_up = time.monotonic() + limit_s
        while True:
            ended = not self.alive
            found = logged(self.log, name, is_last_look=ended or time.monotonic() > give_up)
            if found is not None:
                return found
            await asyncio.sleep(_POLL_S)

    def _wait(self, limit_s: float) -> bool:
        """Return whether it has ended, waiting for that as long as said; let go of its descriptor once it has."""
        if self._fd is None:
            return True
        poll = select.poll()  # `select` knows no descriptor above 1023
        poll.register(self._fd, select.POLLIN)
        if not poll.poll(limit_s * 1000):
            return False
        os.close(self._fd)
        self._fd = None
        return True


class Nursery:
    """Starts programs, which end with it."""

    def __init__(self, *modules: str) -> None:
        self._children: list[Child] = []
        self._started = 0
        environment = {key: value for key, value in os.environ.items() if not key.startswith("CLOUDSPAN_")}
        self._process = subprocess.Popen(
            (sys.executable, "-m", "tests.harness.nursery", *modules),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.kill()
        self._process.communicate(timeout=_STOP_S)

    def start(self, directory: Path, name: str, module: str, *arguments: str, prepare: tuple[str, ...] = ()) -> Child:
        """Start `python -m module arguments` with its log in `directory`.

        Before that `prepare` is called in it: a module, a function of it, and its arguments.
        """
        self._started += 1
        log = directory / f"{self._started:03}-{name}.log"
        log.touch()
        order = {"log": str(log), "module": module, "arguments": arguments, "prepare": prepare}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the nursery ended; what it said stands above"
        child = Child(name, int(answer), log)
        self._children = [*(each for each in self._children if each.alive), child]
        return child


@functools.cache
def shared() -> Nursery:
    """The one of this test process; it starts with the first program that is asked of it."""
    nursery = Nursery("cloudspan_gateway", "cloudspan_openstack", "cloudspan_zstack", "cloudspan_memory")
    atexit.register(nursery.__exit__)
    return nursery


def _fork_until_closed(modules: list[str]) -> None:
    for module in modules:
        importlib.import_module(f"{module}.__main__")
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


def _become(order: dict[str, Any]) -> None:
    """Turn this process into the program; never returns."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    random.seed()
    for target, number in ((os.devnull, 0), (order["log"], 1), (order["log"], 2)):
        handle = os.open(target, os.O_RDWR | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    sys.argv = [order["module"], *order["arguments"]]
    code = 1
    try:
        if order["prepare"]:
            module, function, *arguments = order["prepare"]
            getattr(importlib.import_module(module), function)(*arguments)
        importlib.import_module(f"{order['module']}.__main__").main()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 - the end of a process: its log is where it is told
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _fork_until_closed(sys.argv[1:])
