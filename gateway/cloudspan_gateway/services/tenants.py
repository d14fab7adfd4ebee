"""TenantService: tenants and their pools, seen by whoever has a role, changed by administrators of the installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf import empty_pb2
from sqlalchemy import func, select

from cloudspan.v1 import tenant_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.listing.page_token import page_by_name
from cloudspan_common.names import malformed, parse_cluster
from cloudspan_gateway.access import names
from cloudspan_gateway.access.store import Changes
from cloudspan_gateway.services.policy_rules import (
    bad_field,
    changed,
    check_limits,
    check_text,
    exists,
    in_use,
    kept_row,
    no_tenant,
    not_there,
    require_installation,
    sees_tenant,
    set_fields,
    stamp,
    tenant_asked,
    update_fields,
)
from cloudspan_gateway.storage.tables import users

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.access.policy import Policy
    from cloudspan_gateway.access.store import PolicyStore
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.operations.stores.base import OperationStore

_TENANT_FIELDS = frozenset({"display_name", "limits", "disabled"})
_POOL_FIELDS = frozenset({"display_name", "clusters", "limits"})


class TenantService:
    """Answers cloudspan.v1.TenantService."""

    def __init__(self, policy: PolicyStore, operations: OperationStore, clock: Clock) -> None:
        self._policy = policy
        self._operations = operations
        self._clock = clock

    def __repr__(self) -> str:
        return f"<TenantService over {self._policy!r}>"

    # -------------------------------------------------------------- tenants

    async def create_tenant(self, request: tenant_pb2.CreateTenantRequest, call: Call) -> tenant_pb2.Tenant:
        require_installation(call)
        name = f"tenants/{names.check_id(request.tenant_id, 'tenant_id')}"
        made = tenant_pb2.Tenant()
        made.CopyFrom(request.tenant)
        made.name = name
        _check_tenant(made)
        stamp(made, self._clock)

        def decide(before: Policy, _: Connection) -> tuple[tenant_pb2.Tenant, Changes]:
            if name in before.rows:
                raise exists(name)
            return made, Changes([made])

        return await changed(self._policy, decide, call)

    async def get_tenant(self, request: tenant_pb2.GetTenantRequest, call: Call) -> tenant_pb2.Tenant:
        (tenant,) = names.ids_of(request.name, names.TENANT)
        row = self._policy.policy.tenant(tenant)
        if row is None or not sees_tenant(self._policy.policy, tenant, call):
            raise no_tenant(request.name)
        return row

    async def list_tenants(self, request: tenant_pb2.ListTenantsRequest, call: Call) -> tenant_pb2.ListTenantsResponse:
        policy = self._policy.policy
        seen = (row for row in policy.tenants() if sees_tenant(policy, names.last(row.name), call))
        page, token = page_by_name(call.path[1:], request, seen)
        return tenant_pb2.ListTenantsResponse(tenants=page, next_page_token=token)

    async def update_tenant(self, request: tenant_pb2.UpdateTenantRequest, call: Call) -> tenant_pb2.Tenant:
        require_installation(call)
        names.ids_of(request.tenant.name, names.TENANT, "tenant.name")
        fields = update_fields(request, "tenant", _TENANT_FIELDS)
        _check_tenant(request.tenant)

        def decide(before: Policy, _: Connection) -> tuple[tenant_pb2.Tenant, Changes]:
            made = kept_row(before, request.tenant.name, tenant_pb2.Tenant)
            set_fields(made, request.tenant, fields)
            return made, Changes([made])

        return await changed(self._policy, decide, call)

    async def delete_tenant(self, request: tenant_pb2.DeleteTenantRequest, call: Call) -> empty_pb2.Empty:
        """Delete a tenant that nothing is left of but its bindings.

        Raises:
            PreconditionFailed: It has pools, users, or operations that have not ended.
        """
        require_installation(call)
        (tenant,) = names.ids_of(request.name, names.TENANT)
        kept_row(self._policy.policy, request.name, tenant_pb2.Tenant)
        await self._check_operations(tenant)

        def decide(before: Policy, conn: Connection) -> tuple[None, Changes]:
            kept_row(before, request.name, tenant_pb2.Tenant)
            if pools := before.pools.get(tenant):
                raise in_use(request.name, "pools: " + ", ".join(sorted(pools)))
            owned = select(func.count()).select_from(users).where(users.c.tenant == tenant)
            if count := conn.execute(owned).scalar():
                raise in_use(request.name, f"users: {count}")
            return None, Changes(deleted=[request.name, *(row.name for row in before.bindings(tenant))])

        await changed(self._policy, decide, call)
        return empty_pb2.Empty()

    async def _check_operations(self, tenant: str) -> None:
        if count := sum((await self._operations.under_way(tenant)).values()):
            raise in_use(f"tenants/{tenant}", f"operations that have not ended: {count}")

    # -------------------------------------------------------------- pools

    async def create_pool(self, request: tenant_pb2.CreatePoolRequest, call: Call) -> tenant_pb2.Pool:
        require_installation(call)
        tenant = tenant_asked(request.parent, names.TENANT, call)
        name = f"tenants/{tenant}/pools/{names.check_id(request.pool_id, 'pool_id')}"
        made = tenant_pb2.Pool()
        made.CopyFrom(request.pool)
        made.name = name
        _check_pool(made)
        stamp(made, self._clock)

        def decide(before: Policy, _: Connection) -> tuple[tenant_pb2.Pool, Changes]:
            kept_row(before, f"tenants/{tenant}", tenant_pb2.Tenant)
            if name in before.rows:
                raise exists(name)
            return made, Changes([made])

        return await changed(self._policy, decide, call)

    async def get_pool(self, request: tenant_pb2.GetPoolRequest, call: Call) -> tenant_pb2.Pool:
        tenant, pool = names.ids_of(request.name, names.POOL)
        row = self._policy.policy.rows.get(request.name)
        if not isinstance(row, tenant_pb2.Pool) or not call.access.permissions(tenant, pool):
            raise not_there(request.name)
        return row

    async def list_pools(self, request: tenant_pb2.ListPoolsRequest, call: Call) -> tenant_pb2.ListPoolsResponse:
        tenant = tenant_asked(request.parent, names.TENANT, call)
        policy = self._policy.policy
        if policy.tenant(tenant) is None or not sees_tenant(policy, tenant, call):
            raise no_tenant(f"tenants/{tenant}")
        seen = (row for row in policy.pool_rows(tenant) if call.access.permissions(tenant, names.last(row.name)))
        page, token = page_by_name(call.path[1:], request, seen)
        return tenant_pb2.ListPoolsResponse(pools=page, next_page_token=token)

    async def update_pool(self, request: tenant_pb2.UpdatePoolRequest, call: Call) -> tenant_pb2.Pool:
        require_installation(call)
        names.ids_of(request.pool.name, names.POOL, "pool.name")
        fields = update_fields(request, "pool", _POOL_FIELDS)

        def decide(before: Policy, _: Connection) -> tuple[tenant_pb2.Pool, Changes]:
            made = kept_row(before, request.pool.name, tenant_pb2.Pool)
            set_fields(made, request.pool, fields)
            _check_pool(made)
            return made, Changes([made])

        return await changed(self._policy, decide, call)

    async def delete_pool(self, request: tenant_pb2.DeletePoolRequest, call: Call) -> empty_pb2.Empty:
        """Delete a pool with the bindings of it; the clusters stay, and its operations go on."""
        require_installation(call)
        tenant, pool = names.ids_of(request.name, names.POOL)

        def decide(before: Policy, _: Connection) -> tuple[None, Changes]:
            kept_row(before, request.name, tenant_pb2.Pool)
            of_it = (row.name for row in before.bindings(tenant) if row.pool == pool)
            return None, Changes(deleted=[request.name, *of_it])

        await changed(self._policy, decide, call)
        return empty_pb2.Empty()


def _check_tenant(tenant: tenant_pb2.Tenant) -> None:
    check_text(tenant.display_name, "tenant.display_name")
    check_limits(tenant.limits, "tenant.limits")


def _check_pool(pool: tenant_pb2.Pool) -> None:
    check_text(pool.display_name, "pool.display_name")
    check_limits(pool.limits, "pool.limits")
    if not pool.clusters:
        raise bad_field("pool.clusters", "is empty; a pool has at least one cluster, or a pattern with `-`")
    seen: set[str] = set()
    for number, each in enumerate(pool.clusters):
        field = f"pool.clusters[{number}]"
        _check_pattern(each.cluster, f"{field}.cluster")
        check_text(each.project_id, f"{field}.project_id")
        if each.cluster in seen:
            raise bad_field(f"{field}.cluster", f"is {each.cluster!r} once more; a pool has one project of a cluster")
        seen.add(each.cluster)


def _check_pattern(cluster: str, field: str) -> None:
    """A cluster's whole name, with `-` in place of platform or cluster for all there are."""
    try:
        whole = str(parse_cluster(cluster, field)) == cluster
    except InvalidRequest:
        whole = False
    if not whole:
        raise malformed(cluster, field, "platforms/{platform}/clusters/{cluster}, `-` for all there are")
