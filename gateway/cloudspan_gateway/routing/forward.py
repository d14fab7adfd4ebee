"""Hands a call on to an adapter instance as bytes, and its answer back.

The server calls `Forwarder.unary` and `Forwarder.stream`; operations and fan-out ask adapters by `Forwarder.ask`. An
instance that is lost under a call is ejected at once, and reads that nobody has answered go to another one.
Spec: design, sections 3 (The same services on both sides) and 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

from cloudspan_common import errors
from cloudspan_common.errors import CloudspanError, OutOfTime, Unreachable
from cloudspan_gateway.call import passed_back
from cloudspan_gateway.routing.channels import pick
from cloudspan_gateway.routing.snapshot import RETRY_AFTER_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from cloudspan_common.deadlines import Deadline
    from cloudspan_gateway.call import GatewayCall, Metadata
    from cloudspan_gateway.routing.channels import Link
    from cloudspan_gateway.routing.table import Table

    Candidates = Callable[[], Sequence[Link]]

SERVED_BY = "x-served-by"
"""Trailer that adapters stamp on every answer: an UNAVAILABLE with it is the cloud's, without it the instance's."""

MAX_TRIES = 3
# Left for the way back, so that the caller gets our words and not its own client's "Deadline Exceeded".
_SHARE_KEPT, _MOST_KEPT_S = 0.05, 0.05
INSTANCE_AWAY = "INSTANCE_AWAY"
# gRPC's core says so when it had no connection to send anything on; no interface, so a test holds it.
_NOT_CONNECTED = "failed to connect to all addresses"
# CANCELLED, since an adapter that is stopped cancels what it still has, and our own caller's cancel ends the task.
_LOST = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED})


@dataclass(frozen=True, slots=True)
class Question:
    """Something that the gateway asks an adapter of its own: a part of a fan-out, a step."""

    path: str
    """`/cloudspan.adapter.v1.StepService/Step`."""
    body: bytes
    deadline: Deadline
    metadata: Metadata = ()
    again: bool = False
    """Whether it may be asked of another instance when one was lost."""


class AdapterError(Exception):
    """An adapter's answer that is an error; passes to the caller as it is, its details untouched."""

    def __init__(self, error: grpc.aio.AioRpcError) -> None:
        super().__init__(error.code(), error.details())
        self.code: grpc.StatusCode = error.code()
        self.message: str = error.details() or ""
        self.trailers: Metadata = passed_back(error.trailing_metadata())
        self._error = error

    def as_domain(self) -> CloudspanError:
        """Return the error of our tree that says the same."""
        return errors.from_status(errors.status_of(self._error))


