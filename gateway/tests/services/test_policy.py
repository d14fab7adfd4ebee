"""Roles and bindings: who gives what to whom, at most what they have themselves, in effect with the next call."""

from __future__ import annotations

import grpc
import pytest
from gateway.tests.callers import get_server, refused
from gateway.tests.known_callers import EAST, WEST, Guarded, as_user, binding, pool, role, tenant
from google.protobuf.field_mask_pb2 import FieldMask

from cloudspan.v1 import policy_pb2, policy_pb2_grpc
from cloudspan_common import contract

CODE = grpc.StatusCode
STOP, REBOOT = "cloudspan.v1.ServerService/StopServer", "cloudspan.v1.ServerService/RebootServer"
ROWS = (
    tenant("acme"), pool("acme", "prod", EAST), pool("acme", "dev", WEST),
    tenant("beta"), pool("beta", "all", EAST),
    binding("-", "root", "admin"),
    binding("acme", "alice", "admin"), binding("acme", "dan", "viewer", "dev"),
    role("grants", "read", "administer"), binding("acme", "bob", "grants"),
    binding("acme", "carol", "admin", "dev"),
    binding("beta", "eve", "admin"),
)  # fmt: skip


@pytest.fixture
async def guarded(deployment):
    await deployment.plug_in(clusters=("east", "west"))
    async with deployment.opened(Guarded):
        await deployment.keep(*ROWS)
        yield deployment


class Client:
    """Calls PolicyService as one user."""

    def __init__(self, deployment, user, *metadata):
        self._stub = policy_pb2_grpc.PolicyServiceStub(deployment.channel)
        self._metadata = as_user(user, *metadata)

    def __getattr__(self, rpc):
        return lambda request: getattr(self._stub, rpc)(request, metadata=self._metadata)


def new_binding(parent, member, role_, pool_="", binding_id=""):
    made = policy_pb2.Binding(member=member, role=f"roles/{role_}", pool=pool_)
    return policy_pb2.CreateBindingRequest(parent=parent, binding=made, binding_id=binding_id)


def new_role(role_id, *permissions, **fields):
    return policy_pb2.CreateRoleRequest(role_id=role_id, role=policy_pb2.Role(permissions=permissions, **fields))


async def test_a_binding_works_with_the_next_call_and_ends_with_its_deletion(guarded):
    """Frank exists all along; a role makes a pool exist for him, and another one lets him change things."""
    alice, name = Client(guarded, "alice"), f"{WEST}/servers/1"
    before = await refused(get_server(guarded.channel, name, metadata=as_user("frank")))
    made = await alice.CreateBinding(new_binding("tenants/acme", "users/frank", "viewer", "dev"))
    found = await get_server(guarded.channel, name, metadata=as_user("frank"))
    other = await refused(get_server(guarded.channel, f"{EAST}/servers/1", metadata=as_user("frank")))
    read = await alice.GetBinding(policy_pb2.GetBindingRequest(name=made.name))
    await alice.DeleteBinding(policy_pb2.DeleteBindingRequest(name=made.name))
    after = await refused(get_server(guarded.channel, name, metadata=as_user("frank")))
    assert (before.code(), after.code(), other.code()) == (CODE.NOT_FOUND,) * 3
    assert found.name == name
    assert read == made
    assert (made.creator, made.pool, made.create_time.seconds > 0) == ("users/alice", "dev", True)


async def test_a_role_is_changed_for_everybody_who_has_it(guarded):
    """Single methods by name are permissions as verbs are."""
    root, alice = Client(guarded, "root"), Client(guarded, "alice")
    await root.CreateRole(new_role("starts", REBOOT, display_name="Starts again"))
    await alice.CreateBinding(new_binding("tenants/acme", "users/frank", "starts"))
    frank = Client(guarded, "frank")
    request = policy_pb2.TestPermissionsRequest(permissions=["operate", REBOOT, STOP])
    first = (await frank.TestPermissions(request)).permissions
    wanted = policy_pb2.Role(name="roles/starts", permissions=[STOP])
    changed = await root.UpdateRole(
        policy_pb2.UpdateRoleRequest(role=wanted, update_mask=FieldMask(paths=["permissions"]))
    )
    second = (await frank.TestPermissions(request)).permissions
    busy = await refused(root.DeleteRole(policy_pb2.DeleteRoleRequest(name="roles/starts")))
    assert (first, second) == ([REBOOT], [STOP])
    assert changed.display_name == "Starts again"
    assert (busy.code(), "1 bindings, such as tenants/acme/bindings/" in busy.details()) == (
        CODE.FAILED_PRECONDITION,
        True,
    )


