"""What every call passes, in one place and in order, whatever door it came by.

The composition root builds one `Pipeline` and hands it to each door.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_gateway.pipeline.context import add_context
from cloudspan_gateway.pipeline.dispatch import Dispatch
from cloudspan_gateway.pipeline.errors import Errors
from cloudspan_gateway.pipeline.route import Route
from cloudspan_gateway.pipeline.stages import compose
from cloudspan_gateway.pipeline.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudspan_gateway.pipeline.dispatch import Lists, Mutations
    from cloudspan_gateway.pipeline.metrics import GatewayMetrics
    from cloudspan_gateway.pipeline.stages import Proceed, Stage
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.router import Router
    from cloudspan_gateway.services.methods import ServiceMethod


class Pipeline:
    """The stages, outermost first, and the dispatch that answers behind them.

    Authentication belongs between context and route, authorization and audit between route and dispatch: there a
    call's target is known and nothing has been done yet.
    """

    def __init__(
        self,
        router: Router,
        forwarder: Forwarder,
        metrics: GatewayMetrics,
        services: Iterable[ServiceMethod] = (),
        *,
        mutations: Mutations | None = None,
        lists: Lists | None = None,
    ) -> None:
        own = {method.path: method for method in services}
        self._dispatch = Dispatch(router, forwarder, own, mutations, lists)
        self.stages: Sequence[Stage] = (Telemetry(metrics), Errors(metrics), add_context, Route(router, own))
        self.answer: Proceed = compose(self.stages, self._dispatch)
        """Answers a call. Never raises but for a cancel: a call that failed has an `ending` instead."""

    def __repr__(self) -> str:
        return f"<Pipeline {len(self.stages)} stages, {len(self.paths())} methods>"

    def paths(self) -> Sequence[str]:
        """Return what is answered by more than tags: the contract and the gateway's own services."""
        return self._dispatch.paths()

    def streams(self, path: str) -> bool:
        """Whether calls of `path` take or give more than one message; any may, of what is not in `paths`."""
        return self._dispatch.streams(path)
