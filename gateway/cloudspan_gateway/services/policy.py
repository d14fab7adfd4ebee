"""PolicyService: roles and bindings, and which permissions the caller has.

Roles are changed by administrators of the installation, a tenant's bindings by administrators of all its pools; nobody
gives a permission that they don't have themselves.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from google.protobuf import empty_pb2

from cloudspan.v1 import policy_pb2
from cloudspan_common.errors import InvalidRequest, NotPermitted, PreconditionFailed, Violation
from cloudspan_common.listing.page_token import page_by_name
from cloudspan_common.names import ClusterRef, malformed, parse_cluster
from cloudspan_gateway.access import names
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.names import EVERY
from cloudspan_gateway.access.permissions import BUILT_IN, NOTHING, VERBS, Permissions, is_permission, split
from cloudspan_gateway.access.store import Changes
from cloudspan_gateway.services.policy_rules import (
    bad_field,
    changed,
    check_text,
    exists,
    in_use,
    kept_row,
    no_tenant,
    not_there,
    require_administrator,
    require_installation,
    sees_tenant,
    set_fields,
    stamp,
    tenant_asked,
    update_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Connection

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.access.policy import Policy
    from cloudspan_gateway.access.store import PolicyStore
    from cloudspan_gateway.call import Call

_ROLE_FIELDS = frozenset({"display_name", "permissions"})
_MEMBERS = ("users", "services", "certificates", "subjects", "groups")
_MAX_TESTED = 100
_MAX_MEMBER_CHARS = 512


class PolicyService:
    """Answers cloudspan.v1.PolicyService."""

    def __init__(self, policy: PolicyStore, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock

    def __repr__(self) -> str:
        return f"<PolicyService over {self._policy!r}>"

    # -------------------------------------------------------------- roles

    async def create_role(self, request: policy_pb2.CreateRoleRequest, call: Call) -> policy_pb2.Role:
        require_installation(call)
        name = f"roles/{names.check_id(request.role_id, 'role_id')}"
        made = policy_pb2.Role()
        set_fields(made, request.role, _ROLE_FIELDS)
        made.name = name
        _check_role(made)

        def decide(before: Policy, _: Connection) -> tuple[policy_pb2.Role, Changes]:
            if before.role(name) is not None:
                raise exists(name)
            return made, Changes([made])

        return await changed(self._policy, decide, call)

    async def get_role(self, request: policy_pb2.GetRoleRequest, call: Call) -> policy_pb2.Role:
        names.ids_of(request.name, names.ROLE)
        role = self._policy.policy.role(request.name)
        if role is None:
            raise not_there(request.name)
        return role

    async def list_roles(self, request: policy_pb2.ListRolesRequest, call: Call) -> policy_pb2.ListRolesResponse:
        page, token = page_by_name(call.path[1:], request, self._policy.policy.roles())
        return policy_pb2.ListRolesResponse(roles=page, next_page_token=token)

    async def update_role(self, request: policy_pb2.UpdateRoleRequest, call: Call) -> policy_pb2.Role:
        """Change a role; who is bound to it has the new permissions at once.

        Raises:
            PreconditionFailed: It is built in.
            NotPermitted: It would get a permission that the caller does not have in every tenant.
        """
        require_installation(call)
        names.ids_of(request.role.name, names.ROLE, "role.name")
        fields = update_fields(request, "role", _ROLE_FIELDS)
        _check_own(request.role.name)

        def decide(before: Policy, _: Connection) -> tuple[policy_pb2.Role, Changes]:
            made = kept_row(before, request.role.name, policy_pb2.Role)
            had = Permissions(made.permissions)
            set_fields(made, request.role, fields)
            _check_role(made)
            added = (word for word in made.permissions if not had.cover_word(word))
            _check_has(call, added, EVERY_TENANT, EVERY)
            return made, Changes([made])

        return await changed(self._policy, decide, call)

    async def delete_role(self, request: policy_pb2.DeleteRoleRequest, call: Call) -> empty_pb2.Empty:
        """Delete a role that nobody has.

        Raises:
            PreconditionFailed: It is built in, or bindings name it.
        """
        require_installation(call)
        names.ids_of(request.name, names.ROLE)
        _check_own(request.name)

        def decide(before: Policy, _: Connection) -> tuple[None, Changes]:
            kept_row(before, request.name, policy_pb2.Role)
            named = [row.name for row in before.bindings() if row.role == request.name]
            if named:
                raise in_use(request.name, f"{len(named)} bindings, such as {named[0]}")
            return None, Changes(deleted=[request.name])

        await changed(self._policy, decide, call)
        return empty_pb2.Empty()

    # -------------------------------------------------------------- bindings

    async def create_binding(self, request: policy_pb2.CreateBindingRequest, call: Call) -> policy_pb2.Binding:
        """Give a member a role.

        Raises:
            NotPermitted: The caller does not administer the tenant, or does not have one of the role's permissions.
            NotFound: The tenant, the role or the pool does not exist.
        """
        tenant = tenant_asked(request.parent, names.TENANT_OR_EVERY, call)
        self._check_administers(tenant, f"tenants/{tenant}", call)
        binding_id = names.check_id(request.binding_id or f"b{uuid.uuid4().hex[:16]}", "binding_id")
        made = policy_pb2.Binding()
        made.CopyFrom(request.binding)
        made.name, made.creator = f"tenants/{tenant}/bindings/{binding_id}", call.principal.subject
        made.pool = made.pool or EVERY
        _check_member(made.member)
        stamp(made, self._clock)

        def decide(before: Policy, _: Connection) -> tuple[policy_pb2.Binding, Changes]:
            if tenant != EVERY_TENANT and before.tenant(tenant) is None:
                raise no_tenant(f"tenants/{tenant}")
            _check_pool_of(made, tenant, before)
            _check_gives(made, tenant, before, call)
            if made.name in before.rows:
                raise exists(made.name)
            return made, Changes([made])

        return await changed(self._policy, decide, call)

    async def get_binding(self, request: policy_pb2.GetBindingRequest, call: Call) -> policy_pb2.Binding:
        tenant, _ = names.ids_of(request.name, names.BINDING)
        self._check_administers(tenant, request.name, call)
        return kept_row(self._policy.policy, request.name, policy_pb2.Binding)

    async def list_bindings(
        self, request: policy_pb2.ListBindingsRequest, call: Call
    ) -> policy_pb2.ListBindingsResponse:
        tenant = tenant_asked(request.parent, names.TENANT_OR_EVERY, call)
        self._check_administers(tenant, f"tenants/{tenant}", call)
        if tenant != EVERY_TENANT and self._policy.policy.tenant(tenant) is None:
            raise no_tenant(f"tenants/{tenant}")
        page, token = page_by_name(call.path[1:], request, self._policy.policy.bindings(tenant))
        return policy_pb2.ListBindingsResponse(bindings=page, next_page_token=token)

    async def update_binding(self, request: policy_pb2.UpdateBindingRequest, call: Call) -> policy_pb2.Binding:
        """Give the member another role.

        Raises:
            NotPermitted: The caller does not administer the tenant, or does not have one of the role's permissions.
        """
        tenant, _ = names.ids_of(request.binding.name, names.BINDING, "binding.name")
        self._check_administers(tenant, request.binding.name, call)
        fields = update_fields(request, "binding", frozenset({"role"}))

        def decide(before: Policy, _: Connection) -> tuple[policy_pb2.Binding, Changes]:
            made = kept_row(before, request.binding.name, policy_pb2.Binding)
            _check_same(made, request.binding)
            set_fields(made, request.binding, fields)
            _check_gives(made, tenant, before, call)
            return made, Changes([made])

        return await changed(self._policy, decide, call)

    async def delete_binding(self, request: policy_pb2.DeleteBindingRequest, call: Call) -> empty_pb2.Empty:
        """Take a role away.

        Raises:
            PreconditionFailed: Nobody else may administer the installation.
        """
        tenant, _ = names.ids_of(request.name, names.BINDING)
        self._check_administers(tenant, request.name, call)

        def decide(before: Policy, _: Connection) -> tuple[None, Changes]:
            kept_row(before, request.name, policy_pb2.Binding)
            return None, Changes(deleted=[request.name])

        await changed(self._policy, decide, call)
        return empty_pb2.Empty()

    def _check_administers(self, tenant: str, name: str, call: Call) -> None:
        """A tenant in which the caller has no role does not exist for it."""
        if not sees_tenant(self._policy.policy, tenant, call):
            raise no_tenant(name) if name == f"tenants/{tenant}" else not_there(name)
        require_administrator(call, tenant)

    # -------------------------------------------------------------- what the caller has

    async def test_permissions(
        self, request: policy_pb2.TestPermissionsRequest, call: Call
    ) -> policy_pb2.TestPermissionsResponse:
        """Return those of the permissions that the caller has on a pool, in a tenant, or on something in a cluster."""
        if len(request.permissions) > _MAX_TESTED:
            raise bad_field("permissions", f"has {len(request.permissions)} entries; at most {_MAX_TESTED} are allowed")
        for word in request.permissions:
            _check_permission(word, "permissions")
        has = self._tested(request.resource, call)
        return policy_pb2.TestPermissionsResponse(permissions=[word for word in request.permissions if has(word)])

    def _tested(self, resource: str, call: Call) -> Callable[[str], bool]:
        """Return what says whether the caller has a permission on a resource: nothing on what it can't see."""
        kind, rows = resource.partition("/")[0], self._policy.policy.rows
        if kind == "platforms":
            ref = _cluster(resource)
            if not call.access.sees(call.access.tenant, ref):
                return NOTHING.cover_word
            return lambda word: call.access.allows(*split(word), ref)
        if not resource or resource == f"tenants/{call.access.tenant}":
            return lambda word: call.access.allows(*split(word))
        if resource.count("/") > 1:
            tenant, pool = names.ids_of(resource, names.POOL, "resource")
            return call.access.permissions(tenant, pool).cover_word if resource in rows else NOTHING.cover_word
        (tenant,) = names.ids_of(resource, names.TENANT_OR_EVERY, "resource")
        known = tenant == EVERY_TENANT or resource in rows
        return call.access.permissions(tenant).cover_word if known else NOTHING.cover_word


