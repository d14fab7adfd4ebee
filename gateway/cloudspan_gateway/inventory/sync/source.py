"""Where sweeps read: an adapter, page by page, and one resource by its name as proof that it is gone.

`sweep` asks a `Source`; `AdapterSource` is the one that gateways have. What an adapter answers is as untrusted as what
a caller sends: `PageRow`s are of the cluster and collection that was asked for, each name once in a page.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cloudspan.adapter.v1 import sweep_pb2
from cloudspan_common import contract
from cloudspan_common.deadlines import Deadline
from cloudspan_common.errors import CloudspanError, InvalidRequest, NotFound, PlatformFault, Unsupported
from cloudspan_common.names import WILDCARD, parse_cluster, parse_resource
from cloudspan_gateway.access.behalf import GATEWAY, Behalf
from cloudspan_gateway.inventory.model import DIGEST_BYTES, Observed, digest_of
from cloudspan_gateway.routing.forward import Question, read_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_gateway.routing.forward import Forwarder
    from cloudspan_gateway.routing.snapshot import Snapshot

SWEEP_PAGE = "cloudspan.adapter.v1.SweepService/SweepPage"
PAGE_S = 120.0
"""How long one page may take: a slow cloud's listing of a thousand resources, behind whatever callers wait for."""
GET_S = 30.0
MAX_NAME_CHARS = 512
"""As in any request that names a resource."""
_SHOWN = 200  # characters of what an adapter said


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Asks for one page of a collection."""

    cluster: str
    collection: str
    cursor: str = ""
    etag: str = ""
    """Of the same page in the last sweep."""
    since: float | None = None
    """Unix seconds: only what changed since then is wanted."""
    project: str = ""
    """The name of the only project whose resources are wanted; empty for what the credentials list."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page as an adapter answered it, checked."""

    rows: Sequence[Observed] = ()
    gone: Sequence[str] = ()
    """Names that the platform reports as deleted."""
    next_cursor: str = ""
    etag: str = ""
    unchanged: bool = False
    partial: str = ""
    """Why something may be missing."""
    unread: Sequence[str] = ()
    """What could not be read, or not be believed."""
    ignored_since: bool = False


class Source(Protocol):
    """What a sweep reads from."""

    async def page(self, request: PageRequest) -> Page:
        """Return one page.

        Raises:
            Unsupported: The cluster has no such collection, or its adapter does not know sweeps.
            CloudspanError: It could not be read.
        """
        ...

    async def get(self, name: str) -> Observed | None:
        """Return one resource; None where its platform proves that it does not have it.

        Raises:
            CloudspanError: Whether it is there is not known.
        """
        ...


class AdapterSource:
    """Asks adapters, as the gateway itself."""

    def __init__(self, snapshot: Callable[[], Snapshot], forwarder: Forwarder) -> None:
        """Make it; `snapshot` returns who can be called now."""
        self._snapshot = snapshot
        self._forwarder = forwarder

    def __repr__(self) -> str:
        return f"<AdapterSource over {self._forwarder!r}>"

    async def page(self, request: PageRequest) -> Page:
        ref = parse_cluster(request.cluster)
        listing = contract.lister(request.collection).full_name
        asked = sweep_pb2.SweepPageRequest(
            cluster=request.cluster,
            collection=request.collection,
            cursor=request.cursor,
            known_etag=request.etag,
        )
        if request.since is not None:
            asked.since_time.FromNanoseconds(round(max(request.since, 0.0) * 1e9))
        with_adapter = f"the adapter of {ref}"
        try:
            behalf = _behalf(request.project)
            answer = await self._ask(ref, listing, SWEEP_PAGE, asked.SerializeToString(), PAGE_S, behalf)
        except (Unsupported, InvalidRequest) as error:
            raise _not_swept(error, with_adapter, request.collection) from error
        return page_of(read_answer(sweep_pb2.SweepPageResponse, answer, with_adapter), request)

    async def get(self, name: str) -> Observed | None:
        ref = parse_cluster(name)
        method = contract.getter(name.split("/")[4])
        asked: Any = method.request(**{method.routed_field: name})
        try:
            answer = await self._ask(ref, method.full_name, method.full_name, asked.SerializeToString(), GET_S)
        except NotFound as error:
            if error.resource != name:  # the cluster itself may be what is not found
                raise
            return None
        found: Any = read_answer(method.response, answer, f"the adapter of {ref}")
        if found.name != name:
            text = f"the adapter of {ref} returned {found.name[:_SHOWN]!r} for {name}; report it to its author"
            raise PlatformFault(text, reason="UNEXPECTED_ANSWER")
        return Observed.of(found)

    async def _ask(
        self, ref: ClusterRef, served: str, method: str, body: bytes, timeout_s: float, behalf: Behalf = GATEWAY
    ) -> bytes:
        """Ask an instance that serves the method `served` on the cluster."""

        def endpoints() -> Any:
            snapshot = self._snapshot()
            return snapshot.endpoints(snapshot.cluster(ref), served)

        question = Question(f"/{method}", body, Deadline.after(timeout_s), behalf=behalf, again=True)
        return await self._forwarder.ask(endpoints, question)


