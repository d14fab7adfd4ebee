"""Reads the inventory: pages of rows by scope, filter, text and order, and how many there are.

Lists, searches and watches ask `Query`. SQL finds the rows as far as it can (`sql_filter`); what it can't decide is
matched here, in the order of the page. A page that finds little ends after a bounded number of rows and says where to
go on, so that nobody's filter reads the whole inventory at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, not_, or_, select, true

from cloudspan.v1 import inventory_pb2
from cloudspan_common.listing.filter_match import predicate
from cloudspan_gateway.inventory.base import StoredPage, StoredRow
from cloudspan_gateway.inventory.columns import described, message_of
from cloudspan_gateway.inventory.listed_times import ListedTimes, listed_times
from cloudspan_gateway.inventory.query.order import Order, Place
from cloudspan_gateway.inventory.query.seen import Seen, Way
from cloudspan_gateway.inventory.query.sql_filter import condition, names_field
from cloudspan_gateway.inventory.query.text_search import ALL, ranks
from cloudspan_gateway.storage.tables import resources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.message import Message
    from sqlalchemy import ColumnElement, Connection, Row, Select

    from cloudspan_gateway.inventory.base import Question
    from cloudspan_gateway.inventory.query.sql_filter import Condition
    from cloudspan_gateway.storage.engine import Database

WINDOW = 5_000
MAX_WINDOWS = 4
"""One page looks at so many times so many rows, where no index finds those that match."""
MAX_DECODED = 2_000
"""How many rows one page decodes to match them."""
# Ids that are cheaper to look up and sort than the rows are to go through in order, and those that are cheaper to keep
# than to look for one by one: 3 us a row, 0.3 us an entry of an index, 1 us a look for a value.
_FEW, _MANY = 2_000, 20_000
_MAX_BATCH = 500
Values = tuple[Any, ...]
"""Of the columns that are sorted by."""
_R = resources.c
_ROW = (_R.id, _R.name, _R.collection, _R.cluster, _R.payload, _R.observe_time, _R.project)
_GET = select(*_ROW).where(_R.name == bindparam("name"), _R.deleted_time.is_(None))


class Query:
    """Reads rows of the inventory; implements `Reads`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __repr__(self) -> str:
        return f"<Query {self._database!r}>"

    async def get(self, name: str) -> StoredRow | None:
        if "\0" in name:  # no name has it, and PostgreSQL takes none
            return None
        found = await self._database.read(lambda conn: conn.execute(_GET, {"name": name}).first())
        return None if found is None else StoredRow(*found)

    async def page(self, question: Question) -> StoredPage:
        wanted = Wanted(question, shared=self._database.shared)
        order = Order.of(question.order_by, wanted.collection)
        after = order.place(question.after)
        return await self._database.read(
            lambda conn: _Page(conn, wanted, order, question.limit).read(after), long=not wanted.is_everything
        )

    async def count(self, question: Question) -> int:
        wanted = Wanted(question, shared=self._database.shared)
        return await self._database.read(wanted.count, long=True)


