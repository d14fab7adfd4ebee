"""Tenants and pools: who sees them, who changes them, and which values can be kept."""

from __future__ import annotations

import grpc
import pytest
from gateway.tests.callers import get_server, refused
from gateway.tests.known_callers import EAST, WEST, Guarded, as_user, binding, pool, role, tenant
from google.protobuf.field_mask_pb2 import FieldMask
from tests.harness.clouds import create_request, memory_cluster
from tests.harness.in_process import deployment as in_process

from cloudspan.client import CloudspanError
from cloudspan.v1 import audit_pb2, audit_pb2_grpc, tenant_pb2, tenant_pb2_grpc

CODE = grpc.StatusCode
ROWS = (
    tenant("acme"), pool("acme", "prod", EAST), pool("acme", "dev", WEST),
    tenant("beta"), pool("beta", "all", EAST),
    binding("-", "root", "admin"), binding("acme", "alice", "admin"), binding("acme", "dan", "viewer", "dev"),
    binding("beta", "carol", "viewer"), binding("acme", "carol", "viewer"),
)  # fmt: skip


@pytest.fixture
async def guarded(deployment):
    await deployment.plug_in(clusters=("east", "west"))
    async with deployment.opened(Guarded):
        await deployment.keep(*ROWS)
        yield deployment


class Client:
    """Calls TenantService as one user."""

    def __init__(self, deployment, user, *metadata):
        self._stub = tenant_pb2_grpc.TenantServiceStub(deployment.channel)
        self._metadata = as_user(user, *metadata)

    def __getattr__(self, rpc):
        return lambda request: getattr(self._stub, rpc)(request, metadata=self._metadata)


def new_tenant(tenant_id, **fields):
    made = tenant_pb2.Tenant(**fields)
    made.SetInParent()
    return tenant_pb2.CreateTenantRequest(tenant_id=tenant_id, tenant=made)


def new_pool(parent, pool_id, *clusters, **fields):
    having = [tenant_pb2.PoolCluster(cluster=cluster) for cluster in clusters]
    return tenant_pb2.CreatePoolRequest(parent=parent, pool_id=pool_id, pool=tenant_pb2.Pool(clusters=having, **fields))


async def test_a_tenant_and_its_pools_are_created_changed_and_deleted(guarded):
    """By an administrator of the installation; each is in effect with the next call."""
    root = Client(guarded, "root")
    made = await root.CreateTenant(new_tenant("gamma", display_name="Gamma", limits=tenant_pb2.Limits(calls=5)))
    pooled = await root.CreatePool(new_pool("tenants/gamma", "prod", EAST))
    mask = FieldMask(paths=["display_name", "limits"])
    wanted = tenant_pb2.Tenant(name="tenants/gamma", display_name="Γ", disabled=True)
    changed = await root.UpdateTenant(tenant_pb2.UpdateTenantRequest(tenant=wanted, update_mask=mask))
    pool_wanted = tenant_pb2.Pool(name=pooled.name, clusters=[tenant_pb2.PoolCluster(cluster=WEST, project_id="p1")])
    moved = await root.UpdatePool(tenant_pb2.UpdatePoolRequest(pool=pool_wanted))
    read = await root.GetTenant(tenant_pb2.GetTenantRequest(name="tenants/gamma"))
    busy = await refused(root.DeleteTenant(tenant_pb2.DeleteTenantRequest(name="tenants/gamma")))
    await root.DeletePool(tenant_pb2.DeletePoolRequest(name=pooled.name))
    await root.DeleteTenant(tenant_pb2.DeleteTenantRequest(name="tenants/gamma"))
    gone = await refused(root.GetTenant(tenant_pb2.GetTenantRequest(name="tenants/gamma")))
    assert (made.name, made.limits.calls, made.create_time.seconds > 0) == ("tenants/gamma", 5, True)
    assert (changed.display_name, changed.HasField("limits"), changed.disabled) == ("Γ", False, False)
    assert read == changed
    assert (moved.clusters[0].cluster, moved.clusters[0].project_id, moved.create_time) == (
        WEST,
        "p1",
        pooled.create_time,
    )
    assert (busy.code(), "pools: prod" in busy.details()) == (CODE.FAILED_PRECONDITION, True)
    assert gone.code() is CODE.NOT_FOUND


