"""One whole listing of a collection, and one look for its changes: read, written, and what is known afterwards.

`sync` says when. Rows go only after a listing that was proven complete (`deletions`). Of a page that has not changed
since the last sweep nothing is sent, read or written.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cloudspan_common.errors import CloudspanError, PlatformFault, Unsupported
from cloudspan_gateway.inventory.model import Completeness, Origin, Written
from cloudspan_gateway.inventory.sync.deletions import Deletions, Missing, Settled
from cloudspan_gateway.inventory.sync.source import PageRequest

if TYPE_CHECKING:
    from collections.abc import Collection

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.inventory.model import CollectionState, Fence
    from cloudspan_gateway.inventory.store import InventoryStore
    from cloudspan_gateway.inventory.sync.source import Page, Source

MAX_PAGES = 20_000
"""Of one listing: one that has not come to its end after two million resources leads nowhere."""
_SHOWN = 500  # characters of a state's message
_NAMED = 3


@dataclass(frozen=True, slots=True)
class KnownPage:
    """A page as it was compared last."""

    etag: str
    names: array[int]
    """Hashes of its resources' names: 8 bytes each, where a name has a hundred."""


@dataclass(slots=True)
class PageMemory:
    """What is known of the last sweep of a collection; lost with the process, for the price of comparing all once."""

    pages: dict[str, KnownPage] = field(default_factory=dict)
    """By cursor: those whose rows are kept just as they came."""
    sequence: int = 0
    """Changes up to this one were made before those pages were compared."""
    settled: bool = False
    """Whether nothing was missing in the end."""
    unlisted: frozenset[str] = frozenset()
    """What the platform has though it did not list it."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What came of a sweep, or of a look for changes."""

    state: CollectionState
    written: Written = field(default_factory=Written)
    pages: int = 0
    unchanged_pages: int = 0
    reports_gone: bool = False
    """Whether the platform said that something which is kept is deleted: a sweep is to find out."""

    @property
    def has_changes(self) -> bool:
        """Whether anything was written."""
        return bool(self.written.added or self.written.updated or self.written.removed)


@dataclass(slots=True)
class _Listing:
    """A listing under way."""

    began: float
    seen: set[int] = field(default_factory=set)
    pages: dict[str, KnownPage] = field(default_factory=dict)
    written: Written = field(default_factory=Written)
    read: int = 0
    unchanged: int = 0
    partial: str = ""
    unread: list[str] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return not self.partial and not self.unread


class _NotListed(Exception):
    def __init__(self, error: CloudspanError) -> None:
        super().__init__(error.message)
        self.error = error


