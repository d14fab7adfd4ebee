"""`python -m cloudspan_gateway`, the gateway as a process."""

from __future__ import annotations

from cloudspan_common.service import run
from cloudspan_gateway.app import serve
from cloudspan_gateway.config import GatewayConfig


def main() -> None:
    """Run the gateway until a signal."""
    run(GatewayConfig, serve, name="cloudspan-gateway")


if __name__ == "__main__":
    main()
