"""A gateway over a database file, an adapter and its fake cloud; gateway and adapter are killed and started again.

    async with CrashingFleet(nursery, site, directory) as fleet:
        run = await fleet.run(kind, name, number, ("adapter", "native before 2"))

A run is what a patient caller sees: it asks, asks again with the same `request_id` when nobody answers, and waits for
the end. Meanwhile whoever dies is started again, as a supervisor of services does.
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, Self

from tests.faults.crash_points import SENT_S
from tests.harness.fleet import LIMIT_S, Fleet, Run

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from tests.harness.clouds import Site
    from tests.harness.mutations import Kind
    from tests.harness.nursery import Nursery

WHO = ("gateway", "adapter")


class CrashingFleet(Fleet):
    """The processes of one test, and the way to crash them."""

    def __init__(self, nursery: Nursery, site: Site, directory: Path, *options: str) -> None:
        super().__init__(nursery, site, directory, *options)
        self.deaths = 0
        self._keepers: list[asyncio.Future[None]] = []
        for who in WHO:
            (directory / who).mkdir()

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        await asyncio.gather(*map(self._start_crashing, WHO))
        self._keepers = [asyncio.ensure_future(self._keep_alive(who)) for who in WHO]
        self._stack.push_async_callback(self._end_keeping)
        await self.listed("key pair")
        return self

    async def _start_crashing(self, who: str) -> None:
        await getattr(self, who)(prepare=(f"in_{who}", str(self.directory / who)))

    async def _keep_alive(self, who: str) -> None:
        while True:
            await self.children[who].ended()
            self.deaths += 1
            self.plan()  # dead once is enough
            await self._start_crashing(who)

    async def _end_keeping(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        ended = await asyncio.gather(*self._keepers, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended

    async def _kept_alive(self, asking: Coroutine[Any, Any, Run]) -> Run:
        """Return what is asked for; fail at once when nobody starts again what dies meanwhile."""
        asked = asyncio.ensure_future(asking)
        try:
            await asyncio.wait({asked, *self._keepers}, return_when=asyncio.FIRST_COMPLETED)
            for keeper in self._keepers:
                if keeper.done():
                    keeper.result()  # raises what ended it
            return await asked
        finally:
            asked.cancel()

    def plan(self, who: str = "", point: str = "") -> None:
        """Say where the next crash is to be: a process, and its point, side and number; nowhere when empty.

        The trails begin anew.
        """
        for one in WHO:
            (self.directory / one / "plan").write_text(f"{point if one == who else 'nowhere'} {uuid.uuid4().hex}")
            (self.directory / one / "trail").write_bytes(b"")

    def trail(self, who: str) -> list[str]:
        """Return the points that were passed since the plan was made."""
        return (self.directory / who / "trail").read_text().splitlines()

    async def run(
        self, kind: Kind, name: str, number: int, point: tuple[str, str] = ("", ""), *, limit_s: float = LIMIT_S
    ) -> Run:
        """Ask for a mutation, crash at the point of it, and wait for its end."""
        there = []
        for i, make in enumerate(kind.before):
            there.append((await self.ask(make(self.site, f"{name}-{i}", number), limit_s=limit_s)).result)
        request = kind.request(self.site, name, number, *(made.name for made in there))
        self.plan(*point)
        deaths = self.deaths
        run = await self._kept_alive(self.ask(request, limit_s=limit_s))
        run.name = name
        if point[0]:  # what was sent last may still be about to kill its sender
            await asyncio.sleep(SENT_S if self.deaths == deaths else 0)
            self.plan()
        return run
