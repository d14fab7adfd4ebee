"""Subnets: their ranges and their end."""

from __future__ import annotations

from typing import Any

import pytest
from adapters.memory.tests.steps import MAIN, changed

from cloudspan.client import AsyncClient
from cloudspan.client import errors as client_errors
from cloudspan.v1 import network_pb2, subnet_pb2
from cloudspan_memory.cluster import MemoryCluster


async def test_networks_refuse_overlapping_subnets_and_are_deleted_with_their_subnets(client: AsyncClient) -> None:
    """A subnet's range, its gateway, and its end."""
    made = await changed(
        client.networks.CreateNetwork(network_pb2.CreateNetworkRequest(parent=MAIN, network={"display_name": "n"}))
    )

    async def subnet(cidr: str) -> Any:
        wanted = {"network": made.name, "cidr": cidr, "display_name": "s"}
        return await changed(client.subnets.CreateSubnet(subnet_pb2.CreateSubnetRequest(parent=MAIN, subnet=wanted)))

    first = await subnet("10.1.0.0/24")
    assert (first.gateway_ip, first.ip_version) == ("10.1.0.1", 4)
    with pytest.raises(client_errors.AlreadyExists, match="choose a free range"):
        await subnet("10.1.0.128/25")
    with pytest.raises(client_errors.InvalidRequest, match=r"10\.0\.0\.0/24"):
        await subnet("10.1.0.0/99")
    second = await subnet("10.1.1.0/24")
    got = await client.networks.GetNetwork(network_pb2.GetNetworkRequest(name=made.name))
    assert set(got.subnets) == {first.name, second.name}
    await changed(client.subnets.DeleteSubnet(subnet_pb2.DeleteSubnetRequest(name=second.name)))
    await changed(client.networks.DeleteNetwork(network_pb2.DeleteNetworkRequest(name=made.name)))
    left = await client.subnets.ListSubnets(subnet_pb2.ListSubnetsRequest(parent=MAIN))
    assert [s.name for s in left.subnets] == [f"{MAIN}/subnets/{name}-v4" for name in ("private", "public")]


async def test_a_stored_subnet_that_cannot_be_read_is_left_out_and_named(
    client: AsyncClient, cluster: MemoryCluster
) -> None:
    """It hides no other one."""
    cluster.store.put("subnets", "odd", subnet_pb2.Subnet(cidr="odd"))
    listed = await client.subnets.ListSubnets(subnet_pb2.ListSubnetsRequest(parent=MAIN))
    assert [s.name for s in listed.subnets] == [f"{MAIN}/subnets/{name}-v4" for name in ("private", "public")]
    (status,) = listed.cluster_status
    assert status.state == status.STATE_PARTIAL
    assert "odd was left out" in status.message
