"""The HTTP server below a fake cloud: one port, the cloud's own clock in its answers, broken connections on demand.

A fake's `FakeCloud` is a `FakeServer` that carries out calls; its `__main__` runs it through `program`.
"""

from __future__ import annotations

import abc
import asyncio
import socket
import struct
from email.utils import formatdate
from http.client import responses
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

import msgspec
from aiohttp import web

from cloudspan_kit.fakes import faults
from cloudspan_kit.fakes.faults import Body, RuleT
from cloudspan_kit.fakes.pages import LOGIN_PAGE, foreign_body
from cloudspan_kit.fakes.wire import HTML, TEXT, Call, Json, Reply

if TYPE_CHECKING:
    from types import TracebackType

    from cloudspan_common.clock import Clock
    from cloudspan_kit.fakes.control import CloudControl
    from cloudspan_kit.fakes.timeline import Timeline

CallT = TypeVar("CallT", bound=Call)

_SHUTDOWN_S = 0.05
_BACKLOG = 512


class World(Protocol):
    """What every fake's store holds: time, what is to come, and how long the cloud's own work takes."""

    timing: Any

    @property
    def clock(self) -> Clock: ...
    @property
    def timeline(self) -> Timeline: ...
    def now(self) -> float:
        """Return the cloud's own unix time."""
        ...


class FakeServer(abc.ABC, Generic[CallT, RuleT]):
    """Listens for a fake cloud, meets faults on the way, notes every request; the fake carries out the calls."""

    control: CloudControl[RuleT, Any]
    _page_faults: ClassVar[frozenset[str]] = frozenset({faults.HALF_PAGE})
    _max_body = 1024**2

    def __init__(self, world: World, host: str, port: int) -> None:
        self._world, self._host, self._port = world, host, port
        self._runner: web.AppRunner | None = None
        self._closing = asyncio.Event()

    @property
    def base_url(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen; port 0 takes a free one."""
        app = web.Application(client_max_size=self._max_body)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port, backlog=_BACKLOG)
        await site.start()
        self._port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening; calls that hang are reset."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    @abc.abstractmethod
    def _read(self, request: web.Request, raw: bytes) -> CallT:
        """Return the request as the fake's own code sees it."""

    @abc.abstractmethod
    def _turn_away(self, request: web.Request, call: CallT) -> Reply | None:
        """Answer what does not belong to the API; for what does, say which call it is, and return None."""

    @abc.abstractmethod
    def _carry_out(self, call: CallT) -> Reply:
        """Do what a call asks for; its answer holds errors worded as the cloud does."""

    @abc.abstractmethod
    def _native_error(self, call: CallT, status: int) -> Reply:
        """Return the cloud's own words for a RATE_LIMIT (429) or SERVER_ERROR."""

    @abc.abstractmethod
    def _revoke(self, call: CallT, *, everyone: bool) -> None:
        """End the token or session of a call, or all of them."""

    @abc.abstractmethod
    def _spoil_page(self, kind: str, call: CallT, document: Json) -> None:
        """Change a list's answer as HALF_PAGE or a fault of the platform's own says."""

    def _commit_late(self, call: CallT, delay_s: float) -> None:
        """Carry out later what was sent before its connection broke; nobody is there to be answered."""

        def commit() -> None:
            self._carry_out(call)

        self._world.timeline.after(delay_s, commit)

    def _decorate(self, call: CallT, answer: Reply) -> None:
        """Add the headers that the cloud sends with errors of every kind."""

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        call = self._read(request, await request.read())
        self._world.timeline.catch_up()
        head, _, tail = request.path.lstrip("/").partition("/")
        if head == "_control":
            return self._response(await self.control.answer(call, tail.strip("/")))
        away = self._turn_away(request, call)
        if away is not None:
            return self._response(away)
        decisive = await self._sit_out(self.control.faults.match(call))
        if decisive is not None:
            return await self._commit_fault(request, call, decisive)
        answer = self._carry_out(call)
        self.control.journal.note(self._world.now(), call, answer, "")
        return self._response(answer)

    async def _commit_fault(self, request: web.Request, call: CallT, fault: RuleT) -> web.StreamResponse:
        if fault.kind == faults.REVOKED_TOKEN:
            self._revoke(call, everyone=fault.scope == "all")
        if fault.kind == faults.LATE_COMMIT:
            self._commit_late(call, fault.seconds)
        answer = Reply(500)
        if fault.kind not in faults.NOT_CARRIED_OUT or fault.carried_out:
            answer = self._spoil(fault, call, self._carry_out(call))
        if fault.kind in faults.REFUSALS:
            answer = self._refusal(fault, call)
            self._decorate(call, answer)
        silent = fault.kind in faults.SILENT
        self.control.journal.note(self._world.now(), call, None if silent else answer, fault.kind.value)
        return await self._deliver(request, fault, answer)

    def _spoil(self, fault: RuleT, call: CallT, answer: Reply) -> Reply:
        """Return what leaves the cloud instead of `answer`."""
        if fault.kind == faults.HTML_200:
            return Reply(200, LOGIN_PAGE, HTML)
        if fault.kind == faults.TRUNCATED_JSON:
            answer.payload = answer.payload[: len(answer.payload) // 2]
        if fault.kind in self._page_faults and answer.status == 200:
            document = msgspec.json.decode(answer.payload)
            if isinstance(document, dict):
                self._spoil_page(fault.kind, call, document)
                answer.payload = msgspec.json.encode(document)
        return answer

    def _refusal(self, fault: RuleT, call: CallT) -> Reply:
        """Return the answer of a RATE_LIMIT or SERVER_ERROR."""
        status = fault.refusal_status
        if fault.body is Body.NATIVE:
            answer = self._native_error(call, status)
        else:
            title = f"{status} {responses.get(status, 'Error')}"
            answer = Reply(status, foreign_body(fault.body, title), HTML if fault.body is Body.HTML else TEXT)
        if fault.kind == faults.RATE_LIMIT and fault.retry_after is not None:
            answer.headers["Retry-After"] = fault.retry_after
        return answer

    async def _sit_out(self, met: list[RuleT]) -> RuleT | None:
        """Let the latencies among the faults pass; return the one that decides, if any."""
        for fault in met:
            if fault.kind == faults.LATENCY:
                await self._world.clock.sleep(fault.seconds)
                self._world.timeline.catch_up()
        return faults.decisive(met)

    async def _deliver(self, request: web.Request, fault: RuleT, answer: Reply) -> web.StreamResponse:
        """Send the answer, or what the fault leaves of it."""
        if fault.kind == faults.HANG:
            await self._closing.wait()
        if fault.kind in faults.SILENT:
            return _reset(request)
        if fault.kind == faults.CUT_BODY:
            return await _cut(request, answer)
        return self._response(answer)

    def _response(self, answer: Reply) -> web.Response:
        # The cloud's own clock, not the host's: clients learn their skew from it.
        date = formatdate(self._world.now(), usegmt=True)
        headers = {"Date": date, "Content-Type": answer.content_type, **answer.headers}
        return web.Response(status=answer.status, body=answer.payload, headers=headers)


async def _cut(request: web.Request, answer: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
    response.content_length = len(answer.payload)
    await response.prepare(request)
    await response.write(answer.payload[: len(answer.payload) // 2])
    _reset(request)
    return response


def _reset(request: web.Request) -> web.Response:
    """Reset the connection, so that the caller meets an error and not an end of file."""
    transport = request.transport
    if transport is not None:
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response()