async def test_a_change_of_a_pool_moves_what_its_callers_see(guarded):
    """With the next call, no earlier and no later."""
    before = await get_server(guarded.channel, f"{WEST}/servers/1", metadata=as_user("dan"))
    wanted = tenant_pb2.Pool(name="tenants/acme/pools/dev", clusters=[tenant_pb2.PoolCluster(cluster=EAST)])
    await Client(guarded, "root").UpdatePool(tenant_pb2.UpdatePoolRequest(pool=wanted))
    error = await refused(get_server(guarded.channel, f"{WEST}/servers/1", metadata=as_user("dan")))
    after = await get_server(guarded.channel, f"{EAST}/servers/1", metadata=as_user("dan"))
    assert (before.name, after.name) == (f"{WEST}/servers/1", f"{EAST}/servers/1")
    assert error.code() is CODE.NOT_FOUND


async def test_each_caller_sees_the_tenants_and_pools_in_which_it_has_a_role(guarded):
    """By lists and by name: others' are refused as ones that do not exist."""
    seen, texts = {}, {}
    for user, tags in (("root", ()), ("alice", ()), ("dan", ()), ("carol", (("x-tenant", "beta"),))):
        client = Client(guarded, user, *tags)
        tenants = (await client.ListTenants(tenant_pb2.ListTenantsRequest())).tenants
        pools = []
        for each in tenants:
            pools += (await client.ListPools(tenant_pb2.ListPoolsRequest(parent=each.name))).pools
        seen[user] = " ".join(each.name.removeprefix("tenants/") for each in (*tenants, *pools))
    dan = Client(guarded, "dan")
    for name in ("tenants/beta", "tenants/none"):
        calls = (
            dan.GetTenant(tenant_pb2.GetTenantRequest(name=name)),
            dan.ListPools(tenant_pb2.ListPoolsRequest(parent=name)),
            dan.GetPool(tenant_pb2.GetPoolRequest(name=f"{name}/pools/all")),
        )
        texts[name] = [((error := await refused(each)).code(), error.details().replace(name, "?")) for each in calls]
    hidden = await refused(dan.GetPool(tenant_pb2.GetPoolRequest(name="tenants/acme/pools/prod")))
    assert seen == {
        "root": "acme beta acme/pools/dev acme/pools/prod beta/pools/all",
        "alice": "acme acme/pools/dev acme/pools/prod",
        "dan": "acme acme/pools/dev",
        "carol": "acme beta acme/pools/dev acme/pools/prod beta/pools/all",
    }
    assert texts["tenants/beta"] == texts["tenants/none"]
    assert {code for code, _ in texts["tenants/none"]} == {CODE.NOT_FOUND}
    assert hidden.code() is CODE.NOT_FOUND


