"""Which clusters a call to the inventory is about: as for lists, and nothing that its caller does not see."""

from __future__ import annotations

import pytest
from gateway.tests.known_callers import EAST, WEST
from gateway.tests.services.inventory.conftest import Running

from cloudspan.client import InvalidRequest, NotFound
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
