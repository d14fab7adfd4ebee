"""Keeps the clusters of a running adapter as its file says: added, removed, and with the credentials of today.

The runner starts one `Reloader` where an adapter's clusters stand in a `ClusterFile`. A changed entry is tried beside
the cluster in use, by a login, and takes its place only when that worked: a wrong file costs nobody a call.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import Counter, Gauge

from cloudspan_common.clock import finished
from cloudspan_common.errors import CloudspanError, Defect, Forbidden, InvalidRequest, LoginRefused
from cloudspan_common.file_watch import FileWatch
from cloudspan_common.names import ClusterRef, is_tag
from cloudspan_kit.unusable import UnusableCluster
from cloudspan_kit.values import listed

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from cloudspan_kit.cluster import Cluster
    from cloudspan_kit.cluster_file import ClusterConfig, ClusterConfigs, ClusterFile
    from cloudspan_kit.serve.clusters import Clusters

log = structlog.get_logger(__name__)

POLL_S = 1.0
# After the pause that a keeper asks for after a failed login: its own next login is then under way, and is waited for.
_AFTER_PAUSE_S = 0.1


class ReloadMetrics:
    """What became of configurations."""

    def __init__(self, registry: CollectorRegistry, platform: str) -> None:
        self._platform = platform
        self._read = Counter(
            "cloudspan_cluster_configurations",
            "Configurations of clusters: added, changed, removed; refused by the cloud, failed, or invalid.",
            ("platform", "cluster", "outcome"),
            registry=registry,
        )
        self._not_used = Gauge(
            "cloudspan_cluster_configuration_not_used",
            "1 while the newest configuration of a cluster is not used.",
            ("platform", "cluster"),
            registry=registry,
        )

    def count(self, tag: str, outcome: str) -> None:
        """Count one configuration, which is now used."""
        self._read.labels(self._platform, tag, outcome).inc()
        self.used(tag)

    def used(self, tag: str) -> None:
        """Note that the newest configuration is in use."""
        self._not_used.labels(self._platform, tag).set(0)

    def refused(self, tag: str, error: CloudspanError) -> None:
        """Count one that is not used."""
        kinds = ((LoginRefused | Forbidden, "refused"), (InvalidRequest, "invalid"))
        self._read.labels(
            self._platform, tag, next((word for kind, word in kinds if isinstance(error, kind)), "failed")
        ).inc()
        self._not_used.labels(self._platform, tag).set(1)

    def removed(self, tag: str) -> None:
        """Count a removal; the cluster's gauge goes with it."""
        self._read.labels(self._platform, tag, "removed").inc()
        self._not_used.remove(self._platform, tag)


@dataclass(slots=True)
class _Trial:
    """A newer configuration that is being tried."""

    revision: str
    work: asyncio.Task[None]


