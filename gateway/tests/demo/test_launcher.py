"""The launcher of `cloudspan up`, with the standard library's HTTP server as the children."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from cloudspan_common.errors import PreconditionFailed
from cloudspan_gateway.demo import launcher
from cloudspan_gateway.demo.launcher import Launcher
from cloudspan_gateway.demo.plan import Child, Plan


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _web(name, *, port=None, module="http.server", **fields):
    port = port or _free_port()
    return Child(name, f"{name}-dist", module, (str(port), "--bind", "127.0.0.1"), port, **fields)


def _plan(state, *children):
    return Plan(state, "127.0.0.1:0", f"127.0.0.1:{_free_port()}", children, (), {"note.txt": "hello"})


@asynccontextmanager
async def _running(made):
    running = Launcher(made)
    try:
        await running.start()
        yield running
    finally:
        await running.stop()


def _takes_connections(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_children_run_after_start_and_are_gone_after_stop(tmp_path):
    """Both take connections, the plan's files and the logs are there, and nothing listens afterwards."""
    one, two = _web("one"), _web("two", after=("one",))
    async with _running(_plan(tmp_path, two, one)) as running:
        assert _takes_connections(one.port)
        assert _takes_connections(two.port)
        assert repr(running) == "<Launcher 2 of 2 running: one, two>"
    assert (tmp_path / "note.txt").read_text() == "hello"
    assert (tmp_path / "logs" / "two.log").exists()
    assert not _takes_connections(one.port)
    assert not _takes_connections(two.port)


async def test_only_what_is_to_be_forgotten_is_deleted_at_a_start(tmp_path):
    """And not before it is known that the start can be made."""
    for name in ("operations.db", "operations.key", "mine.txt"):
        (tmp_path / name).write_text("x")
    made = replace(_plan(tmp_path, _web("one")), forgotten=("operations.*",))
    with pytest.raises(PreconditionFailed):
        await Launcher(replace(made, children=(_web("one", module="no_such_package.program"),))).start()
    assert (tmp_path / "operations.db").exists()
    async with _running(made):
        assert sorted(file.name for file in tmp_path.glob("*.*")) == ["mine.txt", "note.txt"]


async def test_a_port_in_use_is_named_before_anything_starts(tmp_path):
    """The error says which port, for whom, and what to do."""
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", 0))
        owner.listen()
        port = owner.getsockname()[1]
        with pytest.raises(PreconditionFailed, match=rf"port is in use: {port} \(one\).*--port-base"):
            await Launcher(_plan(tmp_path, _web("one", port=port))).start()
    assert not (tmp_path / "logs").exists()


async def test_a_distribution_that_is_missing_is_named(tmp_path):
    """Nothing is imported to find out."""
    with pytest.raises(PreconditionFailed, match=r"one needs the distribution one-dist.*pip install one-dist"):
        await Launcher(_plan(tmp_path, _web("one", module="no_such_package.program"))).start()


async def test_a_child_that_ends_by_itself_is_reported_with_the_end_of_its_log(tmp_path):
    """A child that never starts to listen: its own words are in the error."""
    dying = Child("dying", "dying-dist", "http.server", ("--no-such-option",), _free_port())
    running = Launcher(_plan(tmp_path, dying))
    starting = asyncio.ensure_future(running.start())
    with pytest.raises(PreconditionFailed, match=r"(?s)dying ended with exit code 2; the end of .*no-such-option"):
        await running.first_death()
    starting.cancel()
    await running.stop()


async def test_a_child_that_is_killed_later_is_noticed(tmp_path):
    """`first_death` waits while all is well."""
    child = _web("one")
    async with _running(_plan(tmp_path, child)) as running:
        death = asyncio.ensure_future(running.first_death())
        await asyncio.sleep(0.02)
        assert not death.done()
        os.kill(running._processes["one"].pid, signal.SIGKILL)
        with pytest.raises(PreconditionFailed, match="one ended with exit code -9"):
            await asyncio.wait_for(death, 5)


async def test_children_end_when_their_launcher_is_killed(tmp_path):
    """The pipe that tethers them closes with the launcher's process."""
    child = _web("one")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LAUNCH, str(tmp_path), str(child.port), str(_free_port()), stdout=asyncio.subprocess.PIPE
    )
    assert await process.stdout.readline() == b"started\n"
    assert _takes_connections(child.port)
    process.kill()
    await process.wait()
    async with asyncio.timeout(10):
        while _takes_connections(child.port):  # noqa: ASYNC110 - another process's port has no event
            await asyncio.sleep(0.02)


_LAUNCH = """
import asyncio, pathlib, sys
from cloudspan_gateway.demo.launcher import Launcher
from cloudspan_gateway.demo.plan import Child, Plan
state, port, metrics = sys.argv[1:]
child = Child("one", "one-dist", "http.server", (port, "--bind", "127.0.0.1"), int(port))
async def run():
    await Launcher(Plan(pathlib.Path(state), "", f"127.0.0.1:{metrics}", (child,), (), {})).start()
    print("started", flush=True)
    await asyncio.Event().wait()
asyncio.run(run())
"""


def test_the_environment_of_children_holds_no_cloudspan_setting(monkeypatch):
    """One CLOUDSPAN_LISTEN would be every child's."""
    monkeypatch.setenv("CLOUDSPAN_LISTEN", "127.0.0.1:1")
    assert "CLOUDSPAN_LISTEN" not in launcher._environment()
    assert "PATH" in launcher._environment()