async def test_only_administrators_of_the_installation_change_tenants_and_pools(guarded):
    """One of a tenant does not, not even its own; whether another one exists is not said."""
    for user, where in (("alice", "tenants/-"), ("dan", "tenants/acme")):
        client = Client(guarded, user)
        for call in (
            client.CreateTenant(new_tenant("gamma")),
            client.CreateTenant(new_tenant("beta")),
            client.UpdateTenant(tenant_pb2.UpdateTenantRequest(tenant=tenant_pb2.Tenant(name="tenants/acme"))),
            client.UpdateTenant(tenant_pb2.UpdateTenantRequest(tenant=tenant_pb2.Tenant(name="tenants/beta"))),
            client.DeleteTenant(tenant_pb2.DeleteTenantRequest(name="tenants/beta")),
            client.CreatePool(new_pool("tenants/acme", "mine", "platforms/-/clusters/-")),
            client.UpdatePool(tenant_pb2.UpdatePoolRequest(pool=tenant_pb2.Pool(name="tenants/acme/pools/dev"))),
            client.DeletePool(tenant_pb2.DeletePoolRequest(name="tenants/beta/pools/all")),
        ):
            error = await refused(call)
            assert error.code() is CODE.PERMISSION_DENIED
            assert f"on {where} is missing; a caller with `administer` on {where} can grant it" in error.details()


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (new_tenant("Acme"), "tenant_id"),
        (new_tenant("-"), "tenant_id"),
        (new_tenant("a/b"), "tenant_id"),
        (new_tenant("\uff41cme"), "tenant_id"),
        (new_tenant("a" * 40), "tenant_id"),
        (new_tenant("gamma", display_name="a\nb"), "tenant.display_name"),
        (new_tenant("gamma", display_name="x" * 257), "tenant.display_name"),
        (new_tenant("gamma", limits=tenant_pb2.Limits(request_bytes=-1)), "tenant.limits.request_bytes"),
        (new_pool("tenants/acme", "", EAST), "pool_id"),
        (new_pool("tenants/acme", "9", EAST), "pool_id"),
        (new_pool("tenants/-", "gold", EAST), "parent"),
        (new_pool("acme", "gold", EAST), "parent"),
        (new_pool("tenants/acme", "gold", EAST, EAST), "pool.clusters[1].cluster"),
        (new_pool("tenants/acme", "gold", f"{EAST}/servers/1"), "pool.clusters[0].cluster"),
        (new_pool("tenants/acme", "gold", "platforms/openstack/clusters/*"), "pool.clusters[0].cluster"),
        (new_pool("tenants/acme", "gold", "platforms//clusters/east"), "pool.clusters[0].cluster"),
        (new_pool("tenants/acme", "gold", EAST, limits=tenant_pb2.Limits(calls=-1)), "pool.limits.calls"),
        (new_pool("tenants/acme", "gold"), "pool.clusters"),
    ],
)  # fmt: skip
async def test_what_cannot_be_kept_is_refused_by_its_field(guarded, told, request_, field):
    """Names, texts, limits and patterns of clusters."""
    rpc = request_.DESCRIPTOR.name.removesuffix("Request")
    error = await refused(getattr(Client(guarded, "root"), rpc)(request_))
    assert error.code() is CODE.INVALID_ARGUMENT
    assert [violation.field for violation in told(error).violations] == [field]


async def test_what_exists_is_not_created_again_and_a_mask_names_what_can_be_changed(guarded, told):
    """ALREADY_EXISTS; INVALID_ARGUMENT for name, create_time and fields that there are not."""
    root = Client(guarded, "root")
    for call in (root.CreateTenant(new_tenant("acme")), root.CreatePool(new_pool("tenants/acme", "dev", EAST))):
        assert (await refused(call)).code() is CODE.ALREADY_EXISTS
    for path in ("create_time", "owner", "limits.calls"):
        request = tenant_pb2.UpdateTenantRequest(
            tenant=tenant_pb2.Tenant(name="tenants/acme"), update_mask=FieldMask(paths=[path])
        )
        error = await refused(root.UpdateTenant(request))
        assert told(error).reason == "BAD_UPDATE_MASK"
    emptied = tenant_pb2.UpdatePoolRequest(
        pool=tenant_pb2.Pool(name="tenants/acme/pools/dev"), update_mask=FieldMask(paths=["clusters"])
    )
    assert (await refused(root.UpdatePool(emptied))).code() is CODE.INVALID_ARGUMENT
    unknown = tenant_pb2.UpdatePoolRequest(
        pool=tenant_pb2.Pool(name="tenants/acme/pools/no", display_name="x"),
        update_mask=FieldMask(paths=["display_name"]),
    )
    assert (await refused(root.UpdatePool(unknown))).code() is CODE.NOT_FOUND


