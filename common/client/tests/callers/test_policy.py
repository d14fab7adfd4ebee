"""`cloudspan policy`."""

from __future__ import annotations

import pytest

from cloudspan.v1 import policy_pb2, session_pb2

REBOOT = "cloudspan.v1.ServerService/RebootServer"


@pytest.fixture(autouse=True)
def known(gateway):
    gateway.answers["GetSession"] = session_pb2.Session(subject="users/alice", tenant="tenants/acme")


def test_roles_are_listed_with_their_permissions(gateway, run):
    role = policy_pb2.Role(name="roles/viewer", permissions=["read"], built_in=True)
    gateway.answers["ListRoles"] = policy_pb2.ListRolesResponse(roles=[role])
    shown = run("policy", "roles").split()
    assert shown[-3:] == ["viewer", "read", "yes"]


def test_a_role_is_created_changed_and_deleted(gateway, run):
    run("policy", "role", "create", "rebooter", "read", REBOOT, "--display-name", "Reboots")
    request = gateway.asked("CreateRole")
    assert (request.role_id, list(request.role.permissions), request.role.display_name) == (
        "rebooter",
        ["read", REBOOT],
        "Reboots",
    )
    run("policy", "role", "update", "rebooter", "read")
    request = gateway.asked("UpdateRole")
    assert (request.role.name, list(request.role.permissions)) == ("roles/rebooter", ["read"])
    assert list(request.update_mask.paths) == ["permissions"]
    assert run("policy", "role", "delete", "rebooter") == "deleted roles/rebooter\n"
    assert "nothing to change" in run("policy", "role", "update", "rebooter", code=2)


def test_a_role_is_given_on_a_pool_or_on_all_of_a_tenant(gateway, run):
    """A bare member is a user; `--pool` is the binding's, and no tag of the call."""
    made = policy_pb2.Binding(name="tenants/acme/bindings/b1", member="users/bob", role="roles/member", pool="prod")
    gateway.answers["CreateBinding"] = made
    assert "tenants/acme/bindings/b1" in run("policy", "grant", "bob", "member", "--pool", "prod", "--tenant", "acme")
    request = gateway.asked("CreateBinding")
    assert request.parent == "tenants/acme"
    assert request.binding == policy_pb2.Binding(member="users/bob", role="roles/member", pool="prod")
    assert "x-pool" not in gateway.calls[0].metadata
    gateway.calls.clear()
    run("policy", "grant", "groups/ops", "roles/admin", "--tenant", "-")
    request = gateway.asked("CreateBinding")
    assert (request.parent, request.binding.member, request.binding.pool) == ("tenants/-", "groups/ops", "")


def test_bindings_are_listed_and_revoked_by_the_name_that_is_shown(gateway, run):
    found = policy_pb2.Binding(name="tenants/acme/bindings/b1", member="users/bob", role="roles/member", pool="-")
    gateway.answers["ListBindings"] = policy_pb2.ListBindingsResponse(bindings=[found])
    assert run("policy", "list").split()[-4:] == ["tenants/acme/bindings/b1", "users/bob", "member", "all"]
    long = policy_pb2.Binding(
        name=f"tenants/acme/bindings/{'b' * 39}", member=f"subjects/{'m' * 60}", role="roles/member"
    )
    gateway.answers["ListBindings"] = policy_pb2.ListBindingsResponse(bindings=[long])
    shown = run("policy", "list")  # by a script: names are not broken
    assert long.name in shown
    assert long.member in shown
    for words in (("tenants/acme/bindings/b1",), ("b1",), ("b1", "--tenant", "acme")):
        gateway.calls.clear()
        run("policy", "revoke", *words)
        assert gateway.asked("DeleteBinding").name == "tenants/acme/bindings/b1"


def test_permissions_are_tested_without_doing_anything(gateway, run):
    """Exit code 1 when one is missing, for scripts."""
    gateway.answers["TestPermissions"] = policy_pb2.TestPermissionsResponse(permissions=["read"])
    assert run("policy", "test", "openstack/alpha", "read") == "granted  read\n"
    request = gateway.asked("TestPermissions")
    assert request.resource == "platforms/openstack/clusters/alpha"
    assert (
        run("policy", "test", "tenants/acme/pools/prod", "delete", "read", code=1) == "missing  delete\ngranted  read\n"
    )
    assert gateway.calls[-1].request.resource == "tenants/acme/pools/prod"
    run("policy", "test", "-", "read")
    assert gateway.calls[-1].request.resource == ""
