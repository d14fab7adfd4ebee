"""What one caller may do and see, in the tenant that its call acts in.

The authorize stage sets it on each call and asks it about the call's target; routing, lists, operations and services
ask it about everything else that they are about to show or change. `policy` makes it from rows; `OPEN` is that of every
caller where callers are not authenticated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from cloudspan_common.errors import NotFound, NotPermitted
from cloudspan_gateway.access.permissions import EVERYTHING
from cloudspan_gateway.access.permissions import NOTHING as NONE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from cloudspan.v1.tenant_pb2 import Limits
    from cloudspan_common.contract import Permission
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.access.permissions import Permissions

EVERY_TENANT = "-"


class Viewable(Protocol):
    """What `Access.view` makes smaller: the route table's snapshot, which knows how."""

    def only(self, platform: Callable[[str], bool], cluster: Callable[[ClusterRef], bool]) -> Self:
        """Return the same without the platforms and clusters that one of them says no to."""
        ...


V = TypeVar("V", bound=Viewable)


class Access(Protocol):
    """Never changes; the next call gets a new one once policy has changed."""

    @property
    def tenant(self) -> str:
        """The id of the tenant that the call acts in; `-` for an administrator who asks over all of them."""
        ...

    @property
    def roles(self) -> tuple[str, ...]:
        """The ids of the caller's roles in that tenant, over all its pools; sorted."""
        ...

    def view(self, snapshot: V) -> V:
        """Return what of the table exists for the caller: its lookups find nothing else, in the same words."""
        ...

    def narrowed(self, pool: str) -> Access:
        """Return the same, for the clusters of one pool alone (metadata x-pool).

        Raises:
            NotFound: The caller's tenant has no such pool, or the caller no role in it.
        """
        ...

    def require(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> None:
        """Return if the caller has `permission`, or that of the one `method` (full name).

        Args:
            permission: What the contract asks for.
            method: The method that is called.
            ref: The cluster that it works on, which `view` has; None for what is about the whole tenant.

        Raises:
            NotPermitted: It has not; says which permission on which pool, and who could grant it.
        """
        ...

    def allows(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> bool:
        """Whether `require` would return."""
        ...

    def permissions(self, tenant: str, pool: str = "") -> Permissions:
        """Return what the caller has in any tenant, whichever its call acts in; nothing where it has no role.

        Args:
            tenant: The tenant's id; `-` for the bindings that hold in all of them.
            pool: One pool's id, or `-` for what it has on every pool, as administering the tenant needs; without it,
                what calls that are about no cluster go by.
        """
        ...

    def sees(self, tenant: str, ref: ClusterRef | None = None) -> bool:
        """Whether what belongs to a tenant, such as an operation on a cluster, exists for the caller."""
        ...

    def project(self, ref: ClusterRef) -> str:
        """Return the id of the only project of a cluster that the caller's pool has; empty for all of them."""
        ...

    def limits(self, ref: ClusterRef | None = None) -> Sequence[tuple[str, Limits]]:
        """Return what bounds the call: its tenant's limits, and those of the pool by which it reaches `ref`.

        Each under the name of what it is of: `tenants/acme`, `tenants/acme/pools/prod`. Only those that limit anything.
        """
        ...


class OpenAccess:
    """Of every caller of a gateway that authenticates nobody: it may do everything."""

    roles: tuple[str, ...] = ()

    def __init__(self, tenant: str = "") -> None:
        self.tenant = tenant
        """What x-tenant says; believed, since nothing depends on it but fairness."""

    def __repr__(self) -> str:
        return f"<OpenAccess {self.tenant or 'no tenant'}>"

    def view(self, snapshot: V) -> V:
        return snapshot

    def narrowed(self, pool: str) -> Access:
        return self

    def require(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> None:
        return

    def allows(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> bool:
        return True

    def permissions(self, tenant: str, pool: str = "") -> Permissions:
        return EVERYTHING

    def sees(self, tenant: str, ref: ClusterRef | None = None) -> bool:
        return True

    def project(self, ref: ClusterRef) -> str:
        return ""

    def limits(self, ref: ClusterRef | None = None) -> Sequence[tuple[str, Limits]]:
        return ()


OPEN = OpenAccess()


def project_name(access: Access, ref: ClusterRef) -> str:
    """Return the resource name of the only project of a cluster that a caller sees; empty for all of them."""
    project = access.project(ref)
    return ref.resource("projects", project) if project else ""


_DO = "log in, or choose one of your tenants with metadata x-tenant"


class NoAccess:
    """Of who has not proven who it is, where callers must, or not said for which tenant: nothing exists for it."""

    tenant = ""
    roles: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "<NoAccess>"

    def view(self, snapshot: V) -> V:
        return snapshot.only(lambda _platform: False, lambda _cluster: False)

    def narrowed(self, pool: str) -> Access:
        raise NotFound(f"there is no pool {pool!r} without a credential and a tenant; {_DO}", reason="POOL_UNKNOWN")

    def require(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> None:
        raise NotPermitted(f"{method} needs a role, and there is none without a credential and a tenant; {_DO}")

    def allows(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> bool:
        return False

    def permissions(self, tenant: str, pool: str = "") -> Permissions:
        return NONE

    def sees(self, tenant: str, ref: ClusterRef | None = None) -> bool:
        return False

    def project(self, ref: ClusterRef) -> str:
        return ""

    def limits(self, ref: ClusterRef | None = None) -> Sequence[tuple[str, Limits]]:
        return ()


NOTHING = NoAccess()
