"""What the configuration refuses."""

from __future__ import annotations

import pytest

from cloudspan_gateway.config import GatewayConfig


@pytest.mark.parametrize("claim", ["openstack", "openstack=", "Open Stack=adapter.example", "=adapter.example"])
def test_a_malformed_claim_is_refused_at_the_start(claim):
    """A claim is PLATFORM=IDENTITY."""
    with pytest.raises(ValueError, match="is not a claim"):
        GatewayConfig(claim=(claim,)).claims  # noqa: B018 - the property is what raises
