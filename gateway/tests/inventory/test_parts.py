"""A gateway with an inventory, over real sockets: its clusters are swept by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from gateway.tests.listed_cloud import ListedCloud
from gateway.tests.swept_adapter import let_sweep

from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError
from cloudspan_gateway.inventory.model import Completeness

if TYPE_CHECKING:
    from gateway.tests.conftest import Deployment
    from gateway.tests.hand_made_adapter import HandMadeAdapter

    from cloudspan_gateway.inventory.model import CollectionState
    from cloudspan_gateway.inventory.parts import Inventory

EAST = "platforms/openstack/clusters/east"


@pytest.fixture
def cloud() -> ListedCloud:
    return ListedCloud({f"s{n}": f"server {n}" for n in range(7)}, cluster=EAST)


@pytest.fixture
async def adapter(deployment: Deployment, cloud: ListedCloud) -> HandMadeAdapter:
    made = await deployment.plug_in()
    let_sweep(made, cloud)
    return made


def inventory_of(deployment: Deployment) -> Inventory:
    assert deployment.gateway.inventory is not None
    return deployment.gateway.inventory


async def swept(deployment: Deployment, collection: str = "servers", **options: bool) -> CollectionState:
    inventory = inventory_of(deployment)
    await inventory.sync.now([EAST], [collection], deadline=Deadline.after(10), **options)
    states = await inventory.store.states([EAST])
    return next(state for state in states if state.collection == collection)


async def kept(deployment: Deployment) -> set[str]:
    known = await inventory_of(deployment).store.known(EAST, "servers")
    return {name.rpartition("/")[2] for name in known}


async def test_what_a_cloud_has_and_has_no_longer_is_known(
    deployment: Deployment, adapter: HandMadeAdapter, cloud: ListedCloud
) -> None:
    """Several pages, and the proof of a deletion by Get."""
    async with deployment.opened(no_inventory=False):
        state = await swept(deployment)
        assert (state.completeness, state.row_count) == (Completeness.COMPLETE, 7)
        del cloud.servers["s3"]
        state = await swept(deployment)
        assert (state.completeness, state.row_count) == (Completeness.COMPLETE, 6)
        assert await kept(deployment) == set(cloud.servers)
        assert (await swept(deployment, "images")).reason == "METHOD_ABSENT"


async def test_sweeps_are_asked_for_by_the_gateway_itself_and_a_page_that_is_known_by_its_etag(
    deployment: Deployment, adapter: HandMadeAdapter, cloud: ListedCloud
) -> None:
    """An unchanged page carries no rows."""
    async with deployment.opened(no_inventory=False):
        for _ in range(3):
            await swept(deployment)
        assert [request.etag != "" for request in cloud.asked[-3:]] == [True, True, True]
        path, metadata, _ = next(call for call in adapter.calls if call[0].endswith("SweepPage"))
        assert path == "/cloudspan.adapter.v1.SweepService/SweepPage"
        assert "x-tenant" not in metadata


async def test_an_adapter_that_knows_no_sweeps_is_to_be_updated(deployment: Deployment) -> None:
    """Its cluster is not empty for that."""
    await deployment.plug_in()
    async with deployment.opened(no_inventory=False):
        state = await swept(deployment)
        assert (state.completeness, state.reason) == (Completeness.UNSUPPORTED, "UNSUPPORTED")
        assert "update the adapter" in state.message


async def test_a_list_that_the_cluster_does_not_have_is_not_asked_for(
    deployment: Deployment, adapter: HandMadeAdapter
) -> None:
    """The capabilities say so, with the adapter's reason."""
    adapter.absent = {"cloudspan.v1.ServerService/ListServers": "this cloud lists no servers"}
    async with deployment.opened(no_inventory=False):
        state = await swept(deployment)
        assert (state.completeness, state.reason) == (Completeness.UNSUPPORTED, "METHOD_ABSENT")
        assert "this cloud lists no servers" in state.message
        assert not [path for path, _, _ in adapter.calls if path.endswith("SweepPage")]


async def test_nothing_is_deleted_because_a_cluster_left_its_adapter(
    deployment: Deployment, adapter: HandMadeAdapter, cloud: ListedCloud
) -> None:
    """NOT_FOUND of the cluster is no proof of what was in it."""
    async with deployment.opened(no_inventory=False):
        await swept(deployment)
        source = inventory_of(deployment).sync._environment.source
        await adapter.stop()
        deployment.registry.remove(adapter.instance_id)
        deployment.adapters.remove(adapter)
        for name in await inventory_of(deployment).store.known(EAST, "servers"):
            with pytest.raises(CloudspanError, match=r"no instance serves|was lost|not plugged in|has no cluster"):
                await source.get(name)
        assert await kept(deployment) == set(cloud.servers)


async def test_a_gateway_that_is_to_keep_no_inventory_reads_nothing(
    deployment: Deployment, adapter: HandMadeAdapter
) -> None:
    """Not in the background, nor is it among the parts that it waits for."""
    async with deployment.opened() as running:
        assert running.gateway.inventory is None
        assert "inventory" not in repr(running.gateway.readiness)
    assert not [path for path, _, _ in adapter.calls if path.endswith("SweepPage")]


async def test_what_the_inventory_holds_and_costs_is_in_the_metrics(
    deployment: Deployment, adapter: HandMadeAdapter
) -> None:
    """By cluster and collection."""
    async with deployment.opened(no_inventory=False) as running:
        await swept(deployment)
        registry = running.gateway.metrics.registry
        where = {"platform": "openstack", "cluster": "east", "collection": "servers"}
        of_credentials = {**where, "project": ""}
        prefix = "cloudspan_gateway_inventory"
        assert registry.get_sample_value(f"{prefix}_rows", of_credentials) == 7
        assert registry.get_sample_value(f"{prefix}_lag_seconds", of_credentials) < 60
        assert registry.get_sample_value(f"{prefix}_brake_missing", of_credentials) == 0
        assert registry.get_sample_value(f"{prefix}_changes_total", {**where, "what": "added"}) == 7
        assert registry.get_sample_value(f"{prefix}_sweeps_total", {**where, "completeness": "COMPLETE"}) >= 1
        assert registry.get_sample_value(f"{prefix}_pages_total", {**where, "unchanged": "no"}) >= 3
