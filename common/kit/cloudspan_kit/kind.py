"""A kind: everything the kit needs to know of one collection of a platform, as data; and the driver that serves it.

An author declares a `Kind` and a `KindDriver` for it. From these the kit makes get, list (filters, masks, order,
paging, proof of completeness), the shared waits, the search for marks, and the verbs `op.create`, `op.ready` and
`op.delete`. docs/add-a-kind.md shows one from its first line to its last.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Never, Protocol, TypeVar

from google.protobuf.message import Message

from cloudspan_common.contract import snake_case
from cloudspan_common.errors import Defect
from cloudspan_kit.cluster import UNDECLARED
from cloudspan_kit.lists.large_numbers import UNEXPECTED, converted_in_part
from cloudspan_kit.lists.rows import Rows
from cloudspan_kit.lists.slices import each
from cloudspan_kit.lists.transits import in_transit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    from cloudspan_common.errors import CloudspanError, PreconditionFailed
    from cloudspan_common.listing.filter_ast import Filter
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.cluster import Call, Capability, CreateSafety
    from cloudspan_kit.lists.push import Push
    from cloudspan_kit.operation import Made, Operation

R = TypeVar("R")
T = TypeVar("T")
M = TypeVar("M", bound=Message)
B_contra = TypeVar("B_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Query:
    """What a list asks a driver for: one native page."""

    filter: Filter
    """Push down what the platform can (`filter.equal("state")`); the kit applies all of it to what comes back."""
    limit: int
    """At most this many are useful; fewer or more may come back."""
    cursor: str = ""
    """Where the driver's last page ended: what its `Page` gave for that item. Empty at the start."""
    order_by: tuple[tuple[str, bool], ...] = ()
    """(field, descending), only fields that the kind's `sort` names."""
    show_deleted: bool = False
    """Whether resources that are deleted and can still be restored are wanted too."""
    since: float | None = None
    """Only what has changed since then is wanted, by our clock in Unix seconds, less a margin for the platform's; see
    `Kind.changes_since`. Whoever can't ask for it lists everything."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One native page.

    `position(i)` is the cursor that goes on after item i: a marker or an offset. `more` says whether there is
    anything after the last item. `partial` says why the platform can't prove that nothing is missing, if so.
    """

    items: Sequence[T]
    more: bool
    position: Callable[[int], str]
    partial: str = ""
    end: str = ""
    """The cursor that goes on behind the whole page, where rows after its last item were left out."""
    unread: Sequence[str] = ()
    """Rows and fields that could not be read, for a person."""
    changes_only: bool = False
    """Whether only what has changed since `Query.since` was asked of the platform, rather than everything."""
    gone: Sequence[str] = ()
    """Ids of what the platform reports as deleted since `Query.since`; they are not among the items."""


@dataclass(frozen=True, slots=True)
class RowPage(Generic[R]):
    """One native page as a source reads it: as `Page`, with `position` and `more` for its rows."""

    rows: Rows[R]
    more: bool
    position: Callable[[int], str]
    partial: str = ""
    end: str = ""
    changes_only: bool = False
    gone: Sequence[str] = ()

    def split(self, is_gone: Callable[[R], bool], id_of: Callable[[R], str]) -> RowPage[R]:
        """Return the page with the rows that are gone as `gone` alone; it goes on where it did with them."""
        rows = self.rows.rows
        kept = [index for index, row in enumerate(rows) if not is_gone(row)]
        if len(kept) == len(rows):
            return self
        gone = [id_of(row) for row in rows if is_gone(row)]
        documents = [self.rows.documents[index] for index in kept] if self.rows.documents else ()
        end = self.end or (self.position(len(rows) - 1) if self.more else "")
        found = Rows([rows[index] for index in kept], documents, self.rows.unread)
        return replace(self, rows=found, position=lambda index: self.position(kept[index]), end=end, gone=gone)


@dataclass(frozen=True, slots=True)
class Marked:
    """A resource that carries a mark of ours."""

    id: str
    marker: str
    display_name: str = ""
    create_time: float | None = None
    """Unix time in seconds, if the platform tells."""


