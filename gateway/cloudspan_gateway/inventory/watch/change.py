"""A change of one resource as watches look at it: how the resource was before and how it is after.

`change_log` reads them, `selection` judges them. A state is decoded at most once, and what is sent of a change is
encoded once, however many watch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import inventory_pb2
from cloudspan_gateway.inventory import columns
from cloudspan_gateway.inventory.query.query import as_stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan.v1.inventory_pb2 import StoredResource

    Test = Callable[[Any], bool]

Type = inventory_pb2.WatchResponse.Change.Type
EXISTING, ADDED, UPDATED, REMOVED = Type.TYPE_EXISTING, Type.TYPE_ADDED, Type.TYPE_UPDATED, Type.TYPE_REMOVED


class State:
    """One resource at one time; decoded when somebody looks into it."""

    def __init__(self, collection: str, payload: bytes, observe_time: float) -> None:
        """Take a payload of the collection that was read at `observe_time`, Unix seconds."""
        self.collection = collection
        self.size = len(payload)
        self._payload = payload
        self._observe_time = observe_time
        self._verdicts: dict[Test, bool] = {}

    def __repr__(self) -> str:
        return f"<State of one of {self.collection}, {self.size} bytes>"

    @cached_property
    def resource(self) -> Any:
        """Its own message."""
        message: Any = columns.message_of(self.collection).FromString(self._payload)
        message.observe_time.FromNanoseconds(round(self._observe_time * 1e9))
        return message

    @cached_property
    def stored(self) -> StoredResource:
        """The same as StoredResource."""
        return as_stored(self.collection, self.resource)

    @cached_property
    def _owner(self) -> tuple[str, bool]:
        fields = columns.columns_of(self.collection, self.resource).fields
        return fields["project"], fields["shared"]

    def is_of(self, project: str) -> bool:
        """Whether it is seen by who has that project alone."""
        owner, is_shared = self._owner
        return is_shared or owner == project

    def matches(self, test: Test, *, over_stored: bool) -> bool:
        """Whether a filter's predicate holds; asked once for all who have the same one."""
        found = self._verdicts.get(test)
        if found is None:
            found = self._verdicts[test] = test(self.stored if over_stored else self.resource)
        return found


@dataclass(slots=True, eq=False)
class Change:
    """One numbered change, or all of one resource's changes over a while."""

    sequence: int
    time: float
    """When it was noticed, Unix seconds."""
    resource_id: int
    cluster: str
    collection: str
    before: State | None
    after: State | None
    _encoded: dict[int, bytes] = field(default_factory=dict, repr=False)

    @property
    def size(self) -> int:
        """How many bytes its states have."""
        return (self.before.size if self.before else 0) + (self.after.size if self.after else 0)

    def encoded(self, kind: Type) -> bytes:
        """Return it as an entry of `WatchResponse.changes`, field tag and length included."""
        found = self._encoded.get(kind)
        if found is None:
            state = self.before if kind == REMOVED else self.after
            found = self._encoded[kind] = entry(kind, state)
        return found


def entry(kind: Type, state: State | None) -> bytes:
    """Return a state as an entry of `WatchResponse.changes`: entries, one behind the other, are a message."""
    if state is None:
        raise TypeError(f"a change of type {kind} has no such state")
    change = inventory_pb2.WatchResponse.Change(type=kind, resource=state.stored)
    return inventory_pb2.WatchResponse(changes=[change]).SerializeToString()
