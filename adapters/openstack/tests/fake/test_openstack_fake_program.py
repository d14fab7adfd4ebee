"""The fake cloud as a program."""

from __future__ import annotations

import asyncio
import signal
import sys

import aiohttp
import yaml


async def test_the_program_seeds_serves_writes_clouds_and_ends_on_sigterm(tmp_path):
    """Port 0 takes a free one and tells it."""
    clouds = tmp_path / "clouds.yaml"
    arguments = (
        "--name",
        "prog",
        "--listen",
        "127.0.0.1:0",
        "--seed",
        "5",
        "servers",
        "--fake-clock",
        "--write-clouds",
        str(clouds),
    )
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cloudspan_openstack_fake", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert program.stdout is not None
    line = (await program.stdout.readline()).decode()
    entries = yaml.safe_load(clouds.read_text())["clouds"]
    auth_url = entries["prog"]["auth"]["auth_url"]
    async with aiohttp.ClientSession() as http:
        state = await (await http.get(auth_url.replace("/identity/v3", "/_control/"))).json()
    program.send_signal(signal.SIGTERM)
    assert await program.wait() == 0
    assert (auth_url in line, clouds.stat().st_mode & 0o777) == (True, 0o600)
    assert set(entries) == {"prog", "prog-demo2", "prog-admin", "prog-app"}
    assert (state["servers"], state["volumes"]) == (13, 3)
