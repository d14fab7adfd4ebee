"""Tells when files have changed and nobody is in the middle of writing them.

The registry in a file and the clusters of an adapter look at theirs this way, by polling: a stat costs 2 us, and works
on every mount.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Signature = tuple[int, int, int] | None  # time of change, inode, size; None for a file that is not there
_Look = dict["Path", Signature]


class FileWatch:
    """Some files as they were when last read."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._seen: _Look = {}
        self._settling: _Look = {}
        self.follow(files)

    def __repr__(self) -> str:
        return f"<FileWatch of {', '.join(map(str, self._seen)) or 'nothing'}>"

    def follow(self, files: Iterable[Path]) -> bool:
        """Watch these from now on, and return whether there are new ones; the others keep what was seen of them."""
        before = self._seen
        self._seen = {file: before[file] if file in before else signature_of(file) for file in files}
        return not self._seen.keys() <= before.keys()

    def has_changed(self) -> bool:
        """Whether they are others than at the last change that was told, and whole.

        A rename brings a finished file; so does the change of a link on the way, as Kubernetes makes it for a mounted
        secret. An editor that writes in place, or takes the old file away before the new one is there, is given one
        poll more: half a file can be good YAML.
        """
        found = {file: signature_of(file) for file in self._seen}
        steady = found == self._settling
        self._settling = found
        if found == self._seen or not (steady or all(map(_is_whole, self._seen.values(), found.values()))):
            return False
        self._seen = found
        return True


def _is_whole(seen: Signature, found: Signature) -> bool:
    return seen == found or seen is None or (found is not None and found[1] != seen[1])


def signature_of(file: Path) -> Signature:
    """Return what a change of the file changes."""
    try:
        found = file.stat()  # of what a link leads to
    except OSError:  # gone, or not ours to see: reading it says which
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
