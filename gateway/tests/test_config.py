"""What the configuration refuses."""

from __future__ import annotations

import pytest

from cloudspan_gateway.config import GatewayConfig


@pytest.mark.parametrize("pool", ["gold", "gold=east", "Gold=platforms/p/clusters/c", "gold=platforms/p/clusters/-"])
def test_a_malformed_pool_is_refused_at_the_start(pool):
    """A pool is NAME=platforms/PLATFORM/clusters/CLUSTER."""
    with pytest.raises(ValueError, match=r"is not a pool|expected the form"):
        GatewayConfig(pool=(pool,)).pools  # noqa: B018 - the property is what raises
