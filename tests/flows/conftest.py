"""What flows share: processes, a gateway, and buf as the caller from outside."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from tests.flows.demo import Demo
from tests.harness import nursery

from cloudspan.client import AsyncClient, Unreachable
from cloudspan.v1 import platform_pb2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_STOP_S = 15.0


@asynccontextmanager
async def program(*words: str) -> AsyncIterator[Callable[[], bool]]:
    """Python with these words (`-m`, a module, its arguments) as a process; ended by SIGTERM when the block ends.

    Gives what says whether it runs. Modules are forked from a process that has imported them: that is most of a start.
    """
    if words[0] == "-m":
        with TemporaryDirectory() as folder:
            child = nursery.shared().start(Path(folder), words[1], *words[1:])
            try:
                yield lambda: child.alive
            finally:
                child.signal(signal.SIGTERM)
                await asyncio.wait_for(child.ended(), _STOP_S)
                print(child.log.read_text())
        return
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CLOUDSPAN_")}
    process = await asyncio.create_subprocess_exec(sys.executable, *words, env=environment)
    try:
        yield lambda: process.returncode is None
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), _STOP_S)


@asynccontextmanager
async def gateway(registry: str) -> AsyncIterator[AsyncClient]:
    """A gateway over `registry` as a process, and a client of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    arguments = (
        "--listen", address, "--metrics", "", "--registry", registry, "--drain", "0", "--database", "memory:",
        "--no-inventory",
    )  # fmt: skip
    async with program("-m", "cloudspan_gateway", *arguments) as runs, AsyncClient(address, retries=False) as cloud:
        async with asyncio.timeout(10):
            while not await _answers(cloud):
                assert runs()
        yield cloud


async def _answers(cloud: AsyncClient) -> bool:
    try:
        await cloud.platforms.ListPlatforms(platform_pb2.ListPlatformsRequest(), timeout=1)
    except Unreachable:
        await asyncio.sleep(0.02)
        return False
    return True


async def buf_curl(*arguments: str) -> str:
    """Run buf curl; return what it printed.

    Raises:
        AssertionError: It failed; with what it said.
    """
    beside = Path(sys.executable).with_name("buf")
    command = (str(beside) if beside.exists() else shutil.which("buf") or "buf", "curl")
    options = ("--http2-prior-knowledge", "--protocol", "grpc")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, *options, *arguments, stdout=pipe, stderr=pipe)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.fixture
def until() -> Callable[..., object]:
    """A wait for what an awaited condition gives, looked at every 20 ms until it is true."""

    async def wait(condition, *, limit_s=10.0):
        async with asyncio.timeout(limit_s):
            while not (found := await condition()):  # noqa: ASYNC110 - other processes have no event
                await asyncio.sleep(0.02)
            return found

    return wait


@pytest.fixture(scope="session")
def running_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A `cloudspan up` that tests share and leave running; `ready_s` is how long it took."""
    demo = Demo(tmp_path_factory.mktemp("state"))
    try:
        demo.ready_s = demo.wait_until_ready()
        yield demo
    finally:
        demo.end()