async def test_a_disabled_tenant_refuses_its_callers_and_an_administrator_enables_it(guarded, told):
    """With the next call."""
    root = Client(guarded, "root")
    for disabled in (True, False):
        wanted = tenant_pb2.Tenant(name="tenants/acme", disabled=disabled)
        mask = FieldMask(paths=["disabled"])
        await root.UpdateTenant(tenant_pb2.UpdateTenantRequest(tenant=wanted, update_mask=mask))
        call = get_server(guarded.channel, f"{EAST}/servers/1", metadata=as_user("alice"))
        if disabled:
            error = await refused(call)
            assert (error.code(), told(error).reason) == (CODE.PERMISSION_DENIED, "TENANT_DISABLED")
        else:
            assert (await call).name


async def test_a_deleted_pool_takes_its_bindings_along(guarded):
    """A pool of the same name later is not somebody's by a role of before; a tenant takes all of its own."""
    root = Client(guarded, "root")
    await root.DeletePool(tenant_pb2.DeletePoolRequest(name="tenants/acme/pools/dev"))
    await root.CreatePool(new_pool("tenants/acme", "dev", WEST))
    error = await refused(get_server(guarded.channel, f"{WEST}/servers/1", metadata=as_user("dan")))
    assert error.code() is CODE.NOT_FOUND
    await root.DeletePool(tenant_pb2.DeletePoolRequest(name="tenants/beta/pools/all"))
    await root.DeleteTenant(tenant_pb2.DeleteTenantRequest(name="tenants/beta"))
    assert not [name for name in guarded.gateway.policy.policy.rows if name.startswith("tenants/beta")]


async def test_lists_have_pages(guarded):
    """Each tenant and each pool once, in the order of their names."""
    root, names, token = Client(guarded, "root"), [], None
    while token != "":
        page = await root.ListPools(
            tenant_pb2.ListPoolsRequest(parent="tenants/acme", page_size=1, page_token=token or "")
        )
        names += [each.name for each in page.pools]
        token = page.next_page_token
    assert names == ["tenants/acme/pools/dev", "tenants/acme/pools/prod"]


async def test_a_tenant_with_an_operation_under_way_stays():
    """Also where callers are not authenticated: x-tenant says whose it is."""
    cluster = memory_cluster()
    async with in_process(cluster) as running:
        cluster.store._delay_s = 60.0
        client = running.client
        await client.tenants.CreateTenant(new_tenant("acme"))
        await client.servers.CreateServer(create_request(), metadata=(("x-tenant", "acme"),))
        request = tenant_pb2.DeleteTenantRequest(name="tenants/acme")
        with pytest.raises(CloudspanError, match="operations that have not ended, such as operations/"):
            await client.tenants.DeleteTenant(request)


async def test_a_role_that_only_administers_one_pool_shows_its_tenant(guarded):
    """To hold anything there is to have a role there; the tenant itself it does not administer."""
    await guarded.keep(role("keeper", "administer"), binding("beta", "dan", "keeper", "all"))
    dan = Client(guarded, "dan", ("x-tenant", "acme"))
    names = [each.name for each in (await dan.ListTenants(tenant_pb2.ListTenantsRequest())).tenants]
    assert names == ["tenants/acme", "tenants/beta"]


async def test_a_change_is_in_the_audit_once_and_so_is_a_refused_one(guarded):
    """The change with its row in one transaction; who was refused is there with the reason."""
    await Client(guarded, "root").CreateTenant(new_tenant("gamma"))
    await refused(Client(guarded, "alice").CreateTenant(new_tenant("delta")))
    stub = audit_pb2_grpc.AuditServiceStub(guarded.channel)
    listed = await stub.ListAuditEvents(audit_pb2.ListAuditEventsRequest(), metadata=as_user("root"))
    found = [(event.subject, event.outcome, event.reason) for event in listed.events if "CreateTenant" in event.method]
    assert sorted(found) == [("users/alice", "PERMISSION_DENIED", "PERMISSION_MISSING"), ("users/root", "OK", "")]
