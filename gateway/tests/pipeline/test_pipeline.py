"""The stages in their order."""

from __future__ import annotations

from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_gateway.pipeline.authenticate import Authenticate
from cloudspan_gateway.pipeline.authorize import Authorize
from cloudspan_gateway.pipeline.context import add_context
from cloudspan_gateway.pipeline.dispatch import Dispatch
from cloudspan_gateway.pipeline.errors import Errors
from cloudspan_gateway.pipeline.metrics import GatewayMetrics
from cloudspan_gateway.pipeline.pipeline import Pipeline
from cloudspan_gateway.pipeline.route import Route
from cloudspan_gateway.pipeline.telemetry import Telemetry
from cloudspan_gateway.routing.forward import Forwarder
from cloudspan_gateway.routing.router import Router
from cloudspan_gateway.routing.table import Table


async def test_every_call_passes_telemetry_errors_context_authentication_route_and_authorization() -> None:
    """Who asks is known before where to, and whether it may once both are; each path is known with its shape."""
    table = Table(MemoryRegistry())
    router = Router(table)
    pipeline = Pipeline(GatewayMetrics(), router, Dispatch(router, Forwarder(table)))
    assert [getattr(stage, "__name__", type(stage).__name__) for stage in pipeline.stages] == [
        Telemetry.__name__, Errors.__name__, add_context.__name__, Authenticate.__name__, Route.__name__,
        Authorize.__name__,
    ]  # fmt: skip
    assert "/cloudspan.v1.ServerService/GetServer" in pipeline.paths()
    assert not pipeline.streams("/cloudspan.v1.ServerService/GetServer")
