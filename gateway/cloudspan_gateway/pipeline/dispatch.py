"""What each kind of method is answered by: the gateway itself, an adapter, operations, or a fan-out over many.

The server asks `Dispatch` for the answer of a path; the innermost part of every call's way, below the interceptors.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from cloudspan_common import contract
from cloudspan_common.contract import Kind
from cloudspan_common.errors import InvalidRequest, Unsupported
from cloudspan_common.logs import bound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence

    from google.protobuf.message import Message

    from cloudspan_gateway.call import GatewayCall, Payload
    from cloudspan_gateway.pipeline.stages import Proceed
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.router import Router, Target
    from cloudspan_gateway.services.methods import OwnMethod

_REPEATABLE = frozenset({Kind.READ, Kind.LIST})


class Mutations(Protocol):
    """Takes mutations over: keeps the intent, answers with an operation."""

    async def mutate(self, method: contract.Method, request_bytes: bytes, request: Message, call: GatewayCall) -> bytes:
        """Return the serialized google.longrunning.Operation.

        `call.ref` is a cluster that is known and has the method; nobody has checked whether it is alive: an intent
        asked for again must be answered from the store all the same.
        """
        ...


class Lists(Protocol):
    """Answers lists whose parent holds a wildcard."""

    async def list_across(self, method: contract.Method, request: Message, call: GatewayCall) -> bytes:
        """Return the serialized list response; `call.ref` holds the wildcard."""
        ...


class Dispatch:
    """Chooses by the method's kind, once per path."""

    def __init__(
        self,
        router: Router,
        forwarder: Forwarder,
        *,
        own: Iterable[OwnMethod] = (),
        mutations: Mutations | None = None,
        lists: Lists | None = None,
    ) -> None:
        self._router = router
        self._forwarder = forwarder
        self._own = {method.path: method for method in own}
        self._mutations = mutations
        self._lists = lists

    def paths(self) -> Sequence[str]:
        """Return what is answered by more than tags: the contract and the gateway's own services."""
        return tuple(dict.fromkeys([*(method.path for method in contract.methods().values()), *self._own]))

    def streams(self, path: str) -> bool:
        """Whether a call of `path` is served as streams of messages."""
        if path in self._own:
            return self._own[path].streams
        method = contract.methods()[path[1:]]
        return method.client_streaming or method.server_streaming

    def answer_to(self, path: str) -> Proceed:
        """Return what answers calls of `path`."""
        if path in self._own:
            return partial(_own_answer, self._own[path])
        method = contract.methods()[path[1:]]
        if not method.routed_field:
            return _not_here
        if method.client_streaming or method.server_streaming:
            return partial(self._stream, method)
        if method.kind is Kind.MUTATION:
            return partial(self._mutate, method)
        return partial(self._list if method.kind is Kind.LIST else self._unary, method)

    async def _unary(self, method: contract.Method, call: GatewayCall, payload: Payload) -> bytes:
        target = self._router.resolve(method, _single(payload), call)
        return await self._forward(method, target, call)

    async def _list(self, method: contract.Method, call: GatewayCall, payload: Payload) -> bytes:
        target = self._router.resolve(method, _single(payload), call)
        if not target.ref.is_wildcard:
            return await self._forward(method, target, call)
        self._router.check(target.ref, method.full_name)
        if self._lists is None:
            raise Unsupported(f"this gateway lists one cluster at a time; {target.ref} names more", reason="NO_FAN_OUT")
        with bound(request_id=call.request_id, method=method.full_name):
            async with call.deadline.scope(f"{method.full_name} over {target.ref}"):
                return await self._lists.list_across(method, target.message, call)

    async def _mutate(self, method: contract.Method, call: GatewayCall, payload: Payload) -> bytes:
        target = self._router.resolve(method, _single(payload), call)
        self._router.check(target.ref, method.full_name)
        if self._mutations is None:
            raise Unsupported("this gateway keeps no operations; it only reads", reason="NO_OPERATIONS")
        with bound(request_id=call.request_id, method=method.full_name):
            async with call.deadline.scope(f"{method.full_name} on {target.ref}"):
                return await self._mutations.mutate(method, target.body, target.message, call)

    async def _forward(self, method: contract.Method, target: Target, call: GatewayCall) -> bytes:
        candidates = partial(self._router.links, target.ref, method.full_name)
        return await self._forwarder.unary(candidates, target.body, call, again=method.kind in _REPEATABLE)

    async def _stream(self, method: contract.Method, call: GatewayCall, payload: Payload) -> None:
        """The first message says where to; with a stream of requests the others follow it."""
        messages = _many(payload)
        first = await anext(messages, None)
        if first is None:
            raise InvalidRequest(f"{method.full_name} was called without a message", reason="NO_MESSAGE")
        target = self._router.resolve(method, first, call)
        requests = _chained(target.body, messages) if method.client_streaming else target.body
        candidates = partial(self._router.links, target.ref, method.full_name)
        await self._forwarder.stream(candidates, requests, call, again=method.kind in _REPEATABLE)

    async def pass_through(self, call: GatewayCall, payload: Payload) -> None:
        """Answer a call of a service that only some adapter knows: by tag alone, as byte streams of any shape."""
        ref, tags = self._router.tagged(call)
        call.ref = ref
        service = call.path[1:].rpartition("/")[0]
        candidates = partial(self._router.platform_links, ref, service)
        await self._forwarder.stream(candidates, _many(payload), call, tags=tags)


async def _own_answer(method: OwnMethod, call: GatewayCall, payload: Payload) -> bytes | None:
    if isinstance(payload, bytes):
        return await method.answer(payload, call)
    first = await anext(payload, None)
    if first is None:
        raise InvalidRequest(f"{method.path[1:]} was called without a message", reason="NO_MESSAGE")
    return await method.answer(first, call)


async def _not_here(call: GatewayCall, _payload: Payload) -> None:
    raise Unsupported(f"this gateway does not serve {call.path[1:]}", reason="METHOD_UNKNOWN")


def _single(payload: Payload) -> bytes:
    if isinstance(payload, bytes):
        return payload
    raise TypeError("a unary method was registered as a stream")


def _many(payload: Payload) -> AsyncIterator[bytes]:
    if isinstance(payload, bytes):
        raise TypeError("a streaming method was registered as unary")
    return payload


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for message in rest:
        yield message
