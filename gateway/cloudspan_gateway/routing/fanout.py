"""Answers a list whose parent holds a wildcard: asks every cluster it means, joins the parts under one page token.

The server calls `FanOut.list_across`. The token holds one position per cluster; a cluster that failed stays
`unreachable` for the rest of that traversal. Spec: design, section 3 (Manners); pains 10 and 11.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import common_pb2
from cloudspan_common.adapterkit.paging import (
    MAX_ANSWER_BYTES,
    decode_token,
    effective_page_size,
    encode_token,
    hash_query,
)
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError, InvalidRequest, PlatformFault, Unreachable, Unsupported, Violation
from cloudspan_common.names import parse_cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from google.protobuf.message import Message

    from cloudspan_common.contract import Method
    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.routing.calls import GatewayCall
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.table import Table

Status = common_pb2.ClusterStatus

# A cluster that hangs must leave time to answer with the others' parts.
_DEADLINE_SHARE = 0.8
# Clusters that end early leave room: the others are asked again while at least this share of the page is empty.
_REFILL_SHARE = 0.5


class _Position(msgspec.Struct, array_like=True):
    """Where one cluster's listing goes on; `state` is one of `open`, `done`, `failed`, `unsupported`."""

    platform: str
    cluster: str
    state: str = "open"
    token: str = ""


@dataclass(slots=True)
class _Part:
    """One cluster's part in this page."""

    ref: ClusterRef
    position: _Position
    status: common_pb2.ClusterStatus
    error: CloudspanError | None = None


class FanOut:
    """Lists over many clusters at once."""

    def __init__(self, table: Table, forwarder: Forwarder) -> None:
        self._table = table
        self._forwarder = forwarder

    def __repr__(self) -> str:
        return f"<FanOut over {self._table.snapshot!r}>"

    async def list_across(self, method: Method, request: Any, call: GatewayCall) -> bytes:
        """Return the joined page.

        Raises:
            InvalidRequest: A page size, token or filter that can't be used, or `order_by`.
            NotFound: The parent names a platform that is not known.
            Unreachable: Not one cluster answered.
        """
        if request.order_by:
            text = "order_by works on one cluster at a time; name one in parent, or leave order_by out"
            raise InvalidRequest(text, reason="ORDER_ACROSS_CLUSTERS", violations=[Violation("order_by", text)])
        size = effective_page_size(request.page_size)
        query_hash = hash_query(method.full_name, request)
        parts = self._parts(request, decode_token(request.page_token, query_hash))
        page = _Joined(method, size)
        share = Deadline.after(call.deadline.remaining() * _DEADLINE_SHARE)
        while asked := _to_ask(parts, page):
            await self._round(method, request, asked, page, call, share)
        _check_any_answered(parts)
        positions = [part.position for part in parts]
        if any(position.state == "open" for position in positions):
            page.response.next_page_token = encode_token(query_hash, msgspec.json.encode(positions).decode())
        page.response.unreachable.extend(str(part.ref) for part in parts if part.position.state == "failed")
        page.response.cluster_status.extend(part.status for part in parts)
        return bytes(page.response.SerializeToString())

    def _parts(self, request: Any, cursor: str) -> list[_Part]:
        if cursor:
            positions = msgspec.json.decode(cursor, type=list[_Position])
        else:
            routes = self._table.snapshot.matching(parse_cluster(request.parent))
            positions = [_Position(route.ref.platform, route.ref.cluster) for route in routes]
        return [_begin(position) for position in positions]

    async def _round(
        self,
        method: Method,
        request: Any,
        asked: Sequence[tuple[_Part, int]],
        page: _Joined,
        call: GatewayCall,
        share: Deadline,
    ) -> None:
        """Ask every part at once, then join what came in the parts' order."""
        questions = [self._ask(method, request, part, count, call, share) for part, count in asked]
        for (part, _), answer in zip(asked, await asyncio.gather(*questions), strict=True):
            if answer is None:
                _fail(part)
            elif page.take(answer):
                _go_on(part, answer)

    async def _ask(
        self, method: Method, request: Any, part: _Part, count: int, call: GatewayCall, share: Deadline
    ) -> Any | None:
        """Return one cluster's answer; None when it failed, with the error kept in the part."""
        question = type(request)()
        question.CopyFrom(request)
        question.parent, question.page_size, question.page_token = str(part.ref), count, part.position.token
        started = time.monotonic()
        snapshot = self._table.snapshot
        try:
            answer = await self._forwarder.ask(
                lambda: snapshot.links(snapshot.cluster(part.ref), method.full_name),
                method.path,
                question.SerializeToString(),
                deadline=share,
                metadata=call.outgoing(),
                again=True,
            )
            return method.response.FromString(answer)
        except InvalidRequest:
            raise  # the caller's fault on every cluster alike
        except CloudspanError as error:
            part.error = error
            return None
        finally:
            part.status.took.FromNanoseconds(round((time.monotonic() - started) * 1e9))


