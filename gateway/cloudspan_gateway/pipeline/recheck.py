"""Whether the caller of a stream may still have it: asked again each second, since a stream may last for days.

Stands behind authorize, where callers are known. Any other call keeps what it began with.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cloudspan_common.clock import finished
from cloudspan_common.errors import CloudspanError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cloudspan_common.clock import Clock
    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.route import Route
    from cloudspan_gateway.pipeline.stages import Proceed, Stage

EACH_S = 1.0


class Recheck:
    """The stage that ends a stream whose caller has lost its credential or its permission."""

    def __init__(
        self, authenticate: Stage, route: Route, authorize: Stage, streams: Callable[[str], bool], clock: Clock
    ) -> None:
        """Take the stages that are passed again, and what says of a path whether its calls are streams."""
        self._authenticate = authenticate
        self._route = route
        self._authorize = authorize
        self._streams = streams
        self._clock = clock

    def __call__(self, call: Call, proceed: Proceed) -> Awaitable[Answer]:
        if not self._streams(call.path) or not call.principal.authenticated:
            return proceed(call)
        return self._watched(call, proceed)

    async def _watched(self, call: Call, proceed: Proceed) -> Answer:
        answering = asyncio.ensure_future(proceed(call))
        try:
            while not await finished(self._clock, answering, EACH_S):
                await self._check(call)
            return answering.result()
        finally:
            if not answering.done():
                answering.cancel()
                await asyncio.wait({answering})

    async def _check(self, call: Call) -> None:
        try:
            await self._authenticate(call, self._permitted)
        except Unreachable:
            return  # who could say is away: what was said last holds
        except CloudspanError as error:
            text = f"the stream is ended, since its caller may no longer have it: {error.message}"
            raise type(error)(text, reason=error.reason, metadata=error.metadata) from error

    async def _permitted(self, call: Call) -> Answer:
        self._route.narrow(call)
        return await self._authorize(call, _nothing)


async def _nothing(_call: Call) -> Answer:
    return None
