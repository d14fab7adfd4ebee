"""SweepService: whole collections for a gateway's inventory, page by page, out of the functions that lists use.

Nothing is kept between two pages: what a traversal must know of itself, such as where it would be going in circles,
stands in its cursor. A page is one native page, unless an answer can't hold that.
"""

from __future__ import annotations

import functools
import hashlib
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from google.api import resource_pb2

from cloudspan.adapter.v1 import sweep_pb2, sweep_pb2_grpc
from cloudspan_common import contract, projects
from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_common.listing.filter_ast import EVERYTHING
from cloudspan_common.listing.page_token import MAX_ANSWER_BYTES, MAX_PAGE_SIZE, decode_token, encode_token
from cloudspan_common.names import parse_cluster
from cloudspan_kit.error_context import located
from cloudspan_kit.kind import Page, Query
from cloudspan_kit.lists.fill import MAY_BE_MISSING, paging_loop
from cloudspan_kit.lists.slices import slices
from cloudspan_kit.serve.error_words import in_project
from cloudspan_kit.serve.steps import called
from cloudspan_kit.values import cloud_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import grpc
    from google.protobuf.descriptor import Descriptor

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.serve.clusters import Clusters, Served
    from cloudspan_kit.serve.servicer import ContractServicer

    Context = grpc.aio.ServicerContext[Any, Any]

SWEEPS = "cloudspan.adapter.v1.SweepService"
CHANGES_MARGIN_S = 60.0
"""How much earlier than it was told a platform is asked for changes. Clocks that CheckCluster bears differ by 30 s, a
platform's hosts differ among themselves, and a row is stamped when its transaction begins, not when it can be read."""

ROWS_ASKED = 100
"""Of a platform at a time. A page is decoded in one piece, and callers wait for that: beside sweeps with pages of 1000
rows of OpenStack's servers their p99 was 1.63 x as long as without, with 250 1.12 x, with 100 1.08 x (bench P12)."""

_DIGEST_BYTES = 16
_LOOP_BYTES = 8
_QUERY_BYTES = 8  # as page tokens have them
_NOT_KEPT = ("observe_time", "native")
_ROW_BYTES = 64  # digest, tags and lengths of one row
# Left for the cursor and what is said of rows that can't be read.
_ROOM = MAX_ANSWER_BYTES - 256 * 1024
_MOST_UNREAD, _UNREAD_CHARS = 100, 300
_ID_CHARS = 255


class SweepServicer(sweep_pb2_grpc.SweepServiceServicer):
    """Reads one page of a collection."""

    def __init__(self, clusters: Clusters, servicer: ContractServicer) -> None:
        self._clusters, self._servicer = clusters, servicer

    async def SweepPage(  # noqa: N802 - the rpc's name
        self, request: sweep_pb2.SweepPageRequest, context: Context
    ) -> sweep_pb2.SweepPageResponse:
        return await self._servicer.answered(f"{SWEEPS}/SweepPage", context, lambda: self._sweep(request, context))

    async def _sweep(self, request: sweep_pb2.SweepPageRequest, context: Context) -> sweep_pb2.SweepPageResponse:
        ref = parse_cluster(request.cluster, "cluster")
        listing = _listing(request.collection)
        call, served = called(self._clusters, ref, "cluster", context)
        call = replace(call, background=True)
        with served, located(ref):
            function = served.abilities.function(listing)
            position = _Position.parse(request, call)
            async with (
                call.deadline.scope(f"a sweep of {request.collection} of {ref}"),
                in_project(call, request, served.abilities),
            ):
                began = time.time_ns()
                page = await function(call, _query(call, listing, request, served, position.native))
            answer = await _answer(page, call, listing, position, request)
            answer.observe_time.FromNanoseconds(began)
        return answer


@functools.cache
def _listings() -> Mapping[str, contract.Method]:
    """The contract's lists of what is in a cluster, by collection."""
    lists = (m for m in contract.methods().values() if m.kind is contract.Kind.LIST and m.routed_field)
    return {_descriptor(m).GetOptions().Extensions[resource_pb2.resource].plural: m for m in lists}


def _descriptor(listing: contract.Method) -> Descriptor:
    return cast("Descriptor", listing.item.DESCRIPTOR)


