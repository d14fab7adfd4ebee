"""Reads changes in their order, each with the state of its resource before and after, and what there is to begin with.

`feed` reads what is new, once for all watches; a watch reads what lies further back. What a change made of its resource
is not kept: it is what the resource's next change found, or the row as it is where there is no next one. One statement
asks for both, so that it sees both at the same time.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, bindparam, case, exists, func, select, true

from cloudspan_common.errors import Resync
from cloudspan_gateway.inventory.query.seen import Way
from cloudspan_gateway.inventory.watch.change import Change, State
from cloudspan_gateway.storage.tables import (
    change_sequence,
    project_sync_state,
    resource_changes,
    resources,
    sync_state,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection, Row, Select

    from cloudspan_gateway.inventory.watch.selection import Selection
    from cloudspan_gateway.storage.engine import Database

PAGE = 100
"""Rows at a time: they are decoded on the loop, which takes some 0.1 ms each."""

_R, _S, _P = resources.c, sync_state.c, project_sync_state.c
_THERE = _R.deleted_time.is_(None)
_NUMBERS = select(change_sequence.c.sequence, change_sequence.c.oldest, change_sequence.c.epoch)


class Head(NamedTuple):
    """How far the changes go: from the one after `oldest` to `sequence`."""

    sequence: int
    oldest: int
    epoch: str


@dataclass(frozen=True, slots=True)
class Existing:
    """Some rows in the order of their ids, as they were when the last change was the one numbered `sequence`."""

    rows: Sequence[tuple[int, str, State]]
    """Id, cluster, state."""
    sequence: int
    next_id: int | None
    """Where the next page begins; None behind the last one."""


class ChangeLog:
    """The changes and rows of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __repr__(self) -> str:
        return f"<ChangeLog of {self._database!r}>"

    async def head(self) -> Head:
        """Return how far the changes go. Raises Unreachable as `Database.read` does, which all of these do."""
        return await self._database.read(_head)

    async def after(self, sequence: int, upto: int | None = None) -> tuple[Sequence[Change], Head]:
        """Return the next changes behind a sequence, at most `PAGE`, and how far they go.

        Raises:
            Resync: Some of them are no longer kept.
        """
        bounds = {"at": sequence, **({} if upto is None else {"upto": upto})}
        return await self._changes(_each(bounded=upto is not None), bounds, sequence)

    async def since(self, since: int, upto: int, at: int) -> tuple[Sequence[Change], Head]:
        """Return what changed from one sequence to another: each resource once, under its first change's number.

        A page of it, and how far the changes go.

        Args:
            since: What the caller has seen everything up to.
            upto: Up to where; what came later is not in it.
            at: Behind which of them to go on; `since` at first.

        Raises:
            Resync: Some of the changes are no longer kept.
        """
        return await self._changes(_first_of_each(), {"since": since, "upto": upto, "at": at}, since)

    async def _changes(self, asked: Select[Any], bounds: dict[str, Any], since: int) -> tuple[list[Change], Head]:
        def ask(conn: Connection) -> tuple[Sequence[Row[Any]], Head]:
            # In this order: what is gone by now may have been missing when the changes were read.
            return conn.execute(asked, bounds).all(), _head(conn)

        rows, head = await self._database.read(ask)
        if head.oldest > since:
            raise too_old()
        return [_change(row) for row in rows], head

    async def existing(self, selection: Selection, next_id: int) -> Existing:
        """Return a page of the rows that are there and that may be shown."""
        shared = self._database.shared
        seen = selection.seen(shared=shared)
        # By their ids, which they come in: an index would have all of a cluster or project sorted for each page.
        asked = _existing(and_(seen.condition(Way.NO_INDEX), selection.condition(shared=shared)))
        values = {**seen.params, "next_id": next_id}
        rows = await self._database.read(lambda conn: conn.execute(asked, values).all(), long=True)
        found = [(row.id, row.cluster, _state(row)) for row in rows if row.id is not None]
        sequence = rows[0].sequence if rows else 0
        return Existing(found, sequence, found[-1][0] + 1 if len(found) == PAGE else None)

    async def clusters(self) -> Sequence[str]:
        """Return the clusters that have rows."""
        return await self._database.read(lambda conn: conn.execute(_clusters()).scalars().all())


def too_old(reason: str = "RESYNC") -> Resync:
    """Return the error for who wants changes that are no longer kept."""
    text = (
        "the changes since resume_token are no longer kept, or the inventory was made anew; watch again without "
        "resume_token and take what comes as the whole"
    )
    if reason == "WATCH_TOO_SLOW":
        text = (
            "the watch took changes more slowly than they came, and what it has not taken is no longer kept; watch "
            "again without resume_token, and process changes faster or filter more"
        )
    return Resync(text, reason=reason)


