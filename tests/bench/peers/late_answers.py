"""Peer: a relay whose answers are late, as a cloud's are: python late_answers.py PORT SECONDS, to 127.0.0.1:PORT."""

from __future__ import annotations

import asyncio
import json
import sys

import uvloop
from tests.harness.relay import Relay


async def main(port: int, seconds: float) -> None:
    """Relay until killed; the port is the first line."""
    async with Relay("127.0.0.1", port, answer_after_s=seconds) as relay:
        print(json.dumps({"event": "relay serves", "port": relay.port}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), float(sys.argv[2])))
