"""A gateway whose callers are who their metadata x-tenant says, with limits by hand: for tests of limits alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cloudspan.v1.tenant_pb2 import Limits
from cloudspan_common.clock import Clock
from cloudspan_common.names import ClusterRef
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway.access.access import Access, OpenAccess
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.app import Gateway
from cloudspan_gateway.call import Call
from cloudspan_gateway.config import GatewayConfig
from cloudspan_gateway.metadata import X_TENANT
from cloudspan_gateway.pipeline.authenticate import Authenticate
from cloudspan_gateway.pipeline.pipeline import CallerStages


@dataclass(frozen=True)
class Tenant:
    """What bounds a tenant; pools by their name, each with the tags of its clusters."""

    limits: Limits = field(default_factory=Limits)
    pools: Mapping[str, tuple[Limits, frozenset[str]]] = field(default_factory=dict)


class LimitedAccess(OpenAccess):
    """May do everything, within limits."""

    def __init__(self, tenant: str, bounds: Tenant) -> None:
        super().__init__(tenant)
        self._bounds = bounds

    def limits(self, ref: ClusterRef | None = None) -> Sequence[tuple[str, Limits]]:
        name = f"tenants/{self.tenant}"
        found = [(name, self._bounds.limits)]
        for pool, (limits, tags) in self._bounds.pools.items():
            if ref is not None and ref.cluster in tags:
                found.append((f"{name}/pools/{pool}", limits))
        return found


class _ByTenant:
    name = "x-tenant"

    async def authenticate(self, call: Call) -> Principal | None:
        tenant = call.header(X_TENANT)
        return Principal(f"users/{tenant}", tenant=tenant) if tenant else None


class LimitedGateway(Gateway):
    """A gateway of these tenants; others have no limits."""

    def __init__(
        self, config: GatewayConfig, registry: MemoryRegistry, clock: Clock, tenants: Mapping[str, Tenant]
    ) -> None:
        super().__init__(config, registry)
        self._time = clock
        self._tenants = tenants

    def _access_of(self, principal: Principal, _: str) -> Access:
        bounds = self._tenants.get(principal.tenant)
        return LimitedAccess(principal.tenant, bounds) if bounds else OpenAccess(principal.tenant)

    def _callers(self) -> CallerStages:
        return self._limiting(Authenticate([_ByTenant()], self._access_of))
