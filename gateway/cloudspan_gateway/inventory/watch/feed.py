"""Reads what changes, once for all watches of this gateway, and keeps the latest changes for them.

The composition root runs one `Feed`. A watch holds a place in the changes and no queue: it takes what lies behind its
place from here, and from the database when it has fallen further back than this goes.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import OrderedDict
from contextlib import asynccontextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakValueDictionary

from cloudspan.v1 import inventory_pb2
from cloudspan_common.clock import Clock, SystemClock, finished
from cloudspan_common.errors import CloudspanError, Resync, Unreachable
from cloudspan_common.logs import get_logger
from cloudspan_gateway.inventory.watch.change_log import PAGE, Head
from cloudspan_gateway.inventory.watch.resume_token import Place, ResumeTokens
from cloudspan_gateway.inventory.watch.selection import Selection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from cloudspan_gateway.inventory.watch.change import Change
    from cloudspan_gateway.inventory.watch.change_log import ChangeLog
    from cloudspan_gateway.inventory.watch.selection import Wanted

    Subscribe = Callable[[Callable[[], None]], Callable[[], None]]

log = get_logger(__name__)

BATCH_S = 0.005
"""What comes within this is read together."""
BOOKMARK_S = 9.0
"""It is looked each second whether it is time, so that a bookmark comes within ten."""
LOOK_AGAIN_S = 1.0
"""How often changes are looked for, should nobody have said that there are some."""
MAX_CHANGES = 100
MAX_BYTES = 2**20
"""Of one message; clients refuse those above 4 MiB, and one resource may be large."""
KEPT_CHANGES, KEPT_BYTES = 2_000, 16 * 2**20
READS_AT_ONCE = 2
"""Watches that read for themselves, at their beginning or since they fell behind: a thousand may come at once."""
_BATCHES = 8
_SEQUENCE = attrgetter("sequence")


class Message:
    """A WatchResponse that is encoded already."""

    __slots__ = ("_encoded",)

    def __init__(self, entries: bytes, token: str, *, snapshot_complete: bool = False) -> None:
        end = inventory_pb2.WatchResponse(resume_token=token, snapshot_complete=snapshot_complete)
        self._encoded = entries + end.SerializeToString()

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's
        """Return its bytes."""
        return self._encoded


class Batch(NamedTuple):
    """What one selection shows of the changes behind a place."""

    message: Message | None
    """None where nothing of it is shown."""
    upto: int
    """The last change that it looked at."""
    unknown: str = ""
    """The cluster of the next one, where that is not one of the selection's places."""


class Batches:
    """The batches of one selection: made once for all watches that have come equally far."""

    def __init__(self, selection: Selection, feed: Feed, tokens: ResumeTokens) -> None:
        self.selection = selection
        self._feed = feed
        self._tokens = tokens
        self._made: OrderedDict[tuple[str, int], Batch] = OrderedDict()
        self._bookmark: tuple[tuple[str, Place], Message] | None = None

    def after(self, sequence: int) -> Batch:
        """Return the next batch behind a change, which the feed still keeps."""
        key = (self._feed.head.epoch, sequence)
        if (found := self._made.get(key)) is None:
            found = self._made[key] = self._batch(sequence)
            if len(self._made) > _BATCHES:
                self._made.popitem(last=False)
        return found

    def token(self, epoch: str, place: Place) -> str:
        """Return the token of a place."""
        return self._tokens.token(epoch, self.selection.wanted.query, self.selection.sight, place)

    def bookmark(self, epoch: str, place: Place) -> Message:
        """Return an empty message with the token of a place."""
        if self._bookmark is None or self._bookmark[0] != (epoch, place):
            self._bookmark = (epoch, place), Message(b"", self.token(epoch, place))
        return self._bookmark[1]

    def _batch(self, sequence: int) -> Batch:
        entries, size, unknown = list[bytes](), 0, ""
        for change in self._feed.kept(sequence):
            if change.cluster not in self.selection.places:
                unknown = change.cluster
                break
            kind = self.selection.type_of(change)
            if kind is not None:
                encoded = change.encoded(kind)
                if entries and size + len(encoded) > MAX_BYTES:
                    break
                entries.append(encoded)
                size += len(encoded)
            sequence = change.sequence
            if len(entries) == MAX_CHANGES:
                break
        if not entries:
            return Batch(None, sequence, unknown)
        token = self.token(self._feed.head.epoch, Place.live(sequence))
        return Batch(Message(b"".join(entries), token), sequence, unknown)