class Wanted:
    """The rows that a question asks for, as SQL and as a predicate."""

    def __init__(self, question: Question, *, shared: bool) -> None:
        """Compile it.

        Raises:
            ValueError: The filter is over one kind's message, and not exactly one collection is asked for.
        """
        if not question.over_stored and not question.filter.is_empty and len(question.collections) != 1:
            raise ValueError("a filter over a kind's own message is for exactly one collection")
        one = question.collections[0] if len(question.collections) == 1 else ""
        self.collection = "" if question.over_stored else one
        """Whose fields the filter and the order name; empty for those of StoredResource."""
        self.shared = shared
        self.filter: Condition = condition(question.filter, self.collection, shared=shared)
        self.ranks = ranks(question.text, shared=shared)
        """Conditions on the text, the best first; one that is always true without a text."""
        self._over_stored = question.over_stored
        self._matches = predicate(question.filter)
        self._needs_time = names_field(question.filter, "observe_time")
        self.is_everything = question.filter.is_empty and self.is_unranked
        self.is_sure = true() if self.filter.is_exact else self.filter.surely
        seen = Seen(question.scope, question.collections, shared=shared)
        self.base, self.params = seen.condition(), seen.params
        """What is there of the collections and seen in the scope, and the parameters of every statement here."""
        self.base_of_few = seen.condition(Way.NO_INDEX)
        self._seen = seen
        self.ids = [*self.filter.ids, *seen.ids()]
        """Statements by which an index finds the ids of all rows that match."""

    def rows(self, *columns: ColumnElement[Any], way: Way = Way.NO_INDEX) -> Select[Any]:
        """Return the statement for all rows that may match, in any order."""
        text = or_(*(rank.condition for rank in self.ranks))
        few = [_R.id.in_(ids) for ids in self.ids[:1]]
        base = self._seen.condition(Way.NO_INDEX if few else way if self._seen.is_wide else Way.INDEX)
        return select(*columns).where(base, *few, text, self.filter.maybe)

    @property
    def is_unranked(self) -> bool:
        """Whether no text is asked for."""
        return self.ranks is ALL

    def count(self, conn: Connection) -> int:
        """Return how many rows match."""
        counted = self.rows(func.count(), way=Way.PLACE if self.is_everything else Way.NO_INDEX)
        counted = counted.where(self.filter.surely)
        found = int(conn.execute(counted, self.params).scalar_one())
        return found + sum(1 for _ in self.unsure(conn))

    def unsure(self, conn: Connection, *columns: ColumnElement[Any]) -> Iterator[Row[Any]]:
        """Yield the rows that match and of which SQL alone could not say so; `columns` behind those of a row."""
        if self.filter.is_exact:
            return
        rows = self.rows(*_ROW, *columns).where(not_(self.filter.surely), _R.id > bindparam("last")).order_by(_R.id)
        matches, last = self.matcher(conn), 0
        while batch := conn.execute(rows.limit(_MAX_BATCH), {**self.params, "last": last}).all():
            yield from filter(matches, batch)
            last = batch[-1].id

    def matcher(self, conn: Connection) -> Callable[[Row[Any]], bool]:
        """Return what matches a row with the filter itself."""
        times = listed_times(conn, self.shared) if self._needs_time else ListedTimes.none()

        def matches(row: Row[Any]) -> bool:
            stored = StoredRow(*row[: len(_ROW)])
            time = max(stored.observe_time, times.time(stored.cluster, stored.collection, stored.project))
            message = to_message(stored, stored.collection, time)
            return self._matches(_described(stored.collection, message) if self._over_stored else message)

        return matches


