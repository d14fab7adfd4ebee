"""On whose behalf an adapter is called: by the context that its gateway signs.

The runner puts a `ContextGuard` before all services. It follows the gateways' public keys in the registry: with the
first one that it finds every call needs a context, and goes on needing one as long as the process lives.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import structlog

from cloudspan_common import errors
from cloudspan_common.clock import SystemClock
from cloudspan_common.errors import CloudspanError, Forbidden
from cloudspan_common.registry.base import Reach
from cloudspan_kit.cluster import NOBODY, Caller
from cloudspan_kit.serve.callers import behind

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc

    from cloudspan_common.clock import Clock
    from cloudspan_common.registry.context_keys import ContextKeys
    from cloudspan_kit.serve.context_verifier import ContextVerifier

    Context = grpc.aio.ServicerContext[Any, Any]
    Handler = grpc.RpcMethodHandler[Any, Any]

MODES = ("auto", "required", "off")
AUTO, REQUIRED, OFF = MODES
READ_EVERY_S = 2.0
ON_DEMAND_S = 1.0
"""So often at most a call with an unknown key has the keys read."""
CONTEXT = "x-cloudspan-context"
_SENT = frozenset({CONTEXT, "x-cloudspan-context-proof", "x-request-id", "traceparent"})
# Whoever watches over processes, and what describes messages: neither tells of anybody's clouds.
_OPEN = ("grpc.health.v1.", "grpc.reflection.")
_caller: ContextVar[Caller] = ContextVar("caller", default=NOBODY)

log = structlog.get_logger(__name__)


def caller() -> Caller:
    """Return on whose behalf the call is that is being served; `NOBODY` where callers are not authenticated."""
    return _caller.get()


class ContextGuard:
    """Refuses calls without a valid context once gateways sign them."""

    def __init__(self, platform: str, mode: str = AUTO, clock: Clock | None = None) -> None:
        self._platform, self._mode = platform, mode
        self._clock = clock or SystemClock()
        self._registry: ContextKeys | None = None
        self._verifier: ContextVerifier | None = None
        self._read_at = float("-inf")
        self._reach = Reach("context keys")
        self._reading = asyncio.Lock()
        self._required = mode == REQUIRED
        self.stamp: tuple[tuple[str, str], ...] = ()
        """What the adapter's answers are stamped with: a refusal is its own word, not a lost instance."""

    def __repr__(self) -> str:
        state = "required" if self._required else self._mode
        return f"<ContextGuard {state} | {self._verifier!r} | registry {self._reach!r}>"

    async def follow(self, registry: ContextKeys) -> None:
        """Read the keys once; `run` goes on reading."""
        if self._mode != OFF:
            self._registry = registry
            await self._read()

    async def run(self) -> None:
        """Follow the keys until cancelled."""
        while True:
            await self._clock.sleep(READ_EVERY_S)
            async with self._reading:
                await self._read()

    async def _read(self) -> None:
        if self._registry is None:
            return
        self._read_at = self._clock.monotonic()
        try:
            found = await self._registry.read()
        except CloudspanError as error:  # those that are known go on counting
            self._reach.lost(error)
            return
        self._reach.found()
        if found and not self._required:
            self._required = True
            log.info("calls need a gateway's signed context from now on", platform=self._platform)
        if self._required:
            self._verifying().know(found)

    def _verifying(self) -> ContextVerifier:
        if self._verifier is None:
            from cloudspan_kit.serve.context_verifier import ContextVerifier  # noqa: PLC0415 - see its first lines

            self._verifier = ContextVerifier(self._platform)
        return self._verifier

    def public_key(self) -> bytes:
        """Return what the adapter's description says; empty while no call needs a context."""
        return self._verifying().public_key if self._required else b""

    def guarded(self, handler: Handler, details: grpc.HandlerCallDetails) -> Handler:
        """Return the method's handler, behind the check of its call's context."""
        method = details.method.removeprefix("/")
        if self._mode == OFF or method.startswith(_OPEN):
            return handler
        metadata: Any = details.invocation_metadata or ()
        sent = {key: value for key, value in metadata if key in _SENT and isinstance(value, str)}
        context = sent.get(CONTEXT)
        if not self._required and context is None:
            return handler
        # gRPC asks for the handler in the call's own task. What needs no wait is done here: a coroutine more costs.
        verifier = self._verifier
        if verifier is not None and context is not None and verifier.has_verified(context):
            try:
                _caller.set(verifier.verify(method, sent, self._clock.now()))
            except ValueError:
                pass  # it is refused in words below
            else:
                return handler
        return behind(handler, lambda context: self._check(context, method, sent))

    async def _check(self, context: Context, method: str, sent: Mapping[str, str]) -> None:
        if not self._required:
            await self._read_on_demand()  # its gateway has just begun to sign
            if not self._required:
                return
        try:
            _caller.set(await self._verify(method, sent))
        except ValueError as error:
            log.warning("call refused", method=method, why=str(error), peer=context.peer())
            text = (
                f"{method} needs a context signed by a gateway, and {error}. Call the gateway, not its adapter; check "
                "that both use the same registry and that their clocks agree"
            )
            refused = Forbidden(text, reason="CONTEXT_REFUSED")
            message, trailers = errors.ending(refused, sent.get("x-request-id", ""))
            await context.abort(refused.code, message, (*self.stamp, *trailers))

    async def _verify(self, method: str, sent: Mapping[str, str]) -> Caller:
        verifier = self._verifying()
        if CONTEXT in sent and not verifier.knows_key_of(sent[CONTEXT]):
            await self._read_on_demand()
        return verifier.verify(method, sent, self._clock.now())

    async def _read_on_demand(self) -> None:
        async with self._reading:  # one reads, the others see what it found
            if self._clock.monotonic() - self._read_at >= ON_DEMAND_S:
                await self._read()
