"""What an adapter author writes: clusters, and one area object for each group of services.

The kit finds an area's functions by the contract's rpc names in snake case (`list_servers`, `create_server`) and does
the rest: routing, REQUIRED, page tokens, filters, read masks, options, error mapping, capabilities, operations.
A function that no area has answers UNIMPLEMENTED and is absent from the capabilities.

A read is      `async def get_server(self, call: Call, request: GetServerRequest) -> Server`
A list is      `async def list_servers(self, call: Call, query: Query) -> Page[Server]`
A mutation is  `async def create_server(self, op: Operation, request: CreateServerRequest) -> Server | None`
Spec: design, sections 3, 4 and 7.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from cloudspan.v1 import cluster_pb2

if TYPE_CHECKING:
    import msgspec

    from cloudspan_common.deadlines import Deadline
    from cloudspan_common.listing.filter_ast import Filter
    from cloudspan_common.names import ClusterRef

Level = cluster_pb2.MethodCapability.Level
CreateSafety = cluster_pb2.MethodCapability.CreateSafety

NATIVE = cluster_pb2.MethodCapability.LEVEL_NATIVE
EMULATED = cluster_pb2.MethodCapability.LEVEL_EMULATED
ABSENT = cluster_pb2.MethodCapability.LEVEL_ABSENT

BY_KEY = cluster_pb2.MethodCapability.CREATE_SAFETY_NATIVE
"""We choose the id, or the platform refuses the natural key a second time."""
BY_MARKER = cluster_pb2.MethodCapability.CREATE_SAFETY_MARKER
"""A marker travels in the create and is looked up before it is sent again."""
UNSAFE = cluster_pb2.MethodCapability.CREATE_SAFETY_NONE
"""Nothing keeps a create from leaving two: an unknown outcome stays OUTCOME_UNKNOWN."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """The context of one call; immutable, handed down, never ambient."""

    cluster: ClusterRef
    deadline: Deadline
    request_id: str = ""
    id: str = ""
    """The platform's own id out of the routed name; empty where a parent was routed."""
    full: bool = False
    """Whether `native` is wanted (view FULL)."""


@dataclass(frozen=True, slots=True)
class Query:
    """What a list asks the driver for: one native page."""

    filter: Filter
    """Push down what the platform can (`filter.equal("state")`); the kit applies all of it to what comes back."""
    limit: int
    """At most this many are useful; fewer or more may come back."""
    cursor: str = ""
    """Where the driver's last page ended: what its `Page` gave for that item. Empty at the start."""
    order_by: tuple[tuple[str, bool], ...] = ()
    """(field, descending), only fields that the capability's `sortable` names."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One native page.

    `position(i)` is the cursor that goes on after item i: a marker or an offset. `more` says whether there is
    anything after the last item. `partial` says why the platform can't prove that nothing is missing, if so.
    """

    items: Sequence[T]
    more: bool
    position: Callable[[int], str]
    partial: str = ""


@dataclass(frozen=True, slots=True)
class Capability:
    """What an area says of one of its functions, or a cluster of any method."""

    level: Level = NATIVE
    reason: str = ""
    create_safety: CreateSafety = cluster_pb2.MethodCapability.CREATE_SAFETY_UNSPECIFIED
    options: type[msgspec.Struct] | None = None
    """Declares the request's `options`; needs `forbid_unknown_fields=True`."""
    sortable: Sequence[str] = ()
    fields: Mapping[str, tuple[Level, str]] = field(default_factory=dict)
    """Fields that differ from the method's level: path -> (level, reason)."""


class Area(Protocol):
    """A group of functions of one cluster; declares what can't be read off their names.

    Beside `capabilities` an area may have two more, read when they are there:

    `transits: Mapping[str, Transits]` by collection, for what `until(..., watch=...)` waits for, and
    `marked: Mapping[str, MarkedKind]` by collection, for what its creates mark.
    """

    @property
    def capabilities(self) -> Mapping[str, Capability]:
        """By function name: `{"create_server": Capability(create_safety=BY_MARKER)}`; the rest is NATIVE."""
        ...


Transits = Callable[["Call", "Sequence[str]"], Awaitable["set[str]"]]
"""`async (call, ids) -> ids`: those that are still on their way to a final state, gone or never there excluded.

As few native calls as it takes: one look each for a few, one listing for many. It is a hint that something may have
changed: the operation then looks for itself. So an id too few costs a look, and one too many a wait of
`polling.MAX_UNSEEN_S`.
"""


@dataclass(frozen=True, slots=True)
class Marked:
    """A resource that carries a mark of ours."""

    id: str
    marker: str
    display_name: str = ""
    create_time: float | None = None
    """Unix time in seconds, if the platform tells."""


