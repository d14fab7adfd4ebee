"""What of the inventory a question is about before any filter: rows of its collections that its scope shows.

One statement however many clusters and projects: they are parameters, as lists.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, false, or_, select

from cloudspan_gateway.inventory.columns import is_shareable
from cloudspan_gateway.inventory.model import Origin
from cloudspan_gateway.inventory.query.order import unindexed
from cloudspan_gateway.storage.engine import among, listed
from cloudspan_gateway.storage.tables import resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select

    from cloudspan_gateway.inventory.model import Scope

_R = resources.c


class Way(enum.Enum):
    """How SQLite, which knows nothing of how many rows there are, is to find them; PostgreSQL does as it likes."""

    INDEX = "by an index of collections, clusters or projects"
    PLACE = "through all that are there, in the index of places"
    NO_INDEX = "by their ids, or through the whole table"


class Seen:
    """The rows of some collections that a scope shows."""

    def __init__(self, scope: Scope, collections: Sequence[str], *, shared: bool) -> None:
        """Take what is asked for; `shared` is whether the database is PostgreSQL, else SQLite."""
        self._whole = [cluster for cluster, project in scope.clusters if not project]
        self._bound = [(cluster, project) for cluster, project in scope.clusters if project]
        self._collections = collections
        self._shared = shared
        self._by_credentials = scope.by_credentials
        self.params: dict[str, Any] = {}
        """Of every statement with these conditions."""

    def condition(self, way: Way = Way.INDEX) -> ColumnElement[bool]:
        """Return the condition."""
        from_index = way is Way.INDEX
        seen = []
        if self._whole:
            # SQLite would go through the index of each cluster and sort them all, for every page.
            whole = self._one_of(_R.cluster, self._whole, "clusters", from_index and len(self._whole) == 1)
            if self._by_credentials:
                whole = and_(whole, _R.source != str(Origin.PROJECT))
            seen.append(whole)
        if self._bound:
            seen.append(self._of_projects(from_index))
            if self._has_shared:
                of_clusters = [cluster for cluster, _ in self._bound]
                seen.append(and_(_R.shared.is_(True), self._one_of(_R.cluster, of_clusters, "shared_of", from_index)))
        deleted = unindexed(_R.deleted_time) if way is Way.NO_INDEX and not self._shared else _R.deleted_time
        found = [deleted.is_(None), or_(*seen) if seen else false()]
        if self._collections:
            found.append(self._one_of(_R.collection, self._collections, "collections", from_index))
        return and_(*found)

    @property
    def is_wide(self) -> bool:
        """Whether it is better to go through everything than to look for each cluster in an index."""
        return len(self._whole) > 1

    def ids(self) -> Sequence[Select[Any]]:
        """Return the statement by which an index finds all rows of the scope, where they may be few."""
        if self._whole or self._has_shared or len(self._bound) < 2:
            return ()
        return (select(_R.id).where(_R.deleted_time.is_(None), self._projects(from_index=True)),)

    @property
    def _has_shared(self) -> bool:
        return not self._collections or any(map(is_shareable, self._collections))

    def _projects(self, from_index: bool) -> ColumnElement[bool]:
        return self._one_of(_R.project, [project for _, project in self._bound], "projects", from_index)

    def _of_projects(self, from_index: bool) -> ColumnElement[bool]:
        """Return the condition that a row is of one of the projects, each in its cluster."""
        if len(self._bound) == 1:
            cluster = self._one_of(_R.cluster, [self._bound[0][0]], "", from_index)
            return and_(self._projects(from_index), cluster)
        # A project that claims to be of another cluster is kept out by the pair.
        self.params["pairs"] = listed([f"{cluster}\n{project}" for cluster, project in self._bound], self._shared)
        return and_(self._projects(from_index), among(_R.cluster + "\n" + _R.project, "pairs", self._shared))

    def _one_of(
        self, column: ColumnElement[Any], values: Sequence[str], name: str, from_index: bool
    ) -> ColumnElement[bool]:
        column = column if from_index or self._shared else unindexed(column)
        if len(values) == 1:
            return column == values[0]
        self.params[name] = listed(values, self._shared)
        return among(column, name, self._shared)
