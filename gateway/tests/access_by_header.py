"""An Access as policy makes it of rows, made by hand: one tenant, some clusters, some permissions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cloudspan_common.contract import Permission
from cloudspan_common.errors import NotPermitted, Unauthenticated
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.call import Call


@dataclass(frozen=True)
class TenantAccess:
    """What a caller of one tenant may do and see."""

    tenant: str
    lacks: frozenset[Permission] = frozenset()
    clusters: frozenset[str] | None = None
    """Names of those that it sees; None for all."""
    roles: tuple[str, ...] = ("member",)
    only: str = ""
    """The project of every cluster that it may touch; empty for all of them."""

    def view(self, snapshot: Any) -> Any:
        return snapshot

    def narrowed(self, pool: str) -> TenantAccess:
        return self

    def require(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> None:
        if permission in self.lacks:
            raise NotPermitted(f"{method} needs {Permission.Name(permission)}")

    def allows(self, permission: Permission, method: str, ref: ClusterRef | None = None) -> bool:
        return permission not in self.lacks

    def sees(self, tenant: str, ref: ClusterRef | None = None) -> bool:
        mine = self.tenant in (EVERY_TENANT, tenant)
        return mine and (ref is None or self.clusters is None or str(ref) in self.clusters)

    def project(self, ref: ClusterRef) -> str:
        return self.only

    def limits(self, ref: ClusterRef | None = None) -> tuple[()]:
        return ()


@dataclass
class ByHeader:
    """Authenticates by metadata `authorization: Bearer alice@acme`, and gives each subject its access."""

    accesses: dict[str, TenantAccess] = field(default_factory=dict)
    name: str = "header"

    async def authenticate(self, call: Call) -> Principal | None:
        said = call.header("authorization")
        if not said:
            return None
        user, _, tenant = said.removeprefix("Bearer ").partition("@")
        if not tenant:
            raise Unauthenticated("the credential is not valid")
        return Principal(f"users/{user}", credential=f"session/{user}", tenant=tenant)

    def access_of(self, principal: Principal, _tenant: str) -> TenantAccess:
        return self.accesses.get(principal.subject) or TenantAccess(principal.tenant)


def authenticating(gateway: Any, by: ByHeader) -> Callable[[], None]:
    """Have a running gateway authenticate its callers; returns what ends it."""
    from cloudspan_gateway.pipeline.authenticate import Authenticate  # noqa: PLC0415

    stage = next(stage for stage in gateway.pipeline.stages if isinstance(stage, Authenticate))
    stage._by_metadata, stage._access_of = (by,), by.access_of

    def undo() -> None:
        stage._by_metadata, stage._access_of = (), None

    return undo