@dataclass(frozen=True, slots=True)
class MarkedKind:
    """How the marks on one collection are found, and what carries them is removed."""

    find: Callable[[Call, str], Awaitable[Sequence[Marked]]]
    """`async (call, prefix)`: everything whose marker begins with `prefix`; each row's marker is its own."""
    remove: Callable[[Call, str], Awaitable[None]]
    """`async (call, id)`: deletes it; done as well when it is gone. RateLimited where it has to be asked again."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A resource whose transit `until` waits for; its area's `transits` has its collection."""

    collection: str
    native_id: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of CheckCluster."""

    name: str
    ok: bool
    message: str
    took_s: float


class Cluster(Protocol):
    """One cluster of an adapter: endpoint, credentials, scope."""

    @property
    def ref(self) -> ClusterRef: ...

    @property
    def areas(self) -> Sequence[Area]:
        """Its areas; a function may stand in one only."""
        ...

    @property
    def digest(self) -> str:
        """A digest of endpoint and scope: two instances that claim one name must agree on it."""
        ...

    @property
    def settle_s(self) -> float:
        """How long a lost create may still appear, in seconds (platform facts: 120 by default)."""
        ...

    async def open(self) -> None:
        """Begin to log in, in the background; must not wait for the cloud."""
        ...

    async def close(self) -> None:
        """Log out and let go of connections."""
        ...

    def describe(self) -> cluster_pb2.Cluster:
        """Return how it stands now, from memory; the kit adds name and capabilities."""
        ...

    async def check(self, call: Call) -> Sequence[Stage]:
        """Try the way to the cloud stage by stage; never raises for a broken cloud."""
        ...


class Operation(Protocol):
    """What a mutation's function is handed: runs its steps, each at most once (design, section 4).

    The function is run again from its start for every step: finished steps give their stored result at once, the
    next missing one is done, and the function is left there until the gateway has stored the outcome. So it must
    not act on the cloud except through `create`, `act` and `until`, and must reach the same steps again. What it reads
    and looks up before its first other step is checked by `validate_only` as well.
    """

    @property
    def call(self) -> Call:
        """Context of the current step."""
        ...

    def marker(self, step: str) -> str:
        """What to send along with a create so that `find` can find it: at most 60 characters, no `,` or `/`."""
        ...

    async def create(
        self,
        step: str,
        *,
        send: Callable[[str], Any],
        find: Callable[[str], Any],
        undo: Callable[[str], Any] | None = None,
        safety: CreateSafety = BY_MARKER,
        collection: str = "",
    ) -> Made:
        """Make one resource, exactly once.

        Args:
            step: The step's name, unique in this operation, stable across versions.
            send: `async (marker) -> Made`. Sends the native create. A refusal is any CloudspanError; no reply, or
                one that proves nothing, is OutcomeUnknown.
            find: `async (marker) -> list[Made]`. Everything that carries the marker, oldest first; must re-check
                the marker on every row.
            undo: `async (id) -> None`. Deletes it again; done as well when it is gone.
            safety: BY_KEY where a second send is refused by the platform: then nothing settles, `find` decides.
            collection: Its place in resource names, for left-overs; the step's name and an s when empty.
        """
        ...

    async def act(
        self, step: str, do: Callable[[], Any], *, undo: Callable[[], Any] | None = None
    ) -> Mapping[str, Any]:
        """Change something once: `do` is `async () -> Mapping | None` and must be harmless when done twice.

        It looks at the state first where the platform would not refuse a second time. What it returns (JSON values)
        is stored and returned again later.
        """
        ...

    async def look(self, step: str, look: Callable[[], Any]) -> Mapping[str, Any]:
        """Look something up once, so that all later steps go by the same: `look` is `async () -> Mapping | None`.

        It changes nothing, so there is nothing to undo. What it returns (JSON values) is stored and returned again.
        """
        ...

    async def until(self, step: str, poll: Callable[[], Any], *, percent: int = 0, watch: Watch | None = None) -> Any:
        """Wait for a terminal native state: `poll` is `async () -> T | None`, None meaning not yet.

        With `watch` the wait is shared: many operations are looked after by one listing, and `poll` is asked again
        once the resource is no longer in transit.

        `poll` raises GaveUp on a failed terminal state (a server in ERROR), which ends the operation and undoes what
        it made. Errors that prove nothing (Unreachable, RateLimited, PlatformFault, LoginRefused, ...) are waited out.

        What it returned is stored and returned again by later steps if it is JSON or a message; anything else is
        polled again.

        Polled adaptively (0.1 s at first, a quarter of the time waited, 5 s at most), never while the function holds
        a thread or a connection.
        """
        ...

    def touches(self, resource: str) -> None:
        """Say the name of the resource that this operation works on, as soon as it is known."""
        ...


@dataclass(frozen=True, slots=True)
class Made:
    """What a create made: the platform's id, and what later steps need of it (JSON values)."""

    id: str
    data: Mapping[str, Any] = field(default_factory=dict)