class _Page:
    """One page on its way, within one read of the database."""

    def __init__(self, conn: Connection, wanted: Wanted, order: Order, limit: int) -> None:
        self._conn, self._wanted, self._order, self._limit = conn, wanted, order, max(limit, 1)
        self._matches = wanted.matcher(conn)
        self._ids, self._is_driven = self._fewest_ids()
        self._rows: list[StoredRow] = []
        self._windows, self._to_decode = MAX_WINDOWS, MAX_DECODED

    def read(self, after: Place | None) -> StoredPage:
        """Return the page behind a place."""
        first, values = (after.rank, after.values or None) if after is not None else (0, None)
        for rank in range(first, len(self._wanted.ranks)):
            if self._is_over:
                return StoredPage(self._rows, self._order.start(rank).cursor)
            if (end := self._read_rank(rank, values)) is not None:
                return StoredPage(self._rows, Place(rank, end).cursor)
            if self._rows and self._wanted.ranks[rank].is_indexed:  # whoever found it need not wait for what is like it
                return StoredPage(self._rows, self._order.start(rank + 1).cursor)
            values = None
        return StoredPage(self._rows)

    @property
    def _is_over(self) -> bool:
        """Whether the page is full, or has decoded enough."""
        return len(self._rows) == self._limit or self._to_decode <= 0

    def _fewest_ids(self) -> tuple[Select[Any] | None, bool]:
        """Return the statement that finds the fewest ids, unless they are many, and whether to begin with it."""
        best, fewest = None, _MANY + 1
        for ids in self._wanted.ids:
            found = select(func.count()).select_from(ids.limit(fewest).subquery())
            if (count := self._conn.execute(found, self._wanted.params).scalar_one()) < fewest:
                best, fewest = ids, count
        return best, fewest <= _FEW

    def _read_rank(self, rank: int, after: Values | None) -> Values | None:
        """Read rows of one rank; return the place to go on at, or None when there are no more."""
        while True:
            end = self._window_end(rank, after)
            if (stopped := self._read_window(rank, after, end)) is not None:
                return stopped
            if end is None:
                return None
            self._windows -= 1
            if self._windows <= 0:
                return end
            after = end

    def _window_end(self, rank: int, after: Values | None) -> Values | None:
        """Return the place of the last row that is looked at, or None for all that there are."""
        wanted = self._wanted
        if self._ids is not None or wanted.ranks[rank].is_indexed or (wanted.is_unranked and wanted.filter.is_found):
            return None
        places = select(*self._order.columns).where(wanted.base, *wanted.filter.indexed)
        if after is not None:
            places = places.where(self._order.behind(after))
        last = places.order_by(*self._order.sorted()).limit(1).offset(WINDOW - 1)
        found = self._conn.execute(last, wanted.params).first()
        return None if found is None else tuple(found)

    def _read_window(self, rank: int, after: Values | None, end: Values | None) -> Values | None:
        """Read rows up to the window's end; return where it stopped before, the page full or enough decoded."""
        size = self._limit - len(self._rows) + 1
        while True:
            batch = self._conn.execute(self._statement(rank, after, end).limit(size), self._wanted.params).all()
            for row in batch:
                if self._is_over:
                    return after
                after = tuple(row[len(_ROW) : -1])
                if row[-1] or self._decoded(row):
                    self._rows.append(StoredRow(*row[: len(_ROW)]))
            if len(batch) < size:
                return None
            size = min(2 * size, _MAX_BATCH)

    def _decoded(self, row: Row[Any]) -> bool:
        self._to_decode -= 1
        return self._matches(row)

    def _statement(self, rank: int, after: Values | None, end: Values | None) -> Select[Any]:
        wanted, order = self._wanted, self._order
        # SQLite takes any index for better than a list of ids, however short.
        by_index = wanted.shared or not (self._is_driven or wanted.ranks[rank].is_indexed)
        found = select(*_ROW, *(column.label(None) for column in order.columns), wanted.is_sure)
        found = found.where(wanted.base if by_index else wanted.base_of_few)
        found = found.where(wanted.ranks[rank].condition, wanted.filter.maybe)
        if self._ids is not None:
            found = found.where(_R.id.in_(self._ids))
        if after is not None:
            found = found.where(order.behind(after))
        if end is not None:
            found = found.where(order.up_to(end))
        return found.order_by(*order.sorted(from_index=by_index))


def to_message(row: StoredRow, collection: str, observe_time: float) -> Message:
    """Return a row in its own message, as of `observe_time` in Unix seconds."""
    message: Any = message_of(collection).FromString(row.payload)
    message.observe_time.FromNanoseconds(round(observe_time * 1e9))
    return message


def to_stored(row: StoredRow, observe_time: float) -> inventory_pb2.StoredResource:
    """Return a row by what all kinds have, with its own message in it, as of `observe_time` in Unix seconds."""
    return as_stored(row.collection, to_message(row, row.collection, observe_time))


def as_stored(collection: str, message: Any) -> inventory_pb2.StoredResource:
    """Return a resource by what all kinds have, with its own message in it."""
    found = _described(collection, message)
    found.resource.Pack(message)
    return found


def _described(collection: str, message: Any) -> inventory_pb2.StoredResource:
    found = inventory_pb2.StoredResource(**described(collection, message))
    fields = message.DESCRIPTOR.fields_by_name
    if "labels" in fields:
        found.labels.MergeFrom(message.labels)
    if "create_time" in fields and message.HasField("create_time"):
        found.create_time.CopyFrom(message.create_time)
    found.observe_time.CopyFrom(message.observe_time)
    return found
