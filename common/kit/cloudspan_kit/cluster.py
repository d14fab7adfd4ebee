"""A cluster of an adapter: what its author implements so that the kit can serve it, and the context of each call.

The kit finds a cluster's functions in its `drivers`: classes that implement the protocols of `cloudspan_kit.drivers`,
most of them on top of a `Kind`. `serve.capabilities` reads them at the start and refuses what does not fit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol

from cloudspan.v1 import cluster_pb2
from cloudspan_common.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import msgspec

    from cloudspan_common.deadlines import Deadline
    from cloudspan_common.names import ClusterRef
    from cloudspan_common.tokens import TokenKeeper

Level = cluster_pb2.MethodCapability.Level
CreateSafety = cluster_pb2.MethodCapability.CreateSafety

NATIVE = cluster_pb2.MethodCapability.LEVEL_NATIVE
EMULATED = cluster_pb2.MethodCapability.LEVEL_EMULATED
ABSENT = cluster_pb2.MethodCapability.LEVEL_ABSENT

UNDECLARED = cluster_pb2.MethodCapability.CREATE_SAFETY_UNSPECIFIED
BY_KEY = cluster_pb2.MethodCapability.CREATE_SAFETY_NATIVE
"""We choose the id, or the platform refuses the natural key a second time."""
BY_MARKER = cluster_pb2.MethodCapability.CREATE_SAFETY_MARKER
"""A marker travels in the create and is looked up before it is sent again."""
UNSAFE = cluster_pb2.MethodCapability.CREATE_SAFETY_NONE
"""Nothing keeps a create from leaving two: an unknown outcome stays OUTCOME_UNKNOWN."""


@dataclass(frozen=True, slots=True)
class Caller:
    """On whose behalf a call is, as the gateway signed it; all empty where callers are not authenticated."""

    tenant: str = ""
    """The id of the tenant that it acts in."""
    user: str = ""
    """`users/alice`, `services/billing`; `gateway` for what a gateway asks for itself."""
    roles: tuple[str, ...] = ()
    """The ids of the user's roles in that tenant; the gateway has checked that they allow the call."""
    project: str = ""
    """The platform's id of the only project that the call may touch; empty for all that the credentials reach."""


NOBODY = Caller()


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
    fields: frozenset[str] = frozenset()
    """The resource's fields that the caller asks for by a read mask; empty for all of them."""
    cloud: object = field(default=None, repr=False)
    """What the cluster's sources work with, its `Cluster.cloud`: usually the session with the platform."""
    caller: Caller = NOBODY
    """On whose behalf it is."""
    background: bool = False
    """Whether nobody waits for it, as for an inventory's sweeps: its native calls let all others go first."""

    @property
    def project(self) -> str:
        """The name of the only project that the call may touch; empty for all of them."""
        return self.cluster.resource("projects", self.caller.project) if self.caller.project else ""

    def wants(self, *fields: str) -> bool:
        """Whether one of these fields is asked for: what costs a native call more need not be read otherwise."""
        return not self.fields or not self.fields.isdisjoint(fields)


@dataclass(frozen=True, slots=True)
class Capability:
    """What a driver says of one of its functions, or a cluster of any method."""

    level: Level = NATIVE
    reason: str = ""
    create_safety: CreateSafety = UNDECLARED
    """Of a create; a `Kind` says it for the create of its own collection."""
    options: type[msgspec.Struct] | None = None
    """Declares the request's `options`; needs `forbid_unknown_fields=True`."""
    sortable: Sequence[str] = ()
    """Of a list; a `Kind` says it for its own."""
    fields: Mapping[str, tuple[Level, str]] = field(default_factory=dict)
    """Fields that differ from the method's level: path -> (level, reason)."""


class Driver(Protocol):
    """Functions of one cluster, named as the rpcs that they serve; the protocols of `drivers` say which there are."""

    capabilities: ClassVar[Mapping[str, Capability]] = {}
    """By function name, what can't be read off it: `{"create_volume": Capability(options=VolumeOptions)}`."""


def not_driven(function: str) -> Unsupported:
    """Return what the functions of the generated protocols raise; the kit refuses such a call before it gets there."""
    return Unsupported(f"{function} is not implemented on this platform", reason="METHOD_ABSENT")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of CheckCluster."""

    name: str
    """One of the contract's kinds in lower case, `login`; anything else is OTHER."""
    ok: bool
    message: str
    took_s: float
    reason: str = ""
    """Why it failed, UPPER_SNAKE_CASE."""


class Cluster(Protocol):
    """One cluster of an adapter: endpoint, credentials, scope."""

    @property
    def ref(self) -> ClusterRef: ...

    @property
    def drivers(self) -> Sequence[Driver]:
        """Everything that it serves; a function may stand in one driver only."""
        ...

    @property
    def cloud(self) -> object:
        """What the sources of its kinds work with, handed to them as `Call.cloud`: usually the session."""
        ...

    @property
    def digest(self) -> str:
        """A digest of endpoint and scope: two instances that claim one name must agree on it. Empty: it claims none."""
        ...

    @property
    def settle_s(self) -> float:
        """How long a lost create may still appear, in seconds (120 where nothing else was measured)."""
        ...

    @property
    def keeper(self) -> TokenKeeper | None:
        """What keeps its token; None where there is nothing to log in to.

        The kit asks it for a token before new credentials take the place of others, and lets the old ones hand over.
        """
        ...

    async def open(self) -> None:
        """Begin to log in, in the background; must not wait for the cloud."""
        ...

    async def close(self) -> None:
        """Log out and let go of connections."""
        ...

    def describe(self) -> cluster_pb2.Cluster:
        """Return its health as of now, from memory; the kit adds name and capabilities."""
        ...

    async def project(self, call: Call) -> str:
        """Return the id of the project that its credentials create in; empty where the platform has no projects.

        Asked only for callers who have one project of the cluster; it may log in for it, and raises what that raises.
        """
        ...

    async def check(self, call: Call) -> Sequence[Stage]:
        """Check the connection to the cloud stage by stage; never raises for a broken cloud."""
        ...
