"""Where a call leads: method, cluster and names, read from its request or its tags before anybody judges or acts.

The one place that sets `Call.target`. Whether the target is there and alive is for dispatch to ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common import contract
from cloudspan_common.errors import InvalidRequest, Unsupported
from cloudspan_common.names import parse_cluster
from cloudspan_gateway.call import Target
from cloudspan_gateway.metadata import POOL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.stages import Proceed
    from cloudspan_gateway.routing.router import Router
    from cloudspan_gateway.services.methods import ServiceMethod


class Route:
    """The stage that sets the target."""

    def __init__(self, router: Router, own: Mapping[str, ServiceMethod]) -> None:
        self._router = router
        self._own = own
        self._methods = {method.path: method for method in contract.methods().values()}

    async def __call__(self, call: Call, proceed: Proceed) -> Answer:
        method = self._methods.get(call.path)
        if method is not None and method.routed_field and call.path not in self._own:
            rest = call.payload
            first = rest if isinstance(rest, bytes) else await _first(rest, call)
            call.target = self._router.resolve(method, first, call.tags, call.access)
            # The first message says where to; of a client's stream the others follow it.
            if isinstance(rest, bytes) or not method.client_streaming:
                call.payload = call.target.body
            else:
                call.payload = _chained(call.target.body, rest)
        elif call.path in self._own:
            body = call.payload if isinstance(call.payload, bytes) else await _first(call.payload, call)
            call.target = _target_of(self._own[call.path], body)
        elif method is None:
            call.target = self._router.tagged(call.path, call.tags, call.access)
        else:
            raise Unsupported(f"this gateway does not serve {call.path[1:]}", reason="METHOD_UNKNOWN")
        self.narrow(call)
        return await proceed(call)

    def narrow(self, call: Call) -> None:
        """Leave of the call's access what its x-pool says; the gateway's own services ask for that where it matters.

        Raises:
            NotFound: The caller has no such pool.
        """
        if POOL in call.tags and call.path not in self._own:
            call.access = self._router.tags.narrowed(call.tags, call.access)


async def _first(messages: AsyncIterator[bytes], call: Call) -> bytes:
    first = await anext(messages, None)
    if first is None:
        raise InvalidRequest(f"{call.path[1:]} was called without a message", reason="NO_MESSAGE")
    return first


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for message in rest:
        yield message


def _target_of(method: ServiceMethod, body: bytes) -> Target:
    """What the gateway answers itself names its parent or its resource where the contract does; some name none."""
    message = method.parse(body)
    names = tuple(str(name) for field in ("name", "parent") if (name := getattr(message, field, "")))
    return Target(method.path[1:], _cluster_of(names), names, message, body)


def _cluster_of(names: tuple[str, ...]) -> ClusterRef | None:
    for name in names:
        if name.startswith("platforms/"):
            try:
                ref = parse_cluster(name)
            except InvalidRequest:
                continue  # a platform's own name, or one that the service refuses in words of its own
            return None if ref.is_wildcard else ref
    return None