@functools.lru_cache(maxsize=1024)
def _behalf(project: str) -> Behalf:
    return GATEWAY._replace(project=_project_id(project)) if project else GATEWAY


def _project_id(name: str) -> str:
    return parse_resource(name, "projects")[1] if name else ""


def _not_swept(error: CloudspanError, adapter: str, collection: str) -> CloudspanError:
    """Return what an adapter that is older than the gateway means; other errors as they are."""
    knows_no_sweeps = isinstance(error, Unsupported) and error.reason == Unsupported.default_reason
    if not knows_no_sweeps and error.reason != "UNKNOWN_COLLECTION":
        return error
    text = f"{adapter} can't list {collection} for the inventory: {error.message[:_SHOWN]}; update the adapter"
    return Unsupported(text, reason=Unsupported.default_reason)


def page_of(answer: sweep_pb2.SweepPageResponse, request: PageRequest) -> Page:
    """Return an answer as a page; rows that can't be believed are among `unread`.

    Raises:
        PlatformFault: It says that nothing changed, and was not asked whether; or it is of another project.
    """
    _check_unchanged(answer, request)
    if answer.project_id != _project_id(request.project):
        text = (
            f"the adapter of {request.cluster} was asked for {request.project or 'no project'} and answered for "
            f"{answer.project_id[:_SHOWN] or 'none'}; update it, or report it to its author"
        )
        raise PlatformFault(text, reason="UNEXPECTED_ANSWER")
    prefix = f"{request.cluster}/{request.collection}/"
    unread = list(answer.unread)
    rows: dict[str, Observed] = {}
    gone = []
    for row in answer.rows:
        wrong = _wrong(row, prefix, request, rows)
        if wrong:
            unread.append(f"{row.name[:_SHOWN]} {wrong}")
        elif row.gone:
            gone.append(row.name)
        else:
            rows[row.name] = _observed(row)
    return Page(
        rows=tuple(rows.values()),
        gone=tuple(gone),
        next_cursor=answer.next_cursor,
        etag=answer.etag,
        unchanged=answer.unchanged,
        partial=answer.partial,
        unread=tuple(unread),
        ignored_since=answer.ignored_since,
    )


def _check_unchanged(answer: sweep_pb2.SweepPageResponse, request: PageRequest) -> None:
    if answer.unchanged and (not request.etag or answer.rows):
        text = f"the adapter of {request.cluster} returned an unchanged page that nobody has; report it to its author"
        raise PlatformFault(text, reason="UNEXPECTED_ANSWER")


def _wrong(row: sweep_pb2.SweepPageResponse.Row, prefix: str, request: PageRequest, rows: dict[str, Observed]) -> str:
    """Return why a row can't be believed; empty where nothing speaks against it."""
    name = row.name
    if not name.startswith(prefix) or len(name) > MAX_NAME_CHARS:
        return f"is not the name of one of {prefix}"
    resource_id = name[len(prefix) :]
    if "/" in resource_id or resource_id in ("", WILDCARD):
        return f"is not the name of one of {prefix}"
    if not (name.isascii() and name.isprintable()):
        return "is not percent-encoded"
    if row.gone and request.since is None:
        return "is listed and called gone"
    if row.name in rows and rows[row.name].payload != row.resource:
        return "is listed twice, with other content; the first one was taken"
    return ""


def _observed(row: sweep_pb2.SweepPageResponse.Row) -> Observed:
    digest = row.digest if len(row.digest) == DIGEST_BYTES else digest_of(row.resource)
    return Observed(row.name, row.resource, digest)
