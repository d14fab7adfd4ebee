"""When the collections of clusters were listed last, whole: rows that a listing did not change are as new as that.

A row goes by the listing of its project where that is listed by itself, else by what the credentials list.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import literal, select

from cloudspan_gateway.storage.engine import among, listed
from cloudspan_gateway.storage.tables import project_sync_state, sync_state

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy import Connection

    from cloudspan_gateway.inventory.model import CollectionState

_S, _P = sync_state.c, project_sync_state.c
_STATEMENTS = (
    select(_S.cluster, _S.collection, literal("").label("project"), _S.observe_time),
    select(_P.cluster, _P.collection, _P.project, _P.observe_time),
)


class ListedTimes(NamedTuple):
    """When the last complete listings began."""

    of_credentials: dict[tuple[str, str], float]
    """By cluster and collection."""
    of_projects: dict[tuple[str, str, str], float]
    """By cluster, collection and project, of those that are listed by themselves."""

    @classmethod
    def none(cls) -> ListedTimes:
        """Return those of nothing."""
        return cls({}, {})

    @classmethod
    def of(cls, states: Iterable[CollectionState]) -> ListedTimes:
        """Read them off states."""
        found = cls.none()
        for state in states:
            found.add(state.cluster, state.collection, state.project, state.observe_time)
        return found

    def add(self, cluster: str, collection: str, project: str, time: float | None) -> None:
        """Note one; None where it was never complete."""
        if project:
            self.of_projects[cluster, collection, project] = -math.inf if time is None else time
        elif time is not None:
            self.of_credentials[cluster, collection] = time

    def time(self, cluster: str, collection: str, project: str) -> float:
        """Return as of when a resource of a project, of none where empty, is known at least."""
        found = self.of_projects.get((cluster, collection, project))
        return self.of_credentials.get((cluster, collection), -math.inf) if found is None else found


def listed_times(conn: Connection, shared: bool, clusters: Collection[str] | None = None) -> ListedTimes:
    """Return those of some clusters, or of all."""
    found = ListedTimes.none()
    for asked in _STATEMENTS:
        if clusters is None:
            rows = conn.execute(asked)
        else:
            of_some = asked.where(among(asked.selected_columns.cluster, "clusters", shared))
            rows = conn.execute(of_some, {"clusters": listed(clusters, shared)})
        for cluster, collection, project, time in rows:
            found.add(cluster, collection, project, time)
    return found
