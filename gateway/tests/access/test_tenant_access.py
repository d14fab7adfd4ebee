"""One caller in one tenant: projects, pools, limits, and what it keeps between calls."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from gateway.tests.known_callers import EAST, WEST, binding, pool, tenant

from cloudspan.v1 import cluster_pb2, tenant_pb2
from cloudspan_common.contract import Permission
from cloudspan_common.errors import InvalidRequest, NotFound, NotPermitted
from cloudspan_common.names import ClusterRef, parse_cluster
from cloudspan_gateway.access.access import Access
from cloudspan_gateway.access.policy import Policy, Row
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.routing.snapshot import READY, ClusterRoute, Endpoint, PlatformRoute, Seen, Snapshot

READ, DELETE = Permission.PERMISSION_READ, Permission.PERMISSION_DELETE
ADMINISTER = Permission.PERMISSION_ADMINISTER
GET, REMOVE = "cloudspan.v1.ServerService/GetServer", "cloudspan.v1.ServerService/DeleteServer"
EAST_REF, WEST_REF = parse_cluster(EAST), parse_cluster(WEST)
WHOLE = ClusterRef("openstack", "")
"""Where a call says the platform alone."""


def access_of(*rows: Row, user: str = "alice", wanted: str = "") -> Access:
    return Policy((tenant("acme"), *rows)).access(Principal(f"users/{user}"), wanted)


def test_a_permission_on_one_project_is_never_used_on_another() -> None:
    """East is two projects: that of the first pool by name, with what the caller has there, unless x-pool says."""
    rows = (
        pool("acme", "a", EAST, project="p1"), pool("acme", "b", EAST, project="p2"),
        binding("acme", "alice", "viewer", "a"), binding("acme", "alice", "member", "b"),
    )  # fmt: skip
    access = access_of(*rows)
    assert access.project(EAST_REF) == "p1"
    assert not access.allows(DELETE, REMOVE, EAST_REF)
    chosen = access.narrowed("b")
    assert chosen.project(EAST_REF) == "p2"
    assert chosen.allows(DELETE, REMOVE, EAST_REF)
    with pytest.raises(NotPermitted, match="on tenants/acme/pools/a is missing"):
        access.require(DELETE, REMOVE, EAST_REF)


def test_pools_that_agree_on_the_project_add_up() -> None:
    """What the caller has on any of them; the first one by name bounds its calls."""
    limits = tenant_pb2.Limits(calls=3)
    rows = (
        pool("acme", "a", EAST, limits=limits), pool("acme", "b", EAST, WEST),
        binding("acme", "alice", "viewer", "a"), binding("acme", "alice", "member", "b"),
    )  # fmt: skip
    access = access_of(*rows)
    access.require(DELETE, REMOVE, EAST_REF)
    assert [(name, bound.calls) for name, bound in access.limits(EAST_REF)] == [("tenants/acme/pools/a", 3)]
    assert list(access.limits(WEST_REF)) == []
    assert list(access.limits()) == []


def test_the_tenants_limits_come_before_the_pools() -> None:
    """Of a tenant without any there are none."""
    limits = tenant_pb2.Limits(operations=7)
    policy = Policy((
        tenant("acme", limits=limits), pool("acme", "a", EAST, limits=limits), binding("acme", "alice", "viewer"),
    ))  # fmt: skip
    access = policy.access(Principal("users/alice"), "")
    assert [name for name, _ in access.limits(EAST_REF)] == ["tenants/acme", "tenants/acme/pools/a"]
    assert [name for name, _ in access.limits()] == ["tenants/acme"]
    assert [name for name, _ in access.narrowed("a").limits()] == ["tenants/acme"]


def test_the_cluster_named_by_itself_decides_over_a_pattern() -> None:
    """Whichever stands first."""
    for clusters in ((EAST, "platforms/-/clusters/-"), ("platforms/-/clusters/-", EAST)):
        having = [tenant_pb2.PoolCluster(cluster=each, project_id="p" if each == EAST else "") for each in clusters]
        access = access_of(
            tenant_pb2.Pool(name="tenants/acme/pools/a", clusters=having), binding("acme", "alice", "viewer")
        )
        assert (access.project(EAST_REF), access.project(WEST_REF)) == ("p", "")


@pytest.mark.parametrize(
    ("clusters", "whole"),
    [
        (("platforms/openstack/clusters/-",), True),
        (("platforms/-/clusters/-",), True),
        ((EAST, WEST), False),
        (("platforms/-/clusters/east",), False),
    ],
)
def test_a_platform_without_a_cluster_is_for_pools_that_have_it_whole(clusters: tuple[str, ...], whole: bool) -> None:
    """What a service beyond the contract does there, nobody can tell from its tags; a project is not the whole."""
    access = access_of(pool("acme", "a", *clusters), binding("acme", "alice", "admin"))
    assert access.allows(READ, GET, WHOLE) == whole
    assert access.sees("acme", WHOLE)
    bounded = access_of(pool("acme", "a", *clusters, project="p"), binding("acme", "alice", "admin"))
    assert not bounded.allows(READ, GET, WHOLE)


def test_the_administration_of_one_pool_is_not_that_of_the_tenant() -> None:
    """Reading somewhere is reading in the tenant."""
    access = access_of(pool("acme", "a", EAST), binding("acme", "alice", "admin", "a"))
    assert access.allows(READ, GET)
    assert not access.allows(ADMINISTER, "cloudspan.v1.PolicyService/ListBindings")
    with pytest.raises(NotPermitted, match=r"`administer` .* on tenants/acme is missing"):
        access.require(ADMINISTER, "cloudspan.v1.PolicyService/ListBindings")


def test_other_tenants_things_do_not_exist() -> None:
    """Not even on a cluster that both have; those of no tenant neither."""
    access = access_of(pool("acme", "a", EAST), binding("acme", "alice", "admin"))
    assert access.sees("acme", EAST_REF)
    assert not access.sees("acme", WEST_REF)
    assert not access.sees("beta", EAST_REF)
    assert not access.sees("", EAST_REF)
    assert not access.sees("-", EAST_REF)


def test_a_view_is_made_once_for_each_state_of_the_table() -> None:
    """And says nothing of why instances are as they are."""
    endpoint = Endpoint("os-1", "127.0.0.1:1")
    clusters = {ref.cluster: ClusterRoute(ref, cluster_pb2.Cluster()) for ref in (EAST_REF, WEST_REF)}
    seen = Seen(None, endpoint, READY, "another one claims platforms/openstack/clusters/west")  # type: ignore[arg-type]
    route = PlatformRoute("openstack", instances=(seen,), clusters=clusters)
    snapshot = Snapshot(MappingProxyType({"openstack": route, "zstack": PlatformRoute("zstack")}))
    access = access_of(pool("acme", "a", EAST), binding("acme", "alice", "viewer"))
    view = access.view(snapshot)
    assert list(view.platforms) == ["openstack"]
    assert list(view.platforms["openstack"].clusters) == ["east"]
    assert view.platforms["openstack"].instances[0].reason == ""
    assert access.view(snapshot) is view
    assert access.view(Snapshot()) is not view
    assert route.instances[0].reason


def test_invented_cluster_names_do_not_fill_the_memory() -> None:
    """What is kept of them is bounded."""
    access = access_of(pool("acme", "a", EAST), binding("acme", "alice", "viewer"))
    for number in range(10_000):
        assert not access.sees("acme", ClusterRef("openstack", f"c{number}"))
    assert len(access._reached) <= 4096


def test_over_all_tenants_everything_is_read_and_nothing_changed() -> None:
    """Whoever may read there; what changes something needs a tenant."""
    rows = (pool("acme", "a", EAST), binding("-", "root", "admin"), binding("-", "alice", "viewer"))
    root, viewer = access_of(*rows, user="root"), access_of(*rows, wanted="-")
    root.require(ADMINISTER, "cloudspan.v1.TenantService/CreateTenant")
    root.require(READ, GET, WEST_REF)
    assert root.view(Snapshot()) == Snapshot()
    assert (root.tenant, root.roles, root.project(EAST_REF), list(root.limits())) == ("-", ("admin",), "", [])
    with pytest.raises(InvalidRequest, match=r"metadata x-tenant: acme$"):
        root.require(DELETE, REMOVE, EAST_REF)
    with pytest.raises(NotPermitted, match="on tenants/- is missing"):
        viewer.require(DELETE, REMOVE, EAST_REF)
    with pytest.raises(InvalidRequest, match="pools are a tenant's"):
        root.narrowed("a")
    assert not root.allows(DELETE, REMOVE, EAST_REF)
    assert repr(viewer) == "<EveryTenantAccess read>"


def test_a_pool_that_is_not_the_callers_is_unknown() -> None:
    """With those that are; the narrowed access is made once."""
    access = access_of(pool("acme", "a", EAST), pool("acme", "b", WEST), binding("acme", "alice", "viewer", "a"))
    assert access.narrowed("a") is access.narrowed("a")
    with pytest.raises(NotFound, match=r"those are: a$"):
        access.narrowed("b")
