"""Who may call an adapter that has certificates: its gateway everything, those it names the contract, others nothing.

The runner puts `Callers` before all services. An identity is a DNS name of the caller's certificate, which gRPC has
checked against the authority.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc
import structlog

from cloudspan_common import errors
from cloudspan_common.errors import Forbidden

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]

log = structlog.get_logger(__name__)

GATEWAY = "gateway.cloudspan"
"""A dot keeps it apart from every adapter: by default theirs is their platform's tag, which has none."""
_GATEWAY_ONLY = frozenset(
    {
        "cloudspan.adapter.v1.StepService",
        "cloudspan.adapter.v1.MarkService",
        "cloudspan.adapter.v1.SweepService",
    }
)
# Whoever watches over processes; it tells nothing.
_OPEN = frozenset({"grpc.health.v1.Health"})


class Callers:
    """Refuses the calls of those who may not make them."""

    def __init__(self, gateway: str, others: Collection[str] = ()) -> None:
        self._gateway = frozenset({gateway})
        self._all = self._gateway.union(others)

    def __repr__(self) -> str:
        return f"<Callers: steps {', '.join(self._gateway)}; calls {', '.join(sorted(self._all))}>"

    def guarded(self, handler: Handler, details: grpc.HandlerCallDetails) -> Handler:
        """Return the method's handler, behind the check of its caller."""
        method = details.method.removeprefix("/")
        service = method.partition("/")[0]
        if service in _OPEN:
            return handler
        allowed = self._gateway if service in _GATEWAY_ONLY else self._all
        return behind(handler, lambda context: _check(context, method, allowed))


def identities(context: Context) -> frozenset[str]:
    """Return the DNS names of the caller's certificate; none without TLS."""
    return frozenset(name.decode(errors="replace") for name in context.auth_context().get("peer_dns", ()))


async def _check(context: Context, method: str, allowed: frozenset[str]) -> None:
    who = identities(context)
    if who & allowed:
        return
    shown = ", ".join(sorted(who)) or "nobody"
    log.warning("caller refused", caller=shown, method=method, peer=context.peer())
    text = (
        f"{method} is not for {shown}; allowed: {', '.join(sorted(allowed))}. "
        "Call the gateway, or name the caller with --tls-caller"
    )
    await context.abort(Forbidden.code, *errors.ending(Forbidden(text, reason="CALLER_NOT_ALLOWED"), ""))


def behind(handler: Handler, check: Callable[[Context], Awaitable[None]]) -> Handler:
    """Return the same handler with `check` before it.

    `RequestLimits`, before all services, has made it one of a stream of requests.
    """
    function: Any = handler.stream_stream if handler.response_streaming else handler.stream_unary
    made: Any = (
        grpc.stream_stream_rpc_method_handler if handler.response_streaming else grpc.stream_unary_rpc_method_handler
    )

    async def checked(requests: Any, context: Context) -> Any:
        await check(context)
        return await function(requests, context)

    return made(checked, handler.request_deserializer, handler.response_serializer)