class Reloader:
    """The clusters of one file."""

    def __init__(self, file: ClusterFile[Any], clusters: Clusters, metrics: ReloadMetrics) -> None:
        self._file, self._clusters, self._metrics = file, clusters, metrics
        self._clock = file.clock
        self._revisions: dict[str, str] = {}
        self._removed: set[str] = set()
        self._trials: dict[str, _Trial] = {}
        self._watch = FileWatch(())
        self._read_again = False
        self._asked = asyncio.Event()
        self._said: dict[str, str] = {}
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        trials = f" | trying {listed(sorted(self._trials))}" if self._trials else ""
        return f"<Reloader of {len(self._revisions)} clusters: {self._watch!r}{trials}>"

    async def start(self) -> None:
        """Serve what the file has, and go on following it.

        Raises:
            CloudspanError: The file can't be read.
        """
        await self._apply(await self._read(), asked=False)
        self._task = asyncio.create_task(self._follow(), name="cluster file watch")

    def reload(self) -> None:
        """Read again now, and try again what was refused."""
        self._asked.set()

    async def close(self) -> None:
        """Stop following; the clusters stay as they are."""
        tasks = [task for task in (self._task, *(trial.work for trial in self._trials.values())) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            asking = asyncio.ensure_future(self._asked.wait())
            asked = await finished(self._clock, asking, POLL_S)
            asking.cancel()
            self._asked.clear()
            # Both are looked at: what has changed is seen by this reading.
            if self._watch.has_changed() or asked or self._read_again:
                await self._reload(asked=asked)

    async def _reload(self, *, asked: bool) -> None:
        try:
            await self._apply(await self._read(), asked=asked)
        except CloudspanError as error:
            self._unread(error)
            # It may become readable without a change that can be seen, by its folder's permissions.
            self._read_again = True
        except Exception as error:  # whatever is in a file must not end its watch
            log.exception("clusters could not be read again")
            self._unread(_defect(error))

    def _unread(self, error: CloudspanError) -> None:
        for tag in self._revisions.keys() - self._trials.keys():
            self._not_used(tag, error)

    async def _read(self) -> ClusterConfigs[Any]:
        found = await asyncio.to_thread(self._file.read)
        # A file that was read before it was watched may have changed in between.
        self._read_again = self._watch.follow(found.files)
        return found

    async def _apply(self, found: ClusterConfigs[Any], *, asked: bool) -> None:
        for tag, in_use in list(self._revisions.items()):
            if tag not in found.by_tag or (in_use and tag in found.missing):
                await self._remove(tag)
        for tag, config in found.by_tag.items():
            if tag in found.missing and tag in self._removed:
                continue
            if is_tag(tag):
                await self._settle(tag, config, asked=asked)
            else:
                text = "entry is not served: its name is not a tag; serve it with --cluster TAG=NAME"
                self._say(tag, text, entry=tag)

    async def _remove(self, tag: str) -> None:
        await self._end_trial(tag)
        del self._revisions[tag]
        self._clusters.remove(tag)
        self._removed.add(tag)
        self._said.pop(tag, None)
        self._metrics.removed(tag)
        log.info("cluster removed", cluster=tag)

    async def _settle(self, tag: str, config: ClusterConfig | CloudspanError, *, asked: bool) -> None:
        """Bring one cluster to what its entry says now."""
        if isinstance(config, CloudspanError):
            await self._end_trial(tag)
            self._not_used(tag, config)
            return
        trial, in_use = self._trials.get(tag), self._revisions.get(tag)
        if not in_use:
            await self._use(tag, config, "added")
        elif config.revision == in_use and not (asked and self._is_refused(tag)):
            await self._end_trial(tag)
            self._used(tag)
        elif trial is None or trial.revision != config.revision or asked:
            await self._end_trial(tag)
            log.info("cluster configuration changed, trying it", cluster=tag, configuration=config.revision)
            work = asyncio.create_task(self._use(tag, config, "changed"), name=f"try the configuration of {tag}")
            self._trials[tag] = _Trial(config.revision, work)

    async def _use(self, tag: str, config: ClusterConfig, outcome: str) -> None:
        """Make a cluster and serve it; one that takes the place of another must log in first."""
        try:
            cluster = self._file.make(ClusterRef(self._clusters.platform, tag), config)
            try:
                await cluster.open()
                if outcome == "changed":
                    await self._logged_in(tag, cluster)
                self._put(cluster, config.revision, outcome)
            except BaseException:
                await cluster.close()
                raise
        except CloudspanError as error:
            self._not_used(tag, error)
        except Exception as error:  # of an adapter's own code: the other clusters go on, and so does the one in use
            log.exception("cluster configuration could not be tried", cluster=tag)
            self._not_used(tag, _defect(error))
        finally:
            self._trials.pop(tag, None)

    def _put(self, cluster: Cluster, revision: str, outcome: str) -> None:
        tag = cluster.ref.cluster
        self._clusters.put(cluster)
        self._revisions[tag] = revision
        self._said.pop(tag, None)
        self._metrics.count(tag, outcome)
        log.info("cluster configuration in use", cluster=tag, configuration=revision, outcome=outcome)

    async def _logged_in(self, tag: str, cluster: Cluster) -> None:
        """Wait for the first login; a refused one is tried again only when the keeper's long pause is over."""
        while cluster.keeper is not None:
            try:
                await cluster.keeper.token(timeout_s=None)
            except CloudspanError as error:
                if self._is_refused(tag):
                    return  # nothing is lost, and the newer reason is the one to show
                self._not_used(tag, error)
                await self._clock.sleep((error.retry_after_s or 0.0) + _AFTER_PAUSE_S)
            else:
                return

    def _is_refused(self, tag: str) -> bool:
        """Whether the cloud refuses the credentials in use."""
        served = self._clusters.find(tag)
        keeper = served.cluster.keeper if served else None
        return keeper is not None and keeper.state().retry_after_s > 0

    async def _end_trial(self, tag: str) -> None:
        trial = self._trials.pop(tag, None)
        if trial is not None:
            trial.work.cancel()
            await asyncio.wait({trial.work})

    def _used(self, tag: str) -> None:
        """Note that what the file says is what is in use."""
        served = self._clusters.find(tag)
        if served is not None and served.not_used is not None:
            served.not_used = None
            self._said.pop(tag, None)
            self._metrics.used(tag)
            log.info("cluster configuration is again the one in use", cluster=tag)

    def _not_used(self, tag: str, error: CloudspanError) -> None:
        """Go on with what there was, and show why."""
        served = self._clusters.find(tag)
        runs = served is not None and not isinstance(served.cluster, UnusableCluster)
        text = "cluster configuration not used, the one before goes on" if runs else "cluster can't be used"
        if not self._say(tag, text, cluster=tag, reason=error.reason, error=error.message):
            return
        self._metrics.refused(tag, error)
        if served is not None and runs:
            served.not_used = error
        else:
            self._clusters.put(UnusableCluster(ClusterRef(self._clusters.platform, tag), error))
            self._revisions[tag] = ""

    def _say(self, tag: str, text: str, **fields: str) -> bool:
        """Log a warning unless the last one of this cluster was the same; return whether it was logged."""
        told = f"{text} {fields}" if text else ""
        is_news = bool(text) and self._said.get(tag) != told
        if is_news:
            log.warning(text, **fields)
        self._said[tag] = told
        return is_news


def _defect(error: Exception) -> Defect:
    return Defect(f"the adapter failed on it with {type(error).__name__}; its log has more")
