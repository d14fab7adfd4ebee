"""The fake ZStack as a program of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import aiohttp

import cloudspan_zstack


async def test_it_serves_until_it_is_told_to_end():
    """It tells its address on a line, is seeded, and ends with 0."""
    roots = os.pathsep.join([str(Path(cloudspan_zstack.__file__).parents[1]), *sys.path])
    program = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "cloudspan_zstack_fake",
            "--listen",
            "127.0.0.1:0",
            "--seed",
            "5",
            "servers",
            "--empty",
        ),
        env={**os.environ, "PYTHONPATH": roots},
        stdout=asyncio.subprocess.PIPE,
    )
    line = (await program.stdout.readline()).decode()
    found = re.fullmatch(r"fake ZStack zeta: (http://127\.0\.0\.1:\d+)/zstack \(accounts demo, demo2, admin\)\n", line)
    async with aiohttp.ClientSession() as http, http.get(f"{found[1]}/_control") as response:
        assert (await response.json())["VmInstanceVO"] == 6
    program.send_signal(signal.SIGTERM)
    assert await program.wait() == 0
