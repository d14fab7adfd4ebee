"""What a mutation is written with: an `Operation`, whose steps are each carried out at most once.

`engine.run.OperationRun` implements it, and `engine.validate.Validation` for requests that are only checked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from cloudspan_kit.cluster import BY_MARKER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from google.protobuf.message import Message

    from cloudspan_common.errors import CloudspanError, PreconditionFailed
    from cloudspan_kit.cluster import Call, CreateSafety
    from cloudspan_kit.kind import Kind

R = TypeVar("R")
B = TypeVar("B")
T = TypeVar("T")
V = TypeVar("V")
M = TypeVar("M", bound="Message")
K_co = TypeVar("K_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Watch:
    """A resource that is waited for: the kit looks after many at once where its kind says when it is `settled`."""

    collection: str
    native_id: str


@dataclass(frozen=True, slots=True)
class Made(Generic[K_co]):
    """What a create made: the platform's id, and what later steps need of it (JSON values).

    `Made[VolumeRow]` is what `op.create(VOLUMES, ...)` returns, and `op.ready` returns the row of.
    """

    id: str
    data: Mapping[str, Any] = field(default_factory=dict)


class Operation(Protocol):
    """What a mutation's function is handed: runs its steps, each at most once.

    The function is run again from its start for every step: finished steps give their stored result at once, the
    next missing one is done, and the function is left there until the gateway has stored the outcome. So it must
    not act on the cloud except through the verbs below, and must reach the same steps again. Steps have names, unique
    in the operation, that stand in stored cursors: they are never renamed. What the function reads and looks up before
    its first step that changes something is checked by `validate_only` as well.
    """

    @property
    def call(self) -> Call:
        """Context of the current step."""
        ...

    def set_resource(self, name: str) -> None:
        """Say the name of the resource that this operation works on, as soon as it is known."""
        ...

    def marker(self, step: str) -> str:
        """Return what travels in a create so that it is found again: at most 60 characters, no `,` or `/`."""
        ...

    # ------------------------------------------------------------------ the short verbs, for a kind

    async def create(self, kind: Kind[R, M, B], body: B, *, step: str = "", part: bool = False) -> Made[R]:
        """Make one resource of a kind, exactly once; its undo is its deletion.

        Args:
            kind: What to make.
            body: The request in the platform's words, as the kind's source wants it.
            step: The step's name; the kind's own, `volume` or `key-pair`, when empty.
            part: It is a part of what the operation makes, which is not called by its name (`set_resource`).
        """
        ...

    async def ready(self, kind: Kind[R, M, B], made: Made[R], *, step: str = "ready", percent: int = 50) -> R:
        """Wait until what was made can be used, and return its row; shared with others where the kind is `settled`.

        Raises:
            GaveUp: The platform gave up on it (`Kind.failed`).
        """
        ...

    async def delete(
        self,
        kind: Kind[R, M, B],
        native_id: str,
        *,
        step: str = "delete",
        check: Callable[[Call, str], Awaitable[None]] | None = None,
        refused: Callable[[Call, str, PreconditionFailed], Awaitable[CloudspanError | None]] | None = None,
    ) -> None:
        """Delete a resource and wait until it is gone; done as well when it is gone already.

        Args:
            kind: What it is.
            native_id: The platform's id.
            step: The step's name.
            check: `async (call, id)`, looks once before the delete and raises what stands in its way: for platforms
                that would take dependants along in silence. Its step is called `check`.
            refused: `async (call, id, error) -> error`, says what stood in the way after the platform refused; None
                where it is being deleted after all.

        Raises:
            PreconditionFailed: Something stands in its way.
            GaveUp: The platform ended the deletion and it is still there.
        """
        ...

    # ------------------------------------------------------------------ the steps they are made of

    async def create_step(
        self,
        step: str,
        *,
        send: Callable[[str], Awaitable[Made[T]]],
        find: Callable[[str], Awaitable[Sequence[Made[T]]]],
        undo: Callable[[str], Awaitable[None]] | None = None,
        safety: CreateSafety = BY_MARKER,
        collection: str = "",
    ) -> Made[T]:
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

    async def change(
        self,
        step: str,
        do: Callable[[], Awaitable[Mapping[str, V] | None]],
        *,
        undo: Callable[[], Awaitable[None]] | None = None,
    ) -> Mapping[str, V]:
        """Change something once: `do` must be harmless when done twice.

        It looks at the state first where the platform would not refuse a second time. What it returns (JSON values)
        is stored and returned again later; numbers come back as floats.
        """
        ...

    async def read_once(self, step: str, look: Callable[[], Awaitable[Mapping[str, V] | None]]) -> Mapping[str, V]:
        """Look something up once, so that all later steps go by the same.

        It changes nothing, so there is nothing to undo. What it returns (JSON values) is stored and returned again.
        """
        ...

    async def wait_until(
        self, step: str, poll: Callable[[], Awaitable[T | None]], *, percent: int = 0, watch: Watch | None = None
    ) -> T:
        """Wait for a terminal native state: `poll` returns None for not yet.

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