class Marker(Protocol):
    """How the marks that creates put on a kind's resources are found; a platform's own, or `MarkedRows`."""

    async def find(self, call: Call, kind: Kind[Any, Any, Never], prefix: str) -> Sequence[Marked]:
        """Return everything whose marker begins with `prefix`; each row's marker is its own."""
        ...


def _never(_row: object) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Kind(Generic[R, M, B_contra]):
    """One collection of a platform."""

    collection: str
    """Its place in resource names: `volumes`."""
    message: type[M]
    row: type[R]
    """What the platform's answers are decoded into: a `msgspec.Struct`."""
    source: Source[B_contra]
    """How it is read, created and deleted: the platform's own, in its adapter's `cloud/`."""
    _: KW_ONLY
    sort: Mapping[str, str] = field(default_factory=dict)
    """Fields that the platform sorts by: ours -> its own."""
    push: Mapping[str, Push] = field(default_factory=dict)
    """Equalities of a filter that the platform applies itself, by field; see `lists.push`."""
    settled: Callable[[R], bool] | None = None
    """Whether it is in a state that does not change by itself; makes its waits shared. None: nothing takes time."""
    failed: Callable[[R], str] = lambda _row: ""
    """What the platform says of one that it gave up on, usually its state; empty for all others."""
    failed_reason: str = ""
    """The reason that callers get then, one of the contract; CREATE_FAILED or DELETE_FAILED when empty."""
    usable: Callable[[R], bool] | None = None
    """Whether a new one can be used; the same as `settled` where nothing else is said."""
    gone: Callable[[R], bool] = _never
    """Whether it is deleted although it can still be read (soft deletion)."""
    changes_since: str = ""
    """What the platform calls the parameter, or the field, by which it is asked for what has changed since a time
    (`Query.since`); its source sends it. Empty where it can't be asked."""
    safety: CreateSafety = UNDECLARED
    """What keeps a create from leaving two: BY_KEY, BY_MARKER or UNSAFE; needed where it is created."""
    marker: Marker | None = None
    """How the marks of creates are found; needed for BY_MARKER."""
    data: Callable[[R], Mapping[str, str]] = lambda _row: {}
    """What later steps need of a new one: `Made.data`."""

    def __repr__(self) -> str:
        return f"<Kind {self.collection} of {self.source!r}>"

    @property
    def step(self) -> str:
        """The name of the step that creates one: `volume`, `key-pair`."""
        return snake_case(self.message.DESCRIPTOR.name).replace("_", "-")

    @property
    def tells_gone(self) -> bool:
        """Whether it has rows that can be read although they are deleted, and says which: see `gone`."""
        return self.gone is not _never

    def is_usable(self, row: R) -> bool:
        """Whether a new one can be used."""
        usable = self.usable or self.settled
        return usable is None or usable(row)


class Source(ABC, Generic[B_contra]):
    """How a platform's collections are read, created and deleted: a dialect that its kinds share.

    An adapter writes one for each API of its platform, in `cloud/`; `B_contra` is what a create's body is there. The
    cluster's session comes in `call.cloud`.
    """

    @abstractmethod
    def id_of(self, row: object) -> str:
        """Return the platform's id of a row."""

    @abstractmethod
    async def one(self, call: Call, kind: Kind[R, M, Never], native_id: str) -> Rows[R]:
        """Return one row, with its document under view FULL.

        Raises:
            NotFound: There is none of that id under the cluster's scope.
            PlatformFault: It can't be read.
        """

    @abstractmethod
    async def page(self, call: Call, kind: Kind[R, M, Never], query: Query) -> RowPage[R]:
        """Return the native page that `query` asks for, with what can be pushed down pushed down."""

    @abstractmethod
    def sweep(self, call: Call, kind: Kind[R, M, Never]) -> AsyncIterator[Sequence[R]]:
        """Yield all rows of the cluster's own scope, page by page; a row may come twice."""

    async def row(self, call: Call, kind: Kind[R, M, Never], native_id: str) -> R:
        """Return one row alone; raises as `one`."""
        return (await self.one(call, kind, native_id)).rows[0]

    async def in_transit(self, call: Call, kind: Kind[R, M, Never], ids: Sequence[str]) -> set[str]:
        """Return those of `ids` that are not settled, in as few native calls as it takes.

        It is a hint: whoever waits looks for himself afterwards. An id too few costs a look, one too many a pause.
        """
        settled = kind.settled
        if settled is None:
            return set()

        async def look(native_id: str) -> bool:
            return not settled(await self.row(call, kind, native_id))

        async def each() -> AsyncIterator[tuple[str, bool]]:
            async for rows in self.sweep(call, kind):
                for row in rows:
                    yield self.id_of(row), not settled(row)

        return await in_transit(ids, look, each)

    async def create(self, op: Operation, kind: Kind[R, M, Never], body: B_contra, step: str, *, part: bool) -> Made[R]:
        """Create one as a step of that name, undone when the operation fails; `op.create` calls it.

        Unless it is `part` of something larger it is named as the operation's as soon as it is known.
        """
        raise Defect(f"{self!r} can't create {kind.collection}")

    async def delete(
        self,
        op: Operation,
        kind: Kind[R, M, Never],
        native_id: str,
        step: str,
        refused: Callable[[Call, str, PreconditionFailed], Awaitable[CloudspanError | None]] | None,
    ) -> None:
        """Delete one as a step of that name, and wait until it is gone; `op.delete` calls it."""
        raise Defect(f"{self!r} can't delete {kind.collection}")

    async def discard(self, call: Call, kind: Kind[R, M, Never], native_id: str) -> None:
        """Delete what a lost operation left, within the call; done as well when it is gone."""
        raise Defect(f"{self!r} can't discard {kind.collection}")