def _cluster(resource: str) -> ClusterRef:
    ref = parse_cluster(resource, "resource")
    if ref.is_wildcard:
        raise malformed(resource, "resource", "one cluster, or something in it")
    return ref


def _check_permission(word: str, field: str) -> None:
    if not is_permission(word):
        verbs = ", ".join(VERBS.values())
        why = (
            f"has {word[:80]!r}; expected one of {verbs}, or a method's full name such as "
            "cloudspan.v1.ServerService/RebootServer"
        )
        raise bad_field(field, why)


def _check_role(role: policy_pb2.Role) -> None:
    check_text(role.display_name, "role.display_name")
    for word in role.permissions:
        _check_permission(word, "role.permissions")
    if not role.permissions:
        raise bad_field("role.permissions", "is empty; a role has at least one permission")
    if len(set(role.permissions)) < len(role.permissions):
        raise bad_field("role.permissions", "names a permission twice")


def _check_own(name: str) -> None:
    if name in BUILT_IN:
        text = f"{name} is built in; create a role with the permissions that you need"
        raise PreconditionFailed(text, reason="BUILT_IN", resource=name)


def _check_member(member: str) -> None:
    kind, _, name = member.partition("/")
    if kind not in _MEMBERS or not name or name != name.strip():
        why = f"is {member[:80]!r}; expected one of {', '.join(f'{kind}/NAME' for kind in _MEMBERS)}"
        raise bad_field("binding.member", why)
    check_text(member, "binding.member", _MAX_MEMBER_CHARS)