class CollectionSweep:
    """Sweeps one collection of one cluster, again and again; `memory` makes the next one cheap."""

    def __init__(
        self, store: InventoryStore, source: Source, clock: Clock, *, brake: float, others: Collection[str] = ()
    ) -> None:
        """Make it; see `Deletions` for `brake`. Of a cluster's other projects `others` are listed by themselves."""
        self._store = store
        self._source = source
        self._clock = clock
        self._brake = brake
        self._others = others
        self.memory = PageMemory()

    def __repr__(self) -> str:
        return f"<CollectionSweep {len(self.memory.pages)} pages known>"

    # -------------------------------------------------------------- a whole sweep

    async def sweep(self, state: CollectionState, fence: Fence | None, *, released: bool = False) -> Swept:
        """List all of it; return what is known then, to be saved by the caller.

        Args:
            state: What was known before.
            fence: The right to write.
            released: Whether a brake that holds deletions back is let go.

        Raises:
            CloudspanError: The store's; LockLost.
        """
        listing = _Listing(self._clock.now())
        sequence, is_touched = await self._forget_touched_pages(state)
        try:
            await self._list(state, listing, fence)
        except _NotListed as failed:
            return self._failed(state, listing, failed.error)
        quiet = listing.unchanged == listing.read and self.memory.settled and not is_touched
        if quiet and listing.is_complete:
            settled, count = Settled(), state.row_count
        else:
            settled, count = await self._settle(state, listing, fence, released=released)
        after = self._judged(state, listing, settled, count)
        # What is there but never listed is asked for each time: no page would tell that it went.
        is_settled = after.completeness is Completeness.COMPLETE and not settled.there
        self.memory = PageMemory(listing.pages, sequence, is_settled, settled.there)
        return Swept(after, listing.written + settled.written, listing.read, listing.unchanged)

    async def _forget_touched_pages(self, state: CollectionState) -> tuple[int, bool]:
        """Forget pages with rows that were written since they were compared: they may no longer be kept as they came.

        Return up to which change that was looked at, and whether there was any.
        """
        pages = self.memory.pages
        after = self.memory.sequence if pages else None
        last, names = await self._store.changed_names(state.cluster, state.collection, after)
        if names is None:  # it was not listed for so long that nobody knows
            self.memory.pages = {}
            return last, True
        touched = {hash(name) for name in names}
        if touched:
            self.memory.pages = {cursor: page for cursor, page in pages.items() if touched.isdisjoint(page.names)}
        return last, bool(touched)

    async def _list(self, state: CollectionState, listing: _Listing, fence: Fence | None) -> None:
        cursor, asked = "", set[str]()
        while True:
            asked.add(cursor)
            known = self.memory.pages.get(cursor)
            at = max(self._clock.now(), listing.began)
            etag = known.etag if known else ""
            request = PageRequest(state.cluster, state.collection, cursor, etag, project=state.project)
            page = await self._page(request)
            if known is not None and page.unchanged:
                _take_unchanged(listing, cursor, page, known)
            else:
                await self._take(state, listing, page, at, fence, cursor)
            if not page.next_cursor:
                return
            cursor = page.next_cursor
            if cursor in asked or len(asked) >= MAX_PAGES:
                raise _NotListed(_in_a_circle(state, len(asked)))

    async def _page(self, request: PageRequest) -> Page:
        try:
            return await self._source.page(request)
        except CloudspanError as error:
            raise _NotListed(error) from error

    async def _take(
        self, state: CollectionState, listing: _Listing, page: Page, at: float, fence: Fence | None, cursor: str
    ) -> None:
        """Write a page's rows; of a name that is listed twice the first one stands, so that two don't take turns."""
        rows = [row for row in page.rows if hash(row.name) not in listing.seen]
        origin = Origin.PROJECT if state.project else Origin.SWEEP
        written = await self._store.apply(state.collection, rows, at, origin, fence)
        names = array("q", (hash(row.name) for row in page.rows))
        _note(listing, page)
        listing.unread.extend(f"{name} holds something else" for name in written.unreadable)
        listing.seen.update(names)
        listing.written += written
        is_kept_as_it_came = len(rows) == len(page.rows) and not (written.outdated or written.unreadable or page.unread)
        if page.etag and is_kept_as_it_came:
            listing.pages[cursor] = KnownPage(page.etag, names)

    async def _settle(
        self, state: CollectionState, listing: _Listing, fence: Fence | None, *, released: bool
    ) -> tuple[Settled, int]:
        """Deal with what is missing; return what came of it, and how many rows are kept then."""
        known = await self._store.known(state.cluster, state.collection, state.project, self._others)
        if not listing.is_complete:
            return Settled(brake=state.brake), len(known)
        names = sorted(
            name for name, row in known.items() if hash(name) not in listing.seen and row.time < listing.began
        )
        if not names:
            return Settled(), len(known)
        deletions = Deletions(state.collection, self._store, self._source, self._clock, self._brake)
        lost = [name for name in names if known[name].was_listed]
        total = sum(row.was_listed for row in known.values()) - listing.written.added
        missing = Missing(names, lost, total, state.brake, released)
        settled = await deletions.settle(missing, fence)
        return settled, len(known) - settled.written.removed + settled.written.added

    # -------------------------------------------------------------- what is known then

    def _judged(self, state: CollectionState, listing: _Listing, settled: Settled, count: int) -> CollectionState:
        reason, message = self._incomplete(listing, settled)
        return replace(
            self._ended(state, listing),
            completeness=Completeness.PARTIAL if reason else Completeness.COMPLETE,
            reason=reason,
            message=message[:_SHOWN],
            row_count=count,
            observe_time=state.observe_time if reason else listing.began,
            brake=settled.brake,
        )

    def _incomplete(self, listing: _Listing, settled: Settled) -> tuple[str, str]:
        """Return why the collection is not wholly known, reason and words; nothing where it is."""
        if listing.partial:
            return "LISTING_NOT_PROVEN", listing.partial
        if listing.unread:
            return "ROWS_UNREADABLE", f"could not be read: {_some(listing.unread)}"
        if settled.brake is not None:
            return "BRAKED", (
                f"{settled.brake.missing} of {settled.brake.total} are no longer listed, too many to be taken for "
                "deleted; look at the platform, and accept the loss with SyncNow and release_brake if it is real"
            )
        if settled.error is not None:
            text = f"{settled.unproven} are no longer listed, and it is not proven that they are deleted"
            return settled.error.reason, f"{text}: {settled.error.message}"
        if settled.left_out - self.memory.unlisted:  # what is never listed is the platform's way; it is kept by its Get
            names = _some(sorted(settled.left_out))
            return "LISTING_NOT_PROVEN", f"the platform has, and did not list: {names}; the next listing may"
        return "", ""

    def _failed(self, state: CollectionState, listing: _Listing, error: CloudspanError) -> Swept:
        is_unsupported = isinstance(error, Unsupported)
        after = replace(
            self._ended(state, listing),
            completeness=Completeness.UNSUPPORTED if is_unsupported else Completeness.FAILED,
            reason=error.reason,
            message=error.message[:_SHOWN],
            row_count=state.row_count + listing.written.added,
        )
        self.memory.settled = False
        return Swept(after, listing.written, listing.read, listing.unchanged)

    def _ended(self, state: CollectionState, listing: _Listing) -> CollectionState:
        took_s = max(self._clock.now() - listing.began, 0.0)
        return replace(state, attempt_time=listing.began, took_s=took_s)

    # -------------------------------------------------------------- a look for changes

    async def look(self, state: CollectionState, fence: Fence | None) -> Swept:
        """Ask for what changed since `changes_time`, and write it; nothing is deleted by that.

        In the state returned `changes_time` is None where the collection can't tell changes.

        Raises:
            CloudspanError: It could not be asked, or the store's; LockLost.
        """
        began, origin = self._clock.now(), Origin.PROJECT if state.project else Origin.CHANGES
        written, pages, reports_gone, asked, cursor = Written(), 0, False, set[str](), ""
        while True:
            asked.add(cursor)
            at = max(self._clock.now(), began)
            since = state.changes_time or 0.0
            request = PageRequest(state.cluster, state.collection, cursor, since=since, project=state.project)
            page = await self._source.page(request)
            written += await self._store.apply(state.collection, page.rows, at, origin, fence)
            pages += 1
            reports_gone = reports_gone or bool(page.gone and await self._store.there(page.gone))
            if page.ignored_since:
                return Swept(replace(state, changes_time=None), written, pages)
            if not page.next_cursor:
                break
            cursor = page.next_cursor
            if cursor in asked or len(asked) >= MAX_PAGES:
                raise _in_a_circle(state, len(asked))
        after = replace(state, changes_time=began, row_count=state.row_count + written.added)
        return Swept(after, written, pages, reports_gone=reports_gone)


def _in_a_circle(state: CollectionState, pages: int) -> PlatformFault:
    text = f"{state.cluster} lists {state.collection} in a circle: page {pages} leads back"
    return PlatformFault(f"{text}; report it to the adapter's author", reason="PAGING_LOOP")


def _take_unchanged(listing: _Listing, cursor: str, page: Page, known: KnownPage) -> None:
    _note(listing, page)
    listing.unchanged += 1
    listing.seen.update(known.names)
    listing.pages[cursor] = known


def _note(listing: _Listing, page: Page) -> None:
    listing.read += 1
    listing.partial = listing.partial or page.partial
    listing.unread.extend(page.unread)


def _some(texts: list[str]) -> str:
    more = f" and {len(texts) - _NAMED} more" if len(texts) > _NAMED else ""
    return f"{'; '.join(texts[:_NAMED])}{more}"
