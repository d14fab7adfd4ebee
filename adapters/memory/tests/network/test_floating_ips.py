"""Floating IPs: where they come from, and where they lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from adapters.memory.tests.steps import MAIN, changed

from cloudspan.client import errors as client_errors
from cloudspan.v1 import floating_ip_pb2, port_pb2

if TYPE_CHECKING:
    from cloudspan.client import AsyncClient
    from cloudspan_memory.cluster import MemoryCluster

PUBLIC = f"{MAIN}/networks/public"


async def create(client: AsyncClient, **fields: Any) -> floating_ip_pb2.FloatingIp:
    wanted = {"external_network": PUBLIC} | fields
    return await changed(
        client.floating_ips.CreateFloatingIp(floating_ip_pb2.CreateFloatingIpRequest(parent=MAIN, floating_ip=wanted))
    )


async def test_an_address_is_chosen_or_asked_for_and_given_once(client: AsyncClient) -> None:
    """The first is free, the second is taken or of another network."""
    assert (await create(client)).ip_address == "203.0.113.2"
    assert (await create(client, ip_address="203.0.113.9")).ip_address == "203.0.113.9"
    with pytest.raises(client_errors.AlreadyExists, match="in use"):
        await create(client, ip_address="203.0.113.9")
    with pytest.raises(client_errors.InvalidRequest, match="not an address in a subnet"):
        await create(client, ip_address="192.0.2.1")
    with pytest.raises(client_errors.InvalidRequest, match="not an external network"):
        await create(client, external_network=f"{MAIN}/networks/private")


async def test_it_leads_to_one_port_until_it_is_reassigned(client: AsyncClient, cluster: MemoryCluster) -> None:
    """To a server by the one port that it has."""
    ports = []
    for number in (1, 2):
        port = port_pb2.Port(network=f"{MAIN}/networks/private", server=f"{MAIN}/servers/s{number}")
        port.fixed_ips.add(ip_address=f"10.0.0.{number}")
        ports.append(cluster.store.put("ports", f"p{number}", port))
    made = await create(client)

    async def associate(**fields: Any) -> floating_ip_pb2.FloatingIp:
        request = floating_ip_pb2.AssociateFloatingIpRequest(name=made.name, **fields)
        return await changed(client.floating_ips.AssociateFloatingIp(request))

    led = await associate(port=ports[0].name)
    assert (led.port, led.fixed_ip_address, led.server) == (ports[0].name, "10.0.0.1", f"{MAIN}/servers/s1")
    with pytest.raises(client_errors.PreconditionFailed, match="set reassign"):
        await associate(port=ports[1].name)
    assert (await associate(port=ports[1].name, reassign=True)).fixed_ip_address == "10.0.0.2"
    with pytest.raises(client_errors.InvalidRequest, match="which one address"):
        await associate(port=ports[1].name, fixed_ip_address="10.0.0.7", reassign=True)
    free = floating_ip_pb2.DisassociateFloatingIpRequest(name=made.name)
    assert (await changed(client.floating_ips.DisassociateFloatingIp(free))).server == ""


async def test_it_is_down_and_free_again_once_its_port_is_gone(client: AsyncClient, cluster: MemoryCluster) -> None:
    """As Neutron shows it: DOWN without a port, ACTIVE with one, and nothing to take it from after the port's end."""
    ports = []
    for number in (1, 2):
        port = port_pb2.Port(network=f"{MAIN}/networks/private")
        port.fixed_ips.add(ip_address=f"10.0.0.{number}")
        ports.append(cluster.store.put("ports", f"p{number}", port))
    made = await create(client)

    async def associate(port: port_pb2.Port) -> floating_ip_pb2.FloatingIp:
        request = floating_ip_pb2.AssociateFloatingIpRequest(name=made.name, port=port.name)
        return await changed(client.floating_ips.AssociateFloatingIp(request))

    assert made.state == floating_ip_pb2.FloatingIp.STATE_DOWN
    assert (await associate(ports[0])).state == floating_ip_pb2.FloatingIp.STATE_ACTIVE
    cluster.store.delete("ports", "p1")
    left = await client.floating_ips.GetFloatingIp(floating_ip_pb2.GetFloatingIpRequest(name=made.name))
    assert (left.port, left.fixed_ip_address, left.state) == ("", "", floating_ip_pb2.FloatingIp.STATE_DOWN)
    assert (await associate(ports[1])).port == ports[1].name


async def test_an_update_replaces_labels_and_leaves_the_address(client: AsyncClient) -> None:
    """What the mask does not name stays."""
    made = await create(client, display_name="old", labels={"a": "1"})
    wanted = floating_ip_pb2.FloatingIp(name=made.name, display_name="new", labels={"b": "2"})
    request = floating_ip_pb2.UpdateFloatingIpRequest(floating_ip=wanted, update_mask={"paths": ["labels"]})
    updated = await changed(client.floating_ips.UpdateFloatingIp(request))
    assert (updated.display_name, dict(updated.labels), updated.ip_address) == ("old", {"b": "2"}, made.ip_address)
    await changed(client.floating_ips.DeleteFloatingIp(floating_ip_pb2.DeleteFloatingIpRequest(name=made.name)))
    with pytest.raises(client_errors.NotFound):
        await client.floating_ips.GetFloatingIp(floating_ip_pb2.GetFloatingIpRequest(name=made.name))
