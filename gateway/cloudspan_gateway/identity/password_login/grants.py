"""What users need of the policy: who is an administrator, which tenants there are, and where somebody has a role.

So that a user and its bindings come and go in one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from cloudspan.v1 import policy_pb2, tenant_pb2
from cloudspan_common.errors import PreconditionFailed
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.store import Changes, bindings_of, write
from cloudspan_gateway.identity.password_login import users
from cloudspan_gateway.storage.tables import bindings, roles, tenants

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.access.policy import Row
    from cloudspan_gateway.storage.engine import Database

DEFAULT_TENANT = "default"
_ADMIN, _ADMINISTER = "roles/admin", "administer"
_FIRST_BINDING = "first-administrator"
_EVERY_POOL = ("", "-")


class Grants:
    """The policy's rows, as far as users are concerned; each function works within the transaction of `conn`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def grant_installation_admin(self, conn: Connection, member: str) -> None:
        """Make a member administrator of the installation, and the tenant `default` if it is not there."""
        now = int(self._clock.now() * 1e9)
        binding = policy_pb2.Binding(
            name=f"tenants/{EVERY_TENANT}/bindings/{_FIRST_BINDING}", member=member, role=_ADMIN, creator=member
        )
        binding.create_time.FromNanoseconds(now)
        kept: list[Row] = [binding]
        if not self.has_tenant(conn, DEFAULT_TENANT):
            tenant = tenant_pb2.Tenant(name=f"tenants/{DEFAULT_TENANT}")
            tenant.create_time.FromNanoseconds(now)
            kept.append(tenant)
        write(conn, self._database, Changes(kept=kept))

    def check_not_last(self, conn: Connection, member: str) -> None:
        """Return if somebody else who can log in may administer the installation.

        Raises:
            PreconditionFailed: LAST_ADMINISTRATOR.
        """
        asked = select(bindings.c.row).where(bindings.c.tenant == EVERY_TENANT).order_by(bindings.c.binding)
        # Locked: two administrators must not take each other away at two gateways.
        rows = conn.execute(asked.with_for_update()).scalars()
        found = {binding.member for binding in map(policy_pb2.Binding.FromString, rows) if _administers(conn, binding)}
        if member in found and not any(_works(conn, other) for other in found - {member}):
            text = f"{member} is the only administrator of the installation"
            text = f"{text}; give somebody else the role `admin` on tenants/{EVERY_TENANT} first"
            raise PreconditionFailed(text, reason="LAST_ADMINISTRATOR", resource=member)

    def revoke_all(self, conn: Connection, member: str) -> None:
        """Delete all bindings of a member."""
        found = bindings_of(conn, member)
        if found:
            write(conn, self._database, Changes(deleted=found))

    def tenants_of(self, conn: Connection, members: Collection[str]) -> frozenset[str]:
        """Return the ids of the tenants in which somebody of these names has a role; `-` for all of them."""
        asked = select(bindings.c.tenant).where(bindings.c.member.in_(list(members)))
        return frozenset(conn.execute(asked).scalars())

    def has_tenant(self, conn: Connection, tenant: str) -> bool:
        """Whether there is a tenant of this id."""
        return conn.execute(select(tenants.c.tenant).where(tenants.c.tenant == tenant)).first() is not None


def _administers(conn: Connection, binding: policy_pb2.Binding) -> bool:
    if binding.pool not in _EVERY_POOL:
        return False
    if binding.role == _ADMIN:
        return True
    row = conn.execute(select(roles.c.row).where(roles.c.role == binding.role.removeprefix("roles/"))).scalar()
    return row is not None and _ADMINISTER in policy_pb2.Role.FromString(row).permissions


def _works(conn: Connection, member: str) -> bool:
    """Whether a member can log in, as far as this gateway knows."""
    if not member.startswith("users/"):
        return True
    row = users.find(conn, member.removeprefix("users/"))
    return row is not None and not row.message.disabled
