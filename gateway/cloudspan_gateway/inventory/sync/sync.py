"""Which clusters this gateway sweeps, and what anybody may ask of sweeps: now, or soon.

The composition root runs one `Sync` (`inventory.parts`). The clusters of the route table are spread over the gateways
that are members of a group; each is swept by the one that has its lock, and what that one writes carries the lock's
number, so that one which lost it without noticing writes nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

from cloudspan_common.clock import finished
from cloudspan_common.errors import CloudspanError
from cloudspan_common.logs import get_logger
from cloudspan_common.registry.coordination import while_held
from cloudspan_gateway.inventory.columns import collections as all_collections
from cloudspan_gateway.inventory.columns import is_of_projects
from cloudspan_gateway.inventory.model import CollectionState, Fence, LockLost
from cloudspan_gateway.inventory.sync.collection import SWEEPS_PER_CLUSTER, CollectionSync
from cloudspan_gateway.inventory.sync.requests import SweepRequest, SweepRequests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

    from cloudspan_common.deadlines import Deadline
    from cloudspan_common.registry.coordination import Coordinator, Held
    from cloudspan_gateway.inventory.sync.collection import Environment
    from cloudspan_gateway.storage.engine import Database

log = get_logger(__name__)

GROUP = "inventory"
"""Of the gateways that sweep."""
_AGAIN_S = 1.0  # after who keeps locks, or the database, could not be asked
_HANDED_OVER_S = 0.1
_LOOK_S = 5.0
"""How often it is looked whether pools have other projects now."""
_PURGE_EVERY_S = 60.0


class Sync:
    """The sweeps of one gateway."""

    def __init__(
        self,
        environment: Environment,
        database: Database,
        coordinator: Coordinator,
        clusters: Callable[[], Collection[str]],
        projects: Callable[[str], frozenset[str] | None],
    ) -> None:
        """Make it.

        Args:
            environment: What sweeps have in common.
            database: What the gateways share.
            coordinator: Says which of them sweeps a cluster.
            clusters: Returns the names of those that adapters serve, or served lately.
            projects: Returns the names of those of a cluster that pools have and its credentials don't list; None
                while that is not known.
        """
        self._environment = environment
        self._store = environment.store
        self._clock = environment.clock
        self._coordinator = coordinator
        self._clusters = clusters
        self._projects = projects
        self._requests = SweepRequests(database, self._clock, self._serve, self._swept_soon)
        self._shared = database.shared
        self._members: frozenset[str] = frozenset()
        self._owning: dict[str, asyncio.Task[None]] = {}
        self._swept: dict[str, Mapping[str, Sequence[CollectionSync]]] = {}
        """By cluster and collection: what the credentials list, then each project that is listed by itself."""
        self._swept_projects: dict[str, frozenset[str]] = {}
        self._missing_since: dict[str, float] = {}
        self._soon: dict[str, set[str]] = {}
        self._changed = asyncio.Event()
        self._owned = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Sync {self._environment.owner}: sweeps {len(self._swept)} of {len(self._clusters())} clusters>"

    # -------------------------------------------------------------- what others ask

    def wake(self) -> None:
        """Look at the clusters again: the route table has changed."""
        self._changed.set()

    def soon(self, cluster: str, collections: Collection[str]) -> None:
        """Have collections swept early, since something in them has changed; whichever gateway sweeps the cluster."""
        if cluster in self._swept or not self._shared:
            self._swept_soon(cluster, collections)
        else:
            self._soon.setdefault(cluster, set()).update(collections)

    async def now(
        self,
        clusters: Collection[str],
        collections: Collection[str] = (),
        *,
        projects: Mapping[str, str] | None = None,
        release_brake: bool = False,
        deadline: Deadline,
    ) -> None:
        """Return once collections, all when empty, were swept by sweeps that began after this call, or failed.

        A sweep that waits to begin is shared: however many ask, a collection is listed once at a time. Clusters that
        no adapter serves are left out. Of a cluster in `projects` only what brings that project is swept.

        Raises:
            OutOfTime: The deadline came first; the sweeps go on.
            CloudspanError: The database does not answer.
        """
        known = set(self._clusters())
        wanted = tuple(sorted(collections))
        requests = [
            SweepRequest(cluster, wanted, released=release_brake, project=(projects or {}).get(cluster, ""))
            for cluster in sorted(known.intersection(clusters))
        ]
        try:
            async with deadline.scope("listing for the inventory"), asyncio.TaskGroup() as group:
                for request in requests:
                    group.create_task(self._now(request))
        except* CloudspanError as failed:
            raise failed.exceptions[0] from None

    async def _now(self, request: SweepRequest) -> None:
        while True:
            ended = self._serve(request)
            if ended is None and self._shared:
                await self._requests.ask(request)
                return
            if ended is None:  # this gateway is about to have it
                await self._until_owned()
                continue
            try:
                await ended
            except LockLost:
                await self._clock.sleep(_HANDED_OVER_S)
            else:
                return

    async def _until_owned(self) -> None:
        self._owned.clear()
        await self._owned.wait()

    def _serve(self, request: SweepRequest) -> Awaitable[None] | None:
        """Sweep collections of a cluster now; None where it is not this gateway's."""
        swept = self._swept.get(request.cluster)
        if swept is None:
            return None
        names = request.collections or tuple(swept)
        wanted = [each for name in names for each in _of_project(swept.get(name, ()), request.project)]
        return _all_ended([each.now(released=request.released) for each in wanted])

    def _swept_soon(self, cluster: str, collections: Iterable[str]) -> None:
        swept = self._swept.get(cluster, {})
        for name in collections:
            for each in swept.get(name, ()):
                each.soon()

    # -------------------------------------------------------------- running

    async def run(self) -> None:
        """Sweep what is this gateway's until cancelled; leave the group and its locks then."""
        await self._store.begin_alone()
        membership = await self._coordinator.join(GROUP, self._environment.owner)
        async with membership:
            try:
                async with asyncio.TaskGroup() as group:
                    for work in (self._follow_members(), self._assign(), self._requests.run(), self._keep_house()):
                        group.create_task(work)
                    if self._shared:
                        group.create_task(self._pass_on())
            finally:
                await self._let_go(list(self._owning))

    async def _follow_members(self) -> None:
        async for members in self._coordinator.members(GROUP):
            self._members = frozenset(members)
            self._changed.set()

    async def _assign(self) -> None:
        """Take the clusters that are this gateway's, and hand over those that no longer are."""
        while True:
            self._changed.clear()
            mine = {cluster for cluster in self._clusters() if self._is_mine(cluster)}
            await self._let_go([name for name in self._owning if name not in mine or self._has_other_projects(name)])
            for cluster in mine - self._owning.keys():
                self._owning[cluster] = asyncio.create_task(self._own(cluster), name=f"inventory of {cluster}")
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await finished(self._clock, changed, _LOOK_S)
            finally:
                changed.cancel()

    def _has_other_projects(self, cluster: str) -> bool:
        """Whether other projects of a cluster are to be listed by themselves than those that are."""
        listed, wanted = self._swept_projects.get(cluster), self._projects(cluster)
        return None not in (listed, wanted) and listed != wanted

    def _is_mine(self, key: str) -> bool:
        """Whether this gateway is first among the members, in an order that is another one for each key.

        So a gateway that comes or goes moves its own share only.
        """
        owner = self._environment.owner
        return owner in self._members and owner == max(self._members, key=lambda member: _rank(member, key))

    async def _let_go(self, clusters: Iterable[str]) -> None:
        tasks = [self._owning.pop(cluster) for cluster in clusters]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _own(self, cluster: str) -> None:
        """Sweep a cluster whenever its lock can be had, until cancelled."""
        while True:
            try:
                held = await self._coordinator.lock(f"inventory/{cluster}", timeout_s=None)
                if held is not None:
                    async with held:
                        await self._sweep_while(held, cluster)
            except CloudspanError as error:
                log.warning("cluster not swept", cluster=cluster, reason=error.reason, message=error.message)
            except Exception:  # one cluster's defect must not end the others
                log.exception("sweeps of a cluster ended with a defect of the gateway", cluster=cluster)
            await self._clock.sleep(_AGAIN_S)

    async def _sweep_while(self, held: Held, cluster: str) -> None:
        if not await while_held(held, self._sweep(cluster, Fence(cluster, held.fence))):
            log.info("cluster lost to another gateway", cluster=cluster)

    async def _sweep(self, cluster: str, fence: Fence) -> None:
        swept, projects = await self._taken_up(cluster, fence)
        for each in _each(swept):
            self._environment.metrics.owned(each.state)
        self._swept[cluster], self._swept_projects[cluster] = swept, projects
        self._owned.set()
        log.info("cluster taken over", cluster=cluster, fence=fence.number, projects=len(projects))
        try:
            async with asyncio.TaskGroup() as group:
                for each in _each(swept):
                    group.create_task(each.run())
        except* LockLost as lost:
            raise lost.exceptions[0] from None
        finally:
            del self._swept[cluster], self._swept_projects[cluster]
            self._environment.metrics.released(cluster)

    async def _taken_up(
        self, cluster: str, fence: Fence
    ) -> tuple[Mapping[str, Sequence[CollectionSync]], frozenset[str]]:
        """Return what is to be swept of a cluster, each from where its last sweep left it, and the projects of these.

        Projects that no pool has any more are forgotten.
        """
        states = {(state.collection, state.project): state for state in await self._store.states([cluster])}
        kept = frozenset(project for _, project in states if project)
        wanted = self._projects(cluster)
        projects = kept if wanted is None else wanted
        for project in kept - projects:
            await self._store.forget(cluster, project, fence)
            log.info("project forgotten: no pool has it any more", cluster=cluster, project=project)
        slots = asyncio.Semaphore(SWEEPS_PER_CLUSTER)
        swept: dict[str, list[CollectionSync]] = {}
        for name in all_collections():
            others = tuple(sorted(projects)) if is_of_projects(name) else ()
            for project in ("", *others):
                state = states.get((name, project)) or CollectionState(cluster, name, project=project)
                if project and (name, project) not in states:
                    # Before its first sweep: until then its rows would be judged by the credentials' listing.
                    await self._store.save_state(state, fence)
                sync = CollectionSync(self._environment, slots, fence, state, () if project else others)
                swept.setdefault(name, []).append(sync)
        return swept, projects

    # -------------------------------------------------------------- beside

    async def _pass_on(self) -> None:
        """Tell other gateways what is to be swept early in their clusters, at most once a second."""
        while True:
            await self._clock.sleep(_AGAIN_S)
            soon, self._soon = self._soon, {}
            for cluster, collections in soon.items():
                try:
                    await self._requests.ask_soon(cluster, sorted(collections))
                except CloudspanError as error:
                    log.debug("early sweep not asked for", cluster=cluster, reason=error.reason)

    async def _keep_house(self) -> None:
        """Purge what was deleted long ago, and forget clusters that were removed."""
        while True:
            await self._clock.sleep(min(_PURGE_EVERY_S, max(self._environment.settings.removed_after_s, _AGAIN_S)))
            try:
                if self._is_mine("purge"):
                    await self._store.purge(self._clock.now() - self._environment.settings.keep_s)
                await self._forget_removed()
            except CloudspanError as error:
                log.warning("deleted rows could not be purged", reason=error.reason, message=error.message)

    async def _forget_removed(self) -> None:
        """Forget clusters that no adapter has had for long; not those whose lock somebody has, who sees them still."""
        now, there = self._clock.monotonic(), set(self._clusters())
        kept = {state.cluster for state in await self._store.states()}
        since = {cluster: self._missing_since.get(cluster, now) for cluster in kept - there}
        self._missing_since = since
        for cluster, missing_since in since.items():
            if now - missing_since < self._environment.settings.removed_after_s or not self._is_mine(cluster):
                continue
            held = await self._coordinator.lock(f"inventory/{cluster}")
            if held is None:
                continue
            async with held:
                forgotten = await self._store.forget(cluster, fence=Fence(cluster, held.fence))
            log.info("removed cluster forgotten", cluster=cluster, resources=forgotten.removed)


def _of_project(syncs: Sequence[CollectionSync], project: str) -> Sequence[CollectionSync]:
    """Return those that bring what a project has, all without one: the credentials' listing where no other does."""
    if not project:
        return syncs
    return [each for each in syncs if each.state.project == project] or syncs[:1]


def _each(swept: Mapping[str, Sequence[CollectionSync]]) -> list[CollectionSync]:
    return [each for some in swept.values() for each in some]


async def _all_ended(futures: Sequence[asyncio.Future[None]]) -> None:
    """Wait for sweeps that others may wait for too."""
    await asyncio.gather(*(asyncio.shield(future) for future in futures))


def _rank(member: str, key: str) -> bytes:
    return hashlib.blake2b(f"{member}\0{key}".encode(), digest_size=8).digest()
