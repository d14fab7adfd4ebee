"""The source that all kinds share: marks, and what is in transit."""

from __future__ import annotations

from typing import Any

from adapters.memory.tests.steps import MAIN, Steps, a_server

from cloudspan.v1 import server_pb2, volume_pb2
from cloudspan_common import contract
from cloudspan_common.deadlines import Deadline
from cloudspan_common.listing.filter_ast import EVERYTHING
from cloudspan_common.names import ClusterRef
from cloudspan_common.testing import FakeClock
from cloudspan_kit import Call, Page, Query
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_memory.cluster import MemoryCluster


async def test_created_resources_are_found_by_mark_and_in_transit() -> None:
    """Every part of a server by its mark, and by whose; it is in transit until it runs."""
    steps = Steps(a_server())
    abilities = Abilities(steps.cluster)
    call = Call(cluster=steps.cluster.ref, deadline=Deadline.after(30), cloud=steps.cluster.cloud)
    await steps.drive()
    waits = [answer.transit for answer in steps.answers if answer.HasField("transit")]
    assert [transit.collection for transit in waits][-1] == "servers"
    found = {
        row.marker.split("-", 3)[3]: collection
        for collection, kind in abilities.marked.items()
        for row in await kind.find(call, "cs-test-")
    }
    assert found == {
        "port-0": "ports", "port-1": "ports", "floating-ip-0": "floatingIps", "volume-0": "volumes",
        "volume-1": "volumes", "server": "servers",
    }  # fmt: skip
    for kind in abilities.marked.values():
        assert await kind.find(call, "cs-other-") == []
    (server_id,) = [row.id for row in await abilities.marked["servers"].find(call, "cs-test-")]
    await abilities.marked["servers"].remove(call, server_id)
    await abilities.marked["volumes"].remove(call, (await abilities.marked["volumes"].find(call, "cs-"))[0].id)
    assert steps.made() == {"volumes": 1, "ports": 2, "floatingIps": 1}


async def test_a_server_is_in_transit_until_it_runs() -> None:
    """What is gone is not."""
    steps = Steps(a_server(network_interfaces=[], new_volumes=[]))
    server = steps.cluster.store.put("servers", "s", server_pb2.Server(state=server_pb2.Server.STATE_BUILDING))
    transits = Abilities(steps.cluster).transits["servers"]
    call = Call(cluster=steps.cluster.ref, deadline=Deadline.after(30), cloud=steps.cluster.cloud)
    assert await transits(call, ["s", "gone"]) == {"s"}
    assert await transits(call, ["s", *map(str, range(20))]) == {"s"}
    server.state = server_pb2.Server.STATE_RUNNING
    assert await transits(call, ["s"]) == set()


async def listed(cluster: MemoryCluster, collection: str, since: float | None, **asked: Any) -> Page[Any]:
    call = Call(cluster=cluster.ref, deadline=Deadline.after(30), cloud=cluster.cloud)
    function = Abilities(cluster).function(contract.lister(collection))
    page: Page[Any] = await function(call, Query(EVERYTHING, **{"limit": 100, "since": since} | asked))
    return page


def ids(page: Page[Any]) -> list[str]:
    return [item.name.rpartition("/")[2] for item in page.items]


async def test_what_has_changed_since_a_time_is_listed_and_what_was_deleted_is_named() -> None:
    """A change that takes time counts when it is done."""
    clock = FakeClock()
    cluster = MemoryCluster(ClusterRef("memory", "main"), delay_s=10.0, clock=clock)
    store = cluster.store
    for server_id in ("kept", "changed", "deleted", "late"):
        store.put("servers", server_id, server_pb2.Server(state=server_pb2.Server.STATE_BUILDING))
    store.later(store.get("servers", "late"), lambda: setattr(store.get("servers", "late"), "vcpus", 2))
    await clock.advance(5)
    since = clock.now()
    page = await listed(cluster, "servers", since)
    assert (ids(page), page.gone, page.changes_only) == ([], [], True)
    store.touch(store.get("servers", "changed"))
    store.delete("servers", "deleted")
    store.put("servers", "new", server_pb2.Server())
    await clock.advance(6)
    first = await listed(cluster, "servers", since, limit=2)
    rest = await listed(cluster, "servers", since, limit=2, cursor=first.position(1))
    assert (ids(first), list(first.gone)) == (["changed", "late"], ["deleted"])
    assert (ids(rest), list(rest.gone), rest.more) == (["new"], [], False)
    assert len((await listed(cluster, "servers", None)).items) == 4
    assert not (await listed(cluster, "quotas", since)).changes_only


async def test_what_an_operation_does_beside_its_resource_counts_as_changed() -> None:
    """An attached volume, the port of a new server, what a deleted server lets go of."""
    steps = Steps(a_server())
    cluster, clock = steps.cluster, steps.clock
    await steps.drive()
    (server,) = (await listed(cluster, "servers", 0.0)).items
    await clock.advance(100)
    since = clock.now()
    for collection in ("servers", "volumes", "ports", "floatingIps"):
        assert ids(await listed(cluster, collection, since)) == []
    cluster.store.delete("servers", server.name.rpartition("/")[2])
    freed = await listed(cluster, "volumes", since)
    assert [volume.state for volume in freed.items] == [volume_pb2.Volume.STATE_AVAILABLE] * 2
    assert len((await listed(cluster, "ports", since)).items) == 2
    assert [f"{MAIN}/servers/{i}" for i in (await listed(cluster, "servers", since)).gone] == [server.name]


async def test_what_is_gone_is_forgotten_after_a_day() -> None:
    """And what is made again under its id is not gone."""
    clock = FakeClock()
    store = MemoryCluster(ClusterRef("memory", "main"), clock=clock).store
    for name in ("a", "b", "c"):
        store.put("keyPairs", name, server_pb2.Server())
    store.delete("keyPairs", "a")
    await clock.advance(25 * 3600)
    store.delete("keyPairs", "b")
    assert store.changed("keyPairs", 0.0)[1] == ["b"]
    store.put("keyPairs", "b", server_pb2.Server())
    assert store.changed("keyPairs", 0.0)[1] == []
