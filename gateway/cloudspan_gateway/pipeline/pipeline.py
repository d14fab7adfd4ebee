"""What every call passes, in one place and in order, whatever door it came by.

The composition root builds one `Pipeline` and hands it to each door.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cloudspan_gateway.pipeline.authenticate import Authenticate
from cloudspan_gateway.pipeline.authorize import Authorize
from cloudspan_gateway.pipeline.context import add_context
from cloudspan_gateway.pipeline.errors import Errors
from cloudspan_gateway.pipeline.recheck import Recheck
from cloudspan_gateway.pipeline.route import Route
from cloudspan_gateway.pipeline.stages import compose
from cloudspan_gateway.pipeline.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.pipeline.dispatch import Dispatch
    from cloudspan_gateway.pipeline.metrics import GatewayMetrics
    from cloudspan_gateway.pipeline.stages import Proceed, Stage
    from cloudspan_gateway.routing.router import Router


@dataclass(frozen=True, slots=True)
class CallerStages:
    """What a call passes because of who makes it; without any, everybody may do everything and nothing is recorded."""

    audit: Stage | None = None
    authenticate: Authenticate = field(default_factory=Authenticate)
    describe: Stage | None = None
    """Says behind all others that may refuse what the audit is to keep of the call."""
    limit_tenant: Stage | None = None
    """Before a request is read."""
    limit: Stage | None = None
    """What is known of limits once the target is: those of the caller's pool."""
    clock: Clock | None = None
    """By which callers of streams are asked about again; without one they are not."""


class Pipeline:
    """The stages, outermost first, and the dispatch that answers behind them."""

    def __init__(
        self, metrics: GatewayMetrics, router: Router, dispatch: Dispatch, callers: CallerStages | None = None
    ) -> None:
        self._dispatch = dispatch
        self._known = frozenset(dispatch.paths())
        callers = callers or CallerStages()
        self.is_open = callers.authenticate.is_open
        """Whether nobody is asked who he is."""
        who = (Errors(metrics), add_context, callers.audit, callers.authenticate)  # audit before those that may refuse
        self._identify = _present(who)
        route, authorize, recheck = Route(router, dispatch.own), Authorize(router), None
        if callers.clock is not None and not self.is_open:
            recheck = Recheck(callers.authenticate, route, authorize, self._may_last, callers.clock)
        before = (Telemetry(metrics), *who, callers.limit_tenant)
        behind = (route, callers.limit, authorize, callers.describe, recheck)
        self.stages = _present((*before, *behind))
        self.answer: Proceed = compose(self.stages, self._dispatch)
        """Answers a call. Never raises but for a cancel: a call that failed has an `ending` instead."""

    def __repr__(self) -> str:
        return f"<Pipeline {len(self.stages)} stages, {len(self.paths())} methods>"

    def identified(self, answer: Proceed) -> Proceed:
        """Return what answers a call with `answer`, once it is known who asks: for what is beside the contract.

        Never raises but for a cancel, as the pipeline's own `answer`.
        """
        return compose(self._identify, answer)

    def paths(self) -> Sequence[str]:
        """Return what is answered by more than tags: the contract and the gateway's own services."""
        return self._dispatch.paths()

    def _may_last(self, path: str) -> bool:
        return path not in self._known or self._dispatch.streams(path)

    def streams(self, path: str) -> bool:
        """Whether calls of `path` take or give more than one message; any may, of what is not in `paths`."""
        return self._dispatch.streams(path)


def _present(stages: Iterable[Stage | None]) -> Sequence[Stage]:
    return tuple(stage for stage in stages if stage is not None)
