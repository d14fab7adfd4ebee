"""Locks, leaders and members of groups; the drivers are memory, consul, and the gateway's own over its database."""

from __future__ import annotations

from cloudspan_common.registry.coordination.base import LEASE_S, Coordinator, Held, Membership
from cloudspan_common.registry.coordination.while_held import while_held

__all__ = ["LEASE_S", "Coordinator", "Held", "Membership", "while_held"]