async def test_nobody_gives_what_they_do_not_have(guarded, told):
    """Bob administers acme and may not create in it: he gives no such role, neither to himself nor to others."""
    bob, root = Client(guarded, "bob"), Client(guarded, "root")
    given = await bob.CreateBinding(new_binding("tenants/acme", "users/frank", "viewer", binding_id="frank"))
    errors = [
        await refused(bob.CreateBinding(new_binding("tenants/acme", "users/bob", "member"))),
        await refused(bob.CreateBinding(new_binding("tenants/acme", "users/bob", "admin", "dev"))),
        await refused(
            bob.UpdateBinding(
                policy_pb2.UpdateBindingRequest(binding=policy_pb2.Binding(name=given.name, role="roles/operator"))
            )
        ),
    ]
    await guarded.keep(role("chief", "administer"), binding("-", "grace", "chief"))
    wanted = policy_pb2.Role(name="roles/chief", permissions=["administer", "delete"])
    grace = Client(guarded, "grace")
    errors.append(await refused(grace.UpdateRole(policy_pb2.UpdateRoleRequest(role=wanted))))
    own = await root.UpdateRole(policy_pb2.UpdateRoleRequest(role=wanted))
    assert [(error.code(), told(error).reason) for error in errors] == [(CODE.PERMISSION_DENIED, "MORE_THAN_OWN")] * 4
    assert errors[0].details().endswith("the caller lacks on tenants/acme: create, delete, operate")
    assert list(own.permissions) == ["administer", "delete"]


async def test_a_tenants_bindings_are_for_administrators_of_all_its_pools(guarded):
    """Not for one of a single pool, nor for a viewer; another tenant's do not exist."""
    texts = []
    for user, parent, code in (
        ("carol", "tenants/acme", CODE.PERMISSION_DENIED),
        ("dan", "tenants/acme", CODE.PERMISSION_DENIED),
        ("alice", "tenants/-", CODE.PERMISSION_DENIED),
        ("alice", "tenants/beta", CODE.NOT_FOUND),
        ("alice", "tenants/none", CODE.NOT_FOUND),
    ):
        client = Client(guarded, user)
        for call in (
            client.CreateBinding(new_binding(parent, f"users/{user}", "viewer")),
            client.ListBindings(policy_pb2.ListBindingsRequest(parent=parent)),
            client.GetBinding(policy_pb2.GetBindingRequest(name=f"{parent}/bindings/eve-admin-all")),
            client.DeleteBinding(policy_pb2.DeleteBindingRequest(name=f"{parent}/bindings/eve-admin-all")),
            client.UpdateBinding(
                policy_pb2.UpdateBindingRequest(
                    binding=policy_pb2.Binding(name=f"{parent}/bindings/eve-admin-all", role="roles/viewer")
                )
            ),
        ):
            error = await refused(call)
            expected = CODE.NOT_FOUND if parent == "tenants/-" and user == "alice" else code
            assert error.code() is expected, (user, parent, error.details())
            texts.append(error.details().replace(parent, "?") if code is CODE.NOT_FOUND else "")
    assert texts[-10:-5] == texts[-5:]
    assert "eve-admin-all" in "".join(texts[-4:])


