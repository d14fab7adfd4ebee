"""Calls to a Consul agent without ever letting it stop the event loop, or the process from ending.

The client libraries are synchronous and python-consul2 knows no time-outs: a stuck agent would hold a caller for
ever. So each call runs in a daemon thread of its own, given up on after its time; as many threads as may hang at once
are allowed, and no more. Only `registry.consul` uses it, with what py-consul and python-consul2 have in common.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import consul
from requests.adapters import HTTPAdapter

from cloudspan_common.errors import CloudspanError, Forbidden, PlatformFault, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from requests import PreparedRequest, Response

T = TypeVar("T")
_CALLS = 4  # threads for register and renew: a process has one adapter, rarely more
_QUERIES = 4  # two blocking queries, of instances and of claims, and room for as many that hang
_GRACE_S = 0.25  # the socket's own time-out goes first and ends the thread; this bound is for when it does not


class Agent:
    """One agent's address, its threads and its idle connections."""

    def __init__(
        self, host: str, port: int, *, scheme: str = "http", token: str | None = None, call_s: float = 2.0
    ) -> None:
        host = f"[{host}]" if ":" in host else host  # the libraries paste it into a URL
        self.address = f"{host}:{port}"
        self.call_s = call_s
        self._options = {"host": host, "port": port, "scheme": scheme, "token": token}
        self._call_slots, self._query_slots = asyncio.Semaphore(_CALLS), asyncio.Semaphore(_QUERIES)
        self._idle: list[_Client] = []
        self._running = 0
        self._closed = False

    def __repr__(self) -> str:
        return f"<Agent {self.address}: {self._running} of {_CALLS + _QUERIES} threads, {len(self._idle)} idle>"

    async def call(self, do: Callable[[Any], T]) -> T:
        """Return what `do` returns for a `consul.Consul`, within `call_s`.

        Raises:
            Unreachable: No answer in time, or no connection.
            Forbidden: The token lacks the right.
            PlatformFault: The agent answered with an error, or with what is not Consul's.
        """
        return await self._run(do, self._call_slots, self.call_s)

    async def query(self, do: Callable[[Any], T], wait_s: float) -> T:
        """Do as `call`, for a blocking query that the agent may hold for `wait_s`."""
        # Consul adds up to a sixteenth, so that not all watchers come back at once.
        return await self._run(do, self._query_slots, wait_s * 17 / 16 + self.call_s)

    def close(self) -> None:
        """Close idle connections; those in use end with their thread."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def _run(self, do: Callable[[Any], T], slots: asyncio.Semaphore, timeout_s: float) -> T:
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_s + _GRACE_S):
                await slots.acquire()
                self._start(_Work(self, do, slots, answer, timeout_s))
                return await answer
        except TimeoutError as error:
            raise self._unreachable(f"did not answer in {timeout_s:.1f} s ({self._running} calls hang)") from error

    def _start(self, work: _Work[T]) -> None:
        self._running += 1
        work.client = self._idle.pop() if self._idle else None
        try:
            threading.Thread(target=work.run, name=f"consul {self.address}", daemon=True).start()
        except RuntimeError as error:
            self.finish(work, None, OSError(f"no thread could be started: {error}"))

    def client(self) -> _Client:
        """Return a new client."""
        return _Client(self._options)

    def finish(self, work: _Work[T], result: T | None, error: Exception | None) -> None:
        """Take back what a thread used; called in the loop, also for calls that were given up on."""
        self._running -= 1
        work.slots.release()
        if work.client and (error or self._closed):
            work.client.close()
        elif work.client:
            self._idle.append(work.client)
        if work.answer.done():
            return
        if error:
            work.answer.set_exception(self._mapped(error))
        else:
            work.answer.set_result(result)  # type: ignore[arg-type]  # None only where T allows it

    def _mapped(self, error: Exception) -> CloudspanError:
        if isinstance(error, (consul.ACLPermissionDenied, consul.ACLDisabled)):
            text = f"Consul agent {self.address} refused the token: {error}; give it service:write and service:read"
            mapped: CloudspanError = Forbidden(text, reason="REGISTRY_FORBIDDEN")
        elif isinstance(error, OSError):  # requests' exceptions are
            mapped = self._unreachable(f"can't be reached: {error}")
        elif isinstance(error, (consul.ConsulException, ValueError, KeyError)):
            text = f"Consul agent {self.address} answered {str(error) or type(error).__name__}; see its log"
            mapped = PlatformFault(text, reason="REGISTRY_FAULT")
        else:  # what the client libraries make of an answer that they did not expect: TypeError, AttributeError
            text = f"Consul agent {self.address} answered something unexpected ({error!r})"
            mapped = PlatformFault(text, reason="REGISTRY_FAULT")
        mapped.__cause__ = error
        return mapped

    def _unreachable(self, what: str) -> Unreachable:
        return Unreachable(f"Consul agent {self.address} {what}; check that it runs", reason="REGISTRY_UNREACHABLE")


class _Work(Generic[T]):
    """One call in its thread."""

    def __init__(
        self,
        agent: Agent,
        do: Callable[[Any], T],
        slots: asyncio.Semaphore,
        answer: asyncio.Future[T],
        timeout_s: float,
    ) -> None:
        self.agent, self.do, self.slots, self.answer, self.timeout_s = agent, do, slots, answer, timeout_s
        self.client: _Client | None = None
        self.loop = answer.get_loop()

    def run(self) -> None:
        result, caught = None, None
        try:
            self.client = self.client or self.agent.client()
            self.client.limit.timeout_s = self.timeout_s
            result = self.do(self.client.api)
        except Exception as error:  # noqa: BLE001 - carried to the caller, whatever it is
            caught = error
        try:
            self.loop.call_soon_threadsafe(self.agent.finish, self, result, caught)
        except RuntimeError:  # the loop has ended meanwhile, and with it all who could want the answer
            if self.client:
                self.client.close()


class _Client:
    """One client, for one thread at a time: requests' sessions are not made to be shared."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.api = consul.Consul(**options)
        self.limit = _TimeLimit()
        self.api.http.session.mount(f"{options['scheme']}://", self.limit)

    def close(self) -> None:
        self.api.http.session.close()


class _TimeLimit(HTTPAdapter):
    """Puts our time-out on each request: the two libraries agree on no way to pass one."""

    timeout_s = 2.0

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        kwargs["timeout"] = self.timeout_s
        return super().send(request, *args, **kwargs)
