"""What a registry is: where adapters say that they are there, and where gateways watch who is.

Adapters call `Registry.register`, gateways follow `Registry.watch`; `open_registry` picks the driver by URL. Says
nothing about clouds, clusters or identities: clusters come from Describe.
"""

from __future__ import annotations

import abc
import asyncio
import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from cloudspan_common.errors import CloudspanError, InvalidRequest, Violation
from cloudspan_common.names import is_tag

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from types import TracebackType
    from typing import Self

    from cloudspan_common.registry.context_keys import ContextKeys
    from cloudspan_common.registry.coordination.base import Coordinator
    from cloudspan_common.registry.services import ServiceAddress

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@\[\]-]{0,126}")
_ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(\d{1,5})")
_MAX_BUILD_CHARS = 128  # a Consul Meta value holds 512
_MAX_PORT = 65_535
_BACKOFF_S = (0.1, 0.2, 0.4, 0.8, 1.6)  # the last one repeats: what comes back is found again within 2 s
_JITTER = 0.2

log = structlog.get_logger(__name__)


def is_address(text: str) -> bool:
    """Whether a text is `host:port`."""
    match = _ADDRESS.fullmatch(text)
    return match is not None and 0 < int(match[2]) <= _MAX_PORT


@dataclass(frozen=True, slots=True)
class Instance:
    """One running adapter process, as the registry lists it.

    Raises:
        InvalidRequest: A field no registry could carry.
    """

    instance_id: str
    platform: str
    address: str
    """`host:port` that gateways dial; an IPv6 host in brackets."""
    contract: tuple[int, int] = (1, 1)
    """Lowest and highest contract version served."""
    build: str = ""
    draining: bool = False
    """It asks for no new work; what it has begun goes on."""
    suspect: bool = False
    """The registry doubts it. A hint: the gateway's own probe decides."""

    def __post_init__(self) -> None:
        for field, value, good, expected in (
            (
                "instance_id",
                self.instance_id,
                _ID.fullmatch(self.instance_id),
                "letters, digits and ._:@[]-, at most 127",
            ),
            ("platform", self.platform, is_tag(self.platform), "a platform tag such as openstack"),
            ("address", self.address, is_address(self.address), "host:port"),
            ("contract", self.contract, 1 <= self.contract[0] <= self.contract[1], "(lowest, highest), from 1 on"),
            ("build", self.build, len(self.build) <= _MAX_BUILD_CHARS, f"at most {_MAX_BUILD_CHARS} characters"),
        ):
            if not good:
                text = f"{field} of an adapter instance is {value!r}; expected {expected}"
                raise InvalidRequest(text, reason="MALFORMED_INSTANCE", violations=[Violation(field, text)])


View = tuple[Instance, ...]


def view_of(instances: Iterable[Instance]) -> View:
    """Return a view: ordered by id, so that two views of the same instances are equal."""
    return tuple(sorted(instances, key=lambda instance: instance.instance_id))


class Registration(abc.ABC):
    """An instance's entry, kept alive in the background until it is deregistered or its registry closed.

    As a context manager it deregisters at the end. No method raises because the registry is away: what could not be
    written is written once it is back.
    """

    @property
    @abc.abstractmethod
    def instance(self) -> Instance:
        """The entry as it should be."""

    @abc.abstractmethod
    async def drain(self) -> None:
        """Say that no new work is wanted; the entry stays, and its checks keep passing."""

    @abc.abstractmethod
    async def deregister(self) -> None:
        """Remove the entry and stop renewing it; a second call does nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.deregister()

    def __repr__(self) -> str:
        instance = self.instance
        flags = ", draining" if instance.draining else ""
        return f"<{type(self).__name__} {instance.instance_id} at {instance.address}: {self._state()}{flags}>"

    @abc.abstractmethod
    def _state(self) -> str:
        """One word or two for `repr`."""


class Registry(Protocol):
    """The driver's side: memory, static, consul."""

    @property
    def context_keys(self) -> ContextKeys:
        """The public keys of the gateways that authenticate callers."""
        ...

    @property
    def coordinator(self) -> Coordinator | None:
        """Locks and groups of the processes on this registry; None where it can't keep any. Closed with it."""
        ...

    async def register(self, instance: Instance) -> Registration:
        """Enter `instance` and keep it alive; an entry of the same id is replaced.

        Returns also when the registry is away: the entry is made once it is back.
        """
        ...

    async def service(self, name: str) -> Sequence[ServiceAddress]:
        """Return where a service is that logs in by a handshake; nowhere when none is registered by exactly that name.

        Raises:
            CloudspanError: The registry is away.
        """
        ...

    def watch(self) -> AsyncIterator[View]:
        """Yield the whole view at once, then again on every real change, until the registry is closed.

        Never raises because the registry is away: the last view stands, and is corrected once it is back.
        A slow reader skips views, it never gets an old one.
        """
        ...

    async def close(self) -> None:
        """Deregister what is still registered here, and end all watches."""
        ...


class Feed:
    """The latest view and those who follow it; only a real change wakes them."""

    def __init__(self) -> None:
        self.view: View | None = None
        self.closed = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return "nothing known yet" if self.view is None else describe(self.view)

    def publish(self, view: View) -> bool:
        """Make `view` the latest; return whether it differs from the one before."""
        if view == self.view:
            return False
        self.view = view
        self._wake()
        return True

    def close(self) -> None:
        """End all followers."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def follow(self) -> AsyncIterator[View]:
        """Yield the latest view and each later one."""
        seen: View | None = None
        while not self.closed:
            changed = self._changed
            if self.view is None or self.view == seen:
                await changed.wait()
            else:
                seen = self.view
                yield seen


class Reach:
    """Whether a far side answers: logs once per change of state, and says how long to wait before the next try."""

    def __init__(self, work: str, **fields: Any) -> None:
        self._work, self._fields = work, fields
        self._failures = 0
        self._said = ""

    def __repr__(self) -> str:
        return f"away after {self._failures} tries" if self._failures else "in reach"

    @property
    def away(self) -> bool:
        return self._failures > 0

    def lost(self, error: CloudspanError) -> float:
        """Note a failed try; return the seconds until the next."""
        if error.reason != self._said:
            self._said = error.reason
            log.warning("registry lost, will go on trying", work=self._work, error=error.message, **self._fields)
        pause = _BACKOFF_S[min(self._failures, len(_BACKOFF_S) - 1)]
        self._failures += 1
        return pause * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - spreads load, keeps no secret

    def found(self) -> None:
        """Note a try that worked."""
        if self._failures:
            log.info("registry found again", work=self._work, tries=self._failures, **self._fields)
        self._failures, self._said = 0, ""


def describe(view: View) -> str:
    """Return `3 instances (1 draining, 1 suspect)` for `repr`."""
    draining = sum(instance.draining for instance in view)
    suspect = sum(instance.suspect for instance in view)
    flags = ", ".join(f"{n} {word}" for n, word in ((draining, "draining"), (suspect, "suspect")) if n)
    plural = "" if len(view) == 1 else "s"
    return f"{len(view)} instance{plural}" + (f" ({flags})" if flags else "")
