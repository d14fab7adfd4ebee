"""What the parts of the inventory ask of each other: who writes it and who reads it.

`store` implements `Writes`, `query.query` implements `Reads`. Sweeps and the ends of operations write; lists, gets,
searches and watches read. All times are Unix seconds by this gateway's clock, taken before the platform was asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cloudspan_common.listing.filter_ast import EVERYTHING, Filter

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from cloudspan_gateway.inventory.model import CollectionState, Fence, Observed, Origin, Scope, Written


class Known(NamedTuple):
    """What a sweep knows of a row."""

    time: float
    """When it was read."""
    was_listed: bool
    """Whether a listing ever had it; some are only known from operations, and from their names."""


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One resource as it is kept."""

    id: int
    name: str
    collection: str
    cluster: str
    payload: bytes = field(repr=False)
    observe_time: float
    """When this row was read; what a later sweep found unchanged is as new as that sweep (`CollectionState`)."""
    project: str = ""
    """The name of its project; empty where it is of none."""


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows are wanted, in which order."""

    scope: Scope
    collections: Sequence[str] = ()
    """All when empty."""
    filter: Filter = EVERYTHING
    """Parsed for the one collection's message, or for StoredResource where `over_stored`."""
    over_stored: bool = False
    text: str = ""
    """Search's one text; those that have exactly it come first."""
    order_by: Sequence[tuple[str, bool]] = ()
    """(field, descending); by name in the end, and where nothing is said."""
    limit: int = 100
    after: str = ""
    """`StoredPage.cursor` of the page before."""


@dataclass(frozen=True, slots=True)
class StoredPage:
    """Rows in order; `cursor` goes on behind them, empty at the end."""

    rows: Sequence[StoredRow]
    cursor: str = ""


class Reads(Protocol):
    """Rows that are there; deleted ones are not."""

    async def get(self, name: str) -> StoredRow | None:
        """Return one row."""
        ...

    async def page(self, question: Question) -> StoredPage:
        """Return the rows that a question asks for.

        Raises:
            InvalidRequest: UNSORTABLE_IN_INVENTORY, PAGE_TOKEN_MALFORMED.
        """
        ...

    async def count(self, question: Question) -> int:
        """Return how many rows a question asks for, whatever its limit."""
        ...


class Writes(Protocol):
    """The one way into the tables of the inventory; each call is one transaction or a few, changes numbered within."""

    async def apply(
        self, collection: str, rows: Sequence[Observed], at: float, origin: Origin, fence: Fence | None = None
    ) -> Written:
        """Keep what was read `at`, unless what is kept was read, or deleted, later.

        Raises:
            LockLost: The fence's lock has another holder.
        """
        ...

    async def remove(self, names: Collection[str], at: float, fence: Fence | None = None) -> Written:
        """Take rows for deleted that were read before `at`, when they were proven gone. Raises as `apply`."""
        ...

    async def known(
        self, cluster: str, collection: str, project: str = "", others: Collection[str] = ()
    ) -> Mapping[str, Known]:
        """Return the rows that are there, by name: of one project, or all but those of `others`."""
        ...

    async def states(self, clusters: Collection[str] | None = None) -> Sequence[CollectionState]:
        """Return what is known of every collection of these clusters, or of all; never listed ones are left out.

        One for what the credentials list, and one for each project that is listed by itself.
        """
        ...

    async def states_of(
        self, collection: str, clusters: Collection[str], projects: Collection[str] | None = None
    ) -> Sequence[CollectionState]:
        """Return what is known of one collection in those of the clusters where it was ever listed.

        What the credentials list, and of projects that are listed by themselves these, or all.
        """
        ...

    async def save_state(self, state: CollectionState, fence: Fence | None = None) -> None:
        """Keep what is known of a collection. Raises as `apply`."""
        ...

    async def forget(self, cluster: str, project: str = "", fence: Fence | None = None) -> Written:
        """Remove everything of a cluster that no adapter has any more, or of a project that no pool has any more.

        Raises as `apply`.
        """
        ...

    async def purge(self, before: float) -> int:
        """Delete rows of resources that were deleted before that time; return how many."""
        ...

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed`, on the loop, after every commit here or at another gateway that numbered a change.

        Returns what ends it.
        """
        ...
