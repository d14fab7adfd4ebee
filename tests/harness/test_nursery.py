"""What the fault proofs ask of the processes that they start: as many as they like, each killed, frozen and awaited."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from contextlib import ExitStack

import pytest
from tests.harness.nursery import Nursery


@pytest.fixture
def sleepers(tmp_path, monkeypatch):
    """Start processes that print one line and sleep until they are ended."""
    package = tmp_path / "sleeper"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        'import time\ndef main():\n    print(\'{"event": "sleeps"}\', flush=True)\n    time.sleep(60)\n'
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with Nursery("sleeper") as nursery:
        yield lambda: nursery.start(tmp_path, "sleeper", "sleeper")


def _descriptors():
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - counted, not walked


async def test_processes_that_ended_hold_no_file_descriptor(sleepers):
    """However they ended and whoever saw it: killed, stopped, or awaited after they were killed by another."""
    before = _descriptors()
    killed, stopped, awaited = sleepers(), sleepers(), sleepers()
    for child in (killed, stopped, awaited):
        await child.event("sleeps")
    assert _descriptors() == before + 3
    killed.kill()
    stopped.stop()
    os.kill(awaited.pid, signal.SIGKILL)
    await awaited.ended()
    assert _descriptors() == before
    assert [child.alive for child in (killed, stopped, awaited)] == [False] * 3


async def test_processes_are_seen_to_end_by_a_test_with_more_than_a_thousand_files_open(sleepers):
    """`select` takes no descriptor above 1023; a long run of crashes gets there, and so may the code under test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 2000), hard), hard))
        for _ in range(1100):
            stack.enter_context(open(os.devnull))  # noqa: PTH123, ASYNC230 - only a descriptor
        child = sleepers()
        await child.event("sleeps")
        assert child.alive
        child.signal(signal.SIGSTOP)
        async with asyncio.timeout(5):
            while not child.stopped:  # noqa: ASYNC110 - the kernel has no event for it
                await asyncio.sleep(0.005)
        child.kill()
        assert not child.alive
