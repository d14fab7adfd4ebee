"""The adapter as a whole, called straight over a socket: every read and every method of the contract."""

from __future__ import annotations

from typing import Any

import pytest
from adapters.memory.tests.steps import MAIN

from cloudspan.client import AsyncClient
from cloudspan.v1 import server_pb2
from cloudspan_common import contract
from cloudspan_common.contract import Kind
from cloudspan_kit.serve.capabilities import Abilities
from cloudspan_memory.cluster import MemoryCluster

ROUTED = [m for m in contract.methods().values() if m.routed_field and m.service != "cloudspan.v1.ClusterService"]


def call(client: AsyncClient, method: contract.Method, request: Any) -> Any:
    return client.channel.unary_unary(method.path, type(request).SerializeToString, method.response.FromString)(
        request, timeout=5
    )


@pytest.mark.parametrize("method", [m for m in ROUTED if m.kind is Kind.LIST], ids=lambda m: m.name)
async def test_every_kind_is_listed_and_what_is_listed_is_got(client: AsyncClient, method: contract.Method) -> None:
    """The same resource both ways, but for the time it was observed at."""
    page = await call(client, method, method.request(parent=MAIN))
    assert page.cluster_status[0].cluster == MAIN
    get = contract.methods()[f"{method.service}/Get{method.item.DESCRIPTOR.name}"]
    for item in getattr(page, method.items_field):
        got = await call(client, get, get.request(name=item.name))
        for one in (item, got):
            one.ClearField("observe_time")
            if "etag" in one.DESCRIPTOR.fields_by_name:  # a digest comes with a Get alone
                one.ClearField("etag")
        assert got == item
    with pytest.raises(Exception, match=r"(?i)does not exist"):
        await call(client, get, get.request(name=f"{MAIN}/{get.collection}/none"))


async def test_every_method_of_the_contract_is_served(client: AsyncClient, cluster: MemoryCluster) -> None:
    """The adapter to copy leaves nothing out."""
    told = {capability.method for capability in Abilities(cluster).describe()}
    assert told == {method.full_name for method in ROUTED}
    assert len([m for m in ROUTED if m.kind is Kind.MUTATION]) >= 15


async def test_what_a_caller_gets_is_a_copy(client: AsyncClient, cluster: MemoryCluster) -> None:
    """The store's own rows have no time of observation."""
    await client.servers.ListServers(server_pb2.ListServersRequest(parent=MAIN))
    for method in ROUTED:
        if method.kind is Kind.LIST:
            await call(client, method, method.request(parent=MAIN))
            for row in cluster.store.all(method.items_field):
                assert "observe_time" not in {field.name for field, _ in row.ListFields()}
