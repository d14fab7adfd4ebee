"""Which clusters a call to the inventory is about: as for lists, and nothing that its caller does not see."""

from __future__ import annotations

import pytest
from gateway.tests.known_callers import EAST, WEST
from gateway.tests.services.inventory.conftest import DC1, Running

from cloudspan.client import Forbidden, InvalidRequest, NotFound
from cloudspan.v1.inventory_pb2 import GetSyncStateRequest, SearchRequest, SummarizeRequest, SyncNowRequest

NOWHERE = "platforms/openstack/clusters/nowhere"


async def test_clusters_are_chosen_as_for_lists(running: Running) -> None:
    """By parent, else by metadata; both must agree."""
    assert await running.names(SearchRequest(parent=WEST)) == ["c"]
    assert await running.names(SearchRequest(), "alice", ("x-platform", "openstack"), ("x-cluster", "west")) == ["c"]
    assert await running.names(SearchRequest(), "alice", ("x-cluster", "west")) == ["c"]
    assert await running.names(SearchRequest(), "carol", ("x-pool", "own")) == ["d"]
    with pytest.raises(InvalidRequest) as refused:
        await running.names(SearchRequest(parent=EAST), "alice", ("x-cluster", "west"))
    assert refused.value.reason == "TAG_DISAGREES"
    with pytest.raises(InvalidRequest, match="expected the form"):
        await running.names(SearchRequest(parent=f"{EAST}/servers/a"))


@pytest.mark.parametrize("rpc", ["Search", "Summarize", "SyncNow", "GetSyncState"])
async def test_a_hidden_cluster_is_as_one_that_does_not_exist(running: Running, rpc: str) -> None:
    """Word for word, whatever is asked of it; and a wildcard that means only hidden ones too."""
    requests = {"Search": SearchRequest, "Summarize": SummarizeRequest, "SyncNow": SyncNowRequest}
    request = requests.get(rpc, GetSyncStateRequest)
    for hidden, absent in ((WEST, NOWHERE), ("platforms/-/clusters/west", "platforms/-/clusters/nowhere")):
        texts = []
        for name in (hidden, absent):
            with pytest.raises(NotFound) as refused:
                await running.ask(rpc, request(parent=name), "carol")
            cluster = name.rpartition("/")[2]
            texts.append((refused.value.message.replace(cluster, "CLUSTER"), refused.value.reason))
        assert texts[0] == texts[1]
    assert running.kept.swept == []


async def test_a_role_of_one_method_reaches_that_method_on_its_pool(running: Running) -> None:
    """Nothing beside it, and no cluster of another pool."""
    await running.ask("SyncNow", SyncNowRequest(), "sven")
    assert running.kept.swept == [((DC1,), (), False)]
    with pytest.raises(NotFound):
        await running.ask("SyncNow", SyncNowRequest(parent=EAST), "sven")
    for parent in ("", DC1):
        with pytest.raises(Forbidden, match="permission `read`"):
            await running.ask("Search", SearchRequest(parent=parent), "sven")


async def test_who_sees_all_tenants_reads_all_and_syncs_for_one(running: Running) -> None:
    """What changes something belongs to a tenant, which x-tenant must choose."""
    assert await running.names(SearchRequest(), "root", ("x-tenant", "-")) == ["a", "b", "c", "d"]
    with pytest.raises(InvalidRequest) as refused:
        await running.ask("SyncNow", SyncNowRequest(), "root", ("x-tenant", "-"))
    assert refused.value.reason == "TENANT_NOT_CHOSEN"
