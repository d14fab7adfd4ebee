"""Whose a resource is, read off the contract's own fields: what a call that is bound to one project may see and change.

Where one credential serves several projects of a cluster, a pool names the one that its tenant has. The kit keeps
adapters to it, and the gateway checks their answers once more; both go by what stands here, in the same words.

What belongs to no project, such as a zone, is read by all, and changed where the credentials themselves are of the
project. What belongs to another project is read where it is shared with everybody, and otherwise does not exist. A
resource that should name its project and does not is another's.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.api import field_behavior_pb2, resource_pb2

from cloudspan_common import contract
from cloudspan_common.errors import NotFound
from cloudspan_common.listing.filter_ast import And, Filter
from cloudspan_common.listing.filter_match import predicate
from cloudspan_common.names import ClusterRef

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from google.protobuf.descriptor import Descriptor, FieldDescriptor
    from google.protobuf.message import Message

OF_PROJECTS = frozenset({"projects", "quotas"})
"""Collections whose ids are those of projects: another project's is not even asked for."""

# What everybody may read, though it is another project's or none's: a filter of the kind's own fields. Kinds that do
# not stand here share nothing if they have a project, and everything if they have none (zones).
_SHARED = {
    "Network": "shared = true OR external = true",
    "Image": "visibility = PUBLIC OR visibility = COMMUNITY",
    # Which projects have access to a private one is not told, so it is taken for another's.
    "Flavor": "visibility != PRIVATE",
    "VolumeType": "visibility != PRIVATE",
    # Of the credentials' user where the platform gives them to users.
    "KeyPair": "user:*",
}
# References by which a request changes what it names, beside those that a method declares in `also`.
_CHANGING = frozenset({"cloudspan.v1.Subnet.network"})
_OUTPUT_ONLY = field_behavior_pb2.OUTPUT_ONLY


@dataclass(frozen=True, slots=True)
class Bound:
    """What the messages of one kind look like to a call that is bound to one project."""

    filter: Filter
    """What is seen of the kind; empty for all of it."""
    sees: Callable[[Any], bool]
    """Whether a message is seen: `filter`, compiled."""
    owns: Callable[[Any], bool]
    """Whether a message is of the project; never of a kind without projects."""
    fields: frozenset[str]
    """The fields that the two look at, with `name`: without them a message can't be judged."""
    owner: str
    """The field that names the project; empty for a kind without projects."""

    def shows(self, resource: Any) -> bool:
        """Whether a resource is seen; takes from one that is shared what an administrator alone is told of it."""
        if not self.sees(resource):
            return False
        if self.is_anothers(resource):
            resource.ClearField("native")
        return True

    def is_anothers(self, resource: Any) -> bool:
        """Whether a resource that is seen is another project's, rather than nobody's."""
        return bool(self.owner and getattr(resource, self.owner)) and not self.owns(resource)

    def within(self, wanted: Filter) -> Filter:
        """Return the filter for what is seen and matches `wanted` too."""
        if self.filter.root is None or wanted.root is None:
            return self.filter if wanted.root is None else wanted
        return Filter(f"({self.filter.text}) AND ({wanted.text})", And((self.filter.root, wanted.root)))


@functools.lru_cache(maxsize=4096)
def bound(resource: Descriptor, project: str) -> Bound:
    """Return what a call bound to the project of that name sees of a kind; names hold no quotes and no stars."""
    shared = _SHARED.get(resource.name, "")
    owner = "project" if "project" in resource.fields_by_name else "name" if resource.name == "Project" else ""
    own = Filter.parse(f'{owner} = "{project}"' if owner else "", resource)
    seen = Filter.parse(" OR ".join(filter(None, (own.text, shared))), resource)
    looked_at = set(re.findall(r"\w+", shared)).intersection(resource.fields_by_name)
    return Bound(
        seen,
        predicate(seen),
        predicate(own) if owner else lambda _: False,
        frozenset({"name", *looked_at, *filter(None, (owner,))}),
        owner,
    )


def missing(name: str) -> NotFound:
    """Return the error for a resource that is another project's: word for word that of one that does not exist."""
    ref, collection = _taken_apart(name)
    text = f"{name} does not exist in your pool's project of {ref}; list its {collection} to see what there is"
    metadata = {"platform": ref.platform, "cluster": ref.cluster}
    return NotFound(text, resource=name, metadata=metadata)


def _taken_apart(name: str) -> tuple[ClusterRef, str]:
    _, platform, _, cluster, collection, *_ = name.split("/")
    return ClusterRef(platform, cluster), collection


@dataclass(frozen=True, slots=True)
class Reference:
    """A resource that a request names, beside the one that it is about."""

    name: str
    collection: str
    """Empty for a kind that the contract does not serve, such as a host: whose it is can't be known."""
    field: str
    """Where it stands in the request, with dots."""
    changes: bool
    """Whether the request changes it."""


def references(method: contract.Method, request: Message) -> Iterator[Reference]:
    """Yield what a request names by a `resource_reference`, at any depth; not what it is about, nor what is ignored."""
    for path, fd, name in _named(request, ""):
        if path != method.routed_field:
            changes = path in method.also or fd.full_name in _CHANGING
            yield Reference(name, contract.collection_of(fd), path, changes)


def _named(message: Message, prefix: str) -> Iterator[tuple[str, FieldDescriptor, str]]:
    for fd, value in message.ListFields():
        path = f"{prefix}{fd.name}"
        if _is_ignored(fd) or (fd.message_type is not None and fd.message_type.GetOptions().map_entry):
            continue
        if fd.message_type is not None:
            for part in value if fd.is_repeated else (value,):
                yield from _named(part, f"{path}.")
        elif _refers(fd):
            for name in value if fd.is_repeated else (value,):
                if name:
                    yield path, fd, str(name)


@functools.lru_cache(maxsize=4096)
def _is_ignored(fd: FieldDescriptor) -> bool:
    return _OUTPUT_ONLY in fd.GetOptions().Extensions[field_behavior_pb2.field_behavior]


@functools.lru_cache(maxsize=4096)
def _refers(fd: FieldDescriptor) -> bool:
    return bool(fd.GetOptions().Extensions[resource_pb2.resource_reference].type)
