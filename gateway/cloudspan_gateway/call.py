"""One call on its way through the gateway: what its caller said, and what became of it.

The server makes a `GatewayCall` per call; interceptors fill in who and how long, the router where to, and forwarding
which instance served it. Operations and fan-out are handed it; the observing interceptor reads it at the end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

from cloudspan_common.deadlines import Deadline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_common.names import ClusterRef

Context = grpc.aio.ServicerContext[bytes, bytes]
Metadata = tuple[tuple[str, str | bytes], ...]
Payload = bytes | AsyncIterator[bytes]
"""What comes in: one message, or a client's stream of them."""
Answer = bytes | None
"""What goes out: one message; None where the messages were written to the call one by one."""

REQUEST_ID = "x-request-id"
TRACEPARENT = "traceparent"
PLATFORM, CLUSTER, POOL = "x-platform", "x-cluster", "x-pool"
# The caller's `authorization` never reaches an adapter; what does is named here.
_FORWARDED = frozenset({"tracestate"})
_IDS = frozenset({REQUEST_ID, TRACEPARENT})
_FORWARDED_PREFIX = "x-cloudspan-"
_TAGS = frozenset({PLATFORM, CLUSTER, POOL})
# What a hop says of itself and not of the answer.
_HOP_KEYS = frozenset({"date", "server", "content-type", "user-agent", "te", "via", REQUEST_ID})
# Until the call has been looked at it may do nothing.
_PAST = Deadline(0.0)


@dataclass(slots=True, eq=False)
class GatewayCall:
    """One call; the first two fields are there from the start, the rest is filled in on the way."""

    path: str
    """`/cloudspan.v1.ServerService/GetServer`."""
    context: Context
    tags: Mapping[str, str] = field(default_factory=dict)
    """Routing metadata of the caller: x-platform, x-cluster, x-pool."""
    request_id: str = ""
    traceparent: str = ""
    carried: Metadata = ()
    """What else of the caller's metadata goes on to adapters."""
    deadline: Deadline = _PAST
    """When the caller stops waiting."""
    ref: ClusterRef | None = None
    """Where it was routed to."""
    served_by: str = ""
    """The id of the instance that it went to last."""
    tries: int = 0
    """To how many instances it was sent."""
    trailers: Metadata = ()
    """What the adapter sent behind its answer."""
    answered: bool = False
    """Whether anything of the answer has left."""
    patient: bool = False
    """Whether its caller asked to be kept waiting, so that a long time is no sign of trouble."""
    code: grpc.StatusCode = grpc.StatusCode.OK
    reason: str = ""
    """Why it failed, for the log."""

    def __repr__(self) -> str:
        where = f" to {self.ref}" if self.ref else ""
        return f"<GatewayCall {self.path}{where}: {self.code.name} after {self.tries} tries>"

    def header(self, key: str) -> str:
        """Return the caller's metadata under `key`, such as `x-wait`; empty when there is none or it is not text."""
        for name, value in self.context.invocation_metadata() or ():
            if name == key and isinstance(value, str):
                return value
        return ""

    def outgoing(self, *tags: tuple[str, str | bytes]) -> Metadata:
        """Return the metadata for a call to an adapter on behalf of this one."""
        return ((REQUEST_ID, self.request_id), (TRACEPARENT, self.traceparent), *self.carried, *tags)

    async def begin(self, metadata: Metadata = ()) -> None:
        """Send the head of a streamed answer."""
        self.answered = True
        await self.context.send_initial_metadata((*metadata, (REQUEST_ID, self.request_id)))


def read_metadata(call: GatewayCall) -> dict[str, str]:
    """Sort the caller's metadata into tags and what is carried on; return the ids among it."""
    ids: dict[str, str] = {}
    tags: dict[str, str] = {}
    for key, value in call.context.invocation_metadata() or ():
        if key in _IDS:
            ids[key] = str(value)
        elif key in _TAGS:
            tags[key] = str(value)
        elif key in _FORWARDED or key.startswith(_FORWARDED_PREFIX):
            call.carried = (*call.carried, (key, value))
    call.tags = tags
    return ids


def passed_back(metadata: Iterable[tuple[str, str | bytes]] | None) -> Metadata:
    """Return what of an adapter's initial metadata or trailers concerns the caller."""
    return tuple((key, value) for key, value in metadata or () if key not in _HOP_KEYS)
