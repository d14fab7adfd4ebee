"""A stage: one concern of every call, before and after it is answered.

`compose` wraps stages around what answers. gRPC's own server interceptors would cost tens of microseconds each, see no
message, and serve no other door; these are plain coroutines.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from cloudspan_gateway.call import Answer, Call

if TYPE_CHECKING:
    from collections.abc import Sequence

Proceed = Callable[[Call], Awaitable[Answer]]
"""Answers a call; the next stage inwards."""


class Stage(Protocol):
    """One concern of every call: it proceeds, or raises a CloudspanError instead."""

    def __call__(self, call: Call, proceed: Proceed) -> Awaitable[Answer]:
        """Return what `proceed` returns."""
        ...


def compose(stages: Sequence[Stage], answer: Proceed) -> Proceed:
    """Return what runs `stages` in their order around `answer`."""
    for stage in reversed(stages):
        answer = _around(stage, answer)
    return answer


def _around(stage: Stage, proceed: Proceed) -> Proceed:
    def staged(call: Call) -> Awaitable[Answer]:
        return stage(call, proceed)

    return staged
