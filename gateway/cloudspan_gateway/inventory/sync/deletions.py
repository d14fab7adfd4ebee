"""What becomes of resources that a complete listing no longer has: each is asked for by name before it goes.

`sweep` hands over what is missing. Nothing goes while too much is missing at once (the brake), or where the platform
does not prove it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.inventory.model import Brake, Origin, Written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.inventory.model import Fence, Observed
    from cloudspan_gateway.inventory.store import InventoryStore
    from cloudspan_gateway.inventory.sync.source import Source

LEAST_BRAKED = 10
"""So many must be missing before a brake can act: half of a collection of four is an afternoon's work."""
EXAMPLES = 5
PROOFS_AT_ONCE = 8
_PORTION = 32  # asked for before any of them is deleted; one in which no proof succeeds is the last


@dataclass(frozen=True, slots=True)
class Missing:
    """What a complete listing left out."""

    names: Sequence[str]
    lost: Sequence[str]
    """Those that an earlier listing had: what no listing ever has is no loss of this one."""
    total: int
    """How many earlier listings had."""
    brake: Brake | None = None
    """Set while an earlier listing's loss is held back."""
    released: bool = False
    """Whether somebody has accepted the loss, whatever its share."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of it."""

    written: Written = field(default_factory=Written)
    brake: Brake | None = None
    there: frozenset[str] = frozenset()
    """What the platform has, though it does not list it."""
    left_out: frozenset[str] = frozenset()
    """Those of them that it has listed before."""
    unproven: int = 0
    error: CloudspanError | None = None
    """Why nothing is proven of some."""


class Deletions:
    """Proves and writes the deletions of one collection."""

    def __init__(self, collection: str, store: InventoryStore, source: Source, clock: Clock, share: float) -> None:
        """Make it; more than `share` of a collection does not go at once."""
        self._collection = collection
        self._store = store
        self._source = source
        self._clock = clock
        self._share = share

    async def settle(self, missing: Missing, fence: Fence | None) -> Settled:
        """Delete what is proven gone, unless the brake acts.

        Raises:
            CloudspanError: The store's; LockLost.
        """
        brake = self._brake(missing)
        if brake is not None:
            return Settled(brake=brake)
        written, there, error, asked = Written(), set[str](), None, 0
        for start in range(0, len(missing.names), _PORTION):
            names = missing.names[start : start + _PORTION]
            at = self._clock.now()
            found = await self._proven(names)
            written += await self._write(found, at, fence)
            there.update(name for name, proof in found.items() if proof is not None and not _failed(proof))
            failures = [proof for proof in found.values() if isinstance(proof, CloudspanError)]
            error = error or next(iter(failures), None)
            asked += len(names) - len(failures)
            if len(failures) == len(names):
                break
        left_out = frozenset(there.intersection(missing.lost))
        return Settled(written, None, frozenset(there), left_out, len(missing.names) - asked, error)

    def _brake(self, missing: Missing) -> Brake | None:
        """Hold back what is too much; what was held back once is until it is few, or somebody releases it."""
        lost = len(missing.lost)
        if missing.released or lost < LEAST_BRAKED:
            return None
        if missing.brake is None and lost <= self._share * missing.total:
            return None
        since = missing.brake.since if missing.brake is not None else self._clock.now()
        return Brake(lost, missing.total, since, tuple(missing.lost[:EXAMPLES]))

    async def _proven(self, names: Sequence[str]) -> dict[str, Observed | CloudspanError | None]:
        """Ask for each; return what it is, None where it is gone, or why neither is known."""
        turn = asyncio.Semaphore(PROOFS_AT_ONCE)

        async def ask(name: str) -> Observed | CloudspanError | None:
            async with turn:
                try:
                    return await self._source.get(name)
                except CloudspanError as error:
                    return error

        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(ask(name)) for name in names}
        return {name: task.result() for name, task in tasks.items()}

    async def _write(
        self, found: dict[str, Observed | CloudspanError | None], at: float, fence: Fence | None
    ) -> Written:
        gone = [name for name, proof in found.items() if proof is None]
        there = [proof for proof in found.values() if proof is not None and not isinstance(proof, CloudspanError)]
        written = await self._store.remove(gone, at, fence) if gone else Written()
        if there:
            written += await self._store.apply(self._collection, there, at, Origin.READ, fence)
        return written


def _failed(proof: Observed | CloudspanError) -> bool:
    return isinstance(proof, CloudspanError)
