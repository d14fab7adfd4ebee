"""What a driver keeps for the coordinator: claims on locks and on names in groups, which end unless renewed.

`leased.LeasedCoordinator` is made from a `ClaimStore`; memory, Consul and the gateway's database are such stores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from cloudspan_common.errors import InvalidRequest, Unreachable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cloudspan_common.clock import Clock

LOCK, LEADER, MEMBER = "lock", "leader", "member"
_MAX_NAME_CHARS = 255
_MAX_DATA_BYTES = 4096
_FENCES_PER_S = 1_000_000


class Key(NamedTuple):
    """What is claimed."""

    kind: str
    """LOCK, LEADER or MEMBER."""
    name: str
    """Of the lock, or of the group."""
    member: str = ""


class Entry(NamedTuple):
    """A claim as the store lists it."""

    owner: str
    version: int
    """Differs after every change."""
    data: str = ""


class Claim(NamedTuple):
    """A claim that was granted."""

    fence: int
    """Greater than that of every claim granted before, on anything."""
    version: int


class OwnerEnded(Unreachable):
    """The owner that a claim was made as is no longer known; after `renew` there is another."""


class ClaimStore(Protocol):
    """Where claims are kept. Each method raises an error of the tree when the store is away, within seconds."""

    @property
    def owner(self) -> str:
        """Who claims here, as in `Entry.owner`; another one after `renew` found that nothing of ours was left."""
        ...

    async def renew(self, held: Collection[Key]) -> Collection[Key]:
        """Make every claim of ours last a lease from now; return those of `held` that we still have.

        Where `held` is empty there may be nothing to do: it names what is being claimed too.
        """
        ...

    async def claim(self, key: Key, data: str) -> Claim | None:
        """Make `key` ours, from now or from the last `renew` on for a lease; None when another has it.

        What is ours already is granted anew.

        Raises:
            OwnerEnded: Nothing that we claimed is left; renew first.
        """
        ...

    async def release(self, key: Key, version: int) -> None:
        """Give up a claim of ours; nothing when it has changed or ended."""
        ...

    async def entries(self, *, fresh: bool) -> Mapping[Key, Entry]:
        """Return all claims; unless `fresh`, only once some may have changed or a while is over."""
        ...

    async def close(self) -> None:
        """Give up all claims of ours."""
        ...


def checked_name(what: str, name: str) -> str:
    """Return a name that every store can keep.

    Raises:
        InvalidRequest: It is not.
    """
    if not 0 < len(name) <= _MAX_NAME_CHARS or not name.isprintable():
        text = f"name of a {what} is {name[:_MAX_NAME_CHARS]!r}; expected 1 to {_MAX_NAME_CHARS} printable characters"
        raise InvalidRequest(text)
    return name


def checked_data(data: str) -> str:
    """Return what a member says of itself, if every store can keep it.

    Raises:
        InvalidRequest: It is not.
    """
    try:
        size = len(data.encode())
    except UnicodeEncodeError as error:
        raise InvalidRequest(f"data of a member is not Unicode text: {error.reason}; fix it") from None
    if size > _MAX_DATA_BYTES or "\0" in data:
        found = "a NUL character" if "\0" in data else f"{size} bytes"
        raise InvalidRequest(f"data of a member has {found}; expected at most {_MAX_DATA_BYTES} bytes without NUL")
    return data


def least_fence(clock: Clock) -> int:
    """Return the least fence that may be granted now: microseconds of unix time.

    So fences go on growing where a store has forgotten everything, and where one kind of store replaces another.
    """
    return int(clock.now() * _FENCES_PER_S)