class Forwarder:
    """The calls from the gateway to adapters."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.retries = 0
        """Calls that were sent to another instance."""

    def __repr__(self) -> str:
        return f"<Forwarder over {self._table!r}, {self.retries} retries>"

    async def unary(self, candidates: Candidates, request: bytes, call: GatewayCall, *, again: bool) -> bytes:
        """Return the answer of one of the candidates, and set its metadata on the caller's answer.

        Args:
            candidates: Says who may serve the call now; raises when nobody can.
            request: The message for `call.path`.
            call: On whose behalf.
            again: Whether the call may be sent to another instance when one was lost.

        Raises:
            AdapterError: An adapter's own answer.
            Unreachable: The instance was lost, and the call may not be sent again or no other could be reached.
            OutOfTime: The caller's deadline is near.
        """
        tried: list[Link] = []
        while True:
            link = _next(candidates, tried)
            try:
                return await self._unary_once(link, request, call)
            except grpc.aio.AioRpcError as error:
                self._note(link, error, call, again=again and len(tried) < MAX_TRIES)

    async def _unary_once(self, link: Link, request: bytes, call: GatewayCall) -> bytes:
        call.served_by, call.tries = link.instance_id, call.tries + 1
        link.began()
        try:
            rpc = link.unary(call.path)(request, timeout=time_for(call.deadline), metadata=call.outgoing())
            answer = await rpc
            initial = await rpc.initial_metadata()
            if initial:
                await call.context.send_initial_metadata(passed_back(initial))
            call.trailers = passed_back(await rpc.trailing_metadata())
            return answer
        finally:
            link.ended()

    async def stream(
        self,
        candidates: Candidates,
        requests: AsyncIterator[bytes] | bytes,
        call: GatewayCall,
        *,
        tags: Metadata = (),
        again: bool = False,
    ) -> None:
        """Pass both directions of a call of any shape, message by message, until the adapter ends it.

        A single request (bytes) may be sent `again` as long as nothing has come back. Raises as `unary` does.
        """
        tried: list[Link] = []
        while True:
            link = _next(candidates, tried)
            try:
                await self._stream_once(link, requests, call, tags)
                return
            except grpc.aio.AioRpcError as error:
                may = again and isinstance(requests, bytes) and not call.answered and len(tried) < MAX_TRIES
                self._note(link, error, call, again=may)

    async def _stream_once(
        self, link: Link, requests: AsyncIterator[bytes] | bytes, call: GatewayCall, tags: Metadata
    ) -> None:
        call.served_by, call.tries = link.instance_id, call.tries + 1
        link.began()
        messages = iter((requests,)) if isinstance(requests, bytes) else requests
        rpc = link.stream(call.path)(messages, timeout=time_for(call.deadline), metadata=call.outgoing(*tags))
        try:
            async for message in rpc:
                if not call.answered:
                    await call.begin(passed_back(await rpc.initial_metadata()))
                await call.context.write(message)
            call.trailers = passed_back(await rpc.trailing_metadata())
        finally:
            # Ends the adapter's part when the caller went away; does nothing to a call that has ended.
            rpc.cancel()
            link.ended()

    async def ask(self, candidates: Candidates, question: Question, asks: Callable[[str], None] | None = None) -> bytes:
        """Return an adapter's answer to a question of the gateway's own.

        `asks` is told the id of each instance before it is asked.

        Raises:
            CloudspanError: What the adapter answered, or Unreachable and OutOfTime as in `unary`. Unreachable with
                the reason `INSTANCE_AWAY` proves that nothing was sent.
        """
        tried: list[Link] = []
        while True:
            link = _next(candidates, tried)
            if asks is not None:
                asks(link.instance_id)
            link.began()
            try:
                timeout_s = time_for(question.deadline)
                return await link.unary(question.path)(question.body, timeout=timeout_s, metadata=question.metadata)
            except grpc.aio.AioRpcError as error:
                failure = self._judge(link, error, question.path)
                if isinstance(failure, AdapterError):
                    raise failure.as_domain() from error
                if not (question.again and isinstance(failure, Unreachable) and len(tried) < MAX_TRIES):
                    raise failure from error
                self.retries += 1
            finally:
                link.ended()

    def _note(self, link: Link, error: grpc.aio.AioRpcError, call: GatewayCall, *, again: bool) -> None:
        """Raise what the caller is to be told, unless the call may be sent again."""
        failure = self._judge(link, error, call.path)
        if not (again and isinstance(failure, Unreachable)):
            raise failure from error
        self.retries += 1

    def _judge(self, link: Link, error: grpc.aio.AioRpcError, path: str) -> AdapterError | CloudspanError:
        """An answer with the stamp is the adapter's word; without it the instance, or the time, was lost."""
        code = error.code()
        if any(key == SERVED_BY for key, _ in error.trailing_metadata() or ()):
            return AdapterError(error)
        metadata = {"instance": link.instance_id, "method": path.lstrip("/")}
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            text = f"{link.instance_id} did not answer {path.lstrip('/')} in the time its caller gave; allow it more"
            return OutOfTime(text, metadata=metadata)
        if code not in _LOST:
            return AdapterError(error)
        self._table.eject(link.instance_id, f"lost under {path.lstrip('/')}: {error.details()}")
        away = (error.details() or "").startswith(_NOT_CONNECTED)
        text = (
            f"the adapter instance {link.instance_id} at {link.address} was lost under {path.lstrip('/')} "
            f"({error.details()}); it {'was not sent' if away else 'may have begun'}; see PlatformService.GetPlatform"
        )
        reason = INSTANCE_AWAY if away else "INSTANCE_LOST"
        return Unreachable(text, reason=reason, metadata=metadata, retry_after_s=RETRY_AFTER_S)


def _next(candidates: Candidates, tried: list[Link]) -> Link:
    """Pick an instance that was not tried yet and note it; a lone one that came back at once may be met again."""
    links = candidates()
    fresh = [link for link in links if link not in tried] if tried else links
    link = pick(fresh or links)
    tried.append(link)
    return link


def time_for(deadline: Deadline) -> float:
    """Return the seconds an adapter gets of what its caller has left.

    Raises:
        OutOfTime: Nothing is left.
    """
    remaining = deadline.remaining()
    if remaining <= 0:
        raise OutOfTime("the caller's deadline ended before an adapter was asked; call again with a longer one")
    return remaining - min(remaining * _SHARE_KEPT, _MOST_KEPT_S)
