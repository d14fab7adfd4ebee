"""The laws' clouds with two projects each, and an administrator's credentials that reach both.

What is of the other project was made with its own credentials, through a second cluster on the same cloud, where the
platform has such; in memory it is put there.
"""

from __future__ import annotations

import copy
import re
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import text_format
from tests.harness.clouds import Memory, OpenStack, ZStack, openstack_clusters, openstack_entry, zstack_cluster
from tests.harness.in_process import deployment, ready
from tests.harness.mutations import CREATES, call, network_with_all, stub
from tests.harness.sweeping import sweepers

from cloudspan.client import CloudspanError
from cloudspan.v1 import project_pb2
from cloudspan_common import projects
from cloudspan_common.contract import Kind, getter, methods
from cloudspan_common.names import parse_cluster
from cloudspan_kit.serve.capabilities import Abilities

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.harness.clouds import Site

LISTS = {m.name: m for m in methods().values() if m.kind is Kind.LIST and m.routed_field}
MUTATIONS = {m.name: m for m in methods().values() if m.kind is Kind.MUTATION}
CANARY = "canary-of-the-other"
ADMINISTRATORS = ("CreateNetwork", "CreateSubnet")
"""What an administrator alone can make on ZStack."""


@dataclass
class Cloud:
    """One platform's cloud, and the two projects in it."""

    site: Site
    mine: str
    """The project of the administrator's credentials."""
    others: str
    served: frozenset[str]
    second: str
    """The cluster of the other project's own credentials, if there is one."""
    rows: dict[str, list[Any]]
    """All that the credentials reach, by the rpc that lists it."""

    def name_of(self, project: str) -> str:
        return parse_cluster(self.site.ref).resource("projects", project)

    def seen(self, rpc: str, project: str) -> list[Any]:
        """Return what a caller with a project sees."""
        bound = projects.bound(LISTS[rpc].item.DESCRIPTOR, self.name_of(project))
        return [row for row in self.rows.get(rpc, ()) if bound.sees(row)]

    def hidden(self, rpc: str, project: str) -> list[Any]:
        seen = {row.name for row in self.seen(rpc, project)}
        return [row for row in self.rows.get(rpc, ()) if row.name not in seen]

    def own_of(self, collection: str) -> list[str]:
        """Return the names of what is `mine` of a collection."""
        rpc = next(name for name, method in LISTS.items() if method.item is getter(collection).response)
        bound = projects.bound(LISTS[rpc].item.DESCRIPTOR, self.name_of(self.mine))
        return [row.name for row in self.rows.get(rpc, ()) if bound.owns(row)]

    def hidden_of(self, collection: str) -> list[str]:
        """Return the names of what a caller with `mine` does not see of a collection."""
        rpc = next(name for name, method in LISTS.items() if method.item is getter(collection).response)
        return [row.name for row in self.hidden(rpc, self.mine)]


@dataclass
class Lab:
    """What a law works with."""

    client: Any
    clouds: dict[str, Cloud]
    sweepers: dict[str, Any]

    def need(self, platform: str, method: Any) -> Cloud:
        if method.full_name not in self.clouds[platform].served:
            pytest.skip(f"{platform} has no {method.name}")
        return self.clouds[platform]

    async def page(self, method: Any, **fields: Any) -> Any:
        return await stub(self.client, method.name)(method.request(**fields))

    async def everything(self, method: Any, **fields: Any) -> list[Any]:
        found, token = [], ""
        while True:
            answer = await self.page(method, page_token=token, **{"page_size": 1000} | fields)
            found += getattr(answer, method.items_field)
            token = answer.next_page_token
            if not token:
                return found

    async def ended(self, method: Any, request: Any) -> tuple[Any, ...]:
        """Return how a call ended, in words without the ids that it is about."""
        try:
            answer = await stub(self.client, method.name)(request, timeout=10)
            return "OK", await answer.result(10) if method.kind is Kind.MUTATION else answer
        except CloudspanError as error:
            return type(error).__name__, error.reason, _anonymous(f"{error} {error.resource}")

    async def read(self, cloud: Cloud, rpc: str) -> list[Any]:
        """Return all that the credentials reach of a kind."""
        method = LISTS[rpc]
        owned = "project" in method.item.DESCRIPTOR.fields_by_name and rpc != "ListKeyPairs"  # users own those there
        every = "project:*" if owned and cloud.site.module == "cloudspan_openstack" else ""
        if rpc == "ListQuotas":
            one = getter("quotas")
            names = [row.name.replace("/projects/", "/quotas/") for row in cloud.rows["ListProjects"]]
            return [await stub(self.client, one.name)(one.request(name=name)) for name in names]
        found = await self.everything(method, parent=cloud.site.ref, filter=every)
        if rpc == "ListServers" and cloud.second:  # of those an administrator's listing shows the own ones alone
            others = await self.everything(method, parent=cloud.second)
            found += [_moved(server, cloud.second, cloud.site.ref) for server in others]
        return list({row.name: row for row in found}.values())


def _anonymous(text: str) -> str:
    return re.sub(r"/[^/\s]+(?=\s|$|;|,)", "/ID", re.sub(r"request id \S+", "", text))


