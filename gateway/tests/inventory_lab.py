"""Questions to the inventory in a real database, and the same answered in memory from the messages alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from functools import cmp_to_key
from pathlib import Path
from typing import Any, TypeVar

from gateway.tests import inventory_rows, postgres_server
from gateway.tests.inventory_samples import CLUSTERS, KINDS, PROJECTS, STORED, filters
from hypothesis import strategies as st

from cloudspan_common import projects
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.names import parse_cluster
from cloudspan_gateway.inventory.base import Question, StoredPage, StoredRow
from cloudspan_gateway.inventory.columns import columns_of, message_of
from cloudspan_gateway.inventory.model import Observed, Scope
from cloudspan_gateway.inventory.query.order import sortable
from cloudspan_gateway.inventory.query.query import Query, to_message, to_stored
from cloudspan_gateway.inventory.query.summary import Group, Summaries, Summary
from cloudspan_gateway.storage.engine import Database, open_database

T = TypeVar("T")
DATABASES = ["sqlite", "postgresql"]
ALL = Scope([(cluster, "") for cluster in CLUSTERS])
AT = 1_790_000_000.5
_SEEN = [(cluster, "") for cluster in CLUSTERS] * 4 + [(name.rpartition("/projects/")[0], name) for name in PROJECTS]


class Lab:
    """A database, and what runs its calls."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self.database: Database = self.run(open_database(url))
        self.query = Query(self.database)

    def write(self, *messages: Any) -> None:
        def written(conn: Any) -> None:
            inventory_rows.clear(conn)
            inventory_rows.write(conn, messages, AT)

        self.run(self.database.transact(written))

    def pages(self, **asked: Any) -> list[StoredRow]:
        """Return the rows of all pages, one after the other."""
        rows: list[StoredRow] = []
        after = ""
        for _ in range(500):
            page = self.page(**{"limit": 3, **asked, "after": after})
            assert len(page.rows) <= asked.get("limit", 3)
            rows += page.rows
            after = page.cursor
            if not after:
                return rows
        raise AssertionError("there is no end to the pages")

    def page(self, **asked: Any) -> StoredPage:
        return self.run(self.query.page(Question(**{"scope": ALL, **asked})))

    def names(self, **asked: Any) -> list[str]:
        return [row.name for row in self.pages(**asked)]

    def run(self, call: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await call

        return self.runner.run(awaited())

    def summarize(self, groups: Sequence[Group] = (), label: str = "", **asked: Any) -> Summary:
        return self.run(Summaries(self.database).summarize(Question(**{"scope": ALL, **asked}), groups, label))

    def count(self, **asked: Any) -> int:
        return self.run(self.query.count(Question(**{"scope": ALL, **asked})))

    def close(self) -> None:
        self.run(self.database.close())
        self.runner.close()


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Lab]:
    """Open an empty database of a kind."""
    made = Lab(f"sqlite:{folder}/gateway.db" if kind == "sqlite" else _in_another_language())
    try:
        yield made
    finally:
        made.close()


def _in_another_language() -> str:
    """A database whose own order and lower case are a language's, as many are."""
    server = postgres_server.needed()
    url = server.new_database()
    name = url.rpartition("/")[2]
    server.query(f"DROP DATABASE {name}")
    server.query(
        f"CREATE DATABASE {name} TEMPLATE template0 ENCODING UTF8 LOCALE 'C' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
    )
    return url


# ---------------------------------------------------------------------- in memory


@st.composite
def questions(draw: Any, kind: str = "") -> dict[str, Any]:
    """A question over one kind's own message, or over StoredResource."""
    over_stored = not kind
    collections = draw(st.lists(st.sampled_from(KINDS), max_size=3, unique=True)) if over_stored else [kind]
    descriptor = STORED if over_stored else message_of(kind).DESCRIPTOR
    columns = sorted(sortable(kind))
    order_by = draw(st.lists(st.tuples(st.sampled_from(columns), st.booleans()), max_size=2))
    seen = draw(st.lists(st.sampled_from(_SEEN), min_size=1, max_size=3, unique_by=lambda one: one[0]))
    return {
        "scope": Scope(seen),
        "collections": collections,
        "filter": Filter.parse(draw(filters(descriptor)), descriptor),
        "over_stored": over_stored,
        "order_by": order_by,
        "limit": draw(st.integers(1, 4)),
    }


def _is_seen(message: Any, scope: Scope) -> bool:
    cluster = str(parse_cluster(message.name))
    for seen, project in scope.clusters:
        if seen == cluster:
            return not project or projects.bound(message.DESCRIPTOR, project).sees(message)
    return False


def matching(messages: list[Any], asked: dict[str, Any]) -> list[Any]:
    """Return what a question asks for of some messages, in its order."""
    matches, found = predicate(asked["filter"]), []
    for message in messages:
        collection = inventory_rows.collection_of(message)
        if asked["collections"] and collection not in asked["collections"]:
            continue
        seen = Observed.of(message)
        row = StoredRow(1, message.name, collection, str(parse_cluster(message.name)), seen.payload, AT)
        read: Any = to_stored(row, AT) if asked["over_stored"] else to_message(row, collection, AT)
        if _is_seen(message, asked["scope"]) and matches(read):
            found.append((columns_of(collection, message).fields, message))
    columns = sortable("" if asked["over_stored"] else asked["collections"][0])
    keys = [(columns[field].name, descending) for field, descending in asked["order_by"]]

    def compared(one: Any, other: Any) -> int:
        for column, descending in [*keys, ("name", False)]:
            a, b = ((value is not None, value) for value in (one[0][column], other[0][column]))
            if a[1] != b[1]:
                less = a < b if a[0] and b[0] else not a[0]
                return -1 if less != descending else 1
        return 0

    return [message for _, message in sorted(found, key=cmp_to_key(compared))]


def unique(messages: list[Any]) -> list[Any]:
    """Return messages, the last of each name."""
    return list({message.name: message for message in messages}.values())
