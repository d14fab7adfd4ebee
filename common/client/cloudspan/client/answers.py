"""What sync and asyncio share about answers: the pages of a list, and operations."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from google.longrunning import operations_pb2
from google.protobuf import symbol_database

from cloudspan.client.errors import (
    Cancelled,
    CloudspanError,
    OutOfTime,
    Recovery,
    Unauthenticated,
    Unreachable,
    from_status,
)
from cloudspan.v1 import inventory_pb2, operation_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from google.protobuf.message import Message

    from cloudspan.v1 import common_pb2

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")

# A wait is renewed this often: a proxy on the way may cut what is silent for longer.
WAIT_ROUND_S = 20.0
# Room for the answer of a wait that used up its time.
WAIT_MARGIN_S = 5.0
DEFAULT_RESULT_TIMEOUT_S = 600.0
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.1, 5.0  # 0.1, 0.2, 0.4, ... s

_Change = inventory_pb2.WatchResponse.Change


class Pages(Generic[ItemT]):
    """Where a listing is, and how each cluster took part so far."""

    def __init__(self, request: Message) -> None:
        self._request: Any = type(request)()
        self._request.CopyFrom(request)
        self.unreachable: Sequence[str] = ()
        """Names of the clusters that did not answer."""
        self.cluster_status: Sequence[common_pb2.ClusterStatus] = ()
        """How each cluster took part: its state, the age of its part, why something is missing."""

    def __repr__(self) -> str:
        missing = f", without {', '.join(self.unreachable)}" if self.unreachable else ""
        return f"<Listing {self._request.DESCRIPTOR.name}{missing}>"

    def _note(self, answer: Any) -> Sequence[ItemT]:
        """Keep the last word on each cluster, a later page knows of those that failed since; return the items."""
        self.unreachable = tuple(getattr(answer, "unreachable", ()))
        known = {status.cluster: status for status in self.cluster_status}
        known |= {status.cluster: status for status in getattr(answer, "cluster_status", ())}
        self.cluster_status = tuple(known.values())
        items: Sequence[ItemT] = getattr(answer, answer.DESCRIPTOR.fields_by_number[1].name)
        return items


class OperationState(Generic[ResultT]):
    """An operation as it was last seen."""

    def __init__(self, proto: operations_pb2.Operation) -> None:
        self.proto = proto
        """The `google.longrunning.Operation` itself."""

    def __repr__(self) -> str:
        state = "done" if self.done else operation_pb2.OperationMetadata.Phase.Name(self.metadata.phase)
        return f"<{type(self).__name__} {self.name or 'without a name'}: {'failed' if self.error else state}>"

    @property
    def name(self) -> str:
        """`operations/{uuid}`."""
        return self.proto.name

    @property
    def done(self) -> bool:
        """Whether it has ended, with a result or an error."""
        return self.proto.done

    @property
    def metadata(self) -> operation_pb2.OperationMetadata:
        """Where it is: phase, stage, percent, resource."""
        metadata = operation_pb2.OperationMetadata()
        self.proto.metadata.Unpack(metadata)
        return metadata

    @property
    def error(self) -> CloudspanError | None:
        """What it failed with; None while it runs and when it succeeded."""
        return from_status(self.proto.error) if self.proto.HasField("error") else None

    def _not_done(self, timeout_s: float) -> OutOfTime:
        text = f"{self.name} is not done after {timeout_s:g} s; it goes on, wait again or watch it"
        return OutOfTime(text, reason="OPERATION_NOT_DONE")


class WatchState:
    """What a watch was told so far, and where it goes on."""

    def __init__(self, request: inventory_pb2.WatchRequest) -> None:
        self._request = inventory_pb2.WatchRequest()
        self._request.CopyFrom(request)
        self._is_whole = not (request.changes_only or request.resume_token)
        self._unconfirmed: set[str] = set()
        self._is_first = True
        self.resources: dict[str, inventory_pb2.StoredResource] = {}
        """By name what there is, as far as it was told; empty for a watch that did not begin with all of it."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.resources)} resources>"

    @property
    def resume_token(self) -> str:
        """Where another watch goes on behind the changes that were taken."""
        return self._request.resume_token

    def _begin_anew(self) -> bool:
        """Ask for all of it again; return whether what was missed can be told from that."""
        self._request.resume_token = ""
        self._unconfirmed = set(self.resources)
        self._is_first = False
        return self._is_whole

    def _taken(self, answer: inventory_pb2.WatchResponse) -> Iterator[inventory_pb2.WatchResponse.Change]:
        """Yield the changes of a message as they are to who has taken all of those before."""
        for change in answer.changes:
            if not self._is_whole or self._take(change):
                yield change
        if answer.snapshot_complete:
            for name in sorted(self._unconfirmed):
                yield _Change(type=_Change.TYPE_REMOVED, resource=self.resources.pop(name))
            self._unconfirmed.clear()
        self._request.resume_token = answer.resume_token

    def _take(self, change: inventory_pb2.WatchResponse.Change) -> bool:
        """Keep what a change brings, and say so in its type; return whether it brings anything."""
        name = change.resource.name
        self._unconfirmed.discard(name)
        if change.type == _Change.TYPE_REMOVED:
            return self.resources.pop(name, None) is not None
        held = self.resources.get(name)
        self.resources[name] = change.resource
        if held is not None:
            change.type = _Change.TYPE_UPDATED
        elif change.type != _Change.TYPE_EXISTING or not self._is_first:
            change.type = _Change.TYPE_ADDED
        return held is None or _content(held) != _content(change.resource)