def _listing(collection: str) -> contract.Method:
    listing = _listings().get(collection)
    if listing is None:
        text = f"collection is {collection!r}; a cluster has {', '.join(sorted(_listings()))}"
        raise InvalidRequest(text, reason="UNKNOWN_COLLECTION", violations=[Violation("collection", text)])
    return listing


# ---------------------------------------------------------------------- where a traversal is


@dataclass(frozen=True, slots=True)
class _Position:
    """Where a traversal is.

    It finds circles as Brent does, by remembering one position: that of the last page whose number is a power of two.
    Whatever the length of a circle, it comes by there again.
    """

    query: bytes
    """A digest of what is swept: a cursor is good for nothing else."""
    pages: int = 0
    native: str = ""
    """The platform's cursor."""
    remembered: str = ""

    @classmethod
    def parse(cls, request: sweep_pb2.SweepPageRequest, call: Call) -> _Position:
        query = _query_digest(request, call.caller.project)
        try:
            pages, remembered, native = (decode_token(request.cursor, query) or "0::").split(":", 2)
            return cls(query, int(pages), native, remembered)
        except (InvalidRequest, ValueError) as error:
            text = f"cursor is not one of a sweep of {request.collection} of {request.cluster}; start the sweep again"
            raise InvalidRequest(text, reason="PAGE_TOKEN_MALFORMED", violations=[Violation("cursor", text)]) from error

    def behind(self, native: str | None, cluster: ClusterRef) -> str:
        """Return the cursor that goes on at the platform's cursor `native`; empty at the end, where there is none.

        Raises:
            PlatformFault: PAGING_LOOP: the traversal has been there.
        """
        if native is None:
            return ""
        place = hashlib.blake2b(native.encode(), digest_size=_LOOP_BYTES).hexdigest()
        if native in ("", self.native) or place == self.remembered:
            raise paging_loop(cluster, native)
        pages = self.pages + 1
        remembered = place if pages.bit_count() == 1 else self.remembered
        return encode_token(self.query, f"{pages}:{remembered}:{native}")


def _query_digest(request: sweep_pb2.SweepPageRequest, project: str) -> bytes:
    """Return a digest of what must stay the same from page to page."""
    traversed = sweep_pb2.SweepPageRequest(cluster=request.cluster, collection=request.collection)
    if request.HasField("since_time"):
        traversed.since_time.CopyFrom(request.since_time)
    said = project.encode() + b"\0" + traversed.SerializeToString(deterministic=True)
    return hashlib.blake2b(said, digest_size=_QUERY_BYTES).digest()


def _query(
    call: Call, listing: contract.Method, request: sweep_pb2.SweepPageRequest, served: Served, native: str
) -> Query:
    seen = projects.bound(_descriptor(listing), call.project).filter if call.project else EVERYTHING
    return Query(seen, ROWS_ASKED, native, since=_since(request, served))


def _since(request: sweep_pb2.SweepPageRequest, served: Served) -> float | None:
    """Return since when the platform is asked for changes, by its own clock as far as that is known."""
    if not request.HasField("since_time"):
        return None
    keeper = served.cluster.keeper
    skew_s = keeper.state().skew_s if keeper is not None else 0.0
    asked_s = request.since_time.seconds + request.since_time.nanos / 1e9
    return max(0.0, min(asked_s, time.time()) + skew_s - CHANGES_MARGIN_S)


# ---------------------------------------------------------------------- the answer


async def _answer(
    page: Page[Any],
    call: Call,
    listing: contract.Method,
    position: _Position,
    request: sweep_pb2.SweepPageRequest,
) -> sweep_pb2.SweepPageResponse:
    answer = sweep_pb2.SweepPageResponse(
        partial=cloud_words(page.partial),
        ignored_since=request.HasField("since_time") and not page.changes_only,
        project_id=call.caller.project,
    )
    rows, gone = _Rows(page, _sees(call, listing), answer), _gone(page, call, request.collection)
    await rows.fill(_ROOM - sum(len(name) + _ROW_BYTES for name in gone))
    for name in gone:
        answer.rows.add(name=name, gone=True)
    answer.unread.extend(_shown([*page.unread, *rows.unread]))
    answer.next_cursor = position.behind(_native_cursor(page, rows.end, position.native), call.cluster)
    answer.etag = _etag(rows.digests, gone, answer.next_cursor)
    if answer.etag == request.known_etag:
        answer.unchanged = True
        answer.ClearField("rows")
    if call.project:  # what is missing may be another's
        answer.partial = MAY_BE_MISSING if answer.partial or answer.unread else ""
        answer.ClearField("unread")
    return answer


