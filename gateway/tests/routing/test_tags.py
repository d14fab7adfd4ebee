"""x-pool: a list goes to all clusters of the pool, a create to the least busy one that can do it."""

from __future__ import annotations

import asyncio
import uuid

import grpc
import pytest
from gateway.tests.callers import get_server, refused
from gateway.tests.hand_made_adapter import CREATE_SERVER, GET_SERVER, LIST_SERVERS
from gateway.tests.known_callers import EAST, WEST, Guarded, as_user, binding, pool, tenant
from gateway.tests.scripted_adapter import DONE

from cloudspan.v1 import cluster_pb2, cluster_pb2_grpc, operation_pb2, orphan_pb2, orphan_pb2_grpc, server_pb2
from cloudspan.v1.server_pb2_grpc import ServerServiceStub

CODE = grpc.StatusCode
STEP = "/cloudspan.adapter.v1.StepService/Step"
DC1 = "platforms/zstack/clusters/dc1"
GOLD = (("x-pool", "gold"),)


async def listed(body, _context):
    request = server_pb2.ListServersRequest.FromString(body)
    answer = server_pb2.ListServersResponse(next_page_token="" if request.page_token else "more")
    answer.servers.add(name=f"{request.parent}/servers/{len(request.page_token)}")
    return answer.SerializeToString()


async def stepped(_body, _context):
    return DONE.SerializeToString()


@pytest.fixture
async def clusters(deployment):
    """East and west on one platform, dc1 on another, each with an adapter of its own."""
    for number, (platform, cluster) in enumerate((("openstack", "east"), ("openstack", "west"), ("zstack", "dc1"))):
        adapter = await deployment.plug_in(instance_id=f"i-{number}", platform=platform, clusters=(cluster,))
        adapter.answers.update({LIST_SERVERS: listed, STEP: stepped})
    return deployment


def stub(deployment):
    return ServerServiceStub(deployment.channel)


def create(deployment, *metadata, request_id="", **fields):
    server = server_pb2.Server(display_name="web")
    request = server_pb2.CreateServerRequest(server=server, request_id=request_id, **fields)
    request.server.flavor = "platforms/p/clusters/c/flavors/f"
    return stub(deployment).CreateServer(request, metadata=metadata or GOLD)


def cluster_of(operation):
    metadata = operation_pb2.OperationMetadata()
    assert operation.metadata.Unpack(metadata)
    return metadata.cluster


async def test_a_list_reaches_every_cluster_of_the_pool(clusters):
    """And none beside it; the other tags leave some of them, and a single one is asked by its name."""
    async with clusters.opened():
        await clusters.pool("gold", EAST, DC1)
        reached = []
        for metadata in (GOLD, (*GOLD, ("x-platform", "zstack")), (*GOLD, ("x-cluster", "east"))):
            answer = await stub(clusters).ListServers(server_pb2.ListServersRequest(), metadata=metadata)
            reached.append([server.name.rpartition("/servers/")[0] for server in answer.servers])
        wide = server_pb2.ListServersRequest(parent="platforms/-/clusters/-")
        named = await stub(clusters).ListServers(wide, metadata=GOLD)
        cluster_stub = cluster_pb2_grpc.ClusterServiceStub(clusters.channel)
        shown = await cluster_stub.ListClusters(cluster_pb2.ListClustersRequest(), metadata=GOLD)
    assert reached == [[EAST, DC1], [DC1], [EAST]]
    assert len(named.servers) == 2
    assert [cluster.name for cluster in shown.clusters] == [EAST, DC1]


async def test_a_pool_may_hold_all_clusters_of_a_platform(clusters):
    """By a pattern; a cluster plugged in later is one of them."""
    async with clusters.opened():
        await clusters.pool("gold", "platforms/openstack/clusters/-")
        answer = await stub(clusters).ListServers(server_pb2.ListServersRequest(), metadata=GOLD)
    assert len(answer.servers) == 2


