"""What answers a call whose target is known: the gateway itself, an adapter, operations, or a list over many clusters.

The innermost part of the pipeline, behind the stages.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from cloudspan_common import contract
from cloudspan_common.contract import Kind
from cloudspan_common.errors import Unsupported
from cloudspan_common.logs import bound
from cloudspan_gateway.routing.projects import refuse_own_service

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.call import Answer, Call
    from cloudspan_gateway.pipeline.stages import Proceed
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.router import Router
    from cloudspan_gateway.services.methods import ServiceMethod

_REPEATABLE = frozenset({Kind.READ, Kind.LIST})


class Mutations(Protocol):
    """Takes mutations over: keeps the intent, answers with an operation."""

    async def mutate(self, method: contract.Method, ref: ClusterRef, call: Call) -> bytes:
        """Return the serialized google.longrunning.Operation.

        `ref` is a cluster that is known and has the method; nobody has checked whether it is alive: an intent asked
        for again must be answered from the store all the same.
        """
        ...


class Lists(Protocol):
    """Answers lists whose parent holds a wildcard."""

    async def list_across(self, method: contract.Method, call: Call) -> bytes:
        """Return the serialized list response; the target's cluster holds the wildcard."""
        ...


class StoredReads(Protocol):
    """Answers reads whose callers take an answer of some age, from the inventory where that will do."""

    def concerns(self, method: contract.Method, call: Call) -> bool:
        """Whether a call says so."""
        ...

    async def get(self, method: contract.Method, call: Call, live: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return one resource; `live` asks the platform."""
        ...

    async def list_page(self, method: contract.Method, call: Call, live: Callable[[], Awaitable[bytes]]) -> bytes:
        """Return a page of a list; `live` asks the platforms."""
        ...


class Dispatch:
    """Chooses by the method's kind, once per path."""

    def __init__(
        self,
        router: Router,
        forwarder: Forwarder,
        services: Iterable[ServiceMethod] = (),
        mutations: Mutations | None = None,
        lists: Lists | None = None,
        stored: StoredReads | None = None,
    ) -> None:
        self._router = router
        self._forwarder = forwarder
        self._mutations = mutations
        self._lists = lists
        self._stored = stored
        self._methods = {method.path: method for method in contract.methods().values()}
        self.own: Mapping[str, ServiceMethod] = {method.path: method for method in services}
        """What the gateway answers itself, by path."""
        self._answers: dict[str, Proceed] = {
            **{path: self._answer_of(method) for path, method in self._methods.items()},
            **{path: method.answer for path, method in self.own.items()},
        }

    def paths(self) -> Sequence[str]:
        return tuple(self._answers)

    def streams(self, path: str) -> bool:
        if path in self.own:
            return self.own[path].streams
        return self._methods[path].client_streaming or self._methods[path].server_streaming

    def __call__(self, call: Call) -> Awaitable[Answer]:
        return self._answers.get(call.path, self._pass_through)(call)

    def _answer_of(self, method: contract.Method) -> Proceed:
        if method.client_streaming or method.server_streaming:
            return partial(self._stream, method)
        if method.kind is Kind.MUTATION:
            return partial(self._mutate, method)
        if self._stored is not None and method.kind in _REPEATABLE and "max_staleness" in _fields(method):
            return partial(self._read, self._stored, method)
        return partial(self._list if method.kind is Kind.LIST else self._forward, method)

    def _read(self, stored: StoredReads, method: contract.Method, call: Call) -> Awaitable[bytes]:
        """Answer a List or a Get, from the inventory where its caller lets it; others pay for no coroutine more."""
        live = self._list if method.kind is Kind.LIST else self._forward
        if not stored.concerns(method, call):
            return live(method, call)
        answer = stored.list_page if method.kind is Kind.LIST else stored.get
        return _in_scope(method, call, partial(answer, method, call, partial(live, method, call)))

    async def _forward(self, method: contract.Method, call: Call) -> bytes:
        endpoints = partial(self._router.endpoints, _cluster(call), method.full_name, call.access)
        if method.kind in _REPEATABLE:
            return await self._forwarder.read(method, endpoints, call, _cluster(call))
        return await self._forwarder.unary(endpoints, call, again=False)

    async def _list(self, method: contract.Method, call: Call) -> bytes:
        ref = _cluster(call)
        if not ref.is_wildcard:
            return await self._forward(method, call)
        self._router.check(ref, method.full_name, call.access)
        if self._lists is None:
            raise Unsupported(f"this gateway lists one cluster at a time; {ref} names more", reason="NO_FAN_OUT")
        with bound(request_id=call.request_id, method=method.full_name):
            async with call.deadline.scope(f"{method.full_name} over {ref}"):
                return await self._lists.list_across(method, call)

    async def _mutate(self, method: contract.Method, call: Call) -> bytes:
        ref = _cluster(call)
        self._router.check(ref, method.full_name, call.access)
        if self._mutations is None:
            raise Unsupported("this gateway keeps no operations; it only reads", reason="NO_OPERATIONS")
        with bound(request_id=call.request_id, method=method.full_name):
            async with call.deadline.scope(f"{method.full_name} on {ref}"):
                return await self._mutations.mutate(method, ref, call)

    async def _stream(self, method: contract.Method, call: Call) -> None:
        endpoints = partial(self._router.endpoints, _cluster(call), method.full_name, call.access)
        await self._forwarder.stream(endpoints, call, again=method.kind in _REPEATABLE)

    async def _pass_through(self, call: Call) -> None:
        """Answer a call of a service that only some adapter knows: by tag alone, as byte streams of any shape."""
        refuse_own_service(call, _cluster(call))
        service = call.target.method.rpartition("/")[0]
        endpoints = partial(self._router.platform_endpoints, _cluster(call), service, call.access)
        await self._forwarder.stream(endpoints, call)


async def _in_scope(method: contract.Method, call: Call, answer: Callable[[], Awaitable[bytes]]) -> bytes:
    with bound(request_id=call.request_id, method=method.full_name):
        async with call.deadline.scope(method.full_name):
            return await answer()


def _fields(method: contract.Method) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", method.request.DESCRIPTOR.fields_by_name)


def _cluster(call: Call) -> ClusterRef:
    if call.target.ref is None:
        raise TypeError(f"{call.path} was not routed")
    return call.target.ref
