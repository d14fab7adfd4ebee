"""The clusters that an adapter serves at this moment, and how one takes the place of another while calls run.

The servicers ask `Clusters` at the start of each call. A call keeps what it began with; a cluster that was replaced or
removed is closed once its last call has ended.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import structlog

from cloudspan.v1 import cluster_pb2
from cloudspan_common.clock import SystemClock, finished
from cloudspan_common.errors import CloudspanError, InvalidRequest, NotFound, Violation
from cloudspan_kit.cluster import Stage
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_kit.serve.metrics import concerns
from cloudspan_kit.unusable import UnusableCluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.cluster import Call, Cluster

log = structlog.get_logger(__name__)

LONGEST_CALL_S = 300.0
"""A cluster that was replaced is closed after this time whatever still runs on it."""


class Served:
    """One cluster as it is served. As a context manager it counts a call that works on it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.abilities = Abilities(cluster)
        self.not_used: CloudspanError | None = None
        """Why a newer configuration of it is not used."""
        self._calls = 0
        self._replaced = False
        self._may_close = asyncio.Event()

    def __repr__(self) -> str:
        newer = f" | newer configuration not used: {self.not_used.reason}" if self.not_used else ""
        return f"<Served {self.cluster.ref}: {self._calls} calls{newer}>"

    def __enter__(self) -> Self:
        self._calls += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._calls -= 1
        if self._replaced and not self._calls:
            self._may_close.set()

    def describe(self) -> cluster_pb2.Cluster:
        """Return how it stands now, with its name and what it can do."""
        described = cluster_pb2.Cluster()
        described.CopyFrom(self.cluster.describe())
        described.name = str(self.cluster.ref)
        described.message = "; ".join(filter(None, (described.message, self._not_used_because())))
        described.capabilities.extend(self.abilities.describe())
        return described

    async def check(self, call: Call) -> Sequence[Stage]:
        """Return the stages of CheckCluster; a newer configuration that is not used is one that failed."""
        stages = await self.cluster.check(call)
        return [*stages, _configuration(self._not_used_because(), self.not_used)] if self.not_used else stages

    def _not_used_because(self) -> str:
        error = self.not_used
        return f"a newer configuration is not used: {error.reason}: {error.message}" if error else ""

    def replaced(self) -> None:
        """Note that no call begins on it any more."""
        self._replaced = True
        if not self._calls:
            self._may_close.set()

    def hurry(self) -> None:
        """Don't wait for its calls any longer."""
        self._may_close.set()

    async def close(self, clock: Clock) -> None:
        """Close the cluster once its calls have ended, or after `LONGEST_CALL_S`."""
        waiting = asyncio.ensure_future(self._may_close.wait())
        if not await finished(clock, waiting, LONGEST_CALL_S):
            waiting.cancel()
            log.warning("replaced cluster closed under its calls", cluster=str(self.cluster.ref), calls=self._calls)
        await self.cluster.close()


def _configuration(message: str, error: CloudspanError) -> Stage:
    return Stage("configuration", ok=False, message=message, took_s=0.0, reason=error.reason)


class Clusters:
    """The clusters of this adapter by tag."""

    def __init__(self, platform: str, clock: Clock | None = None) -> None:
        self.platform = platform
        self._clock = clock or SystemClock()
        self._served: dict[str, Served] = {}
        self._closing: dict[asyncio.Task[None], Served] = {}

    def __repr__(self) -> str:
        return f"<Clusters {self.platform}: {', '.join(sorted(self._served)) or 'none'} | closing {len(self._closing)}>"

    def __iter__(self) -> Iterator[Served]:
        return iter(tuple(self._served.values()))

    def find(self, tag: str) -> Served | None:
        """Return what is served under a tag."""
        return self._served.get(tag)

    def get(self, ref: ClusterRef, field: str) -> Served:
        """Return what is served under a name, to tell of it.

        Raises:
            InvalidRequest: A wildcard, which only the gateway answers.
            NotFound: Another platform's, or an unknown cluster; lists those that there are.
        """
        if ref.is_wildcard:
            text = f"{field} holds a wildcard; an adapter answers for one cluster, the gateway for many"
            raise InvalidRequest(text, reason="WILDCARD_AT_ADAPTER", violations=[Violation(field, text)])
        found = self._served.get(ref.cluster) if ref.platform == self.platform else None
        if found is None:
            known = ", ".join(f"platforms/{self.platform}/clusters/{tag}" for tag in sorted(self._served)) or "none"
            metadata = {"platform": ref.platform, "cluster": ref.cluster}
            text = f"there is no {ref} here; known: {known}"
            raise NotFound(text, reason="CLUSTER_UNKNOWN", metadata=metadata, resource=str(ref))
        concerns(ref)
        return found

    def get_usable(self, ref: ClusterRef, field: str) -> Served:
        """Return what is served under a name, to call it.

        Raises:
            LoginRefused: Its entry in the configuration can't be used; operations wait until it can.
            InvalidRequest, NotFound: As `get` does.
        """
        served = self.get(ref, field)
        if isinstance(served.cluster, UnusableCluster):
            raise served.cluster.refusal()
        return served

    def put(self, cluster: Cluster) -> None:
        """Serve `cluster` from the next call on; what had its tag before is closed once its calls have ended."""
        tag = cluster.ref.cluster
        new, old = Served(cluster), self._served.get(tag)
        if old is not None:
            _hand_over(old.cluster, cluster)
            self._close_later(old)
        self._served[tag] = new

    def remove(self, tag: str) -> None:
        """Stop serving a cluster; it is closed once its calls have ended."""
        self._close_later(self._served.pop(tag))

    async def close(self) -> None:
        """Close all clusters now, those that were waiting for their calls included."""
        for tag in list(self._served):
            self.remove(tag)
        for served in self._closing.values():
            served.hurry()
        await asyncio.gather(*self._closing)

    def _close_later(self, served: Served) -> None:
        served.replaced()
        task = asyncio.create_task(self._close(served), name=f"close {served.cluster.ref}")
        self._closing[task] = served
        task.add_done_callback(self._closing.pop)

    async def _close(self, served: Served) -> None:
        try:
            await served.close(self._clock)
        except Exception:  # nobody waits for it, and the others go on
            log.exception("cluster could not be closed", cluster=str(served.cluster.ref))


def _hand_over(old: Cluster, new: Cluster) -> None:
    """Let calls under way use the new credentials if these lead to the same place with the same scope."""
    if old.keeper is not None and new.keeper is not None and _is_same_scope(old, new):
        old.keeper.hand_over(new.keeper)


def _is_same_scope(old: Cluster, new: Cluster) -> bool:
    """By the entries, or by the project that the logins told: another user of it is named otherwise."""
    if old.digest == new.digest:
        return True
    before, now = old.describe(), new.describe()
    same_place = (before.endpoint, before.region) == (now.endpoint, now.region)
    return same_place and before.project == now.project != ""
