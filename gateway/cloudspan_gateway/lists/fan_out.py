"""Answers a list whose parent holds a wildcard: asks every cluster it means, joins the parts under one page token.

Dispatch calls `FanOut.list_across`. A page asks each cluster at most once, for its share of the page; the token holds
one position per cluster; a cluster that failed stays `unreachable` for the rest of that traversal.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from cloudspan.v1 import common_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import (
    CloudspanError,
    Code,
    InvalidRequest,
    NotFound,
    PlatformFault,
    Unreachable,
    Unsupported,
    Violation,
)
from cloudspan_common.listing import mask as masks
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.listing.page_token import (
    MAX_ANSWER_BYTES,
    Check,
    checksum,
    decode_token,
    effective_page_size,
    encode_token,
    hash_query,
)
from cloudspan_common.names import WILDCARD, ClusterRef, malformed, parse_cluster
from cloudspan_gateway.lists.joined_page import JoinedPage
from cloudspan_gateway.lists.stored_parts import Where
from cloudspan_gateway.routing.forward import Question, read_answer
from cloudspan_gateway.routing.projects import within_project
from cloudspan_gateway.routing.snapshot import nobody_serves

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.descriptor import Descriptor

    from cloudspan_common.contract import Method
    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.lists.stored_parts import StoredParts
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.snapshot import Endpoint, Snapshot
    from cloudspan_gateway.routing.table import Table

    CountPart = Callable[[str, ClusterRef, Code, float], None]
    """Gets the method, the cluster, how it ended and the seconds that it took."""

Status = common_pb2.ClusterStatus

# A cluster that hangs must leave time to answer with the others' parts.
_DEADLINE_SHARE = 0.8
# Adapters cut an answer's items below `MAX_ANSWER_BYTES`; what else is in it takes little.
_ROOM_BYTES = 64 * 1024
_MAX_PART_TOKEN = 16 * 1024
# With less than this no further cluster is asked: it would fail for want of time, not by its own fault.
_MIN_ASK_S = 0.1


class _Position(msgspec.Struct, array_like=True):
    """Where one cluster's listing goes on."""

    platform: str
    cluster: str
    state: Literal["open", "done", "failed", "unsupported"] = "open"
    token: str = ""
    doubt: str = ""
    """Why an earlier part could not be proven complete."""
    stored: bool = False
    """Whether its parts come from the inventory; it goes on as it began."""


@dataclass(slots=True)
class _Part:
    """One cluster's part in this page."""

    ref: ClusterRef
    position: _Position
    status: common_pb2.ClusterStatus
    asked: bool = False
    is_stored: bool = False
    """Whether its answer came from the inventory."""
    error: CloudspanError | None = None

    @property
    def waits(self) -> bool:
        """Whether this page may still ask it."""
        return self.position.state == "open" and not self.asked


