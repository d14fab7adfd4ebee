"""What a store asks of a batch: one command a call, answered once its transaction is durable.

Made by `SqlStore`, carried out by `batch` (what changes single rows) and `claims` (what goes over many).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudspan_gateway.access.limits import OperationLimit
    from cloudspan_gateway.audit.event import Event
    from cloudspan_gateway.operations.model import Intent, Row
    from cloudspan_gateway.operations.stores.base import Claim
    from cloudspan_gateway.outbox.event import OutboxEvent


@dataclass(frozen=True, slots=True)
class Accept:
    """Keep a new operation; answered with its row."""

    intent: Intent
    now: float
    event: Event | None = None
    limits: Sequence[OperationLimit] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """Replace a row by what `to` makes of it; answered with the new row."""

    id: str
    to: Callable[[Row], Row]
    epoch: int | None = None
    """Of the claim that it is made under, if it is."""
    explained: bytes = b""
    ends: bool = False
    """Whether `to` may end it."""
    tells_before: bool = False
    """Answered with the row as it was."""
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Forget:
    """Delete an operation that has ended."""

    id: str
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class Purge:
    """Delete what ended before a time; answered with how many."""

    ended_before: float
    limit: int


@dataclass(frozen=True, slots=True)
class Take:
    """Claim what is free; answered with the claims and their rows."""

    limit: int
    unreadable: set[str] = field(default_factory=set)
    """Ids to leave alone, since their keys are missing; those that turn out to be so are added."""


@dataclass(frozen=True, slots=True)
class Release:
    """Let go of claims."""

    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Renew:
    """Renew the lease."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Let go of every claim, and of the lease."""


Command = Accept | Change | Forget | Purge | Take | Release | Renew | Leave


@dataclass(slots=True)
class Effects:
    """What a batch did, beside its answers: what is to be announced once it is durable."""

    changed: dict[str, Row] = field(default_factory=dict)
    """Rows that watchers see differently now."""
    gone: list[str] = field(default_factory=list)
    work: bool = False
    """Whether there may be something to claim."""
    events: list[Event] = field(default_factory=list)
    """What the audit keeps of it: within its transaction, and not after it like the rest."""
    happened: list[OutboxEvent] = field(default_factory=list)
    """Ends of operations; within its transaction too."""
