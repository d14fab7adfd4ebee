"""Networks with subnets and a router: all or nothing."""

from __future__ import annotations

from typing import Any

import pytest
from adapters.memory.tests.steps import (
    MAIN,
    Steps,
    a_server,
    check_every_cancel,
    check_every_lost_answer,
    check_refused,
)

from cloudspan.client import AsyncClient, result_of
from cloudspan.client import errors as client_errors
from cloudspan.v1 import network_pb2, port_pb2, server_pb2
from cloudspan_common import errors
from cloudspan_memory.cluster import MemoryCluster

WHOLE = {"networks": 1, "subnets": 2, "routers": 1, "ports": 2}


def a_network(**fields: Any) -> network_pb2.CreateNetworkRequest:
    """Two subnets and a router to the outside."""
    request = {
        "parent": MAIN,
        "network": {"display_name": "app"},
        "subnets": [{"cidr": "10.8.0.0/24", "display_name": "a"}, {"cidr": "10.9.0.0/24", "display_name": "b"}],
        "router": {"external_network": f"{MAIN}/networks/public"},
    }
    return network_pb2.CreateNetworkRequest(**request | fields)


async def test_a_cancel_before_any_step_leaves_nothing_and_says_what_went() -> None:
    """Each of the steps that a whole run takes."""
    await check_every_cancel(a_network(), WHOLE)


async def test_an_answer_lost_at_any_step_makes_nothing_twice() -> None:
    """The adapter did it and nobody heard."""
    await check_every_lost_answer(a_network(), WHOLE)


async def test_a_subnet_that_overlaps_leaves_no_network() -> None:
    """The second is refused by the first."""
    steps = Steps(a_network(subnets=[{"cidr": "10.8.0.0/24"}, {"cidr": "10.8.0.0/25"}]))
    assert errors.from_status((await steps.drive()).error).reason == "SUBNET_OVERLAPS"
    assert steps.made() == {}


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (a_network(subnets=[{"cidr": "10.8.0.0/99"}]), "expected a range"),
        (a_network(router={"router": f"{MAIN}/routers/none"}), "routers/none"),
        (a_network(router={"router": f"{MAIN}/routers/none", "display_name": "x"}), "existing router"),
        (a_network(router={"external_network": f"{MAIN}/networks/private"}), "not an external network"),
    ],
)
@pytest.mark.parametrize("only_checked", [True, False])
async def test_a_wrong_request_is_refused_before_anything_is_created(
    request_: Any, words: str, only_checked: bool
) -> None:
    """By a check alone as well."""
    await check_refused(request_, words, only_checked=only_checked)


async def test_a_port_in_use_is_refused(client: AsyncClient) -> None:
    """A router's interface is one."""
    made = result_of(await client.networks.CreateNetwork(a_network()))
    ports = (await client.ports.ListPorts(port_pb2.ListPortsRequest(parent=MAIN))).ports
    taken = next(port for port in ports if port.network == made.name)
    with pytest.raises(client_errors.PreconditionFailed, match="choose a free one"):
        result_of(await client.servers.CreateServer(a_server(network_interfaces=[{"port": taken.name}])))


async def _server_with(client: AsyncClient, **interface: Any) -> server_pb2.Server:
    interface = {"network": f"{MAIN}/networks/private"} | interface
    return result_of(await client.servers.CreateServer(a_server(network_interfaces=[interface], new_volumes=[])))


async def test_a_network_is_deleted_with_its_router(client: AsyncClient, cluster: MemoryCluster) -> None:
    """Unless another network needs it; a network in use is refused, with its ports named."""
    first = result_of(await client.networks.CreateNetwork(a_network()))
    (router,) = cluster.store.all("routers")
    assert (router.display_name, router.external_network) == ("app", f"{MAIN}/networks/public")
    gateways = {p.fixed_ips[0].ip_address for p in cluster.store.all("ports")}
    assert gateways == {"10.8.0.1", "10.9.0.1"}
    second = a_network(subnets=[{"cidr": "10.10.0.0/24"}], router={"router": router.name})
    other = result_of(await client.networks.CreateNetwork(second))
    await _server_with(client, network=other.name, new_port={})
    ports = len(cluster.store.all("ports"))
    with pytest.raises(client_errors.PreconditionFailed, match=r"in use by .*ports"):
        result_of(await client.networks.DeleteNetwork(network_pb2.DeleteNetworkRequest(name=other.name)))
    assert len(cluster.store.all("ports")) == ports
    result_of(await client.networks.DeleteNetwork(network_pb2.DeleteNetworkRequest(name=first.name)))
    assert [r.name for r in cluster.store.all("routers")] == [router.name]
