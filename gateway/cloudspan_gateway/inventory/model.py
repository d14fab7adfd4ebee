"""The words of the inventory: what a sweep brings, what is known of a collection, who may write.

The store keeps them, `sweep` and `sync` make them, reads and services look at them.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudspan_common.errors import Unreachable
from cloudspan_common.etags import clear_filled_etag

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

DIGEST_BYTES = 16


class Completeness(enum.StrEnum):
    """How much of a collection is known; the names of cloudspan.v1.SyncState.Completeness."""

    COMPLETE = "COMPLETE"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"
    UNSUPPORTED = "UNSUPPORTED"
    NEVER = "NEVER"


class Origin(enum.StrEnum):
    """Where a row came from: the column `source`. Once a platform has listed it, that stands whoever writes it."""

    SWEEP = "sweep"
    """A whole listing."""
    CHANGES = "changes"
    """What a platform said has changed since."""
    PROJECT = "project"
    """The listing of one project, of what the cluster's credentials do not list."""
    OPERATION = "operation"
    """The end of an operation of ours."""
    READ = "read"
    """A look at that one resource."""

    @property
    def is_listing(self) -> bool:
        """Whether the platform has listed what it brings."""
        return self in (Origin.SWEEP, Origin.CHANGES, Origin.PROJECT)

    @property
    def settled(self) -> tuple[str, ...]:
        """The sources that stand when this brings a row: those of listings, which the credentials' own goes before."""
        listings = [origin for origin in Origin if origin.is_listing]
        return tuple(str(origin) for origin in listings if self is Origin.PROJECT or origin is not Origin.PROJECT)


class What(enum.StrEnum):
    """What happened to a resource: the column `what`."""

    ADDED = "added"
    UPDATED = "updated"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Observed:
    """A resource as a platform reported it."""

    name: str
    payload: bytes = field(repr=False)
    """Its message, without `observe_time` and `native`; deterministic, so that the same is the same."""
    digest: bytes = field(repr=False)

    @classmethod
    def of(cls, resource: Message) -> Observed:
        """Return a resource as it is kept: the same whether it was listed or read by itself."""
        kept = type(resource)()
        kept.CopyFrom(resource)
        clear_filled_etag(kept)
        for name in ("observe_time", "native"):
            if name in kept.DESCRIPTOR.fields_by_name:
                kept.ClearField(name)
        payload = kept.SerializeToString(deterministic=True)
        return cls(resource.name, payload, digest_of(payload))  # type: ignore[attr-defined] # every resource has one


def digest_of(payload: bytes) -> bytes:
    """Return the digest of a payload: what the kit's sweeps make too."""
    return hashlib.blake2b(payload, digest_size=DIGEST_BYTES).digest()


@dataclass(frozen=True, slots=True)
class Brake:
    """A listing that has lost so many resources that they are not taken for deleted."""

    missing: int
    total: int
    since: float
    """Unix seconds."""
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CollectionState:
    """What is known of one collection of one cluster, as one listing has it. Times are Unix seconds."""

    cluster: str
    collection: str
    completeness: Completeness = Completeness.NEVER
    reason: str = ""
    message: str = ""
    row_count: int = 0
    observe_time: float | None = None
    """When the last complete sweep began: what it did not change is as of then, deletions included."""
    attempt_time: float | None = None
    next_time: float | None = None
    took_s: float = 0.0
    interval_s: float = 0.0
    changes_time: float | None = None
    """Up to when changes were asked for since; None where the collection can't tell them."""
    brake: Brake | None = None
    owner: str = ""
    project: str = ""
    """Whose listing it is: empty for what the credentials list, else the name of another project that a pool has."""


@dataclass(frozen=True, slots=True)
class Fence:
    """The right to write what sweeps of a cluster bring: its lock, and the number that the lock had when taken."""

    cluster: str
    number: int


class LockLost(Unreachable):
    """Another gateway sweeps the cluster now; nothing was written."""

    default_reason = "LOCK_LOST"


@dataclass(frozen=True, slots=True)
class Written:
    """What a write changed."""

    added: int = 0
    updated: int = 0
    removed: int = 0
    unchanged: int = 0
    outdated: int = 0
    """Rows that were left as they are, since what is kept was read later."""
    unreadable: tuple[str, ...] = ()
    """Names of rows that were left out, since they don't hold what their name says."""

    def __add__(self, other: Written) -> Written:
        return Written(
            self.added + other.added,
            self.updated + other.updated,
            self.removed + other.removed,
            self.unchanged + other.unchanged,
            self.outdated + other.outdated,
            self.unreadable + other.unreadable,
        )


@dataclass(frozen=True, slots=True)
class Scope:
    """What of the inventory a caller sees: clusters, each with the only project that it has there, or all."""

    clusters: Sequence[tuple[str, str]]
    """(cluster, project): full resource names; an empty project is all of them."""
    by_credentials: bool = False
    """Whether of clusters that are seen as a whole only what their credentials list is wanted."""