async def test_a_create_goes_to_the_least_busy_cluster_of_the_pool(clusters):
    """Where calls are under way on one, the other is chosen."""
    east, *_ = clusters.adapters
    release = asyncio.Event()

    async def held(_body, _context):
        await release.wait()
        return b""

    east.answers[GET_SERVER] = held
    async with clusters.opened():
        await clusters.pool("gold", EAST, WEST)
        waiting = [asyncio.ensure_future(get_server(clusters.channel, f"{EAST}/servers/1")) for _ in range(3)]
        await east.reached.wait()
        chosen = {cluster_of(await create(clusters)) for _ in range(5)}
        release.set()
        await asyncio.gather(*waiting)
    assert chosen == {WEST}


async def test_a_repeated_request_finds_its_operation_though_another_cluster_would_be_chosen(clusters):
    """The request is compared as its caller sent it; with another pool it is another request."""
    async with clusters.opened():
        await clusters.pool("gold", EAST)
        await clusters.pool("tin", EAST, WEST)
        request_id = str(uuid.uuid4())
        first = await create(clusters, request_id=request_id)
        await clusters.pool("gold", WEST, DC1)
        again = await create(clusters, request_id=request_id)
        other = await refused(create(clusters, ("x-pool", "tin"), request_id=request_id))
        new = await create(clusters, request_id=str(uuid.uuid4()))
    assert (first.name, cluster_of(first)) == (again.name, cluster_of(again))
    assert cluster_of(first) == EAST
    assert cluster_of(new) in (WEST, DC1)
    assert other.code() is CODE.ALREADY_EXISTS


async def test_a_create_needs_a_cluster_that_can_do_it(clusters, told):
    """One without the method is passed over; where none has it, or none is there, that is said."""
    clusters.adapters[0].absent = {CREATE_SERVER[1:]: "read only"}
    async with clusters.opened():
        await clusters.pool("gold", EAST, WEST)
        await clusters.pool("tin", EAST)
        await clusters.pool("lead", "platforms/openstack/clusters/gone")
        chosen = {cluster_of(await create(clusters)) for _ in range(5)}
        errors = [await refused(create(clusters, ("x-pool", name))) for name in ("tin", "lead")]
    assert chosen == {WEST}
    assert [(error.code(), told(error).reason) for error in errors] == [(CODE.UNAVAILABLE, "CLUSTER_NOT_CHOSEN")] * 2
    assert "none of its clusters has cloudspan.v1.ServerService/CreateServer" in errors[0].details()


async def test_a_create_goes_where_an_instance_serves(clusters):
    """A cluster whose instances are gone is chosen only when all are."""
    async with clusters.opened():
        await clusters.pool("gold", EAST, WEST)
        clusters.registry.remove("i-0")
        await clusters.until(lambda: "i-0" not in clusters.states())
        chosen = {cluster_of(await create(clusters)) for _ in range(5)}
    assert chosen == {WEST}


async def test_what_needs_one_cluster_says_so_where_the_pool_has_several(clusters, told):
    """Orphans are listed one cluster at a time."""
    async with clusters.opened():
        await clusters.pool("gold", EAST, WEST)
        orphans = orphan_pb2_grpc.OrphanServiceStub(clusters.channel)
        error = await refused(orphans.ListOrphans(orphan_pb2.ListOrphansRequest(), metadata=GOLD))
    assert (error.code(), told(error).reason) == (CODE.INVALID_ARGUMENT, "REQUIRED_FIELD_MISSING")
    assert error.details().endswith(f"name one of them: {EAST}, {WEST}")


async def test_without_authentication_a_pool_is_one_of_the_tenant_in_x_tenant(clusters, told):
    """Or of the tenant `default`."""
    async with clusters.opened():
        await clusters.pool("gold", EAST)
        await clusters.pool("gold", WEST, tenant="acme")
        request = server_pb2.ListServersRequest()
        found = [
            (await stub(clusters).ListServers(request, metadata=(*GOLD, *tenant_))).servers[0].name
            for tenant_ in ((), (("x-tenant", "acme"),))
        ]
        error = await refused(stub(clusters).ListServers(request, metadata=(*GOLD, ("x-tenant", "beta"))))
    assert found == [f"{EAST}/servers/0", f"{WEST}/servers/0"]
    assert (error.code(), told(error).reason) == (CODE.NOT_FOUND, "POOL_UNKNOWN")


