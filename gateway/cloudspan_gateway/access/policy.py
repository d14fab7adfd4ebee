"""All tenants, pools, roles and bindings at one moment, and what they give each caller. Never changes.

`store` reads it and swaps a new one in at each change; the authenticate stage asks it for each call's access.
"""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from cloudspan.v1 import policy_pb2, tenant_pb2
from cloudspan_common.errors import NotFound, NotPermitted
from cloudspan_gateway.access.access import EVERY_TENANT, OpenAccess
from cloudspan_gateway.access.names import EVERY, last, parent
from cloudspan_gateway.access.permissions import ADMINISTER, BUILT_IN, Permissions
from cloudspan_gateway.access.pools import PoolClusters
from cloudspan_gateway.access.tenant_access import (
    EveryTenantAccess,
    Grant,
    Standing,
    TenantAccess,
    Views,
    not_chosen,
    unknown_pool,
)
from cloudspan_gateway.metadata import X_TENANT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloudspan.v1.tenant_pb2 import Limits
    from cloudspan_common.contract import Permission
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.access.access import Access, V
    from cloudspan_gateway.access.principal import Principal

Row = tenant_pb2.Tenant | tenant_pb2.Pool | policy_pb2.Role | policy_pb2.Binding
DEFAULT_TENANT = "default"
"""Whose pools x-pool means where callers are not authenticated and x-tenant says no other."""
_MAX_KEPT = 4096


class _Role(NamedTuple):
    """A role of one caller on one pool, or all."""

    pool: str
    role: str
    permissions: Permissions


