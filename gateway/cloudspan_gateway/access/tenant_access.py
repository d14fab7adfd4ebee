"""What a known caller may do and see: in one tenant (`TenantAccess`), or over all of them (`EveryTenantAccess`).

Made by `Policy.access`, kept there for the next call of the same caller: what is asked on each call is looked up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from cloudspan_common.contract import Permission
from cloudspan_common.errors import InvalidRequest, NotFound, NotPermitted, Violation
from cloudspan_common.names import WILDCARD
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.permissions import ADMINISTER, NOTHING, VERBS, Permissions
from cloudspan_gateway.metadata import POOL, X_TENANT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudspan.v1.tenant_pb2 import Limits
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.access.access import Access, Viewable
    from cloudspan_gateway.access.pools import PoolClusters

    V = TypeVar("V", bound=Viewable)
    PermissionsOf = Callable[[str, str], Permissions]
    """Returns what the caller has on a pool of any tenant, on all of them for `-`, or in the tenant for ""."""

_MAX_KNOWN = 4096
"""Clusters, by the names that calls bring: invented ones must not stay for ever."""
_WITHOUT_TENANT = frozenset({Permission.PERMISSION_READ, Permission.PERMISSION_ADMINISTER})


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller has on one pool; there is none where it has nothing."""

    pool: PoolClusters
    permissions: Permissions


@dataclass(frozen=True, slots=True)
class _Reach:
    """How a caller reaches one cluster."""

    grants: tuple[Grant, ...]
    """Of the pools that have it and agree on its project; none for a cluster that does not exist for the caller."""
    permissions: Permissions
    project: str = ""
    limits: tuple[tuple[str, Limits], ...] = ()
    """The tenant's, and those of the pool by which it is reached."""


_OUT_OF_REACH = _Reach((), NOTHING)


@dataclass(frozen=True, slots=True)
class Standing:
    """What the policy says of one caller in one tenant."""

    tenant: str
    permissions_of: PermissionsOf
    roles: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()
    """In the order of their pools' names."""
    limits: tuple[tuple[str, Limits], ...] = ()
    """The tenant's own."""


class Views:
    """The part of the table that pools have: made anew only when the table has changed, for all callers alike."""

    def __init__(self, pools: Sequence[PoolClusters]) -> None:
        self._pools = tuple(pools)
        self._seen: Any = None
        self._view: Any = None

    def of(self, snapshot: V) -> V:
        """Return what of a snapshot exists."""
        if self._seen is not snapshot:
            self._view = snapshot.only(self.sees_platform, self._sees_cluster)
            self._seen = snapshot
        return self._view

    def sees_platform(self, platform: str) -> bool:
        """Whether one of the pools' clusters can be of a platform."""
        return any(pool.names_platform(platform) for pool in self._pools)

    def _sees_cluster(self, ref: ClusterRef) -> bool:
        return any(pool.project(ref) is not None for pool in self._pools)