def _head(conn: Connection) -> Head:
    row = conn.execute(_NUMBERS).first()
    return Head(0, 0, "") if row is None else Head(*row)


def _change(row: Row[Any]) -> Change:
    before = None if row.previous is None else State(row.collection, row.previous, row.time)
    if row.next_sequence is not None:
        payload, observe_time = row.next_previous, row.time
    else:
        payload, observe_time = row.payload, row.observe_time  # None where it is deleted, or purged since
    after = None if payload is None else State(row.collection, payload, observe_time)
    return Change(row.sequence, row.time, row.resource, row.cluster, row.collection, before, after)


def _with_states(behind: Any) -> Select[Any]:
    """Select changes `c` with the state that they led to: as of before the first change numbered above `behind`."""
    change, following, later = _aliases()
    # By name too: SQLite gives the id of a purged row to a new one.
    same = and_(later.c.resource == change.c.resource, later.c.name == change.c.name)
    numbers_later = select(func.min(later.c.sequence)).where(same, later.c.sequence > behind)
    first_later = numbers_later.correlate(change).scalar_subquery()
    its_row = and_(resources.c.id == change.c.resource, resources.c.name == change.c.name, _THERE)
    return (
        select(
            change,
            following.c.sequence.label("next_sequence"),
            following.c.previous.label("next_previous"),
            resources.c.payload,
            resources.c.observe_time,
        )
        .select_from(change)
        .outerjoin(following, following.c.sequence == first_later)
        .outerjoin(resources, its_row)
        .where(change.c.sequence > bindparam("at"))
        .order_by(change.c.sequence)
        .limit(PAGE)
    )


@functools.cache
def _aliases() -> tuple[Any, Any, Any]:
    return tuple(resource_changes.alias(name) for name in ("c", "n", "m"))  # type: ignore[return-value] # three


@functools.cache
def _each(*, bounded: bool) -> Select[Any]:
    change, _, _ = _aliases()
    asked = _with_states(change.c.sequence)
    return asked.where(change.c.sequence <= bindparam("upto")) if bounded else asked


@functools.cache
def _first_of_each() -> Select[Any]:
    change, _, _ = _aliases()
    earlier = resource_changes.alias("e")
    has_earlier = exists().where(
        earlier.c.resource == change.c.resource,
        earlier.c.name == change.c.name,
        earlier.c.sequence > bindparam("since"),
        earlier.c.sequence < change.c.sequence,
    )
    return _with_states(bindparam("upto")).where(change.c.sequence <= bindparam("upto"), ~has_earlier)


def _existing(condition: ColumnElement[bool]) -> Select[Any]:
    by_credentials = and_(_S.cluster == _R.cluster, _S.collection == _R.collection)
    by_itself = and_(_P.cluster == _R.cluster, _P.collection == _R.collection, _P.project == _R.project)
    swept = case((_P.cluster.is_(None), _S.observe_time), else_=_P.observe_time)
    kept = (_R.id, _R.cluster, _R.collection, _R.payload, _R.observe_time, swept.label("sweep_time"))
    joined = resources.outerjoin(sync_state, by_credentials).outerjoin(project_sync_state, by_itself)
    rows = select(*kept).select_from(joined).where(_R.id >= bindparam("next_id"), condition)
    page = rows.order_by(_R.id).limit(PAGE).subquery()
    # The rows and the sequence as of the same moment; where there are no rows, the sequence alone.
    both = change_sequence.outerjoin(page, true())
    return select(change_sequence.c.sequence, *page.c).select_from(both).order_by(page.c.id)


def _state(row: Row[Any]) -> State:
    """What a later sweep found unchanged is as new as that sweep."""
    return State(row.collection, row.payload, max(row.observe_time, row.sweep_time or 0.0))


@functools.cache
def _clusters() -> Select[Any]:
    """Hop from one cluster to the next: a DISTINCT looks at each row."""
    first = select(func.min(resources.c.cluster).label("cluster")).where(_THERE).cte("found", recursive=True)
    following = select(func.min(resources.c.cluster)).where(_THERE, resources.c.cluster > first.c.cluster)
    found = first.union_all(select(following.scalar_subquery()).where(first.c.cluster.is_not(None)))
    return select(found.c.cluster).where(found.c.cluster.is_not(None))