class Policy:
    """What every lookup is made from; one that is not there yet gives nobody anything."""

    def __init__(self, rows: Iterable[Row] = (), revision: int = 0) -> None:
        self.revision = revision
        self.rows: Mapping[str, Row] = {row.name: row for row in rows}
        """By resource name, without the built-in roles."""
        self.pools: dict[str, dict[str, PoolClusters]] = defaultdict(dict)
        """By tenant and id."""
        self._by_member: dict[str, dict[str, list[_Role]]] = {}
        self._kept: dict[tuple[tuple[str, ...], str, str], Access] = {}
        self._open: dict[tuple[str, str], Access] = {}
        self._views: dict[tuple[str, ...], Views] = {}
        self._projects: dict[ClusterRef, frozenset[str]] = {}
        for name in sorted(self.rows):
            self._index(self.rows[name])

    def __repr__(self) -> str:
        return f"<Policy {self.revision}: {len(self.rows)} rows, {len(self._by_member)} members>"

    def _index(self, row: Row) -> None:
        if isinstance(row, tenant_pb2.Pool):
            self.pools[parent(row.name)][last(row.name)] = PoolClusters(row)
        elif isinstance(row, policy_pb2.Binding):
            role = self.role(row.role)
            tenants = self._by_member.setdefault(row.member, {})
            found = _Role(row.pool or EVERY, last(row.role), Permissions(role.permissions if role else ()))
            tenants.setdefault(parent(row.name), []).append(found)

    def changed(self, revision: int, kept: Iterable[Row], deleted: Iterable[str]) -> Policy:
        """Return what it is after a change."""
        rows = {**self.rows, **{row.name: row for row in kept}}
        for name in deleted:
            rows.pop(name, None)
        return Policy(rows.values(), revision)

    # -------------------------------------------------------------- rows

    def role(self, name: str) -> policy_pb2.Role | None:
        """Return a role by its resource name, built-in ones too."""
        return BUILT_IN.get(name) or cast("policy_pb2.Role | None", self.rows.get(name))

    def roles(self) -> Sequence[policy_pb2.Role]:
        """Return all roles."""
        return (*BUILT_IN.values(), *(row for row in self.rows.values() if isinstance(row, policy_pb2.Role)))

    def tenant(self, tenant: str) -> tenant_pb2.Tenant | None:
        """Return a tenant by its id."""
        return cast("tenant_pb2.Tenant | None", self.rows.get(f"tenants/{tenant}"))

    def tenants(self) -> Sequence[tenant_pb2.Tenant]:
        """Return all tenants."""
        return tuple(row for row in self.rows.values() if isinstance(row, tenant_pb2.Tenant))

    def pool_rows(self, tenant: str) -> Sequence[tenant_pb2.Pool]:
        """Return the pools of a tenant."""
        found = (row for row in self.rows.values() if isinstance(row, tenant_pb2.Pool))
        return tuple(row for row in found if parent(row.name) == tenant)

    def projects(self, ref: ClusterRef) -> frozenset[str]:
        """Return the ids of the projects of a cluster that pools have by themselves, whichever tenant's."""
        if ref not in self._projects:
            every = (pool.project(ref) for pools in self.pools.values() for pool in pools.values())
            self._projects[ref] = frozenset(filter(None, every))
        return self._projects[ref]

    def bindings(self, tenant: str = "") -> Sequence[policy_pb2.Binding]:
        """Return the bindings of a tenant, or all."""
        found = (row for row in self.rows.values() if isinstance(row, policy_pb2.Binding))
        return tuple(row for row in found if tenant in ("", parent(row.name)))

    @property
    def has_administrator(self) -> bool:
        """Whether anybody may administer the installation."""
        found = (role for tenants in self._by_member.values() for role in tenants.get(EVERY_TENANT, ()))
        return any(ADMINISTER in role.permissions and role.pool == EVERY for role in found)

    # -------------------------------------------------------------- what callers have

    def tenants_of(self, members: Sequence[str]) -> tuple[str, ...]:
        """Return the ids of the tenants in which the caller has a role of its own; `-` for a binding of all; sorted."""
        return tuple(sorted({tenant for member in members for tenant in self._by_member.get(member, ())}))

    def permissions(self, members: Sequence[str], tenant: str, pool: str = "") -> Permissions:
        """Return what a caller has in a tenant, on one pool of it, or on every pool (`-`); see `Access.permissions`."""
        roles = self._roles(members, tenant)
        everywhere = Permissions(word for role in roles if role.pool == EVERY for word in role.permissions)
        if pool == EVERY:
            return everywhere
        on = [role.permissions for role in roles if pool in ("", role.pool) and role.pool != EVERY]
        if not on:
            return everywhere
        together = Permissions(word for permissions in on for word in permissions)
        # The tenant itself is administered by those who may do so on all of its pools.
        return Permissions(everywhere | (together if pool else together.of_pool()))

    def _roles(self, members: Sequence[str], tenant: str) -> list[_Role]:
        """The roles of a caller in a tenant: those of its own bindings, and of those that hold in every tenant."""
        of = (EVERY_TENANT,) if tenant == EVERY_TENANT else (tenant, EVERY_TENANT)
        return [role for member in members for each in of for role in self._by_member.get(member, {}).get(each, ())]

    def access(self, principal: Principal, wanted: str) -> Access:
        """Return what a caller may do in the tenant that metadata x-tenant says, or in its own without that.

        Raises:
            InvalidRequest: It has roles in several tenants, and none was said.
            NotFound: It has no role in that tenant, or the tenant does not exist.
            NotPermitted: The tenant is disabled.
        """
        key = principal.members, principal.tenant, wanted
        found = self._kept.get(key)
        if found is None:
            found = self._made(principal, wanted)
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[key] = found
        return found

    def _made(self, principal: Principal, wanted: str) -> Access:
        members = principal.members
        having = self.tenants_of(members)
        tenant = wanted or self._default(principal.tenant, having)
        permissions_of = partial(self.permissions, members)
        if tenant == EVERY_TENANT and EVERY_TENANT in having:
            tenants = [last(row.name) for row in self.tenants()]
            return EveryTenantAccess(self._role_ids(members, EVERY_TENANT), tenants, permissions_of)
        if not tenant:
            return TenantAccess(Standing("", permissions_of), Views(()))
        limits = self._limits_of(tenant, may={principal.tenant, *having})
        pools = sorted(self.pools.get(tenant, {}).items())
        grants = (Grant(pool, self.permissions(members, tenant, name)) for name, pool in pools)
        found = tuple(grant for grant in grants if grant.permissions)
        standing = Standing(tenant, permissions_of, self._role_ids(members, tenant), found, limits)
        return TenantAccess(standing, self._views_of([grant.pool for grant in found]))

    def _views_of(self, pools: Sequence[PoolClusters]) -> Views:
        """Callers of the same pools share them, whatever else they may do there."""
        key = tuple(pool.name for pool in pools)
        if key not in self._views:
            if len(self._views) >= _MAX_KEPT:
                self._views.clear()
            self._views[key] = Views(pools)
        return self._views[key]

    def _default(self, own: str, having: Sequence[str]) -> str:
        """The tenant of a caller that says none."""
        if own:
            return own
        named = [tenant for tenant in having if tenant != EVERY_TENANT]
        if len(named) > 1:
            raise not_chosen("the caller has roles in several tenants", named)
        return named[0] if named else EVERY_TENANT if having else ""

    def _limits_of(self, tenant: str, may: set[str]) -> tuple[tuple[str, Limits], ...]:
        """The limits of a tenant in which the caller may act."""
        row = self.tenant(tenant)
        if row is None or not may & {tenant, EVERY_TENANT}:
            text = (
                f"metadata {X_TENANT} says tenant {tenant[:64]!r}, which does not exist or in which the caller has no "
                "role; SessionService.GetSession lists the caller's tenants"
            )
            raise NotFound(text, reason="TENANT_UNKNOWN", metadata={"tenant": tenant[:64]})
        if row.disabled:
            text = f"tenant {tenant!r} is disabled; ask an administrator of the installation"
            raise NotPermitted(text, reason="TENANT_DISABLED", metadata={"tenant": tenant})
        return ((row.name, row.limits),) if row.limits.ListFields() else ()

    def _role_ids(self, members: Sequence[str], tenant: str) -> tuple[str, ...]:
        return tuple(sorted({role.role for role in self._roles(members, tenant)}))

    def narrowed(self, access: Access, pool: str) -> Access:
        """Return `access` for the clusters of one pool (metadata x-pool), also where callers are not authenticated.

        Raises:
            NotFound: The tenant has no such pool, or the caller no role in it.
        """
        if not isinstance(access, OpenAccess):
            return access.narrowed(pool)
        tenant = access.tenant or DEFAULT_TENANT
        pools = self.pools.get(tenant, {})
        if pool not in pools:
            raise unknown_pool(tenant, pool, tuple(pools))
        key = access.tenant, pool
        if key not in self._open:  # only of pools that there are: nobody can fill it
            self._open[key] = OpenPoolAccess(access.tenant, pools[pool])
        return self._open[key]


class OpenPoolAccess(OpenAccess):
    """Of a caller who is not authenticated and chose a pool: it may do everything, on the pool's clusters."""

    def __init__(self, tenant: str, pool: PoolClusters) -> None:
        super().__init__(tenant)
        self._pool = pool
        self._views = Views([pool])

    def view(self, snapshot: V) -> V:
        return self._views.of(snapshot)

    def allows(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> bool:
        return ref is None or self._pool.meets(ref)

    def sees(self, tenant: str, ref: ClusterRef | None = None) -> bool:
        return ref is None or self._pool.meets(ref)

    def project(self, ref: ClusterRef) -> str:
        return self._pool.project(ref) or ""


def whole_table() -> Access:
    """Return what the gateway's own work sees where callers are known, such as the steps of operations: every cluster.

    What it meets on the way is shown to tenants in their operations, so its view has nothing that views leave out.
    """
    every = tenant_pb2.PoolCluster(cluster="platforms/-/clusters/-")
    return OpenPoolAccess("", PoolClusters(tenant_pb2.Pool(clusters=[every])))