class FanOut:
    """Lists over many clusters at once."""

    def __init__(
        self,
        table: Table,
        forwarder: Forwarder,
        check: Check = checksum,
        count: CountPart | None = None,
        stored: StoredParts | None = None,
    ) -> None:
        """Make it; `check` proves that a page token is one of this installation's own, `count` gets every live part."""
        self._stored = stored
        self._table = table
        self._forwarder = forwarder
        self._check = check
        self._count = count

    def __repr__(self) -> str:
        return f"<FanOut over {self._table.snapshot!r}>"

    async def list_across(self, method: Method, call: Call) -> bytes:
        """Return the joined page.

        Raises:
            InvalidRequest: A parent, page size, token, filter or mask that can't be used, or `order_by`.
            NotFound: The parent names a platform or a cluster that is not known.
            Unreachable: Not one cluster answered.
        """
        request: Any = call.target.message
        size = _checked(method, request, is_kept=self._stored is not None)
        # Another tenant's page token is one of another query.
        scope = f" {call.access.tenant}" if call.principal.authenticated else ""
        query_hash = hash_query(method.full_name + scope, request)
        parts = self._parts(method, call, decode_token(request.page_token, query_hash, self._check))
        page = JoinedPage(method, size)
        share = Deadline.after(call.deadline.remaining() * _DEADLINE_SHARE)
        while asked := _shares(parts, page.room):
            await self._ask_all(method, request, asked, page, call, share)
            if share.remaining() < _MIN_ASK_S:
                break
        if not request.page_token:
            _check_any_answered(parts)
        positions = [part.position for part in parts]
        if any(position.state == "open" for position in positions):
            cursor = msgspec.json.encode(positions).decode()
            page.response.next_page_token = encode_token(query_hash, cursor, self._check)
        page.response.unreachable.extend(str(part.ref) for part in parts if part.position.state == "failed")
        page.response.cluster_status.extend(part.status for part in parts if _reports(part))
        return bytes(page.response.SerializeToString())

    def _parts(self, method: Method, call: Call, cursor: str) -> list[_Part]:
        wanted = parse_cluster(call.target.message.parent)  # type: ignore[attr-defined] # a list's request
        may = partial(call.access.allows, method.permission, method.full_name)
        if cursor:
            return [_begin(position) for position in _positions(cursor, wanted, may)]
        snapshot = call.access.view(self._table.snapshot)
        routes = [route for route in snapshot.matching(wanted) if may(route.ref)]
        if not routes:
            check_any_matches(snapshot, wanted)
        return [_begin(_Position(route.ref.platform, route.ref.cluster)) for route in routes]

    async def _ask_all(
        self,
        method: Method,
        request: Any,
        asked: Sequence[tuple[_Part, int]],
        page: JoinedPage,
        call: Call,
        share: Deadline,
    ) -> None:
        """Ask these parts at once, then join what came in the parts' order."""
        questions = [self._ask(method, request, part, count, call, share) for part, count in asked]
        for (part, _), answer in zip(asked, await asyncio.gather(*questions), strict=True):
            if answer is None:
                _fail(part)
            elif page.take(answer):
                part.position.stored |= part.is_stored
                _go_on(part, answer)

    async def _ask(
        self, method: Method, request: Any, part: _Part, count: int, call: Call, share: Deadline
    ) -> Any | None:
        """Return one cluster's answer; None when it failed, with the error kept in the part."""
        part.asked = True
        stored, begun = self._stored, bool(part.position.token)
        if stored is not None and not (part.position.stored or stored.concerns(method, call)):
            stored = None
        if stored is not None and part.position.stored >= begun:
            answer = await _stored_part(stored, method, part, count, call)
            if answer is not None or part.position.stored:
                return answer
        answer = await self._ask_platform(method, request, part, count, call, share)
        if answer is None and stored is not None and not begun:
            return await _stored_part(stored, method, part, count, call)
        return answer

    async def _ask_platform(
        self, method: Method, request: Any, part: _Part, count: int, call: Call, share: Deadline
    ) -> Any | None:
        """Return the answer of a cluster itself, as `_ask` does."""
        question = type(request)()
        question.CopyFrom(request)
        question.parent, question.page_size, question.page_token = str(part.ref), count, part.position.token
        started, code = time.monotonic(), Code.CANCELLED
        within = within_project(method, call, part.ref)
        try:
            if within is not None:
                question = self._forwarder.projects.widened(within, question)
            body, behalf = question.SerializeToString(), call.behalf(part.ref)
            asked = Question(method.path, body, share, call.outgoing(), behalf, again=True)
            answer = await self._forwarder.ask(partial(self._endpoints, part.ref, method.full_name, call.access), asked)
            believed = _believed(method, part.ref, answer, count)
            if within is not None:
                self._forwarder.projects.keep(within, request, believed)
            code = Code.OK
            return believed
        except CloudspanError as error:
            part.error, code = error, error.code
            return None
        finally:
            took_s = time.monotonic() - started
            part.status.took.FromNanoseconds(round(took_s * 1e9))
            if self._count is not None:
                self._count(method.full_name, part.ref, code, took_s)

    def _endpoints(self, ref: ClusterRef, method: str, access: Access) -> Sequence[Endpoint]:
        snapshot = access.view(self._table.snapshot)
        return snapshot.endpoints(snapshot.cluster(ref), method)


async def _stored_part(stored: StoredParts, method: Method, part: _Part, count: int, call: Call) -> Any | None:
    """Return a cluster's part from the inventory; once one from there was taken, those that follow come from there."""
    cursor = part.position.token if part.position.stored else None
    try:
        answer = await stored.part(method, call, Where(part.ref, count, cursor), part.error)
    except CloudspanError as error:
        part.error = part.error or error  # why the cluster itself did not answer says more
        return None
    part.is_stored = answer is not None
    return answer


def check_any_matches(snapshot: Snapshot, wanted: ClusterRef) -> None:
    """Raise where an empty list would hide a typing error, or an adapter that has not reported its clusters yet."""
    if wanted.cluster != WILDCARD:
        known = ", ".join(sorted({tag for p in snapshot.platforms.values() for tag in p.clusters})) or "none"
        text = f"no platform has a cluster {wanted.cluster!r}; the clusters known now are: {known}"
        raise NotFound(text, reason="CLUSTER_UNKNOWN", resource=str(wanted))
    if wanted.platform != WILDCARD and not snapshot.platform(wanted.platform).serving:
        raise nobody_serves(snapshot.platform(wanted.platform))


def _believed(method: Method, ref: ClusterRef, answer: bytes, count: int) -> Any:
    """Return one cluster's answer.

    Raises:
        PlatformFault: It is not what was asked for: an adapter's answer is as untrusted as a caller's request.
    """
    message: Any = read_answer(method.response, answer, f"the adapter of {ref}")
    limits = (
        ("items", len(getattr(message, method.items_field)), count),
        ("bytes", len(answer), MAX_ANSWER_BYTES + _ROOM_BYTES),
        ("characters of page token", len(message.next_page_token), _MAX_PART_TOKEN),
    )
    for what, found, most in limits:
        if found > most:
            text = f"the adapter of {ref} returned {found} {what}, at most {most} are allowed; report it to its author"
            raise PlatformFault(text, reason="ANSWER_TOO_LARGE")
    return message


