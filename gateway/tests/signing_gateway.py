"""A gateway that signs its calls to adapters although it knows none of its callers."""

from __future__ import annotations

from cloudspan_gateway.app import Gateway


class SigningGateway(Gateway):
    """Open to callers; adapters get contexts all the same, of nobody."""

    def _signs(self) -> bool:
        return True
