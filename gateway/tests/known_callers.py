"""A gateway that knows its callers by the name that they send, and policy rows for them.

Real credentials have tests of their own; here `authorization: Bearer alice` is users/alice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cloudspan.v1 import policy_pb2, tenant_pb2
from cloudspan_common.clock import Clock
from cloudspan_common.errors import Unauthenticated
from cloudspan_common.registry import Registry
from cloudspan_gateway import app
from cloudspan_gateway.access.policy import Row
from cloudspan_gateway.access.principal import Principal
from cloudspan_gateway.call import Call
from cloudspan_gateway.config import GatewayConfig

EAST, WEST = "platforms/openstack/clusters/east", "platforms/openstack/clusters/west"


class ByName:
    """Believes who a caller says it is."""

    name = "name"

    async def authenticate(self, call: Call) -> Principal | None:
        kind, _, name = call.header("authorization").partition(" ")
        if kind != "Bearer":
            return None
        if name == "nobody":
            raise Unauthenticated("nobody is not a user")
        return Principal(f"users/{name}")


class Guarded(app.Gateway):
    """A gateway that asks who is calling."""

    def __init__(self, config: GatewayConfig, registry: Registry, clock: Clock | None = None) -> None:
        super().__init__(replace(config, auth=("sessions",)), registry, clock)

    def _authenticators(self) -> Sequence[ByName]:
        return (ByName(),)


def as_user(name: str, *metadata: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the metadata of a call."""
    return (("authorization", f"Bearer {name}"), *metadata)


def tenant(name: str, **fields: object) -> Row:
    return tenant_pb2.Tenant(name=f"tenants/{name}", **fields)


def pool(of: str, name: str, *clusters: str, project: str = "", **fields: object) -> Row:
    having = [tenant_pb2.PoolCluster(cluster=cluster, project_id=project) for cluster in clusters]
    return tenant_pb2.Pool(name=f"tenants/{of}/pools/{name}", clusters=having, **fields)


def role(name: str, *permissions: str) -> Row:
    return policy_pb2.Role(name=f"roles/{name}", permissions=permissions)


def binding(of: str, user: str, role: str, pool: str = "-") -> Row:
    name = f"tenants/{of}/bindings/{user}-{role}-{pool.replace('-', 'all')}"
    return policy_pb2.Binding(name=name, member=f"users/{user}", role=f"roles/{role}", pool=pool)
