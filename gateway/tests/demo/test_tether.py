"""A tethered program ends with whoever holds its standard input."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path


async def test_a_program_ends_when_its_launcher_lets_go_of_the_pipe(tmp_path: Path) -> None:
    """By SIGTERM, as an operator would end it; it gets the arguments that it was started with."""
    (tmp_path / "sleeper.py").write_text("import sys, time\nprint(sys.argv[1:], flush=True)\ntime.sleep(30)\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cloudspan_gateway.demo.tether", "sleeper", "--one"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"['--one']\n"
    process.stdin.close()
    assert await asyncio.wait_for(process.wait(), 10) == -signal.SIGTERM