ROWS = (
    tenant("acme"), pool("acme", "gold", EAST), pool("acme", "tin", WEST), pool("acme", "secret", DC1),
    binding("acme", "alice", "member", "gold"), binding("acme", "alice", "viewer", "tin"),
    tenant("beta"), pool("beta", "all", "platforms/-/clusters/-"), binding("beta", "bob", "viewer"),
    pool("acme", "both", EAST, WEST), binding("acme", "carol", "viewer", "both"), binding("beta", "carol", "viewer"),
)  # fmt: skip


async def test_a_name_outside_of_the_pool_disagrees_if_it_is_the_callers_and_is_unknown_if_not(clusters, told):
    """As without x-pool: what other pools have does not exist."""
    async with clusters.opened(Guarded):
        await clusters.keep(*ROWS)
        errors = [
            await refused(get_server(clusters.channel, f"{cluster}/servers/1", metadata=as_user("alice", *GOLD)))
            for cluster in (WEST, DC1, "platforms/zstack/clusters/dc2")
        ]
        fine = await get_server(clusters.channel, f"{EAST}/servers/1", metadata=as_user("alice", *GOLD))
    assert [told(error).reason for error in errors] == ["TAG_DISAGREES", "PLATFORM_UNKNOWN", "PLATFORM_UNKNOWN"]
    assert errors[1].details() == errors[2].details()
    assert fine.name == f"{EAST}/servers/1"


async def test_a_pool_without_a_role_is_refused_as_one_that_does_not_exist(clusters, told):
    """The caller's own are listed, and no others."""
    async with clusters.opened(Guarded):
        await clusters.keep(*ROWS)
        texts = []
        for name in ("secret", "nothing", "all"):
            call = stub(clusters).ListServers(
                server_pb2.ListServersRequest(), metadata=as_user("alice", ("x-pool", name))
            )
            error = await refused(call)
            assert (error.code(), told(error).reason) == (CODE.NOT_FOUND, "POOL_UNKNOWN")
            texts.append(error.details().replace(repr(name), "?"))
    assert len(set(texts)) == 1
    assert texts[0].endswith("those are: gold, tin")


async def test_a_create_through_a_pool_needs_the_permission_on_that_pool(clusters):
    """A member of gold is a viewer of tin."""
    async with clusters.opened(Guarded):
        await clusters.keep(*ROWS)
        made = await create(clusters, *as_user("alice", *GOLD))
        error = await refused(create(clusters, *as_user("alice", ("x-pool", "tin"))))
    assert cluster_of(made) == EAST
    assert error.code() is CODE.PERMISSION_DENIED
    assert "on tenants/acme/pools/tin is missing" in error.details()


async def test_a_page_token_is_of_one_tenant_and_of_what_the_caller_may_read(clusters, told):
    """Another tenant's is one of another query; one with a cluster that has left the pool begins anew."""
    every = "platforms/-/clusters/-"
    async with clusters.opened(Guarded):
        await clusters.keep(*ROWS)

        async def page(user, token="", *tags):
            request = server_pb2.ListServersRequest(parent=every, page_token=token)
            return await stub(clusters).ListServers(request, metadata=as_user(user, *tags))

        first = await page("carol", "", ("x-tenant", "acme"))
        foreign = [
            await refused(page("carol", first.next_page_token, ("x-tenant", "beta"))),
            await refused(page("bob", first.next_page_token)),
        ]
        own = await page("carol", first.next_page_token, ("x-tenant", "acme"))
        await clusters.keep(pool("acme", "both", EAST))
        gone = await refused(page("carol", first.next_page_token, ("x-tenant", "acme")))
    assert [told(error).reason for error in foreign] == ["PAGE_TOKEN_OTHER_QUERY"] * 2
    assert len(own.servers) == 2
    assert told(gone).reason == "PAGE_TOKEN_MALFORMED"
