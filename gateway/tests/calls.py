"""Calls as a door makes them, without a door: for tests of stages, services and lists."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from cloudspan_common.deadlines import Deadline
from cloudspan_gateway.call import Call
from cloudspan_gateway.metadata import Metadata


class Written:
    """A Writer that keeps what was written."""

    def __init__(self) -> None:
        self.head: dict[str, Any] = {}
        self.messages: list[bytes] = []

    async def begin(self, metadata: Metadata) -> None:
        self.head = dict(metadata)

    async def write(self, message: bytes) -> None:
        self.messages.append(message)


def call(
    path: str, payload: bytes | AsyncIterator[bytes] = b"", metadata: Metadata = (), *, deadline_s: float = 5.0
) -> Call:
    """Return a new call, whose answer is written to a `Written`."""
    return Call(path, payload, metadata, lambda: "a test", Deadline.after(deadline_s), Written())
