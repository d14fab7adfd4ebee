"""The cloud that this adapter stands for: resources in memory, each a message of the contract.

A change may take time: `later` says what a resource becomes after the cluster's delay, applied when it is next read.
"""

from __future__ import annotations

import bisect
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.message import Message

from cloudspan_common.errors import NotFound
from cloudspan_common.names import parse_resource
from cloudspan_kit import operation_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef

M = TypeVar("M", bound=Message)

_GONE_KEPT_S = 24 * 3600.0
"""So long what is deleted is told to whoever asks for changes."""
PROJECT = "main"
"""The id of the project that everything is created in."""


@dataclass
class _Collection:
    rows: dict[str, Any] = field(default_factory=dict)
    markers: dict[str, str] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)  # sorted, so that a page goes on after any id, a deleted one too
    updated: dict[str, float] = field(default_factory=dict)
    gone: dict[str, float] = field(default_factory=dict)
    """When what is deleted was, the oldest first."""


class Store:
    """Every resource of one cluster, by collection and id."""

    def __init__(self, ref: ClusterRef, clock: Clock, delay_s: float) -> None:
        self.ref = ref
        self._clock = clock
        self._delay_s = delay_s
        self._collections: dict[str, _Collection] = {}
        self._before_delete: dict[str, Callable[[Any], None]] = {}
        self._due: dict[str, tuple[float, Callable[[], None]]] = {}

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(c.rows)} {name}" for name, c in sorted(self._collections.items()))
        return f"<Store {self.ref}: {counts or 'empty'}>"

    def id_for(self, marker: str) -> str:
        """The id that a create with this marker has, however often it is sent."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.ref}/{marker}"))

    def name(self, collection: str, resource_id: str) -> str:
        return self.ref.resource(collection, resource_id)

    def put(self, collection: str, resource_id: str, resource: M, marker: str = "") -> M:
        """Keep a new resource under its id, and the marker of its create; gives it name and times.

        What is created, and thus has a marker, is of the cluster's project, whatever its request says.
        """
        rows = self._collections.setdefault(collection, _Collection())
        if resource_id not in rows.rows:
            bisect.insort(rows.ids, resource_id)
        resource.name = self.name(collection, resource_id)  # type: ignore[attr-defined] # every resource has one
        if "create_time" in resource.DESCRIPTOR.fields_by_name:
            resource.create_time.FromMilliseconds(int(self._clock.now() * 1000))  # type: ignore[attr-defined]
        if "project" in resource.DESCRIPTOR.fields_by_name and (marker or not resource.project):  # type: ignore[attr-defined]
            resource.project = self.name("projects", PROJECT)  # type: ignore[attr-defined]
        rows.rows[resource_id] = resource
        rows.markers[resource_id] = marker
        rows.gone.pop(resource_id, None)
        rows.updated[resource_id] = self._clock.now()
        return resource

    def touch(self, resource: Any) -> None:
        """Note that a resource has changed just now; whoever changes one in place calls this."""
        *_, collection, _ = resource.name.split("/")
        self._collections[collection].updated[parse_resource(resource.name, collection)[1]] = self._clock.now()

    def changed(self, collection: str, since: float) -> tuple[Callable[[Any], bool], list[str]]:
        """Return which resources have changed since then, and the ids of those that were deleted since."""
        self._catch_up()
        rows = self._collections.get(collection, _Collection())
        names = {self.name(collection, row_id) for row_id, moment in rows.updated.items() if moment >= since}
        return lambda row: row.name in names, [row_id for row_id, moment in rows.gone.items() if moment >= since]

    def marker_of(self, collection: str, resource_id: str) -> str:
        """Return the marker of the create that made it; empty for what was there at the start, or is not there."""
        return self._collections.get(collection, _Collection()).markers.get(resource_id, "")

    def made_with(self, collection: str, resource_id: str, others: Iterable[str]) -> list[tuple[str, str]]:
        """Return what the same operation made in `others`, as (collection, id): their markers differ by step only."""
        marker = self.marker_of(collection, resource_id)
        if not marker:
            return []
        operation = operation_prefix(marker)
        return [
            (other, row_id)
            for other in others
            for row_id, _ in self.items(other)
            if self.marker_of(other, row_id).startswith(operation)
        ]

    def find(self, collection: str, resource_id: str) -> Any:
        """Return the resource as it is now, or None."""
        row = self._collections.get(collection, _Collection()).rows.get(resource_id)
        if row is not None and row.name in self._due and self._due[row.name][0] <= self._clock.monotonic():
            self._apply(row.name)
            row = self._collections[collection].rows.get(resource_id)
        return row

    def _catch_up(self) -> None:
        """Apply every change that is due: a page must not shrink while it is made."""
        now = self._clock.monotonic()
        for name in [name for name, (at, _) in self._due.items() if at <= now]:
            self._apply(name)

    def _apply(self, name: str) -> None:
        *_, collection, _ = name.split("/")
        resource_id = parse_resource(name, collection)[1]
        self._due.pop(name)[1]()
        if resource_id in self._collections[collection].rows:  # else it was its deletion
            self._collections[collection].updated[resource_id] = self._clock.now()

    def get(self, collection: str, resource_id: str) -> Any:
        """Return the resource as it is now.

        Raises:
            NotFound: There is none of that id.
        """
        row = self.find(collection, resource_id)
        if row is None:
            name = self.name(collection, resource_id)
            raise NotFound(f"{name} does not exist; list its collection to see what does", resource=name)
        return row

    def items(self, collection: str) -> list[tuple[str, Any]]:
        """Return everything in a collection as it is now, with its id, by id."""
        ids = list(self._collections.get(collection, _Collection()).ids)
        return [(i, row) for i, row in ((i, self.find(collection, i)) for i in ids) if row is not None]

    def all(self, collection: str) -> list[Any]:
        """Return everything in a collection as it is now, by id."""
        return [row for _, row in self.items(collection)]

    def page(
        self, collection: str, after: str, limit: int, keep: Callable[[Any], bool] | None = None
    ) -> tuple[list[str], list[Any], bool]:
        """Return ids and resources of the page after an id, and whether there is another page; only of what is kept."""
        self._catch_up()
        rows = self._collections.get(collection, _Collection())
        ids = rows.ids if keep is None else [i for i in rows.ids if keep(rows.rows[i])]
        start = bisect.bisect_right(ids, after) if after else 0
        page = ids[start : start + limit]
        return page, [rows.rows[i] for i in page], start + limit < len(ids)

    def delete(self, collection: str, resource_id: str) -> None:
        """Forget a resource; nothing happens when there is none.

        Raises:
            PreconditionFailed: Something else needs it.
        """
        row = self.find(collection, resource_id)
        if row is None:
            return
        if collection in self._before_delete:
            self._before_delete[collection](row)
        rows = self._collections[collection]
        del rows.rows[resource_id], rows.markers[resource_id], rows.updated[resource_id]
        self._bury(rows, resource_id)
        rows.ids.remove(resource_id)
        self._due.pop(row.name, None)

    def _bury(self, rows: _Collection, resource_id: str) -> None:
        now = self._clock.now()
        while rows.gone and next(iter(rows.gone.values())) < now - _GONE_KEPT_S:
            del rows.gone[next(iter(rows.gone))]
        rows.gone[resource_id] = now

    def before_delete(self, collection: str, check: Callable[[Any], None]) -> None:
        """Call `check` with each resource that is to be deleted: it lets go of others, or refuses."""
        self._before_delete[collection] = check

    def later(self, resource: Message, change: Callable[[], None]) -> None:
        """Do `change` after the cluster's delay, instead of what was due for this resource before."""
        self._due[resource.name] = (self._clock.monotonic() + self._delay_s, change)  # type: ignore[attr-defined]


def copied(message: M) -> M:
    """Return a copy: what leaves the store must not change behind its back, and the other way round."""
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