def _moved(row: Any, before: str, after: str) -> Any:
    """Return a row of one cluster as it is called in another on the same cloud."""
    return text_format.Parse(text_format.MessageToString(row).replace(f"{before}/", f"{after}/"), type(row)())


def _second(site: Site, tag: str) -> Any:
    """Return the same cloud as a site of another cluster."""
    other: Any = copy.copy(site)
    other.ref = f"{site.ref.rpartition('/')[0]}/{tag}"
    for field in ("flavor", "image", "network", "external"):
        setattr(other, field, getattr(site, field).replace(site.ref, other.ref))
    return other


@asynccontextmanager
async def two_projects(directory: Path) -> AsyncIterator[Lab]:
    """All clouds, each with two projects."""
    quick = {"build_s": 0.0, "power_s": 0.0, "delete_s": 0.0, "volume_s": 0.0, "attach_s": 0.0}
    memory, stack, zstack = Memory(0.0), OpenStack(settle_s=1.0, demo=True, **quick), ZStack(settle_s=1.0, demo=True)
    async with AsyncExitStack() as opened:
        for site in (memory, stack, zstack):
            await opened.enter_async_context(site.cloud)
        entries = {"east": openstack_entry(stack.cloud, "east-admin"), "west": openstack_entry(stack.cloud, "east")}
        east, west = openstack_clusters(entries, directory, settle_s=1.0)
        zeta, demo = zstack.cluster(directory), zstack_cluster(zstack.cloud, "demo", directory)
        clusters = [memory.cluster(directory), east, west, zeta, demo]
        running = await opened.enter_async_context(deployment(*clusters))
        await ready(*clusters)
        made = Lab(running.client, {}, await opened.enter_async_context(sweepers(running)))
        # The administrator's project has no network of its own.
        network = await call(running.client, network_with_all(stack, "mine", 77))
        west_of = _second(stack, "west")
        stack.network = (await network.result(20)).name
        for site, first, second, own, others in (
            (memory, memory.cluster(directory), None, "main", "other"),
            (stack, east, west_of, east.session.project_id, west.session.project_id),
            (zstack, zeta, _second(zstack, "demo"), _account(zeta), _account(demo)),
        ):
            made.clouds[site.ref.split("/")[1]] = await _seeded(made, site, first, second, own, others)
        yield made


def _account(cluster: Any) -> str:
    return str(cluster.describe().project.rpartition("/")[2])


async def _seeded(lab: Lab, site: Any, cluster: Any, second: Any, mine: str, others: str) -> Cloud:
    """Make some of everything in both projects, and read all that the credentials reach."""
    served = frozenset(m.method for m in cluster_methods(cluster))
    for number, rpc in enumerate(CREATES):
        if MUTATIONS[rpc].full_name in served:
            await _create(lab, site, rpc, f"mine-{number}", number)
            if site.module == "cloudspan_zstack" and rpc in ADMINISTRATORS:
                await _create(lab, site, rpc, f"{CANARY}-{number}", 100 + number)
                _give_away(site.cloud.store, others)
            elif second is not None:
                await _create(lab, second, rpc, f"{CANARY}-{number}", 100 + number)
    if second is None:
        _put_others(cluster, others)
    cloud = Cloud(site, mine, others, served, second.ref if second else "", {})
    for rpc, method in LISTS.items():
        if method.full_name in served:
            cloud.rows[rpc] = await lab.read(cloud, rpc)
    return cloud


def cluster_methods(cluster: Any) -> Any:
    """Return the methods that a cluster serves."""
    return [m for m in Abilities(cluster).describe() if m.level != type(m).LEVEL_ABSENT]


async def _create(lab: Lab, site: Any, rpc: str, name: str, number: int) -> Any:
    request = await make_request(lab, site, rpc, name, number)
    return await (await call(lab.client, request)).result(20)


async def make_request(lab: Lab, site: Any, rpc: str, name: str, number: int) -> Any:
    kind = CREATES[rpc]
    before = [
        await (await call(lab.client, make(site, f"{name}-below-{at}", 10 * number + at))).result(20)
        for at, make in enumerate(kind.before)
    ]
    return kind.request(site, name, number, *(made.name for made in before))


def _give_away(store: Any, account: str) -> None:
    """Change the owner of what an administrator alone can make on ZStack."""
    for table in store.tables.values():
        for row in table:
            if CANARY in str(row.get("name")):
                row["_account"], row["_public"] = account, False


def _put_others(cluster: Any, project: str) -> None:
    """Put a twin of everything into the other project of a cloud in memory, among each other as the first ones are."""
    store = cluster.store
    mine = store.name("projects", "main")
    rows = [(c, i, row) for c in list(store._collections) for i, row in store.items(c)]
    owned = [(c, i, row) for c, i, row in rows if getattr(row, "project", "") == mine]
    twins = {f'"{store.name(c, i)}"': f'"{store.name(c, f"other-{i}")}"' for c, i, _ in owned}
    twins[f'"{mine}"'] = f'"{store.name("projects", project)}"'
    for collection, native_id, row in owned:
        text = text_format.MessageToString(row)
        for name, twin in twins.items():
            text = text.replace(name, twin)
        other = text_format.Parse(text, type(row)())
        other.display_name = f"{CANARY}-{native_id}"
        store.put(collection, f"other-{native_id}", other)
    store.put("projects", project, project_pb2.Project(display_name=CANARY))
