"""Servers that tests start leave nothing behind, whatever becomes of the tests."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
import pytest

STARTER = """
import subprocess, sys, time
command = (sys.executable, "-m", "tests.harness.tether", *sys.argv[1:])
held = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
time.sleep(60)
"""


@pytest.fixture
def server(tmp_path):
    """A program with a child of its own, tethered to a process; gives both, once they run, and their folder."""
    folder = tmp_path / "server"
    folder.mkdir()
    script = f"sleep 60 & echo $! $$ > {tmp_path}/pids.new; mv {tmp_path}/pids.new {tmp_path}/pids; wait"
    with subprocess.Popen((sys.executable, "-c", STARTER, folder, "sh", "-c", script)) as starter:
        until((tmp_path / "pids").exists)
        yield starter, [psutil.Process(int(pid)) for pid in (tmp_path / "pids").read_text().split()], folder
        starter.kill()


def until(condition) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def ended(process: psutil.Process) -> bool:
    """A zombie has ended too: not every container's first process reaps what it inherits."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_server_ends_with_the_tests_though_they_were_killed(server):
    """With what it has started, and its folder."""
    starter, processes, folder = server
    assert folder.exists()
    starter.send_signal(signal.SIGKILL)
    until(lambda: all(ended(process) for process in processes))
    until(lambda: not folder.exists())
