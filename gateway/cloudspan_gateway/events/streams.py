"""What one WatchEvents sends: the events behind its place as they come, in messages; bookmarks where it is quiet."""

from __future__ import annotations

from bisect import bisect_right
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING

from cloudspan.v1 import event_pb2
from cloudspan_common.errors import Unreachable
from cloudspan_gateway.events.place import Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.events.follower import Follower
    from cloudspan_gateway.events.happened import Happened, ResourceChanged
    from cloudspan_gateway.events.log import EventLog

BOOKMARK_S = 10.0
LOOK_S = 1.0
"""How often a quiet stream looks whether it may go on."""
MAX_EVENTS = 100
MAX_BYTES = 2**20
"""Of one message; clients refuse those above 4 MiB, and one resource may be large."""
_SEQUENCE = attrgetter("sequence")


class Streams:
    """The streams of one gateway."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._stopped = False
        self.count = 0
        """How many there are."""

    def __repr__(self) -> str:
        return f"<Streams {self.count} over {self._log!r}>"

    def stop(self) -> None:
        """End all streams, and those to come: the gateway drains."""
        self._stopped = True
        self._log.wake()

    async def messages(
        self, follower: Follower, place: Place, check: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[tuple[list[event_pb2.Event], Place]]:
        """Yield events behind a place, each time with the place behind them: at first none, and none in a bookmark.

        Raises:
            Resync: EVENTS_LOST.
            Unreachable: The gateway drains, or the database is away.
            CloudspanError: What `check` raises, which is called at least once a second.
        """
        with self._counted():
            yield [], place
            sent, marked = place, self._clock.monotonic()
            while True:
                self._check_running()
                if check is not None:
                    await check()
                announced = self._log.announced
                page = await self._log.after(place.sequence, place.epoch)
                rest = page.events
                while rest:
                    events, number = _part(follower, rest)
                    rest = rest[bisect_right(rest, number, key=_SEQUENCE) :]
                    if events:
                        sent, marked = Place(number, place.epoch), self._clock.monotonic()
                        yield events, sent
                place = Place(page.upto, place.epoch)
                if place != sent and self._clock.monotonic() - marked >= BOOKMARK_S:
                    sent, marked = place, self._clock.monotonic()
                    yield [], place
                if not page.events:
                    await self._log.moved(announced, LOOK_S)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1

    def _check_running(self) -> None:
        if self._stopped:
            raise Unreachable("the gateway is shutting down; watch again with the last resume_token")


def _part(follower: Follower, found: Sequence[Happened | ResourceChanged]) -> tuple[list[event_pb2.Event], int]:
    """Return so many events as a message may hold, and the number up to which that looked.

    The others are looked at once that message is sent: who follows may see less of them by then.
    """
    part, size, last = list[event_pb2.Event](), 0, 0
    for number, event in follower.shown(found):
        size += event.ByteSize()
        if part and size > MAX_BYTES:
            return part, last
        part.append(event)
        last = number
        if len(part) == MAX_EVENTS:
            return part, last
    return part, found[-1].sequence