def _content(resource: inventory_pb2.StoredResource) -> tuple[Message, Message]:
    """Return what a resource says without when that was read: a snapshot tells the same again, as of later."""
    stored = inventory_pb2.StoredResource()
    stored.CopyFrom(resource)
    own: Any = stored.resource
    with suppress(KeyError):  # a kind that this client does not know yet, compared by its bytes
        own = symbol_database.Default().GetSymbol(stored.resource.TypeName())()
        stored.resource.Unpack(own)
        if "observe_time" in own.DESCRIPTOR.fields_by_name:
            own.ClearField("observe_time")
        stored.ClearField("resource")
    stored.ClearField("observe_time")
    return stored, own


def goes_on(error: CloudspanError, *, has_come: bool) -> bool:
    """Whether a stream that had begun goes on after an error: a gateway restarts, a tenant's streams are too many now.

    A credential that is refused before anything `has_come` is not renewed by asking again; one that has ended is.
    """
    if isinstance(error, Unauthenticated):
        return has_come
    return isinstance(error, (Unreachable, Cancelled)) or error.recovery in (Recovery.RETRY, Recovery.RETRY_AFTER)


def watch_pause_s(failures: int, error: CloudspanError) -> float:
    """Return how long to wait before a watch that was cut off goes on."""
    return max(error.retry_after_s or 0.0, min(_FIRST_PAUSE_S * 2.0 ** min(failures, 10), _MAX_PAUSE_S))


def result_of(operation: operations_pb2.Operation | OperationState[ResultT]) -> ResultT:
    """Return the result of an operation that is done.

    Raises:
        CloudspanError: It failed.
    """
    proto = operation.proto if isinstance(operation, OperationState) else operation
    if proto.HasField("error"):
        raise from_status(proto.error)
    result: Any = symbol_database.Default().GetSymbol(proto.response.TypeName())()
    proto.response.Unpack(result)
    return result


def wait_request(name: str, seconds: float) -> operations_pb2.WaitOperationRequest:
    """Return the request that waits for an operation."""
    request = operations_pb2.WaitOperationRequest(name=name)
    request.timeout.FromNanoseconds(int(seconds * 1e9))
    return request