class _Joined:
    """The page under way."""

    def __init__(self, method: Method, size: int) -> None:
        self._items_field = method.items_field
        self._size = size
        self._bytes = 0
        self._rounds = 0
        self.response: Any = method.response()

    def room(self) -> int:
        """How many more items are worth asking for; 0 ends the page."""
        room = self._size - len(getattr(self.response, self._items_field))
        self._rounds += 1
        worth = room >= self._size * _REFILL_SHARE and self._bytes < MAX_ANSWER_BYTES * _REFILL_SHARE
        return room if self._rounds == 1 or worth else 0

    def take(self, answer: Message) -> bool:
        """Add a part's items; False when they would not fit, so that the part is asked again for the next page."""
        size = answer.ByteSize()
        if self._bytes and self._bytes + size > MAX_ANSWER_BYTES:
            self._rounds, self._bytes = self._rounds + 1, MAX_ANSWER_BYTES
            return False
        self._bytes += size
        getattr(self.response, self._items_field).extend(getattr(answer, self._items_field))
        return True


def _to_ask(parts: Sequence[_Part], page: _Joined) -> list[tuple[_Part, int]]:
    """Share the room of the page out over the clusters whose listing goes on; the first ones get what is left over."""
    open_parts = [part for part in parts if part.position.state == "open"]
    room = page.room() if open_parts else 0
    if not room:
        return []
    share, rest = divmod(room, len(open_parts))
    counts = [share + (index < rest) for index in range(len(open_parts))]
    return [(part, count) for part, count in zip(open_parts, counts, strict=True) if count]


def _begin(position: _Position) -> _Part:
    part = _Part(parse_cluster(f"platforms/{position.platform}/clusters/{position.cluster}"), position, Status())
    part.status.cluster = str(part.ref)
    part.status.state = Status.STATE_OK
    if position.state == "failed":
        part.status.state = Status.STATE_UNREACHABLE
        part.status.reason = "FAILED_EARLIER"
        part.status.message = "it did not answer for an earlier page of this traversal; start again to ask it again"
    elif position.state == "unsupported":
        part.status.state = Status.STATE_UNSUPPORTED
    return part


def _go_on(part: _Part, answer: Any) -> None:
    """Note where the cluster's listing goes on, and what it said of itself."""
    took = part.status.took
    for told in answer.cluster_status[:1]:
        partial = part.status.state == Status.STATE_PARTIAL
        if not (partial and told.state == Status.STATE_OK):  # a doubt of an earlier round stays
            part.status.CopyFrom(told)
    part.status.cluster = str(part.ref)
    part.status.took.CopyFrom(took)
    if part.status.HasField("observe_time"):
        age = max(0.0, time.time() - part.status.observe_time.ToNanoseconds() / 1e9)
        part.status.age.FromMilliseconds(round(age * 1000))
    if answer.next_page_token and answer.next_page_token == part.position.token:
        part.error = PlatformFault(
            f"{part.ref} answered with the page token that it was asked with", reason="PAGING_LOOP"
        )
        _fail(part)
        return
    part.position.token = answer.next_page_token
    part.position.state = "open" if answer.next_page_token else "done"


def _fail(part: _Part) -> None:
    error = part.error or PlatformFault(f"{part.ref} gave no answer")
    unsupported = isinstance(error, Unsupported)
    part.position.state, part.position.token = ("unsupported" if unsupported else "failed"), ""
    part.status.state = Status.STATE_UNSUPPORTED if unsupported else Status.STATE_UNREACHABLE
    part.status.reason, part.status.message = error.reason, error.message


def _check_any_answered(parts: Sequence[_Part]) -> None:
    """With every cluster gone an empty list would be a lie; the error carries each one's reason."""
    if parts and all(part.position.state in ("failed", "unsupported") for part in parts):
        failed = [part for part in parts if part.error is not None and part.position.state == "failed"]
        if failed and len(failed) == sum(part.position.state == "failed" for part in parts):
            reasons = "; ".join(f"{part.ref}: {part.status.message}" for part in failed)
            raise Unreachable(f"not one cluster answered: {reasons}", reason="ALL_UNREACHABLE", retry_after_s=1.0)