def _checked(method: Method, request: Any, *, is_kept: bool) -> int:
    """Return the page's size; refuse before anyone is asked what every cluster would refuse."""
    if request.order_by:
        text = "order_by works on one cluster at a time; name one in parent, or leave order_by out"
        if is_kept:
            text += ", or set max_staleness to have the gateway's inventory sort over all clusters"
        raise InvalidRequest(text, reason="ORDER_ACROSS_CLUSTERS", violations=[Violation("order_by", text)])
    if str(parse_cluster(request.parent)) != request.parent:
        raise malformed(request.parent, "parent", "platforms/{platform}/clusters/{cluster}")
    resource = cast("Descriptor", method.item.DESCRIPTOR)
    Filter.parse(getattr(request, "filter", ""), resource)
    masks.compiled(getattr(request, "read_mask", None), resource)
    return effective_page_size(request.page_size)


def _positions(cursor: str, wanted: ClusterRef, may: Callable[[ClusterRef], bool]) -> list[_Position]:
    """Return the positions in a token, none of them outside of what the parent means or of where the caller `may`."""
    try:
        positions = msgspec.json.decode(cursor, type=list[_Position])
    except msgspec.MsgspecError as error:
        raise _not_ours() from error
    if len({(position.platform, position.cluster) for position in positions}) < len(positions):
        raise _not_ours()
    for position in positions:
        if wanted.platform not in (WILDCARD, position.platform) or wanted.cluster not in (WILDCARD, position.cluster):
            raise _not_ours()
        if not may(ClusterRef(position.platform, position.cluster)):
            raise _not_ours()
    return positions


def _not_ours() -> InvalidRequest:
    text = "invalid page_token; send next_page_token exactly as it came, or leave it out to start again"
    return InvalidRequest(text, reason="PAGE_TOKEN_MALFORMED", violations=[Violation("page_token", text)])


def _shares(parts: Sequence[_Part], room: int) -> list[tuple[_Part, int]]:
    """Share the room of the page out over the clusters not asked yet; the first ones get what is left over.

    With more clusters than room the rest is asked when the first ones leave room, or by the next page.
    """
    waiting = [part for part in parts if part.waits][:room]
    if not waiting:
        return []
    share, rest = divmod(room, len(waiting))
    return [(part, share + (index < rest)) for index, part in enumerate(waiting)]


def _reports(part: _Part) -> bool:
    """Whether there is anything to report of a cluster in this page; one that is done was reported before."""
    return part.asked or part.position.state in ("failed", "unsupported")


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
    if answer.next_page_token and answer.next_page_token == part.position.token:
        text = f"{part.ref} answered with the page token that it was asked with; look at its paging"
        part.error = PlatformFault(text, reason="PAGING_LOOP")
        _fail(part)
        return
    took = type(part.status.took)()
    took.CopyFrom(part.status.took)
    for status in answer.cluster_status[:1]:
        part.status.CopyFrom(status)
    part.status.cluster = str(part.ref)
    part.status.took.CopyFrom(took)
    _tell_age(part.status)
    if part.status.state == Status.STATE_PARTIAL:
        part.position.doubt = part.position.doubt or part.status.message or part.status.reason
    elif part.position.doubt:
        part.status.state, part.status.reason = Status.STATE_PARTIAL, "LISTING_NOT_PROVEN"
        part.status.message = f"an earlier page: {part.position.doubt}"
    part.position.token = answer.next_page_token
    part.position.state = "open" if answer.next_page_token else "done"


def _tell_age(status: common_pb2.ClusterStatus) -> None:
    """Say how old the answer is; a time that is none is left out."""
    if not status.HasField("observe_time"):
        return
    try:
        observed = status.observe_time.ToDatetime(tzinfo=UTC).timestamp()
        status.age.FromMilliseconds(round(max(0.0, time.time() - observed) * 1000))
    except (ValueError, OverflowError):
        status.ClearField("observe_time")


def _fail(part: _Part) -> None:
    error = part.error or PlatformFault(f"{part.ref} gave no answer")
    unsupported = isinstance(error, Unsupported)
    part.position.state, part.position.token = ("unsupported" if unsupported else "failed"), ""
    part.status.state = Status.STATE_UNSUPPORTED if unsupported else Status.STATE_UNREACHABLE
    part.status.reason, part.status.message = error.reason, error.message


def _check_any_answered(parts: Sequence[_Part]) -> None:
    """With every cluster gone an empty list would be a lie; the error carries each one's reason."""
    failed = [part for part in parts if part.position.state == "failed"]
    if failed and all(part.position.state in ("failed", "unsupported") for part in parts):
        reasons = "; ".join(f"{part.ref}: {part.status.message}" for part in failed)
        raise Unreachable(f"not one cluster answered: {reasons}", reason="ALL_UNREACHABLE", retry_after_s=1.0)
