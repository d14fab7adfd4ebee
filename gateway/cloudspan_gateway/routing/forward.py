"""Hands a call on to an adapter instance as bytes, and its answer back.

Dispatch calls `Forwarder.unary` and `Forwarder.stream`; operations, lists and services ask adapters by
`Forwarder.ask`. An instance that is lost under a call is ejected at once, and reads that nobody has answered go to
another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from cloudspan_common import errors
from cloudspan_common.errors import CloudspanError, OutOfTime, PlatformFault, Unreachable
from cloudspan_gateway.access.behalf import GATEWAY
from cloudspan_gateway.metadata import passed_back
from cloudspan_gateway.routing.projects import ProjectCheck, within_project
from cloudspan_gateway.routing.snapshot import RETRY_AFTER_S
from cloudspan_gateway.storage.cipher import Cipher

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudspan_common.contract import Method
    from cloudspan_common.deadlines import Deadline
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.access.behalf import Behalf
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.metadata import Metadata
    from cloudspan_gateway.routing.channels import Link
    from cloudspan_gateway.routing.snapshot import Endpoint
    from cloudspan_gateway.routing.table import Table

    Endpoints = Callable[[], Sequence[Endpoint]]

M = TypeVar("M", bound=Message)

SERVED_BY = "x-served-by"
"""Trailer that adapters stamp on every answer: an UNAVAILABLE with it is the cloud's, without it the instance's."""

MAX_TRIES = 3
# Callers' own limit, unless they raised it; adapters cut theirs below 3 MiB.
MAX_ANSWER_BYTES = 4 * 2**20
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
    behalf: Behalf = GATEWAY
    """On whose behalf it is asked."""
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

    def __init__(self, table: Table, cipher: Cipher | None = None) -> None:
        """Make it; with `cipher` the page tokens that it encrypts are good on every gateway that has the same."""
        self._table = table
        self._channels = table.channels
        self.retries = 0
        """Calls that were sent to another instance."""
        self.projects = ProjectCheck(cipher or Cipher.new())

    def __repr__(self) -> str:
        return f"<Forwarder over {self._table!r}, {self.retries} retries>"

    async def unary(self, endpoints: Endpoints, call: Call, *, again: bool) -> bytes:
        """Return what one of the endpoints answers, and note its metadata for the caller.

        Args:
            endpoints: Says who may serve the call now; raises when nobody can.
            call: On whose behalf; its target's body is sent.
            again: Whether the call may be sent to another instance when one was lost.

        Raises:
            AdapterError: An adapter's own answer.
            Unreachable: The instance was lost, and the call may not be sent again or no other could be reached.
            OutOfTime: The caller's deadline is near.
        """
        tried: list[Endpoint] = []
        while True:
            link = self._next(endpoints, tried)
            try:
                return await self._unary_once(link, call)
            except grpc.aio.AioRpcError as error:
                self._note(link, error, call, again=again and len(tried) < MAX_TRIES)

    async def read(self, method: Method, endpoints: Endpoints, call: Call, ref: ClusterRef) -> bytes:
        """Return what one of a cluster's endpoints answers to a read, but for what the caller's project does not have.

        Raises:
            NotFound: It is another project's.
            CloudspanError: See `unary`.
        """
        within = within_project(method, call, ref)
        if within is None:
            return await self.unary(endpoints, call, again=True)
        asked: Any = call.target.message
        call.target = call.target._replace(body=self.projects.widened(within, asked).SerializeToString())
        answered = await self.unary(endpoints, call, again=True)
        answer = read_answer(method.response, answered, f"the adapter of {ref}")
        self.projects.keep(within, asked, answer)
        return answer.SerializeToString()

    async def _unary_once(self, link: Link, call: Call) -> bytes:
        call.served_by, call.tries = link.endpoint.instance_id, call.tries + 1
        link.began()
        try:
            metadata = _metadata(link, call)
            rpc = link.unary(call.path)(call.target.body, timeout=time_for(call.deadline), metadata=metadata)
            answer = await rpc
            if len(answer) > MAX_ANSWER_BYTES:
                text = (
                    f"{link.endpoint.instance_id} returned {len(answer)} bytes for {call.path[1:]}, at most "
                    f"{MAX_ANSWER_BYTES} are allowed; report it to the adapter's author"
                )
                raise PlatformFault(text, reason="ANSWER_TOO_LARGE")
            initial = await rpc.initial_metadata()
            if initial:
                call.head = passed_back(initial)
            call.trailers = passed_back(await rpc.trailing_metadata())
            return answer
        finally:
            link.ended()

    async def stream(self, endpoints: Endpoints, call: Call, *, again: bool = False) -> None:
        """Pass both directions of a call of any shape, message by message, until the adapter ends it.

        A single request (bytes) may be sent `again` as long as nothing has come back. Raises as `unary` does.
        """
        tried: list[Endpoint] = []
        while True:
            link = self._next(endpoints, tried)
            try:
                await self._stream_once(link, call)
                return
            except grpc.aio.AioRpcError as error:
                may = again and isinstance(call.payload, bytes) and not call.answered and len(tried) < MAX_TRIES
                self._note(link, error, call, again=may)

    async def _stream_once(self, link: Link, call: Call) -> None:
        call.served_by, call.tries = link.endpoint.instance_id, call.tries + 1
        link.began()
        messages = iter((call.payload,)) if isinstance(call.payload, bytes) else call.payload
        rpc = link.stream(call.path)(messages, timeout=time_for(call.deadline), metadata=_metadata(link, call))
        try:
            async for message in rpc:
                if not call.answered:
                    await call.begin(passed_back(await rpc.initial_metadata()))
                await call.writer.write(message)
            call.trailers = passed_back(await rpc.trailing_metadata())
        finally:
            # Ends the adapter's part when the caller went away; does nothing to a call that has ended.
            rpc.cancel()
            link.ended()

    async def ask(self, endpoints: Endpoints, question: Question, asks: Callable[[str], None] | None = None) -> bytes:
        """Return an adapter's answer to a question of the gateway's own.

        `asks` gets the id of each instance before it is asked.

        Raises:
            CloudspanError: What the adapter answered, or Unreachable and OutOfTime as in `unary`. Unreachable with
                the reason `INSTANCE_AWAY` proves that nothing was sent.
        """
        tried: list[Endpoint] = []
        while True:
            link = self._next(endpoints, tried)
            if asks is not None:
                asks(link.endpoint.instance_id)
            link.began()
            try:
                timeout_s = time_for(question.deadline)
                metadata = link.signed(question.metadata, question.behalf, question.path)
                return await link.unary(question.path)(question.body, timeout=timeout_s, metadata=metadata)
            except grpc.aio.AioRpcError as error:
                failure = self._judge(link, error, question.path)
                if isinstance(failure, AdapterError):
                    raise failure.as_domain() from error
                if not (question.again and isinstance(failure, Unreachable) and len(tried) < MAX_TRIES):
                    raise failure from error
                self.retries += 1
            finally:
                link.ended()

    def _next(self, endpoints: Endpoints, tried: list[Endpoint]) -> Link:
        """Pick one that was not tried yet and note it; a lone one that came back at once may be met again."""
        there = endpoints()
        fresh = [endpoint for endpoint in there if endpoint not in tried] if tried else there
        link = self._channels.pick(fresh or there)
        tried.append(link.endpoint)
        return link

    def _note(self, link: Link, error: grpc.aio.AioRpcError, call: Call, *, again: bool) -> None:
        """Raise the caller's error, unless the call may be sent again."""
        failure = self._judge(link, error, call.path)
        if not (again and isinstance(failure, Unreachable)):
            raise failure from error
        self.retries += 1

    def _judge(self, link: Link, error: grpc.aio.AioRpcError, path: str) -> AdapterError | CloudspanError:
        """An answer with the stamp is the adapter's word; without it the instance, or the time, was lost."""
        code, method, instance = error.code(), path.lstrip("/"), link.endpoint.instance_id
        if any(key == SERVED_BY for key, _ in error.trailing_metadata() or ()):
            return AdapterError(error)
        metadata = {"instance": instance, "method": method}
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            text = f"{instance} did not answer {method} in the time its caller gave; allow it more"
            return OutOfTime(text, metadata=metadata)
        if code not in _LOST:
            return AdapterError(error)
        self._table.eject(instance, f"lost under {method}: {error.details()}")
        away = (error.details() or "").startswith(_NOT_CONNECTED)
        text = (
            f"the adapter instance {instance} was lost under {method}; it "
            f"{'was not sent' if away else 'may have begun'}; see PlatformService.GetPlatform"
        )
        reason = INSTANCE_AWAY if away else "INSTANCE_LOST"
        return Unreachable(text, reason=reason, metadata=metadata, retry_after_s=RETRY_AFTER_S)


def _metadata(link: Link, call: Call) -> Metadata:
    return link.signed(call.outgoing(), call.behalf(), call.path) if link.signs else call.outgoing()


def read_answer(kind: type[M], answer: bytes, who: str) -> M:
    """Return what `who`, an adapter, answered: as untrusted as what a caller sends.

    Raises:
        PlatformFault: It is not a message of that kind.
    """
    try:
        return kind.FromString(answer)
    except DecodeError as error:
        text = f"{who} returned something that is not a {kind.DESCRIPTOR.name}: {error}; report it to its author"
        raise PlatformFault(text, reason="UNEXPECTED_ANSWER") from error


def time_for(deadline: Deadline) -> float:
    """Return the seconds an adapter gets of what its caller has left.

    Raises:
        OutOfTime: Nothing is left.
    """
    remaining = deadline.remaining()
    if remaining <= 0:
        raise OutOfTime("the caller's deadline ended before an adapter was asked; call again with a longer one")
    return remaining - min(remaining * _SHARE_KEPT, _MOST_KEPT_S)
