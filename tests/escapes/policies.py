"""Attempts at more rights, and at what administers another tenant: roles, pools, users, sessions, the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.longrunning import operations_pb2
from tests.escapes.attempt import FORBIDDEN, HIDDEN, Attempt, Code
from tests.escapes.tenants import BY, NOTHING, ask, has, longrunning
from tests.escapes.world import OWN, PASSWORD, SECRET

from cloudspan.v1 import policy_pb2, session_pb2, tenant_pb2, user_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.escapes.world import Outcome, World


def _binding(parent: str, member: str, role: str, pool: str = "") -> Callable[[World], Outcome]:
    binding = policy_pb2.Binding(member=member, role=role, pool=pool)
    return ask("PolicyService/CreateBinding", parent=parent, binding=binding)


def _pool(parent: str, cluster: str, pool_id: str = "mine") -> Callable[[World], Outcome]:
    pool = tenant_pb2.Pool(clusters=[tenant_pb2.PoolCluster(cluster=cluster)])
    return ask("TenantService/CreatePool", parent=parent, pool_id=pool_id, pool=pool)


def _wider_pool(world: World) -> Outcome:
    pool = tenant_pb2.Pool(name="tenants/globex/pools/globex-prod")
    pool.clusters.add(cluster=SECRET)
    return world.call("TenantService/UpdatePool", tenant_pb2.UpdatePoolRequest(pool=pool), by=BY)


def _wider_viewer(world: World) -> Outcome:
    role = policy_pb2.Role(name="roles/viewer", permissions=["read", "delete", "administer"])
    return world.call("PolicyService/UpdateRole", policy_pb2.UpdateRoleRequest(role=role), by=BY)


def _test(resource: str) -> Callable[[World], Outcome]:
    return ask("PolicyService/TestPermissions", resource=resource, permissions=["read", "delete", "administer"])


def _session_of_alice(world: World) -> Outcome:
    name = world.do("SessionService/GetSession", session_pb2.GetSessionRequest(), by="alice").name
    return world.call("SessionService/DeleteSession", session_pb2.DeleteSessionRequest(name=name), by=BY)


def _by(who: str, tries: Callable[[World], Outcome]) -> Callable[[World], Outcome]:
    """The same, by somebody of globex with fewer rights."""

    def other(world: World) -> Outcome:
        kept = world.tokens[BY]
        world.tokens[BY] = world.tokens[who]
        try:
            return tries(world)
        finally:
            world.tokens[BY] = kept

    return other


_DENIED = (*FORBIDDEN, *HIDDEN, Code.FAILED_PRECONDITION, Code.INVALID_ARGUMENT)
POLICY = [
    Attempt("a role in another tenant", _binding("tenants/acme", "users/mallory", "roles/viewer"), HIDDEN),
    Attempt("a role in every tenant", _binding("tenants/-", "users/mallory", "roles/admin"), (*FORBIDDEN, *HIDDEN)),
    Attempt(
        "a role in one's own tenant, for oneself, without being its administrator",
        _by("mike", _binding("tenants/globex", "users/mike", "roles/admin")),
        FORBIDDEN,
    ),
    Attempt(
        "a role of one without any",
        _by("nobody", _binding("tenants/globex", "users/nobody", "roles/viewer")),
        (*FORBIDDEN, *HIDDEN),
    ),
    Attempt("another's cluster in an own pool", _pool("tenants/globex", SECRET), (*FORBIDDEN, *HIDDEN)),
    Attempt("every cluster in an own pool", _pool("tenants/globex", "platforms/-/clusters/-"), (*FORBIDDEN, *HIDDEN)),
    Attempt("another's cluster in the pool there is", _wider_pool, (*FORBIDDEN, *HIDDEN)),
    Attempt("a pool of another tenant", _pool("tenants/acme", SECRET), (*FORBIDDEN, *HIDDEN)),
    Attempt("a wider built-in role", _wider_viewer, (*FORBIDDEN, Code.FAILED_PRECONDITION)),
    Attempt(
        "a role that can do everything",
        ask("PolicyService/CreateRole", role_id="all", role=policy_pb2.Role(permissions=["administer"])),
        FORBIDDEN,
    ),
    Attempt("another tenant", ask("TenantService/GetTenant", name="tenants/acme"), HIDDEN),
    Attempt("all tenants", ask("TenantService/ListTenants"), (Code.OK,)),
    Attempt("a pool by its name", ask("TenantService/GetPool", name="tenants/acme/pools/acme-prod"), HIDDEN),
    Attempt("the pools of another tenant", ask("TenantService/ListPools", parent="tenants/acme"), HIDDEN),
    Attempt("the pools of all tenants", ask("TenantService/ListPools", parent="tenants/-"), NOTHING),
    Attempt("deleting another tenant", ask("TenantService/DeleteTenant", name="tenants/acme"), _DENIED),
    Attempt(
        "a new tenant",
        ask("TenantService/CreateTenant", tenant_id="mine", tenant=tenant_pb2.Tenant(display_name="x")),
        FORBIDDEN,
    ),
    Attempt("the bindings of another tenant", ask("PolicyService/ListBindings", parent="tenants/acme"), HIDDEN),
    Attempt("what one may in another's pool", _test("tenants/acme/pools/acme-prod"), (Code.OK,)),
    Attempt("what one may in a pool that does not exist", _test("tenants/acme/pools/none"), (Code.OK,)),
    Attempt("what one may on another's server", _test(f"{SECRET}/servers/1"), (Code.OK,)),
    Attempt("a user of another tenant", ask("UserService/GetUser", name="users/alice"), HIDDEN),
    Attempt("all users", ask("UserService/ListUsers"), (Code.OK,)),
    Attempt("the users of another tenant", ask("UserService/ListUsers", ("x-tenant", "acme")), HIDDEN),
    Attempt(
        "another's password", ask("UserService/SetPassword", name="users/alice", new_password=PASSWORD + "!"), HIDDEN
    ),
    Attempt(
        "disabling another",
        ask("UserService/UpdateUser", user=user_pb2.User(name="users/alice", disabled=True)),
        HIDDEN,
    ),
    Attempt("deleting another", ask("UserService/DeleteUser", name="users/alice"), HIDDEN),
    Attempt("taking another's one-time codes away", ask("UserService/RemoveOneTimeCodes", name="users/alice"), HIDDEN),
    Attempt(
        "a user in another tenant",
        ask("UserService/CreateUser", user_id="spy", password=PASSWORD, user=user_pb2.User(tenant="tenants/acme")),
        (*HIDDEN, *FORBIDDEN),
    ),
    Attempt(
        "the password of a colleague, as no administrator",
        _by("mike", ask("UserService/SetPassword", name="users/mallory", new_password=PASSWORD + "!")),
        (*FORBIDDEN, *HIDDEN),
    ),
    Attempt("ending another's session", _session_of_alice, HIDDEN),
    Attempt("sessions of another", ask("SessionService/ListSessions", subject="users/alice"), NOTHING),
    Attempt("the audit", ask("AuditService/ListAuditEvents"), (Code.OK,)),
    Attempt("the audit of another tenant", ask("AuditService/ListAuditEvents", filter='tenant = "acme"'), (Code.OK,)),
    Attempt("the audit as another tenant", ask("AuditService/ListAuditEvents", ("x-tenant", "acme")), HIDDEN),
    Attempt("the audit, as no administrator", _by("mike", ask("AuditService/ListAuditEvents")), FORBIDDEN),
    Attempt("a viewer's deletion", _by("mike", ask("ServerService/DeleteServer", name=has("server", OWN))), FORBIDDEN),
    Attempt(
        "a viewer's check of a deletion",
        _by("mike", ask("ServerService/DeleteServer", name=has("server", OWN), validate_only=True)),
        FORBIDDEN,
    ),
    Attempt(
        "a list by one without a role",
        _by("nobody", ask("ServerService/ListServers", parent=OWN)),
        (*HIDDEN, *FORBIDDEN),
    ),
    Attempt(
        "a viewer's cancel",
        _by(
            "mike",
            longrunning(
                "CancelOperation", lambda w: operations_pb2.CancelOperationRequest(name=has("operation", OWN)(w))
            ),
        ),
        FORBIDDEN,
    ),
    Attempt(
        "a viewer's abandoning",
        _by("mike", ask("OperationService/AbandonOperation", name=has("operation", OWN), reason="x")),
        (*FORBIDDEN, Code.FAILED_PRECONDITION),
    ),
]
