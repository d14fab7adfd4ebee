"""What happens to every call before and after it is answered: a visible tuple of stages, composed once.

The server wraps each method's answer with `compose(stages, answer)`. gRPC's own server interceptors would cost tens
of microseconds each and see no message; these are plain coroutines.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from cloudspan_gateway.call import Answer, GatewayCall, Payload

Proceed = Callable[[GatewayCall, Payload], Awaitable[Answer]]
"""Answers a call; the next stage inwards."""


class Stage(Protocol):
    """One concern of every call: it proceeds, or raises a CloudspanError instead."""

    async def __call__(self, call: GatewayCall, payload: Payload, proceed: Proceed) -> Answer:
        """Return what `proceed` returns."""
        ...


def compose(stages: Sequence[Stage], answer: Proceed) -> Proceed:
    """Return what runs `stages` in their order around `answer`."""
    for stage in reversed(stages):
        answer = _around(stage, answer)
    return answer


def _around(stage: Stage, proceed: Proceed) -> Proceed:
    def staged(call: GatewayCall, payload: Payload) -> Awaitable[Answer]:
        return stage(call, payload, proceed)

    return staged
