"""Clusters that stand in a file: how an adapter's author says where to read them and how to make one.

`Adapter(clusters=ClusterFile(read, make))` is served by `serve.reload`, which reads again whenever a file has changed:
clusters appear, disappear and change their credentials while the adapter runs.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import msgspec

from cloudspan_common.clock import Clock, SystemClock
from cloudspan_kit.values import tagged_cloud

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from cloudspan_common.errors import CloudspanError
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.cluster import Cluster

# Of this process alone: with a known key, whoever sees a revision could try passwords against it.
_KEY = secrets.token_bytes(32)


class ClusterConfig(Protocol):
    """What one cluster is made from: an entry of the file, checked."""

    @property
    def revision(self) -> str:
        """Differs whenever the cluster has to be made anew: see `revision_of`."""
        ...


ConfigT = TypeVar("ConfigT", bound=ClusterConfig)
_ConfigT_co = TypeVar("_ConfigT_co", bound=ClusterConfig, covariant=True)


@dataclass(frozen=True, slots=True)
class ClusterConfigs(Generic[_ConfigT_co]):
    """What one reading of the file found."""

    by_tag: Mapping[str, _ConfigT_co | CloudspanError]
    """An entry that can't be used is the error that says why: it costs its own cluster only."""
    files: Sequence[Path]
    """All files that were read, and those that would have been: they are looked at from now on."""
    missing: Collection[str] = ()
    """Those of them that the file does not have: told to be served, and never there or removed since."""


@dataclass(frozen=True, slots=True)
class ClusterFile(Generic[ConfigT]):
    """The clusters of an adapter, by the file that describes them."""

    read: Callable[[], ClusterConfigs[ConfigT]]
    """Reads the file; runs on a thread. Raises an error of the tree when nothing in it can be used, and then all
    clusters go on with what they have."""
    make: Callable[[ClusterRef, ConfigT], Cluster]
    """Makes a cluster of an entry; may raise an error of the tree, which costs this cluster only."""
    clock: Clock = field(default_factory=SystemClock)
    """What the file is followed by; a test's."""


def revision_of(entry: object, files: Iterable[Path] = ()) -> str:
    """Return what differs for any other `entry` or content of the `files` that it names, and shows nothing of them.

    The same entry has another revision in another process.
    """
    digest = hashlib.blake2b(key=_KEY, digest_size=6)
    digest.update(msgspec.json.encode(entry, order="deterministic", enc_hook=repr))
    for file in files:
        digest.update(b"\0" + _content(file))
    return digest.hexdigest()


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # whoever uses it says so
        return b""


def chosen_entries(options: Sequence[str], names: Collection[str]) -> dict[str, str]:
    """Return which entries to serve, by tag: all `names` where no option chooses.

    `options` are those of `--cluster`: `TAG=NAME`, or just the name. An entry that is not among `names` is missing.
    """
    return dict(map(tagged_cloud, options)) if options else {name: name for name in names}
