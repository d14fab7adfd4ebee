"""What a watch is to show: which resources match, in the clusters and projects that its caller sees.

Equal selections are one for all their watches (`feed`), and equal filters are one predicate.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec

from cloudspan.v1.inventory_pb2 import StoredResource
from cloudspan_common.contract import Permission
from cloudspan_common.errors import Resync
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.names import WILDCARD, ClusterRef, parse_cluster
from cloudspan_gateway.access.access import project_name
from cloudspan_gateway.inventory.columns import message_of
from cloudspan_gateway.inventory.model import Scope
from cloudspan_gateway.inventory.query import sql_filter
from cloudspan_gateway.inventory.query.seen import Seen
from cloudspan_gateway.inventory.watch.change import ADDED, REMOVED, UPDATED
from cloudspan_gateway.storage.sealed_token import DIGEST_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from google.protobuf.descriptor import Descriptor
    from sqlalchemy import ColumnElement

    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.inventory.watch.change import Change, State, Test, Type


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks for."""

    clusters: ClusterRef
    """With wildcards."""
    collections: frozenset[str]
    """All when empty."""
    filter: str
    query: bytes
    """Digest of all of it and of whom it is for."""

    @property
    def over_stored(self) -> bool:
        """Whether the filter is over StoredResource, and not over the message of its one collection."""
        return len(self.collections) != 1

    @property
    def test(self) -> Test | None:
        """The filter as a predicate; None when all match.

        Raises:
            InvalidRequest: UNKNOWN_FILTER_FIELD, MALFORMED_FILTER.
        """
        return _parsed(self._collection, self.filter)[1]

    def condition(self, *, shared: bool) -> ColumnElement[bool]:
        """Return what SQL can say of the rows that match: it is true of each of them, and perhaps of others."""
        return sql_filter.condition(_parsed(self._collection, self.filter)[0], self._collection, shared=shared).maybe

    @property
    def _collection(self) -> str:
        return "" if self.over_stored else next(iter(self.collections))


@functools.lru_cache(maxsize=1024)
def _parsed(collection: str, text: str) -> tuple[Filter, Test | None]:
    message = message_of(collection) if collection else StoredResource
    wanted = Filter.parse(text, cast("Descriptor", message.DESCRIPTOR))
    return wanted, None if wanted.is_empty else predicate(wanted)


class Selection:
    """What is wanted, within places: clusters that were looked at, each with the project that is seen of it."""

    def __init__(self, wanted: Wanted, places: Mapping[str, str | None]) -> None:
        """Take the full name of each cluster's project; empty for all projects, None where nothing is seen."""
        self.wanted = wanted
        self.places = places
        self.sight = sight_of(places)
        self._test = wanted.test

    def __repr__(self) -> str:
        return f"<Selection {self.wanted.filter[:60]!r} of {len(self.clusters)} clusters>"

    @property
    def clusters(self) -> Sequence[str]:
        """The places where something is seen."""
        return [cluster for cluster, project in self.places.items() if project is not None]

    def seen(self, *, shared: bool) -> Seen:
        """Return which rows are seen at all; `shared` as `Seen` takes it."""
        scope = Scope([(cluster, project) for cluster, project in self.places.items() if project is not None])
        return Seen(scope, sorted(self.wanted.collections), shared=shared)

    def condition(self, *, shared: bool) -> ColumnElement[bool]:
        """Return a condition that is true of each row that is seen and shown, and perhaps of others."""
        return self.wanted.condition(shared=shared)

    def shows(self, cluster: str, state: State | None) -> bool:
        """Whether a resource in that state is shown."""
        if state is None or (self.wanted.collections and state.collection not in self.wanted.collections):
            return False
        project = self.places.get(cluster)
        if project is None or (project and not state.is_of(project)):
            return False
        return self._test is None or state.matches(self._test, over_stored=self.wanted.over_stored)

    def type_of(self, change: Change) -> Type | None:
        """Return what a change is to who sees this selection; None where it is nothing."""
        before, after = self.shows(change.cluster, change.before), self.shows(change.cluster, change.after)
        if after:
            return UPDATED if before else ADDED
        return REMOVED if before else None


def sight_of(places: Mapping[str, str | None]) -> bytes:
    """Return a digest of the clusters and projects that are seen."""
    seen = sorted((cluster, project) for cluster, project in places.items() if project is not None)
    return hashlib.blake2b(msgspec.msgpack.encode(seen), digest_size=DIGEST_BYTES).digest()


class Sight:
    """Which clusters one caller sees and which project of each, as long as its access stays what it is.

    By the access alone, whatever adapters run now: what was told of a cluster stays true while nobody serves it.
    """

    def __init__(self, clusters: ClusterRef, method: str, access_of: Callable[[], Access]) -> None:
        """Take the clusters that are wanted, the method that is called, and what returns the caller's access now."""
        self._clusters = clusters
        self._method = method
        self._access_of = access_of
        self._access = access_of()
        self.places: Mapping[str, str | None] = {}

    def look_at(self, clusters: Iterable[str]) -> None:
        """Add clusters to the places."""
        self.places = {**self.places, **{cluster: self._project(cluster) for cluster in clusters}}

    def check(self) -> None:
        """Return if the caller still sees what it saw.

        Raises:
            Resync: It sees more, or less: what it was told is no longer the whole of that.
            CloudspanError: It has no access any more.
        """
        access = self._access_of()
        if access is self._access:
            return
        self._access = access
        if any(self._project(cluster) != project for cluster, project in self.places.items()):
            raise seen_otherwise()

    def _project(self, cluster: str) -> str | None:
        ref, access = parse_cluster(cluster), self._access
        for wanted, its in ((self._clusters.platform, ref.platform), (self._clusters.cluster, ref.cluster)):
            if wanted not in (WILDCARD, its):
                return None
        if not access.sees(access.tenant, ref) or not access.allows(Permission.PERMISSION_READ, self._method, ref):
            return None
        return project_name(access, ref)


def seen_otherwise() -> Resync:
    """Return the error for a caller that sees other clusters or projects than it was told of."""
    text = (
        "which clusters or projects are seen has changed; watch again without resume_token and take what comes as the "
        "whole"
    )
    return Resync(text)
