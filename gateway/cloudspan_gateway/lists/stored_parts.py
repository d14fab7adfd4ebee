"""Parts of lists over many clusters that come from the inventory; the composition root joins the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cloudspan_common.contract import Method
    from cloudspan_common.errors import CloudspanError
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.call import Call


@dataclass(frozen=True, slots=True)
class Where:
    """Which part of a list is wanted from the inventory."""

    ref: ClusterRef
    size: int
    """How many items it may have."""
    cursor: str | None = None
    """Where the part before has ended; None for the first."""


class StoredParts(Protocol):
    """Has parts in the inventory, for callers who take an answer of some age."""

    def concerns(self, method: Method, call: Call) -> bool:
        """Whether a call says so."""
        ...

    async def part(
        self, method: Method, call: Call, where: Where, away: CloudspanError | None = None
    ) -> Message | None:
        """Return one cluster's part of a page; None where only the platform will do.

        With `away`, why it gave no answer, its last known rows are wanted.
        """
        ...
