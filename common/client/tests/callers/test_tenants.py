"""`cloudspan tenants` and `cloudspan pools`."""

from __future__ import annotations

import pytest

from cloudspan.v1 import session_pb2, tenant_pb2

ACME = tenant_pb2.Tenant(name="tenants/acme", display_name="Acme", limits={"calls": 5, "streams": 2})
PROD = tenant_pb2.Pool(
    name="tenants/acme/pools/prod",
    clusters=[{"cluster": "platforms/openstack/clusters/a", "project_id": "p1"}],
    limits={"operations": 7},
)


@pytest.fixture(autouse=True)
def known(gateway):
    gateway.answers |= {
        "GetSession": session_pb2.Session(subject="users/alice", tenant="tenants/acme"),
        "GetTenant": ACME,
        "GetPool": PROD,
        "ListTenants": tenant_pb2.ListTenantsResponse(tenants=[ACME]),
        "ListPools": tenant_pb2.ListPoolsResponse(pools=[PROD]),
    }


def test_tenants_are_listed_with_their_limits(run):
    shown = run("tenants", "list")
    assert "calls 5, streams 2" in shown
    assert "enabled" in shown


def test_a_tenant_is_created_with_limits(gateway, run):
    run("tenants", "create", "acme", "--display-name", "Acme", "--max-calls", "5", "--max-request-bytes", "1000000")
    request = gateway.asked("CreateTenant")
    assert (request.tenant_id, request.tenant.display_name) == ("acme", "Acme")
    assert request.tenant.limits == tenant_pb2.Limits(calls=5, request_bytes=1_000_000)


def test_an_update_changes_what_is_given_and_no_other_limit(gateway, run):
    run("tenants", "update", "tenants/acme", "--max-calls", "9", "--max-streams", "0", "--disable")
    request = gateway.asked("UpdateTenant")
    assert request.tenant.limits == tenant_pb2.Limits(calls=9)
    assert (request.tenant.disabled, sorted(request.update_mask.paths)) == (True, ["disabled", "limits"])
    gateway.calls.clear()
    run("tenants", "update", "acme", "--display-name", "", "--enable")
    request = gateway.asked("UpdateTenant")
    assert (request.tenant.display_name, request.tenant.disabled) == ("", False)
    assert sorted(request.update_mask.paths) == ["disabled", "display_name"]


def test_an_update_of_nothing_asks_nobody(gateway, run):
    assert "nothing to change" in run("tenants", "update", "acme", code=2)
    assert "nothing to change" in run("pools", "update", "prod", code=2)
    assert gateway.calls == []


def test_pools_are_listed_with_their_clusters(gateway, run):
    """As `--cluster` takes them."""
    assert "platforms/openstack/clusters/a=p1" in run("pools", "list", "--tenant", "acme")
    assert gateway.asked("ListPools").parent == "tenants/acme"


def test_a_pool_is_created_of_clusters_wildcards_and_projects(gateway, run):
    clusters = ["openstack/a", "platforms/zstack/clusters/-", "platforms/openstack/clusters/b=0c1d"]
    options = [word for cluster in clusters for word in ("--cluster", cluster)]
    run("pools", "create", "prod", *options, "--max-operations", "3")
    request = gateway.asked("CreatePool")
    assert (request.parent, request.pool_id, request.pool.limits.operations) == ("", "prod", 3)
    assert [(each.cluster, each.project_id) for each in request.pool.clusters] == [
        ("platforms/openstack/clusters/a", ""),
        ("platforms/zstack/clusters/-", ""),
        ("platforms/openstack/clusters/b", "0c1d"),
    ]


@pytest.mark.parametrize("text", ["", "a", "openstack/a=", "*/a", "openstack/a/servers/1", "OpenStack/a", "a/b c"])
def test_what_is_no_cluster_of_a_pool_is_refused_with_an_example(gateway, run, text):
    assert "is not a cluster of a pool; expected" in run("pools", "create", "prod", "--cluster", text, code=2)
    assert gateway.calls == []


def test_a_pool_is_named_by_its_id_in_the_caller_s_tenant_or_in_another(gateway, run):
    """Its whole name needs no tenant."""
    for words, name in (
        (("prod",), "tenants/acme/pools/prod"),
        (("prod", "--tenant", "zoo"), "tenants/zoo/pools/prod"),
        (("tenants/x/pools/prod",), "tenants/x/pools/prod"),
    ):
        gateway.calls.clear()
        assert run("pools", "delete", *words) == f"deleted {name}\n"
        assert gateway.asked("DeletePool").name == name
    gateway.answers["GetSession"] = session_pb2.Session()
    assert "in which tenant is prod? Say --tenant" in run("pools", "delete", "prod", code=2)


def test_an_update_replaces_all_clusters_of_a_pool_and_keeps_its_limits(gateway, run):
    run("pools", "update", "prod", "--cluster", "zstack/z", "--max-calls", "1")
    request = gateway.asked("UpdatePool")
    assert [each.cluster for each in request.pool.clusters] == ["platforms/zstack/clusters/z"]
    assert request.pool.limits == tenant_pb2.Limits(calls=1, operations=7)
    assert sorted(request.update_mask.paths) == ["clusters", "limits"]


def test_a_tenant_is_deleted(gateway, run):
    assert run("tenants", "delete", "acme") == "deleted tenants/acme\n"
    assert gateway.asked("DeleteTenant").name == "tenants/acme"