def _check_pool_of(binding: policy_pb2.Binding, tenant: str, policy: Policy) -> None:
    if binding.pool == EVERY:
        return
    if tenant == EVERY_TENANT:
        raise bad_field("binding.pool", "is set; a binding of tenants/- is for every pool")
    if binding.pool not in policy.pools.get(tenant, {}):
        raise not_there(f"tenants/{tenant}/pools/{binding.pool}")


def _check_gives(binding: policy_pb2.Binding, tenant: str, policy: Policy, call: Call) -> None:
    """Raise unless the role exists, and its giver has all of it where it is given."""
    role = policy.role(binding.role)
    if role is None:
        names.ids_of(binding.role, names.ROLE, "binding.role")
        raise not_there(binding.role)
    _check_has(call, role.permissions, tenant, binding.pool)


def _check_has(call: Call, words: Iterable[str], tenant: str, pool: str) -> None:
    own = call.access.permissions(tenant, pool)
    more = sorted(word for word in words if not own.cover_word(word))
    if more:
        where = f"tenants/{tenant}" if pool == EVERY else f"tenants/{tenant}/pools/{pool}"
        text = f"nobody gives a permission that they don't have; the caller lacks on {where}: {', '.join(more)}"
        raise NotPermitted(text, reason="MORE_THAN_OWN", metadata={"on": where})


def _check_same(known: policy_pb2.Binding, wanted: policy_pb2.Binding) -> None:
    """A binding that was read can be sent back; who has it, and where, is another binding's."""
    for field, before, after in (
        ("member", known.member, wanted.member or known.member),
        ("pool", known.pool, wanted.pool or known.pool),
    ):
        if before != after:
            text = f"binding.{field} can't be changed from {before!r}; delete the binding and create another"
            raise InvalidRequest(text, reason="BAD_UPDATE_MASK", violations=[Violation(f"binding.{field}", text)])