def _gone(page: Page[Any], call: Call, collection: str) -> Sequence[str]:
    """Return the names of what is deleted; not for a caller with one project, since nothing tells whose it was."""
    ids = () if call.project else page.gone[:MAX_PAGE_SIZE]
    return [call.cluster.resource(collection, native_id) for native_id in ids if len(native_id) <= _ID_CHARS]


def _sees(call: Call, listing: contract.Method) -> Callable[[Any], bool]:
    return projects.bound(_descriptor(listing), call.project).shows if call.project else lambda _: True


@dataclass(slots=True)
class _Rows:
    """Fills an answer with the rows of a native page, as many as it holds."""

    page: Page[Any]
    sees: Callable[[Any], bool]
    answer: sweep_pb2.SweepPageResponse
    end: int = 0
    """How many items of the page they are of; what is left out counts."""
    digests: list[bytes] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    _payloads: dict[str, bytes] = field(default_factory=dict)

    async def fill(self, room: int) -> None:
        """Take rows until they have so many bytes; one that has more by itself is left out."""
        left = room
        async for items in slices(self.page.items):
            for item in items:
                payload = _payload(item)
                size = len(payload) + len(item.name.encode()) + _ROW_BYTES
                if (size > left and size <= room) or len(self.digests) == MAX_PAGE_SIZE:
                    return
                self.end += 1
                if size > room:
                    self.unread.append(f"{item.name} was left out (it has {len(payload)} bytes)")
                elif self.sees(item) and self._is_new(item.name, payload):
                    left -= size
                    self._take(item.name, payload)

    def _take(self, name: str, payload: bytes) -> None:
        digest = hashlib.blake2b(payload, digest_size=_DIGEST_BYTES).digest()
        self.digests.append(digest)
        # A row that is made in its place needs no copy: for 1000 of them 0.7 ms instead of 2.1.
        self.answer.rows.add(name=name, resource=payload, digest=digest)

    def _is_new(self, name: str, payload: bytes) -> bool:
        """Whether a name is there for the first time; of two that say different things neither is known to be right."""
        first = self._payloads.setdefault(name, payload)
        if first is not payload and first != payload:
            self.unread.append(f"{name} is listed twice, with other content; the first one was taken")
        return first is payload


def _payload(item: Any) -> bytes:
    left_out = [name for name in _not_kept(item.DESCRIPTOR) if item.HasField(name)]
    if left_out:  # a driver may have given what it keeps
        kept = type(item)()
        kept.CopyFrom(item)
        for name in left_out:
            kept.ClearField(name)
        item = kept
    payload: bytes = item.SerializeToString(deterministic=True)
    return payload


@functools.cache
def _not_kept(resource: Descriptor) -> Sequence[str]:
    return tuple(name for name in _NOT_KEPT if name in resource.fields_by_name)


def _native_cursor(page: Page[Any], taken: int, native: str) -> str | None:
    """Return the platform's cursor behind the first so many items of a page; None where nothing is left."""
    if taken < len(page.items):
        return page.position(taken - 1)
    if not page.more:
        return None
    return page.end or (page.position(taken - 1) if taken else native)


def _etag(digests: Sequence[bytes], gone: Sequence[str], next_cursor: str) -> str:
    digest = hashlib.blake2b(b"".join(digests), digest_size=_DIGEST_BYTES)
    for text in (*gone, next_cursor):
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()


def _shown(unread: Sequence[str]) -> Sequence[str]:
    more = [f"and {len(unread) - _MOST_UNREAD} more"] if len(unread) > _MOST_UNREAD else []
    return [*(text[:_UNREAD_CHARS] for text in unread[:_MOST_UNREAD]), *more]
