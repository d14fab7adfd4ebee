"""Two tenants with a project each of one cluster: from their credentials to the adapter that keeps to it."""

from __future__ import annotations

import pytest
from gateway.tests.known_callers import Guarded, as_user, binding, pool, tenant
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import deployment

from cloudspan.client import Forbidden, NotFound, PreconditionFailed
from cloudspan.v1 import cluster_pb2, network_pb2, orphan_pb2, server_pb2, volume_pb2
from cloudspan_gateway.access.store import Changes

OTHERS = f"{MAIN}/projects/other"
ROWS = (
    tenant("acme"), pool("acme", "prod", MAIN, project="main"), binding("acme", "alice", "admin"),
    tenant("beta"), pool("beta", "prod", MAIN, project="other"), binding("beta", "carol", "admin"),
)  # fmt: skip
FOREIGN, ABSENT = f"{MAIN}/servers/foreign", f"{MAIN}/servers/absent"


class Caller:
    """Calls as one user."""

    def __init__(self, client, user):
        self._client, self._metadata = client, as_user(user)

    async def get(self, name):
        request = server_pb2.GetServerRequest(name=name)
        return await self._client.servers.GetServer(request, metadata=self._metadata)

    async def servers(self, **fields):
        request = server_pb2.ListServersRequest(parent=MAIN, **fields)
        listed = await self._client.servers.ListServers(request, metadata=self._metadata)
        return [server.display_name for server in listed.servers]

    async def change(self, service, rpc, request):
        operation = await getattr(getattr(self._client, service), rpc)(
            request, metadata=(*self._metadata, ("x-wait", "5s"))
        )
        return await operation.result(5)

    async def call(self, service, rpc, request):
        return await getattr(getattr(self._client, service), rpc)(request, metadata=self._metadata)


@pytest.fixture
async def running():
    cluster = memory_cluster(delay_s=0.0)
    put = cluster.store.put
    put("servers", "foreign", server_pb2.Server(display_name="foreign", project=OTHERS))
    put("volumes", "foreign", volume_pb2.Volume(display_name="foreign", project=OTHERS))
    put("networks", "shared", network_pb2.Network(display_name="shared", project=OTHERS, shared=True))
    async with deployment(cluster, kind=Guarded) as made:
        await made.gateway.policy.change(lambda _policy, _conn: (None, Changes(ROWS)))
        yield made


@pytest.fixture
def alice(running):
    return Caller(running.client, "alice")


@pytest.fixture
def carol(running):
    return Caller(running.client, "carol")


async def test_each_tenant_sees_its_project(running, alice, carol):
    """The adapter keeps to it, so that the gateway finds nothing to leave out."""
    made = await alice.change("servers", "CreateServer", create_request("own"))
    assert await alice.servers() == ["own"]
    assert await carol.servers() == ["foreign"]
    with pytest.raises(NotFound):
        await carol.get(made.name)
    assert (await carol.get(FOREIGN)).project == OTHERS
    assert running.gateway.forwarder.projects.dropped == 0


async def test_anothers_server_is_as_one_that_does_not_exist(alice):
    """By Get, by a change, and by a request that names it beside its own."""
    own = await alice.change("servers", "CreateServer", create_request("own"))
    for name, end in ((FOREIGN, alice.get(FOREIGN)), (ABSENT, alice.get(ABSENT))):
        with pytest.raises(NotFound, match=f"{name} does not exist in your pool"):
            await end
    with pytest.raises(NotFound, match="does not exist in your pool"):
        await alice.change("servers", "DeleteServer", server_pb2.DeleteServerRequest(name=FOREIGN))
    attach = server_pb2.AttachVolumeRequest(name=own.name, volume=f"{MAIN}/volumes/foreign")
    with pytest.raises(NotFound, match="volumes/foreign does not exist in your pool"):
        await alice.change("servers", "AttachVolume", attach)


async def test_what_is_shared_stays_as_it_is(alice):
    """It is read by all."""
    with pytest.raises(Forbidden) as refused:
        await alice.change(
            "networks", "DeleteNetwork", network_pb2.DeleteNetworkRequest(name=f"{MAIN}/networks/shared")
        )
    assert refused.value.reason == "SHARED_BY_ALL"


async def test_nothing_is_created_where_the_credentials_are_anothers(carol):
    """The refusal names both projects."""
    with pytest.raises(PreconditionFailed) as refused:
        await carol.change("servers", "CreateServer", create_request())
    assert refused.value.reason == "OTHER_PROJECT_OF_POOL"
    assert (f"{MAIN}/projects/main" in str(refused.value), OTHERS in str(refused.value)) == (True, True)


async def test_operations_and_orphans_are_of_the_project_too(alice, carol):
    """What one tenant's operation made is not another's orphan, even where both have the cluster."""
    await alice.change("servers", "CreateServer", create_request("own"))
    request = orphan_pb2.ListOrphansRequest(parent=MAIN)
    listed = [(await caller.call("orphans", "ListOrphans", request)).marked for caller in (alice, carol)]
    assert listed[0] >= 1
    assert listed[1] == 0


async def test_a_cluster_is_shown_with_the_pools_project(carol):
    """Its credentials' own project is not hers."""
    cluster = await carol.call("clusters", "GetCluster", cluster_pb2.GetClusterRequest(name=MAIN))
    assert cluster.project == OTHERS
