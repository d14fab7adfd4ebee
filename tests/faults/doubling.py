"""A relay that sends each answer twice, as a broken proxy does."""

from __future__ import annotations

import asyncio

from tests.harness.relay import Relay

_CHUNK = 1 << 16


class Doubling(Relay):
    """`doubled` tells how often it did."""

    doubled = 0

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(_CHUNK):
            if writer.is_closing():
                return  # whoever asked has understood, and dropped the connection
            writer.write(chunk + chunk)
            self.doubled += 1
        writer.close()