class Feed:
    """The latest changes, and who waits for the next ones."""

    def __init__(
        self, changes: ChangeLog, subscribe: Subscribe, tokens: ResumeTokens, clock: Clock | None = None
    ) -> None:
        """Take what reads changes, and what calls a function whenever there are new ones (`Writes.subscribe`)."""
        self.changes = changes
        self.head = Head(0, 0, "")
        """As of the last look."""
        self.reads = asyncio.Semaphore(READS_AT_ONCE)
        self.bookmarks = 0
        """How many times every watch was to send a bookmark."""
        self._subscribe = subscribe
        self._tokens = tokens
        self._clock = clock or SystemClock()
        self._kept: list[Change] = []
        self._floor: int | None = None
        """All changes behind this one are kept; None while nobody watches."""
        self._size = 0
        self._watches = 0
        self._batches: WeakValueDictionary[tuple[bytes, bytes], Batches] = WeakValueDictionary()
        self._changed = asyncio.Event()
        self._moved = asyncio.Event()
        self._stopped = False
        self._is_away = False
        """Whether the database did not answer at the last look."""

    def __repr__(self) -> str:
        return f"<Feed {self._watches} watches at change {self.head.sequence}, {len(self._kept)} kept>"

    @property
    def watches(self) -> int:
        """How many there are."""
        return self._watches

    async def run(self) -> None:
        """Read changes as they come, until cancelled; goes on with what it has while the database is away."""
        unsubscribe = self._subscribe(self._changed.set)
        looked, marked = 0.0, self._clock.monotonic()
        try:
            while True:
                changed = asyncio.ensure_future(self._changed.wait())
                try:
                    await finished(self._clock, changed, LOOK_AGAIN_S)
                finally:
                    changed.cancel()
                # At once after a quiet time; else together with what comes in the next milliseconds.
                await self._clock.sleep(looked + BATCH_S - self._clock.monotonic())
                self._changed.clear()
                await self._look()
                looked = self._clock.monotonic()
                if looked - marked >= BOOKMARK_S:
                    marked = looked
                    self.bookmarks += 1
                    self._wake()
        finally:
            unsubscribe()

    def stop(self) -> None:
        """End all watches, and those to come: the gateway drains."""
        self._stopped = True
        self._wake()

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Count as a watch inside the `with` block; nothing is read while there is none.

        Raises:
            Unreachable: The database does not answer, or the gateway drains.
        """
        self.check_running()
        self._watches += 1
        try:
            if self._floor is None:
                head = await self.changes.head()
                if self._floor is None:  # nobody else was faster
                    self._begin_at(head)
            yield
        finally:
            self._watches -= 1
            if not self._watches:
                self._begin_at(None)

    def keeps(self, sequence: int) -> bool:
        """Whether all changes behind one of them are kept here."""
        return self._floor is not None and sequence >= self._floor

    def kept(self, sequence: int) -> Sequence[Change]:
        """Return the changes behind one of them."""
        return self._kept[bisect_right(self._kept, sequence, key=_SEQUENCE) :]

    def batches(self, wanted: Wanted, places: Mapping[str, str | None]) -> Batches:
        """Return the batches of a selection: the same for equal ones."""
        made = Batches(Selection(wanted, places), self, self._tokens)
        key = (wanted.query, _places_key(places))
        return self._batches.setdefault(key, made)

    async def moved(self, sequence: int, bookmarks: int) -> None:
        """Return once there are changes behind `sequence`, or it is time for a bookmark.

        Raises:
            Unreachable: The gateway drains.
        """
        while self.head.sequence <= sequence and self.bookmarks == bookmarks:
            self.check_running()
            await self._moved.wait()

    def check_running(self) -> None:
        """Return unless the gateway drains.

        Raises:
            Unreachable: It does.
        """
        if self._stopped:
            raise Unreachable("the gateway is shutting down; watch again with the last resume_token")

    async def _look(self) -> None:
        """Read what is new, to its end."""
        try:
            while self._floor is not None and await self._read():
                await self._clock.sleep(0)  # SQLite reads on the loop, and a sweep may bring a hundred thousand
        except CloudspanError as error:
            if not self._is_away:
                log.warning("changes of the inventory not read", reason=error.reason, watches=self._watches)
            self._is_away = True
        else:
            self._is_away = False

    async def _read(self) -> bool:
        """Read the next changes; return whether there may be more."""
        before = self.head
        try:
            found, head = await self.changes.after(before.sequence)
        except Resync:  # this process was stopped for long
            head = await self.changes.head()
            if self._watches:
                self._begin_at(head)
            return False
        if self._floor is None or self.head is not before:  # the last watch left meanwhile
            return self._floor is not None
        if before.epoch not in ("", head.epoch):
            self._begin_at(head)
            return False
        if found:
            self._keep(found)
            self.head = Head(found[-1].sequence, head.oldest, head.epoch)
            self._wake()
        return len(found) == PAGE

    def _keep(self, found: Sequence[Change]) -> None:
        self._kept.extend(found)
        self._size += sum(change.size for change in found)
        excess = 0
        while excess < len(self._kept) and (len(self._kept) - excess > KEPT_CHANGES or self._size > KEPT_BYTES):
            self._size -= self._kept[excess].size
            self._floor = self._kept[excess].sequence
            excess += 1
        del self._kept[:excess]

    def _begin_at(self, head: Head | None) -> None:
        """Keep nothing, and go on behind `head`; read nothing without one."""
        self._kept.clear()
        self._size = 0
        self._floor = head.sequence if head else None
        if head:
            self.head = head
            self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()


def _places_key(places: Mapping[str, str | None]) -> bytes:
    """Return what is equal for equal places, those that are not seen included."""
    return b"\0".join(f"{cluster}\1{project}".encode() for cluster, project in sorted(places.items()))
