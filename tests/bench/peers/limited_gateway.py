"""Peer: the gateway for the tenants of the benchmarks of callers, who are whom their metadata x-tenant says.

Takes the gateway's options.
"""

from __future__ import annotations

import asyncio

from gateway.tests.limited_callers import LimitedGateway, Tenant

from cloudspan.v1.tenant_pb2 import Limits
from cloudspan_common.clock import SystemClock
from cloudspan_common.registry import open_registry
from cloudspan_common.service import run
from cloudspan_gateway.config import GatewayConfig

TENANTS = {
    "steady": Tenant(Limits(calls=1_000, streams=1_000, request_bytes=2**30)),
    "calls": Tenant(Limits(calls=8)),
    "creates": Tenant(Limits(creates_per_minute=300)),
}


async def serve(config: GatewayConfig, stop: asyncio.Event) -> None:
    """Run it until `stop`."""
    gateway = LimitedGateway(config, open_registry(config.registry), SystemClock(), TENANTS)
    async with gateway.running():
        await gateway.until(stop)


if __name__ == "__main__":
    run(GatewayConfig, serve, name="cloudspan-gateway")
