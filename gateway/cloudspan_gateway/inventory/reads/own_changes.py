"""What a tenant has changed itself: no answer from the inventory is older than that.

Derived from the operations that have ended, at whichever gateway. An operation's own resource, and those that its
request names beside it (`also`), must have been read after its end. What else it may have changed is told by the
contract: the collections whose resources refer to its own, such as the volumes of a server, and those that its own
refer to; they count as changed until they are listed again.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from google.protobuf import empty_pb2

from cloudspan_common import contract
from cloudspan_gateway.inventory.columns import collections, plural_of, references
from cloudspan_gateway.inventory.reads.freshness import Changed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

K = TypeVar("K")

MOST_ENDED = 1000
"""Operations that one answer goes through; a tenant with more since the last listing is answered by the platform."""

_UNCHANGED = frozenset({"flavors", "images", "keyPairs", "projects", "volumeTypes", "zones"})
"""What is referred to and stays as it is: only operations on these themselves change them."""
_UNCHANGED_BY = {"servers": frozenset({"networks", "subnets", "securityGroups"})}
"""The same, by the collection that is worked in."""
_ALONE = frozenset(f"cloudspan.v1.ServerService/{verb}Server" for verb in ("Start", "Stop", "Reboot"))
"""Mutations that change nothing but their own resource."""
_ALWAYS = frozenset({"quotas"})
"""What every other operation may change, though nothing refers to it: how much of a quota is used."""
_COLLECTION = 4  # its segment of a resource name


class Ended(Protocol):
    """An operation that has ended, as far as it matters here."""

    @property
    def cluster(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def also(self) -> Sequence[str]: ...
    @property
    def end_time(self) -> float: ...
    @property
    def succeeded(self) -> bool: ...


class EndedOperations(Protocol):
    """Where operations are kept."""

    async def ended(self, tenant: str | None, since: float, limit: int) -> Sequence[Ended]:
        """Return at most `limit` operations of a tenant, or of all, that ended at `since` or later; the last first."""
        ...


class OwnChanges:
    """Finds what operations have changed."""

    def __init__(self, operations: EndedOperations, clocks_apart_s: float = 0.0) -> None:
        """Make it; `clocks_apart_s` is by how much clocks of gateways that share the database may differ."""
        self._operations = operations
        self._clocks_apart_s = clocks_apart_s

    async def since(self, tenant: str | None, time: float) -> Changed:
        """Return what operations of a tenant, or of all, have changed that ended at a time or later."""
        apart = self._clocks_apart_s
        found = await self._operations.ended(tenant, time - apart, MOST_ENDED)
        return changed(found, apart, everything=len(found) >= MOST_ENDED)


def changed(operations: Collection[Ended], apart_s: float = 0.0, *, everything: bool = False) -> Changed:
    """Return what operations have changed."""
    resources: dict[str, float] = {}
    beside: dict[tuple[str, str], float] = {}
    deleted: dict[str, float] = {}
    for one in operations:
        time = one.end_time + apart_s
        for name in filter(None, (one.resource, *one.also)):
            _later(resources, name, time)
        if one.resource and one.succeeded and deletes(one.method):
            _later(deleted, one.resource, time)
        for collection in touched(one.method):
            _later(beside, (one.cluster, collection), time)
    gone = frozenset(name for name, time in deleted.items() if time == resources[name])
    return Changed(resources, beside, gone, everything)


def _later(times: dict[K, float], key: K, time: float) -> None:
    times[key] = max(time, times.get(key, time))


def deletes(method: str) -> bool:
    """Whether a mutation leaves nothing of its resource."""
    found = contract.methods().get(method)
    return found is not None and found.result is empty_pb2.Empty and "allow_missing" in _fields(found)


def _fields(method: contract.Method) -> Mapping[str, object]:
    return cast("Mapping[str, object]", method.request.DESCRIPTOR.fields_by_name)


@functools.cache
def touched(method: str) -> frozenset[str]:
    """Return the collections that a mutation may change beside the resources that it names."""
    found = contract.methods().get(method)
    if found is None:
        return frozenset(collections())  # of another build: nobody knows
    if method in _ALONE:
        return frozenset()
    own = own_collection(found)
    refer_to_it = frozenset(other for other in collections() if own in references(other))
    found_beside = refer_to_it | (references(own) if own else frozenset())
    return found_beside - _UNCHANGED_BY.get(own, frozenset()) - _UNCHANGED - {own} | _ALWAYS


def own_collection(method: contract.Method) -> str:
    """Return the collection that a mutation creates, changes or deletes in; empty where it is none of the contract."""
    if method.collection:
        return method.collection
    found = plural_of(method.result)
    return found if found in collections() else ""


def collection_of(name: str) -> str:
    """Return the collection in a resource name; empty where it has none."""
    segments = name.split("/")
    return segments[_COLLECTION] if len(segments) > _COLLECTION else ""
