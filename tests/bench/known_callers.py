"""Tenants of a gateway with `--auth sessions`, made as an operator makes them; each has one user, who is logged in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudspan.client import AsyncClient
from cloudspan.v1 import policy_pb2, session_pb2, tenant_pb2, user_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.harness.processes import World

    Metadata = tuple[tuple[str, str], ...]

EVERYWHERE = "platforms/-/clusters/-"
_PASSWORD = "correct horse battery"
_OFFERED = re.compile(r"with this token; .*\n\n    (\S+)\n")


async def made(running: World, limits: Mapping[str, tenant_pb2.Limits]) -> dict[str, str]:
    """Create tenants with these limits; return a session's token for each."""
    offered = _OFFERED.search(running.gateway.log.read_text())
    assert offered is not None, "the gateway offers no administrator"
    async with AsyncClient(running.address, retries=False) as client:
        first = user_pb2.BootstrapAdministratorRequest(token=offered[1], user_id="root", password=_PASSWORD)
        await client.users.BootstrapAdministrator(first)
        metadata = (*bearer(await _logged_in(client, "root")), ("x-tenant", "-"))
        for tenant, bounds in limits.items():
            await _make(client, tenant, bounds, metadata)
        return {tenant: await _logged_in(client, tenant) for tenant in limits}


async def _make(client: AsyncClient, tenant: str, limits: tenant_pb2.Limits, metadata: Metadata) -> None:
    parent = f"tenants/{tenant}"
    row = tenant_pb2.Tenant(limits=limits)
    await client.tenants.CreateTenant(tenant_pb2.CreateTenantRequest(tenant_id=tenant, tenant=row), metadata=metadata)
    pool = tenant_pb2.Pool(clusters=[tenant_pb2.PoolCluster(cluster=EVERYWHERE)])
    asked = tenant_pb2.CreatePoolRequest(parent=parent, pool_id="all", pool=pool)
    await client.tenants.CreatePool(asked, metadata=metadata)
    user = user_pb2.CreateUserRequest(user_id=tenant, user=user_pb2.User(tenant=parent), password=_PASSWORD)
    await client.users.CreateUser(user, metadata=metadata)
    for member in (f"users/{tenant}", f"subjects/{tenant}"):
        binding = policy_pb2.Binding(member=member, role="roles/member", pool="-")
        wanted = policy_pb2.CreateBindingRequest(parent=parent, binding=binding)
        await client.policys.CreateBinding(wanted, metadata=metadata)


async def _logged_in(client: AsyncClient, user: str) -> str:
    session = await client.sessions.CreateSession(session_pb2.CreateSessionRequest(user=user, password=_PASSWORD))
    return str(session.token)


def bearer(token: str) -> Metadata:
    """Return the metadata of a call with a session's token or a JWT."""
    return (("authorization", f"Bearer {token}"),)