async def test_the_bindings_of_all_tenants_are_for_administrators_of_the_installation(guarded, told):
    """The last of them can't go."""
    root = Client(guarded, "root")
    listed = await root.ListBindings(policy_pb2.ListBindingsRequest(parent="tenants/-"))
    last = await refused(root.DeleteBinding(policy_pb2.DeleteBindingRequest(name=listed.bindings[0].name)))
    less = policy_pb2.Binding(name=listed.bindings[0].name, role="roles/viewer")
    lesser = await refused(root.UpdateBinding(policy_pb2.UpdateBindingRequest(binding=less)))
    await root.CreateBinding(new_binding("tenants/-", "groups/ops", "admin", binding_id="ops"))
    await root.DeleteBinding(policy_pb2.DeleteBindingRequest(name=listed.bindings[0].name))
    denied = await refused(root.ListBindings(policy_pb2.ListBindingsRequest(parent="tenants/-")))
    assert len(listed.bindings) == 1
    assert [told(error).reason for error in (last, lesser)] == ["LAST_ADMINISTRATOR"] * 2
    assert denied.code() is CODE.PERMISSION_DENIED


async def test_roles_are_changed_by_administrators_of_the_installation_and_read_by_everybody(guarded, told):
    """Built-in ones by nobody."""
    root, alice, frank = Client(guarded, "root"), Client(guarded, "alice"), Client(guarded, "frank")
    wanted = policy_pb2.UpdateRoleRequest(role=policy_pb2.Role(name="roles/viewer", permissions=["delete"]))
    built_in = [
        await refused(root.UpdateRole(wanted)),
        await refused(root.DeleteRole(policy_pb2.DeleteRoleRequest(name="roles/admin"))),
    ]
    denied = [await refused(alice.UpdateRole(wanted)), await refused(alice.CreateRole(new_role("mine", "read")))]
    there = await refused(root.CreateRole(new_role("viewer", "read")))
    names = [each.name for each in (await frank.ListRoles(policy_pb2.ListRolesRequest())).roles]
    one = await frank.GetRole(policy_pb2.GetRoleRequest(name="roles/operator"))
    none = await refused(frank.GetRole(policy_pb2.GetRoleRequest(name="roles/none")))
    await root.CreateRole(new_role("mine", "read"))
    await root.DeleteRole(policy_pb2.DeleteRoleRequest(name="roles/mine"))
    assert [told(error).reason for error in built_in] == ["BUILT_IN"] * 2
    assert {error.code() for error in denied} == {CODE.PERMISSION_DENIED}
    assert there.code() is CODE.ALREADY_EXISTS
    assert names == ["roles/admin", "roles/grants", "roles/member", "roles/operator", "roles/viewer"]
    assert (list(one.permissions), one.built_in) == (["read", "operate"], True)
    assert none.code() is CODE.NOT_FOUND


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (new_role("Mine", "read"), "role_id"),
        (new_role("mine", "write"), "role.permissions"),
        (new_role("mine", "read", "read"), "role.permissions"),
        (new_role("mine", "*"), "role.permissions"),
        (new_role("mine", "-"), "role.permissions"),
        (new_role("mine", "READ"), "role.permissions"),
        (new_role("mine", "cloudspan.v1.ServerService/NoSuchMethod"), "role.permissions"),
        (new_role("mine", "cloudspan.v1.ServerService/*"), "role.permissions"),
        (new_role("mine", "read", display_name="a\0b"), "role.display_name"),
        (new_binding("tenants/acme", "alice", "viewer"), "binding.member"),
        (new_binding("tenants/acme", "users/", "viewer"), "binding.member"),
        (new_binding("tenants/acme", "users/ alice", "viewer"), "binding.member"),
        (new_binding("tenants/acme", "users/a\u200bb", "viewer"), "binding.member"),
        (new_binding("tenants/acme", "tenants/acme", "viewer"), "binding.member"),
        (new_binding("tenants/acme", f"users/{'a' * 600}", "viewer"), "binding.member"),
        (new_binding("tenants/acme", "users/a", "viewer", binding_id="A"), "binding_id"),
        (new_binding("tenants/-", "users/a", "viewer", "prod"), "binding.pool"),
        (new_binding("acme", "users/a", "viewer"), "parent"),
        (new_binding("tenants/acme", "users/a", "no role"), "binding.role"),
    ],
)  # fmt: skip
async def test_what_cannot_be_kept_is_refused_by_its_field(guarded, told, request_, field):
    """Ids, permissions, members and pools."""
    rpc = request_.DESCRIPTOR.name.removesuffix("Request")
    error = await refused(getattr(Client(guarded, "root"), rpc)(request_))
    assert error.code() is CODE.INVALID_ARGUMENT
    assert [violation.field for violation in told(error).violations] == [field]


