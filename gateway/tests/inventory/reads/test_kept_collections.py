"""What a tenant has changed is read before an answer relies on what is kept, as long as that is little."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from gateway.tests.calls import call

from cloudspan.v1 import cluster_pb2, server_pb2
from cloudspan_common import contract
from cloudspan_common.errors import Unreachable
from cloudspan_common.names import parse_cluster
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.access.access import OpenAccess
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.call import Target
from cloudspan_gateway.inventory.base import StoredRow
from cloudspan_gateway.inventory.model import CollectionState
from cloudspan_gateway.inventory.reads.kept_collections import (
    MOST_LOOKED_UP,
    MOST_READ_AGAIN,
    KeptCollections,
    Sources,
)
from cloudspan_gateway.inventory.reads.own_changes import OwnChanges
from cloudspan_gateway.inventory.reads.stored_pages import Listing
from cloudspan_gateway.operations.stores.base import Ended
from cloudspan_gateway.routing.snapshot import ClusterRoute

EAST = "platforms/openstack/clusters/east"
SERVICE = "cloudspan.v1.ServerService"
LIST = contract.methods()[f"{SERVICE}/ListServers"]


@dataclass
class World:
    """Everything that is asked; the cluster was listed at 1000, it is 1100 now."""

    operations: list[tuple[str, Ended]] = field(default_factory=list)
    rows: dict[str, float] = field(default_factory=dict)
    current: dict[str, float] = field(default_factory=dict)
    read: list[str] = field(default_factory=list)
    away: bool = False

    def ended(self, method: str, name: str, at: float, tenant: str = "acme", *, succeeded: bool = True) -> None:
        self.operations.append(
            (tenant, Ended(EAST, f"{SERVICE}/{method}", f"{EAST}/servers/{name}", (), at, succeeded))
        )

    async def fresh(self, tenant: str = "acme", within_s: float = 200.0) -> bool:
        made = call("/a.B/C")
        made.target = Target("a.B/C", parse_cluster(EAST), message=server_pb2.ListServersRequest(parent=EAST))
        made.access, made.principal = OpenAccess(tenant), Principal("users/alice") if tenant else made.principal
        sources = Sources(Asked(self), Asked(self), OwnChanges(Asked(self)), Asked(self), Asked(self))
        route = ClusterRoute(parse_cluster(EAST), cluster_pb2.Cluster(name=EAST))
        (kept,) = await KeptCollections(sources, FakeClock(1100.0)).of(Listing.of(LIST, made), [route], made, within_s)
        return kept.is_fresh(within_s)


class Asked:
    """Answers for all the parts that are asked."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def states_of(self, _collection: str, _clusters: Any, _projects: Any = None) -> list[CollectionState]:
        return [CollectionState(EAST, "servers", observe_time=1000.0)]

    async def ended(self, tenant: str | None, since: float, limit: int) -> list[Ended]:
        return [one for of, one in self._world.operations if tenant in (None, of) and one.end_time >= since][:limit]

    async def get(self, name: str) -> StoredRow | None:
        at = self._world.rows.get(name)
        return None if at is None else StoredRow(1, name, "servers", EAST, b"", at)

    def is_current(self, name: str, since: float) -> bool:
        return self._world.current.get(name, 0.0) >= since

    async def read_again(self, name: str, deadline: Any) -> None:
        assert deadline.remaining() > 0
        if self._world.away:
            raise Unreachable("away")
        self._world.read.append(name)


async def test_what_is_not_written_yet_is_read_first():
    """And what this gateway wrote, or somebody read since, is not."""
    world = World()
    for name in ("unwritten", "written", "read"):
        world.ended("StartServer", name, 1050.0)
    world.current[f"{EAST}/servers/written"] = 1050.0
    world.rows[f"{EAST}/servers/read"] = 1051.0
    world.rows[f"{EAST}/servers/unwritten"] = 1049.0
    assert await world.fresh()
    assert world.read == [f"{EAST}/servers/unwritten"]


@pytest.mark.parametrize(("succeeded", "reads"), [(True, 0), (False, 1)])
async def test_a_deleted_resource_has_no_row_and_one_that_could_not_be_deleted_is_read(succeeded, reads):
    """A Delete that failed may have deleted it all the same."""
    world = World()
    world.ended("DeleteServer", "a", 1050.0, succeeded=succeeded)
    assert await world.fresh()
    assert len(world.read) == reads


async def test_with_much_to_read_or_a_platform_that_does_not_answer_it_is_not_fresh():
    """Then the platform lists it, or says why not."""
    world = World()
    for number in range(MOST_READ_AGAIN):
        world.ended("StartServer", str(number), 1050.0)
    assert await world.fresh()
    world.away = True
    assert not await world.fresh()
    world.away = False
    world.ended("StartServer", "one more", 1050.0)
    assert not await world.fresh()


async def test_what_others_have_changed_and_what_was_changed_before_the_listing_costs_nothing():
    """Tenants don't wait for each other's changes; where callers are not known all are one tenant."""
    world = World()
    world.ended("StartServer", "a", 1050.0, tenant="other")
    world.ended("StartServer", "b", 990.0)
    assert await world.fresh()
    assert world.read == []
    assert await world.fresh(tenant="-")
    assert await world.fresh(tenant="")
    assert world.read == [f"{EAST}/servers/a"] * 2


async def test_what_is_too_old_anyway_has_nothing_read():
    """The platform will be asked for all of it."""
    world = World()
    world.ended("StartServer", "a", 1050.0)
    assert not await world.fresh(within_s=50.0)
    assert world.read == []


async def test_what_was_changed_through_other_gateways_is_looked_up_as_long_as_that_is_little():
    """What this gateway has written costs no look, however much it is."""
    world = World()
    for number in range(MOST_LOOKED_UP + 1):
        world.ended("StartServer", str(number), 1050.0)
        world.rows[f"{EAST}/servers/{number}"] = 1060.0
    assert not await world.fresh()
    world.current = dict.fromkeys(world.rows, 1050.0)
    assert await world.fresh()
    assert world.read == []