class MarkedRows(Generic[R]):
    """Finds marks by reading every row: for platforms that can't search for the beginning of a mark."""

    def __init__(self, describe: Callable[[R], Iterable[Marked]]) -> None:
        self._describe = describe

    async def find(self, call: Call, kind: Kind[Any, Any, Never], prefix: str) -> Sequence[Marked]:
        """Return everything whose marker begins with `prefix`."""
        found: dict[tuple[str, str], Marked] = {}
        async for rows in kind.source.sweep(call, kind):
            for row in rows:
                found |= {(m.id, m.marker): m for m in self._describe(row) if m.marker.startswith(prefix)}
        return list(found.values())


class KindDriver(Generic[R, M]):
    """Serves get and list of one kind in one cluster; a subclass says how a row becomes a message.

    It overrides `message`, or `messages` where more is read beside a whole page. Creates, deletes and actions are
    functions of the subclass, named as in the protocol of `drivers` that it implements beside.
    """

    kind: Kind[R, M, Never]
    capabilities: ClassVar[Mapping[str, Capability]] = {}

    def __init__(self, ref: ClusterRef) -> None:
        self._ref = ref

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._ref}>"

    def message(self, row: R) -> M:
        """Return a row as a message."""
        raise Defect(f"{type(self).__name__} overrides neither `message` nor `messages`")

    async def messages(self, call: Call, rows: Sequence[R]) -> Sequence[M]:
        """Return rows as messages, one for each in their order, reading what stands beside them."""
        return await each(call, rows, self.message)

    async def listed(self, call: Call, query: Query, rows: Sequence[R]) -> tuple[Sequence[M], str]:
        """Return the messages of a list's page, and what they lack, for a person; empty where they lack nothing.

        For what may be missing in a list, whose answer can say so, but not in a Get; and for what a row leaves out
        that the query says.
        """
        return await self.messages(call, rows), ""

    def lacking(self, cloud: object) -> Mapping[str, Mapping[str, str]]:
        """Return the fields that this cluster turned out not to have, as by its version: function -> path -> reason.

        Asked with each description, so it answers from memory; `cloud` is the cluster's. What every cluster of the
        platform lacks stands in `capabilities`. A create that sets such a field is for the function itself to refuse.
        """
        return {}

    async def to_message(self, call: Call, row: R) -> M:
        """Return the message of one row, as a mutation's result; without the numbers that no field holds."""
        try:
            (message,) = await self.messages(call, [row])
        except UNEXPECTED:
            found = await converted_in_part(row, lambda left: self.messages(call, [left]))
            if found is None:
                raise
            (message,), _ = found
        return message

    async def refuse_users(self, call: Call, native_id: str) -> None:
        """Raise PreconditionFailed for what would go along in silence; asked before a marked one is discarded."""
