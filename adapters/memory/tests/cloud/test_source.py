"""The source that all kinds share: marks, and what is in transit."""

from __future__ import annotations

from adapters.memory.tests.steps import Steps, a_server

from cloudspan.v1 import server_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_kit import Call
from cloudspan_kit.serve.capabilities import Abilities


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
