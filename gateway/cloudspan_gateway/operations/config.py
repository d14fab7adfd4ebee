"""What the runner of operations goes by; the gateway's configuration fills it in."""

from __future__ import annotations

from dataclasses import dataclass

from cloudspan_gateway.operations.slots import PER_CLUSTER

LEASE_S = 45.0
MIN_LEASE_S = 4.5
"""Gives a step 3 s. An adapter sends no write with less than 2 s left, so with 3 s of lease nothing was ever made."""
# A step never outlives the right to take it: the call's deadline ends before the lease does.
_STEP_SHARE = 2 / 3


@dataclass(frozen=True, slots=True)
class OperationsConfig:
    """How operations are run."""

    installation: str = "main"
    """Part of every marker; at most 8 lower-case letters and digits."""
    lease_s: float = LEASE_S
    """How long the claims of a gateway that died hold, in seconds."""
    keep_s: float = 30 * 86_400.0
    """How long an operation can be read after its end, in seconds."""
    steps_per_cluster: int = PER_CLUSTER
    """How many steps may be under way on one cluster."""
    steps_per_tenant: int = 0
    """How many of them on behalf of one tenant; as many as for the cluster when 0."""
    removed_after_s: float = 600.0
    """How long a cluster must be missing from its adapters to count as removed, in seconds."""

    @property
    def step_timeout_s(self) -> float:
        return self.lease_s * _STEP_SHARE
