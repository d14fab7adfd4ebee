"""One call on its way through the gateway, whatever door it came by: what was asked, where it leads, how it ends.

A door makes a `Call` and hands it to the pipeline. The stages fill in the rest: context says who asks, route where to,
dispatch who served it, errors how it ended. Nothing here knows how a door speaks with its callers.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from google.protobuf.empty_pb2 import Empty

from cloudspan_common.errors import Code
from cloudspan_gateway.access.access import OPEN
from cloudspan_gateway.access.behalf import Behalf
from cloudspan_gateway.access.principal import ANONYMOUS
from cloudspan_gateway.metadata import REQUEST_ID, Metadata, outgoing

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from cloudspan_common.deadlines import Deadline
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.access.limits import CallUsage
    from cloudspan_gateway.access.principal import Principal
    from cloudspan_gateway.audit.event import Event

Payload = bytes | AsyncIterator[bytes]
"""What comes in: one message, or a client's stream of them."""
Answer = bytes | None
"""What goes out: one message; None where the call failed, or its messages were written one by one."""


class Writer(Protocol):
    """Where a door takes the messages of a streamed answer."""

    async def begin(self, metadata: Metadata) -> None:
        """Send the head of the answer, before its first message."""
        ...

    async def write(self, message: bytes) -> None:
        """Send one message; returns once the caller can take the next one."""
        ...


class Target(NamedTuple):
    """Where a call leads. Set once, by the route stage, before any policy is asked."""

    method: str
    """Full name: `cloudspan.v1.ServerService/GetServer`."""
    ref: ClusterRef | None = None
    """The cluster; with wildcards in a list over many, None for what is about no cluster."""
    names: tuple[str, ...] = ()
    """The resources, parents and operations that the request names."""
    message: Message = Empty()
    """The request; empty for services beyond the contract."""
    body: bytes = b""
    """The request as it is to be sent on."""
    tags: Metadata = ()
    """What an adapter needs to know of the target where the request doesn't say it."""
    asked: bytes = b""
    """What was asked, where the gateway has chosen a cluster for it: the pool and the request as they came."""


class Ending(NamedTuple):
    """How a call failed: what a door gives its caller instead of an answer."""

    code: Code
    message: str
    trailers: Metadata = ()
    """With the details, a google.rpc.Status, under `grpc-status-details-bin`."""


class Certificate(NamedTuple):
    """What a caller's certificate says, which its door has verified."""

    names: tuple[str, ...]
    """Its DNS names."""
    fingerprint: str
    """SHA-256, hex."""
    expire_time: float = math.inf
    """When it ends, Unix seconds; its connection may outlive it."""


def _no_certificate() -> None:
    return None


_NOWHERE = Target("")


@dataclass(slots=True, eq=False)
class Call:
    """One call; what a door gives comes first, the rest is filled in on the way."""

    path: str
    """`/cloudspan.v1.ServerService/GetServer`."""
    payload: Payload
    metadata: Iterable[tuple[str, str | bytes]]
    peer: Callable[[], str]
    """Returns who is calling; a function, since most calls never need it."""
    deadline: Deadline
    """When the caller stops waiting."""
    writer: Writer
    certificate: Callable[[], Certificate | None] = _no_certificate
    """Returns the certificate that its caller has shown; a function, as `peer`."""
    request_id: str = ""
    traceparent: str = ""
    credential: Any = None
    """What `identity.credentials` has read of the metadata, for those who ask again."""
    principal: Principal = ANONYMOUS
    """Who asks."""
    access: Access = OPEN
    """What it may do and see."""
    event: Event | None = None
    """What the audit is to keep of it; None once a store has kept it, and where there is nothing to keep."""
    usage: CallUsage | None = None
    """What it counts for of its tenant and pool; None where nothing is limited."""
    repeated: bool = False
    """Whether it is refused as others of its tenant were just before: those are in the log and the audit."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Routing metadata of the caller: x-platform, x-cluster, x-pool."""
    carried: Metadata = ()
    """What else of the caller's metadata goes on to adapters."""
    target: Target = _NOWHERE
    served_by: str = ""
    """The id of the instance that it went to last."""
    tries: int = 0
    """To how many instances it was sent."""
    head: Metadata = ()
    """What the adapter sent before its one message."""
    trailers: Metadata = ()
    """What goes behind the answer."""
    warnings: Metadata = ()
    """Trailers about what was asked: they go behind an answer and behind an error."""
    stale_ok: bool = False
    """Whether its caller takes the last known state where a cluster does not answer: metadata x-stale-ok."""
    answered: bool = False
    """Whether anything of a streamed answer has left."""
    patient: bool = False
    """Whether its caller asked to be kept waiting, so that a long time is not a sign of trouble."""
    waited_s: float = 0.0
    """How long it was kept waiting as its caller asked: for the end of an operation, for a change."""
    ending: Ending | None = None
    """How it failed."""
    reason: str = ""
    """Why it failed, for the log: whole where the ending's message is cut."""

    def __repr__(self) -> str:
        where = f" to {self.target.ref}" if self.target.ref else ""
        return f"<Call {self.path}{where}: {self.code.name} after {self.tries} tries>"

    @property
    def code(self) -> Code:
        """What the call ended with, or will if nothing goes wrong."""
        return self.ending.code if self.ending else Code.OK

    def header(self, key: str) -> str:
        """Return the caller's metadata under `key`, such as `x-wait`; empty when there is none or it is not text."""
        for name, value in self.metadata:
            if name == key and isinstance(value, str):
                return value
        return ""

    def outgoing(self) -> Metadata:
        """Return the metadata for a call to an adapter on behalf of this one."""
        return outgoing(self.request_id, self.traceparent, self.carried, self.target.tags)

    @contextmanager
    def event_handed_over(self) -> Iterator[Event | None]:
        """Give the event to who keeps it together with the change; take it back where that failed.

        Not where the caller left meanwhile: then nobody knows, and either both are kept or neither.
        """
        event, self.event = self.event, None
        try:
            yield event
        except Exception:
            self.event = event
            raise

    def behalf(self, ref: ClusterRef | None = None) -> Behalf:
        """Return on whose behalf an adapter is called for this one, about `ref` or the target's cluster."""
        about = ref or self.target.ref
        access = self.access
        project = access.project(about) if about else ""
        return Behalf(self.principal.subject, access.tenant, access.roles, project)

    async def begin(self, metadata: Metadata = ()) -> None:
        """Send the head of a streamed answer."""
        self.answered = True
        await self.writer.begin((*metadata, (REQUEST_ID, self.request_id)))