async def test_a_binding_names_what_there_is_and_keeps_its_member(guarded, told):
    """Role, pool and tenant must exist; who has it, and where, is another binding's."""
    root = Client(guarded, "root")
    for request in (
        new_binding("tenants/acme", "users/a", "none"),
        new_binding("tenants/acme", "users/a", "viewer", "none"),
        new_binding("tenants/none", "users/a", "viewer"),
    ):
        assert (await refused(root.CreateBinding(request))).code() is CODE.NOT_FOUND
    made = await root.CreateBinding(new_binding("tenants/acme", "users/a", "viewer", binding_id="one"))
    again = await refused(root.CreateBinding(new_binding("tenants/acme", "users/b", "viewer", binding_id="one")))
    made.role = "roles/operator"
    changed = await root.UpdateBinding(policy_pb2.UpdateBindingRequest(binding=made))
    wrong = []
    for field, value in (("member", "users/b"), ("pool", "dev")):
        other = policy_pb2.Binding(name=made.name, **{field: value})
        for mask in ([], [field]):
            request = policy_pb2.UpdateBindingRequest(binding=other, update_mask=FieldMask(paths=mask))
            wrong.append(told(await refused(root.UpdateBinding(request))).reason)
    assert again.code() is CODE.ALREADY_EXISTS
    assert changed == made
    assert wrong == ["BAD_UPDATE_MASK"] * 4


async def test_permissions_are_tested_on_pools_tenants_and_clusters(guarded):
    """None on what the caller can't see, whether it exists or not."""
    dan, words = Client(guarded, "dan"), ["read", "operate", "administer", "cloudspan.v1.ServerService/GetServer"]

    async def tested(client, resource):
        request = policy_pb2.TestPermissionsRequest(resource=resource, permissions=words)
        return list((await client.TestPermissions(request)).permissions)

    reads = ["read", "cloudspan.v1.ServerService/GetServer"]
    for resource in ("", "tenants/acme", "tenants/acme/pools/dev", WEST, f"{WEST}/servers/1"):
        assert await tested(dan, resource) == reads
    for resource in ("tenants/beta", "tenants/none", "tenants/-", "tenants/acme/pools/prod", "tenants/acme/pools/none",
                     EAST, f"{EAST}/servers/1", "platforms/none/clusters/none"):  # fmt: skip
        assert await tested(dan, resource) == []
    assert await tested(Client(guarded, "root"), "tenants/acme") == words
    assert await tested(Client(guarded, "root"), "tenants/-") == ["read", "administer", reads[1]]  # the rest needs one
    assert await tested(Client(guarded, "root"), "tenants/none") == []
    for resource in ("servers/1", "tenants/acme/users/a", "platforms/-/clusters/-"):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await tested(dan, resource)
        assert failed.value.code() is CODE.INVALID_ARGUMENT
    for permissions in (["write"], ["read"] * 101):
        request = policy_pb2.TestPermissionsRequest(permissions=permissions)
        assert (await refused(dan.TestPermissions(request))).code() is CODE.INVALID_ARGUMENT


async def test_without_authentication_everybody_has_every_permission(deployment):
    """And may make the policy that holds once there is."""
    await deployment.plug_in()
    async with deployment.opened():
        client = policy_pb2_grpc.PolicyServiceStub(deployment.channel)
        words = ["administer", contract.methods()["cloudspan.v1.ServerService/DeleteServer"].full_name]
        has = await client.TestPermissions(policy_pb2.TestPermissionsRequest(permissions=words))
        made = await client.CreateBinding(new_binding("tenants/-", "users/root", "admin"))
    assert list(has.permissions) == words
    assert (made.creator, made.pool) == ("", "-")