class TenantAccess:
    """In one tenant.

    A cluster that several of the caller's pools have as different projects is that of the first pool by name, unless
    x-pool chooses another: a permission on one project is never used on another.
    """

    def __init__(self, standing: Standing, views: Views) -> None:
        """Take what the caller has, and the views of its pools."""
        self.tenant = standing.tenant
        self.roles = standing.roles
        self._standing = standing
        self._grants = standing.grants
        self._limits = standing.limits
        self._held = standing.permissions_of(standing.tenant, "")
        self._reached: dict[ClusterRef, _Reach] = {}
        self._narrowed: dict[str, Access] = {}
        self._views = views

    def __repr__(self) -> str:
        return f"<TenantAccess {self.tenant or 'no tenant'}: {', '.join(g.pool.id for g in self._grants) or 'no pool'}>"

    def view(self, snapshot: V) -> V:
        return self._views.of(snapshot)

    def narrowed(self, pool: str) -> Access:
        if pool not in self._narrowed:
            grants = tuple(grant for grant in self._grants if grant.pool.id == pool)
            if not grants:
                raise unknown_pool(self.tenant, pool, [grant.pool.id for grant in self._grants])
            views = Views([grant.pool for grant in grants])
            self._narrowed[pool] = TenantAccess(replace(self._standing, grants=grants), views)
        return self._narrowed[pool]

    def require(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> None:
        if self.allows(permission, method, ref):
            return
        grants = () if ref is None else self._reach(ref).grants or self._meeting(ref)
        raise missing(permission, method, grants[0].pool.name if grants else f"tenants/{self.tenant or EVERY_TENANT}")

    def allows(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> bool:
        if ref is None:
            return self._held.cover(permission, method)
        return self._reach(ref).permissions.cover(permission, method)

    def permissions(self, tenant: str, pool: str = "") -> Permissions:
        return self._standing.permissions_of(tenant, pool)

    def sees(self, tenant: str, ref: ClusterRef | None = None) -> bool:
        if tenant != self.tenant:
            return False
        if ref is None:
            return True
        if WILDCARD in (ref.platform, ref.cluster) or not ref.cluster:
            return ref.platform == WILDCARD or self._views.sees_platform(ref.platform)
        return self._sees_cluster(ref)

    def project(self, ref: ClusterRef) -> str:
        return self._reach(ref).project

    def limits(self, ref: ClusterRef | None = None) -> Sequence[tuple[str, Limits]]:
        if ref is None:
            return self._limits
        return self._reach(ref).limits

    def _sees_cluster(self, ref: ClusterRef) -> bool:
        return bool(self._reach(ref).grants)

    def _meeting(self, ref: ClusterRef) -> tuple[Grant, ...]:
        if not ref.cluster:
            return tuple(grant for grant in self._grants if grant.pool.names_platform(ref.platform))
        return tuple(grant for grant in self._grants if grant.pool.meets(ref))

    def _reach(self, ref: ClusterRef) -> _Reach:
        found = self._reached.get(ref)
        if found is None:
            if len(self._reached) >= _MAX_KNOWN:
                self._reached.clear()
            found = self._found(ref)
            pools = ((grant.pool.name, grant.pool.limits) for grant in found.grants[:1])
            limits = (*self._limits, *(pool for pool in pools if pool[1].ListFields()))
            found = self._reached[ref] = replace(found, limits=limits)
        return found

    def _found(self, ref: ClusterRef) -> _Reach:
        if not ref.cluster:
            grants = tuple(grant for grant in self._grants if grant.pool.has_all_of(ref.platform))
            return _Reach(grants, _joined(grants))
        if ref.is_wildcard:
            grants = self._meeting(ref)
            # A name that means none of the caller's clusters is unknown, to whoever may ask such a thing at all.
            return _Reach(grants, _joined(grants) if grants else self._held)
        having = [(grant, project) for grant in self._grants if (project := grant.pool.project(ref)) is not None]
        if not having:
            return _OUT_OF_REACH
        project = having[0][1]
        grants = tuple(grant for grant, its_project in having if its_project == project)
        return _Reach(grants, _joined(grants), project)


class EveryTenantAccess:
    """Over all tenants, of a caller with a binding of `tenants/-`: reads everything, and administers.

    What else changes something belongs to a tenant, whose pools and limits it goes by: x-tenant must choose one.
    """

    tenant = EVERY_TENANT

    def __init__(self, roles: tuple[str, ...], tenants: Sequence[str], permissions_of: PermissionsOf) -> None:
        """Take the caller's roles in `tenants/-`, and the tenants that there are."""
        self.roles = roles
        self._tenants = tuple(tenants)
        self._permissions_of = permissions_of
        self._held = permissions_of(EVERY_TENANT, "")

    def __repr__(self) -> str:
        return f"<EveryTenantAccess {', '.join(sorted(self._held)) or 'nothing'}>"

    def view(self, snapshot: V) -> V:
        return snapshot

    def narrowed(self, pool: str) -> Access:
        raise self._not_chosen(f"metadata {POOL} is {pool!r}: pools are a tenant's")

    def require(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> None:
        if not self._held.cover(permission, method):
            raise missing(permission, method, f"tenants/{EVERY_TENANT}")
        if permission not in _WITHOUT_TENANT:
            raise self._not_chosen(f"{method} changes what belongs to a tenant")

    def allows(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> bool:
        return permission in _WITHOUT_TENANT and self._held.cover(permission, method)

    def permissions(self, tenant: str, pool: str = "") -> Permissions:
        return self._permissions_of(tenant, pool)

    def sees(self, tenant: str, ref: ClusterRef | None = None) -> bool:
        return True

    def project(self, ref: ClusterRef) -> str:
        return ""

    def limits(self, ref: ClusterRef | None = None) -> Sequence[tuple[str, Limits]]:
        return ()

    def _not_chosen(self, what: str) -> InvalidRequest:
        return not_chosen(f"{what}, and the call acts over all tenants", self._tenants)


def _joined(grants: Sequence[Grant]) -> Permissions:
    if len(grants) == 1:
        return grants[0].permissions
    return Permissions(word for grant in grants for word in grant.permissions)


def missing(permission: Permission, method: str, where: str) -> NotPermitted:
    """Return the refusal of a call: what is missing, on which pool or tenant, and who could grant it."""
    verb = VERBS.get(permission, permission)
    tenant = "/".join(where.split("/")[:2])
    text = (
        f"permission `{verb}` ({method}) on {where} is missing; a caller with `{ADMINISTER}` on {tenant} can grant it"
    )
    return NotPermitted(text, metadata={"permission": str(verb), "method": method, "on": where})


def unknown_pool(tenant: str, pool: str, known: Sequence[str]) -> NotFound:
    """Return the error for metadata x-pool that says none of a caller's pools."""
    text = (
        f"metadata {POOL} is {pool[:60]!r}, which is not a pool of tenants/{tenant} in which the caller has a role; "
        f"those are: {', '.join(sorted(known)) or 'none'}"
    )
    return NotFound(text, reason="POOL_UNKNOWN", metadata={"pool": pool[:60]})


def not_chosen(what: str, tenants: Sequence[str]) -> InvalidRequest:
    """Return the error for a call that says no tenant where it must."""
    known = ", ".join(sorted(tenants)) or "none; TenantService.CreateTenant creates one"
    text = f"{what}; choose a tenant with metadata {X_TENANT}: {known}"
    return InvalidRequest(text, reason="TENANT_NOT_CHOSEN", violations=[Violation(X_TENANT, text)])
