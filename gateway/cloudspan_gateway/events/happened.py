"""One event as it is kept, before it is known who hears of it: a row of the outbox, or a change of the inventory."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import event_pb2
from cloudspan_gateway.inventory.watch.change import ADDED, REMOVED, UPDATED

if TYPE_CHECKING:
    from sqlalchemy import Row

    from cloudspan_gateway.inventory.watch.change import Change, State, Type

_WHAT = {ADDED: "added", UPDATED: "updated", REMOVED: "removed"}


class Happened:
    """A row of the outbox; made into a message once, however many hear of it."""

    def __init__(self, row: Row[Any], epoch: str) -> None:
        """Take a row of `events`, and the epoch of its number."""
        self.sequence: int = row.sequence
        self.kind: str = row.type.partition(".")[0]
        """`operation`, `cluster`, `audit`."""
        self.cluster: str = row.cluster
        self.tenant: str = row.tenant
        self.project: str = row.project
        self.event = event_pb2.Event.FromString(row.data)
        _fill(self.event, epoch, row.sequence, row.time)
        for field in ("type", "subject", "cluster", "tenant"):
            setattr(self.event, field, getattr(row, field))

    def __repr__(self) -> str:
        return f"<Happened {self.event.type} {self.event.subject}>"


class ResourceChanged:
    """A change of a resource: to some who see one project, it is another one than to others."""

    def __init__(self, change: Change, epoch: str) -> None:
        self.sequence = change.sequence
        self.cluster = change.cluster
        self.change = change
        self._epoch = epoch
        self._events: dict[Type, event_pb2.Event] = {}

    def __repr__(self) -> str:
        return f"<ResourceChanged {self.change.collection} on {self.cluster}>"

    def seen_by(self, project: str) -> event_pb2.Event | None:
        """Return what it is to who sees one project of the cluster, or all with an empty one; None where nothing."""
        before, after = (
            state if state is not None and (not project or state.is_of(project)) else None
            for state in (self.change.before, self.change.after)
        )
        if after is not None:
            return self._event(UPDATED if before is not None else ADDED, after)
        return self._event(REMOVED, before) if before is not None else None

    def _event(self, kind: Type, state: State) -> event_pb2.Event:
        found = self._events.get(kind)
        if found is None:
            change = self.change
            found = self._events[kind] = event_pb2.Event(
                type=f"resource.{change.collection}.{_WHAT[kind]}",
                subject=state.stored.name,
                cluster=change.cluster,
                resource=state.stored,
            )
            _fill(found, self._epoch, change.sequence, change.time)
        return found


def _fill(event: event_pb2.Event, epoch: str, sequence: int, time: float) -> None:
    # Not the number itself: it would show how much happens to others. Who does not know the epoch can't undo it.
    event.id = str(uuid.uuid5(uuid.UUID(hex=epoch), str(sequence)))
    event.time.FromNanoseconds(round(time * 1e9))
