"""One watch: the resources as they are, what changed meanwhile, then each change, for ever.

A client that keeps resources by name (EXISTING, ADDED and UPDATED put one, REMOVED takes one away) has at each moment
what it was told of up to there. What a change is told as is exact: ADDED for what it does not have, UPDATED and REMOVED
for what it has; only behind a token from within a snapshot may something come twice.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING

from cloudspan_common.errors import Resync
from cloudspan_gateway.inventory.watch.change import EXISTING, entry
from cloudspan_gateway.inventory.watch.change_log import too_old
from cloudspan_gateway.inventory.watch.feed import MAX_BYTES, MAX_CHANGES, Message
from cloudspan_gateway.inventory.watch.resume_token import Place
from cloudspan_gateway.inventory.watch.selection import seen_otherwise

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from cloudspan_gateway.inventory.watch.change import Change
    from cloudspan_gateway.inventory.watch.change_log import Existing, Head
    from cloudspan_gateway.inventory.watch.feed import Batches, Feed
    from cloudspan_gateway.inventory.watch.selection import Selection, Sight, Wanted


class Watch:
    """What one stream sends."""

    def __init__(self, feed: Feed, wanted: Wanted, sight: Sight) -> None:
        self._feed = feed
        self._log = feed.changes
        self._wanted = wanted
        self._sight = sight
        self._epoch = ""
        self._bookmarks = feed.bookmarks
        self._batches: Batches

    def __repr__(self) -> str:
        return f"<Watch of {self._wanted.clusters}>"

    async def begun(self, *, with_existing: bool) -> AsyncIterator[Message]:
        """Yield the messages of a watch that begins: with the resources as they are, or only with what comes."""
        head = await self._log.head()
        self._epoch = head.epoch
        await self._look_at_clusters()
        place = Place(head.sequence, head.sequence, head.sequence, 0 if with_existing else None)
        if not with_existing:
            yield Message(b"", self._token(place), snapshot_complete=True)
        async for message in self._from(place):
            yield message

    async def resumed(self, epoch: str, sight: bytes, place: Place) -> AsyncIterator[Message]:
        """Yield the messages of a watch that goes on where a token says.

        Raises:
            Resync: What came since is not kept, or not all of what the caller sees now.
        """
        head = await self._log.head()
        self._epoch = head.epoch
        if epoch != head.epoch or place.since < head.oldest or place.at > head.sequence:
            raise too_old()
        await self._look_at_clusters()
        if self._selection.sight != sight:
            raise seen_otherwise()
        if place.at == place.upto:
            place = place._replace(upto=head.sequence)
        async for message in self._from(place):
            yield message

    @property
    def _selection(self) -> Selection:
        return self._batches.selection

    def _token(self, place: Place) -> str:
        return self._batches.token(self._epoch, place)

    async def _look_at_clusters(self) -> None:
        self._look_at(await self._log.clusters())

    def _look_at(self, clusters: Sequence[str]) -> None:
        self._sight.look_at(clusters)
        self._batches = self._feed.batches(self._wanted, self._sight.places)

    async def _from(self, place: Place) -> AsyncIterator[Message]:
        if place.next_id is not None:
            snapshot = _Snapshot(place)
            async for message in self._existing(snapshot):
                yield message
            async for message in self._meanwhile(snapshot):
                yield message
            place = Place.live(snapshot.upto)
            yield Message(b"", self._token(place), snapshot_complete=True)
        async for message in self._changes(place):
            yield message

    # -------------------------------------------------------------- the snapshot

    async def _existing(self, snapshot: _Snapshot) -> AsyncIterator[Message]:
        selection = self._selection
        snapshot.clusters = frozenset(selection.clusters)
        next_id: int | None = snapshot.place.next_id
        while next_id is not None and snapshot.clusters:
            async with self._feed.reads:
                page = await self._log.existing(selection, next_id)
            self._check(self._epoch)
            snapshot.read(next_id, page)
            shown = [
                (row_id, entry(EXISTING, state))
                for row_id, cluster, state in page.rows
                if selection.shows(cluster, state)
            ]
            for entries, last_id in _in_parts(shown):
                place = snapshot.place._replace(next_id=last_id + 1)
                self._check(self._epoch)
                yield Message(entries, self._token(place))
            next_id = page.next_id

    async def _meanwhile(self, snapshot: _Snapshot) -> AsyncIterator[Message]:
        """Yield what changed while the pages were read, but for what they showed already."""
        at = snapshot.place.since
        while at < snapshot.upto:
            changes = await self._read(partial(self._log.after, at, snapshot.upto))
            if not changes:
                return
            at = changes[-1].sequence
            shown = self._shown([change for change in changes if not snapshot.showed(change)])
            # Behind this token the rows come to their end again, and then all of this.
            place = snapshot.place._replace(next_id=snapshot.end)
            for entries, _ in _in_parts(shown):
                self._check(self._epoch)
                yield Message(entries, self._token(place))

    # -------------------------------------------------------------- changes

    async def _changes(self, place: Place) -> AsyncIterator[Message]:
        while True:
            self._check(self._feed.head.epoch)
            if place.at < place.upto:
                async for message in self._caught_up(place):
                    yield message
                place = Place.live(place.upto)
            elif self._feed.head.sequence > place.at and not self._feed.keeps(place.at):
                place = place._replace(upto=self._feed.head.sequence)
            elif self._feed.head.sequence > place.at:
                batch = self._batches.after(place.at)
                place = Place.live(batch.upto)
                if batch.message is not None:
                    yield batch.message
                elif batch.unknown:
                    self._look_at([batch.unknown])
            elif self._bookmarks != self._feed.bookmarks:
                self._bookmarks = self._feed.bookmarks
                yield self._batches.bookmark(self._epoch, place)
            else:
                await self._feed.moved(place.at, self._bookmarks)

    async def _caught_up(self, place: Place) -> AsyncIterator[Message]:
        """Yield what changed up to `place.upto`, each resource once."""
        at = place.at
        while at < place.upto:
            changes = await self._read(partial(self._log.since, place.since, place.upto, at))
            if not changes:
                return
            for entries, sequence in _in_parts(self._shown(changes)):
                self._check(self._epoch)
                yield Message(entries, self._token(place._replace(at=sequence)))
            at = changes[-1].sequence

    async def _read(self, ask: Callable[[], Awaitable[tuple[Sequence[Change], Head]]]) -> Sequence[Change]:
        async with self._feed.reads:
            try:
                changes, head = await ask()
            except Resync as error:  # they were kept when the watch began
                raise too_old("WATCH_TOO_SLOW") from error
        self._check(head.epoch)
        await asyncio.sleep(0)  # SQLite reads on the loop, and nothing of many pages may be shown
        return changes

    def _shown(self, changes: Sequence[Change]) -> list[tuple[int, bytes]]:
        """Return entries of the changes that are shown, with their sequences."""
        shown = []
        for change in changes:
            if change.cluster not in self._sight.places:
                self._look_at([change.cluster])
            kind = self._selection.type_of(change)
            if kind is not None:
                shown.append((change.sequence, change.encoded(kind)))
        return shown

    def _check(self, epoch: str) -> None:
        """Return if what is read belongs to what was sent: before each message, since the one before may take long.

        Raises:
            Resync: The inventory was made anew, or the caller sees something else now.
            Unreachable: The gateway drains.
        """
        self._feed.check_running()
        if epoch and self._epoch and epoch != self._epoch:
            raise too_old()
        self._epoch = self._epoch or epoch
        self._sight.check()


class _Snapshot:
    """Which changes the pages of a snapshot showed already."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.upto = place.since
        """The last change that any page can have shown."""
        self.end = place.next_id or 0
        """Behind all rows that were read."""
        self.clusters: frozenset[str] = frozenset()
        """Whose rows were read; of others all changes are news."""
        self._as_of: list[tuple[int, int]] = []

    def read(self, first_id: int, page: Existing) -> None:
        """Note that the rows from an id on were read."""
        self.upto = max(self.upto, page.sequence)
        if page.rows:
            self.end = page.rows[-1][0] + 1
        if not self._as_of or self._as_of[-1][1] != page.sequence:
            self._as_of.append((first_id, page.sequence))

    def showed(self, change: Change) -> bool:
        """Whether the row was read after the change."""
        if change.cluster not in self.clusters:
            return False
        found = bisect_right(self._as_of, change.resource_id, key=itemgetter(0))
        return found > 0 and change.sequence <= self._as_of[found - 1][1]


def _in_parts(shown: Sequence[tuple[int, bytes]]) -> Iterator[tuple[bytes, int]]:
    """Yield entries joined, so many as a message may hold, each time with the number of the last one."""
    part, size = list[bytes](), 0
    for index, (number, encoded) in enumerate(shown):
        part.append(encoded)
        size += len(encoded)
        is_last = index + 1 == len(shown)
        if is_last or len(part) == MAX_CHANGES or size + len(shown[index + 1][1]) > MAX_BYTES:
            yield b"".join(part), number
            part, size = [], 0
