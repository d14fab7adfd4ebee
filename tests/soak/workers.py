"""Callers of the soak: each makes servers and volumes of its own, changes them and removes them, over and over.

A worker waits for each of its operations whatever dies meanwhile, and now and then asks for one again.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.harness import mutations

from cloudspan.v1 import server_pb2, volume_pb2

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.harness.clouds import Site
    from tests.harness.fleet import Fleet, Run

_LIMIT_S = 120.0
_ASKED_AGAIN = 0.1  # of the requests
_KEPT = 0.02  # of the rounds: what they made stays, to be counted at the end


@dataclass
class Score:
    """What all workers came to."""

    count: int
    """How many operations are to be asked for."""
    asked: int = 0
    finished: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    operations: set[str] = field(default_factory=set)
    repeated: int = 0
    other: int = 0
    """How often a repeated request was answered with another operation."""
    kept: list[tuple[Site, str, str]] = field(default_factory=list)
    gone: list[tuple[Site, str, str]] = field(default_factory=list)

    @property
    def enough(self) -> bool:
        return self.asked >= self.count


class Worker:
    """One caller, on one platform."""

    def __init__(self, number: int, fleet: Fleet, site: Site, score: Score, dice: random.Random) -> None:
        self._number, self._fleet, self._site, self._score, self._dice = number, fleet, site, score, dice
        self._round = 0

    async def run(self) -> None:
        """Work until enough was asked for."""
        while not self._score.enough:
            self._round += 1
            await self._one_round(f"soak-{self._number}-{self._round}")

    async def _one_round(self, name: str) -> None:
        server, volume = await self._make(name)
        for change in self._dice.sample([server_pb2.StopServerRequest, server_pb2.StartServerRequest], 2):
            if server is not None:
                await self._ask(change(name=server))
        if server is not None and volume is not None:
            await self._ask(server_pb2.AttachVolumeRequest(name=server, volume=volume))
        if self._dice.random() < _KEPT:
            self._note(self._score.kept, name, server, volume)
            return
        if server is not None and volume is not None:
            await self._ask(server_pb2.DetachVolumeRequest(name=server, volume=volume))
        if server is not None:
            await self._ask(server_pb2.DeleteServerRequest(name=server))
        if volume is not None:
            await self._ask(volume_pb2.DeleteVolumeRequest(name=volume))
        self._note(self._score.gone, name, "server", "volume")

    async def _make(self, name: str) -> tuple[str | None, str | None]:
        """Make a server and a volume, in either order or at the same time."""
        makes: list[Callable[[], Any]] = [
            lambda: self._ask(server_of(self._site, name)),
            lambda: self._ask(mutations.volume(self._site, name)),
        ]
        if self._dice.random() < 0.5:
            runs = await asyncio.gather(*(make() for make in makes))
        else:
            runs = [await make() for make in makes]
        made = [run.result.name if run.error is None else None for run in runs]
        return made[0], made[1]

    async def _ask(self, request: Any) -> Run:
        score, rpc = self._score, request.DESCRIPTOR.name.removesuffix("Request")
        request.request_id = str(uuid.UUID(int=self._dice.getrandbits(128), version=4))
        score.asked += 1
        run = await self._fleet.ask(request, limit_s=_LIMIT_S)
        score.operations.add(run.operation.name)
        score.finished[rpc] += 1
        if run.error is not None:
            score.failed[f"{rpc}: {run.error.reason}"] += 1
        if self._dice.random() < _ASKED_AGAIN:
            score.repeated += 1
            again = await self._fleet.ask(request, limit_s=_LIMIT_S)
            score.other += again.operation.name != run.operation.name
        return run

    def _note(self, rows: list[tuple[Site, str, str]], name: str, server: str | None, volume: str | None) -> None:
        rows += [(self._site, kind, name) for kind, made in (("server", server), ("volume", volume)) if made]


def server_of(site: Site, name: str) -> server_pb2.CreateServerRequest:
    """Return what asks for a server; the memory platform has no images and no networks."""
    if site.image:
        return mutations.server(site, name)
    return server_pb2.CreateServerRequest(
        parent=site.ref, server=server_pb2.Server(display_name=name, flavor=site.flavor)
    )
