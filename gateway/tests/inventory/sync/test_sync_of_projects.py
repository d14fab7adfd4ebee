"""Projects that pools have and the cluster's credentials don't list: each is listed by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gateway.tests.listed_cloud import ListedCloud
from gateway.tests.observed_servers import CLUSTER, name_of

from cloudspan_gateway.inventory.model import Completeness
from cloudspan_gateway.inventory.store import InventoryStore

if TYPE_CHECKING:
    from cloudspan_gateway.storage.engine import Database

from gateway.tests.swept_installation import Installation, kept, state_of, within

P, Q = f"{CLUSTER}/projects/p", f"{CLUSTER}/projects/q"


@pytest.fixture
def of_pools(installation: Installation) -> ListedCloud:
    """A cloud with servers of the credentials' own project and of two that pools have."""
    cloud = installation.clouds.clouds[CLUSTER]
    cloud.servers = {one: one for one in ("a", "b", "p1", "p2", "q1")}
    cloud.projects = {"p1": P, "p2": P, "q1": Q}
    installation.projects[CLUSTER] = frozenset({P, Q})
    return cloud


async def test_projects_that_pools_have_are_each_listed_by_themselves(
    installation: Installation, database: Database, of_pools: ListedCloud
) -> None:
    """One that fails, or loses something, is nothing to the others."""
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(database) == set(of_pools.servers)
        for project, count in (("", 2), (P, 2), (Q, 1)):
            state = await state_of(database, project=project)
            assert (state.completeness, state.row_count) == (Completeness.COMPLETE, count)
        got = list(of_pools.got)
        del of_pools.servers["p2"]
        await installation.clock.advance(1.0)
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(database) == {"a", "b", "p1", "q1"}
        assert of_pools.got == [*got, name_of("p2")]  # what others' listings leave out is asked for by nobody


async def test_kinds_without_projects_are_listed_once(
    installation: Installation, database: Database, of_pools: ListedCloud
) -> None:
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], deadline=within())
    states = await InventoryStore(database).states([CLUSTER])
    listed = {project: {s.collection for s in states if s.project == project} for project in ("", P)}
    assert listed[""] - listed[P] == {"flavors", "volumeTypes", "zones"}


async def test_a_project_that_a_pool_gets_is_listed_and_one_that_none_has_is_forgotten(
    installation: Installation, database: Database, of_pools: ListedCloud
) -> None:
    """Within some seconds; not while it is not known which project the credentials have."""
    installation.projects[CLUSTER] = frozenset({Q})
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(database) == {"a", "b", "q1"}
        installation.projects[CLUSTER] = frozenset({P})
        await installation.until(lambda: P in installation.clouds.listed, each_s=1.0)
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(database) == {"a", "b", "p1", "p2"}
        assert (await state_of(database, project=Q)).completeness is Completeness.NEVER
        installation.projects[CLUSTER] = None
        await installation.passes(30.0)
    async with installation.gateway(database, "gateway-2") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        assert await kept(database) == {"a", "b", "p1", "p2"}
        assert (await state_of(database, project=P)).owner == "gateway-2"


async def test_a_brake_is_of_one_projects_listing(
    installation: Installation, database: Database, of_pools: ListedCloud
) -> None:
    """And is let go for all of them at once."""
    many = {f"p{number:02}": "x" for number in range(20)}
    of_pools.servers = {"a": "a", **many}
    of_pools.projects = dict.fromkeys(many, P)
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], ["servers"], deadline=within())
        of_pools.servers = {"a": "a"}
        await installation.clock.advance(1.0)
        await sync.now([CLUSTER], ["servers"], deadline=within())
        braked, own = await state_of(database, project=P), await state_of(database)
        assert (braked.reason, braked.brake and braked.brake.missing) == ("BRAKED", 20)
        assert (own.completeness, own.row_count) == (Completeness.COMPLETE, 1)
        await sync.now([CLUSTER], ["servers"], release_brake=True, deadline=within())
        assert await kept(database) == {"a"}


async def test_a_sweep_may_be_asked_for_one_project_alone(
    installation: Installation, database: Database, of_pools: ListedCloud
) -> None:
    """By whoever has that one: what others have of the cluster is not listed for it, whatever the kind."""
    async with installation.gateway(database, "gateway-1") as sync:
        await sync.now([CLUSTER], deadline=within())
        installation.clouds.listed.clear()
        await sync.now([CLUSTER], ["servers", "flavors"], projects={CLUSTER: P}, deadline=within())
        assert installation.clouds.listed == [P]
        await sync.now([CLUSTER], ["servers"], projects={CLUSTER: f"{CLUSTER}/projects/own"}, deadline=within())
        assert installation.clouds.listed == [P, CLUSTER]
