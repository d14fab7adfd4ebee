"""The public keys of gateways in a registry: adapters verify by them on whose behalf a call is made.

A gateway publishes its keys again and again, each with the time until which they count; adapters read them. Whoever
may write here can speak as a gateway, so a registry that others can write to needs ACLs (docs/security.md).
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from cloudspan_common.errors import Defect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloudspan_common.clock import Clock

MAX_HOLDERS = 256
MAX_KEYS = 4
"""Of one gateway: the one in use, the one before and the next, with one to spare."""
MAX_BYTES = 4096
_KEY_BYTES = 32
_SWEPT_AFTER_S = 3600.0  # longer than clocks differ
_MAX_SKIPPED = 1000
_HOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

log = structlog.get_logger(__name__)

Entry = tuple[str, bytes]
"""A holder and what it published."""


class ContextKey(msgspec.Struct, frozen=True):
    """The public half of what a gateway signs contexts with.

    Raises:
        ValueError: A key of another length.
    """

    signing: bytes
    """Ed25519."""
    agreement: bytes
    """X25519: with an adapter's own it makes the key of the proofs between these two."""
    not_after: float
    """Unix seconds; whoever holds it publishes it anew before."""

    def __post_init__(self) -> None:
        if len(self.signing) != _KEY_BYTES or len(self.agreement) != _KEY_BYTES:
            raise ValueError(f"a key has {len(self.signing)} and {len(self.agreement)} bytes; expected {_KEY_BYTES}")

    @property
    def kid(self) -> str:
        """Names the key; a digest of it, so that no other one can have its name."""
        return hashlib.sha256(self.signing + self.agreement).hexdigest()[:32]


class KeyStore(Protocol):
    """Where a driver keeps entries. Each method raises an error of the tree when it could not do its work."""

    async def put(self, holder: str, entry: bytes) -> None:
        """Enter or replace what a holder published."""
        ...

    async def entries(self) -> Sequence[Entry]:
        """Return all of them."""
        ...

    async def remove(self, holder: str) -> None:
        """Take an entry out; an unknown one is already out."""
        ...


class ContextKeys:
    """The keys of one registry."""

    def __init__(self, store: KeyStore, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._skipped: set[Entry] = set()

    def __repr__(self) -> str:
        return f"<ContextKeys in {type(self._store).__name__}>"

    async def publish(self, holder: str, keys: Sequence[ContextKey]) -> None:
        """Make `keys` all that a gateway publishes, and take out what dead ones left long ago.

        Raises:
            CloudspanError: The registry is away; what it had stays.
        """
        entry = msgspec.json.encode(list(keys))
        if not _HOLDER.fullmatch(holder) or len(keys) > MAX_KEYS:
            raise Defect(f"{holder!r} can't publish {len(keys)} keys")
        await self._store.put(holder, entry)
        for stale in self._stale(await self._store.entries()):
            await self._store.remove(stale)

    async def read(self) -> Mapping[str, ContextKey]:
        """Return the keys that count now, by their kid.

        Raises:
            CloudspanError: The registry is away.
        """
        now = self._clock.now()
        found = {}
        for entry in sorted(await self._store.entries())[:MAX_HOLDERS]:
            found.update({key.kid: key for key in self._keys_of(entry) if key.not_after > now})
        return found

    def _stale(self, entries: Iterable[Entry]) -> list[str]:
        before = self._clock.now() - _SWEPT_AFTER_S
        # What can't be read is left alone: it may be a later version's.
        read = ((holder, self._keys_of((holder, entry))) for holder, entry in entries)
        return [holder for holder, keys in read if keys and all(key.not_after < before for key in keys)]

    def _keys_of(self, entry: Entry) -> Sequence[ContextKey]:
        holder, text = entry
        if len(text) > MAX_BYTES:
            self._skip((holder[:200], text[:200]), f"it has {len(text)} bytes, at most {MAX_BYTES} are read")
            return ()
        try:
            return msgspec.json.decode(text, type=list[ContextKey])[:MAX_KEYS]
        except (ValueError, RecursionError) as error:  # what msgspec raises is a ValueError
            self._skip((holder[:200], text[:200]), str(error))
            return ()

    def _skip(self, entry: Entry, why: str) -> None:
        if entry not in self._skipped:
            if len(self._skipped) >= _MAX_SKIPPED:
                self._skipped.clear()
            self._skipped.add(entry)
            log.warning("entry in the registry is not a gateway's keys, skipped", holder=entry[0], why=why)


class MemoryKeys:
    """A dict."""

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}

    async def put(self, holder: str, entry: bytes) -> None:
        self._entries[holder] = entry

    async def entries(self) -> Sequence[Entry]:
        return tuple(self._entries.items())

    async def remove(self, holder: str) -> None:
        self._entries.pop(holder, None)
