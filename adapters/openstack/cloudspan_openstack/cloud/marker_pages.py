"""Page through Neutron, Cinder and Glance collections by marker, and prove that nothing is missing.

The areas' `list_` functions call `list_page` with a `Listing` (what the collection is) and its scopes (which parts of
it, one after the other). Three rules of the platforms shape it:

* A next link, or a page as long as was asked for, means there is more; a shorter page without a link is the end.
  Services that stopped giving links are read on by the second rule.
* A marker that was deleted since is an error: 404 from Neutron and Cinder, 400 from Glance. In the default order
  the position that the cursor also holds says where the listing was, so it is walked again from the start and goes
  on exactly behind that position: nothing twice, nothing lost. In an order that the caller chose the place can't
  be told any more, and the answer is ABORTED: start the listing again.
* An administrator's listing shows every project unless a scope says which; see `network_scopes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import msgspec

from cloudspan_common.errors import Busy, InvalidRequest, NotFound, PlatformFault
from cloudspan_kit import Page, converted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from google.protobuf.message import Message

    from cloudspan_kit import Call, Query
    from cloudspan_openstack.cloud.session import Session

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)
M = TypeVar("M", bound="Message")
Params = tuple[tuple[str, str], ...]

MAX_LIMIT = 1000


class Link(msgspec.Struct):
    """A link beside a collection."""

    rel: str = ""
    href: str = ""


class NativePage(Protocol[R_co]):
    """A collection's answer."""

    @property
    def rows(self) -> Sequence[R_co]: ...

    @property
    def has_next(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Listing(Generic[R, M]):
    """One native collection."""

    service: str
    path: str
    key: str
    """Where the rows stand in the answer."""
    page: type[NativePage[R]]
    message: Callable[[R], M]
    place: Callable[[R], tuple[str, str]]
    """(what the default order sorts by, id) of a row; the second decides among equals."""
    descending: bool
    """Whether the default order falls."""
    sort: Callable[[Sequence[tuple[str, bool]]], Params]
    """The parameters for an order; of the default one when there is none."""


@dataclass(frozen=True, slots=True)
class Scope(Generic[R]):
    """A part of a collection; parts must not overlap, so `keep` drops what another part shows."""

    params: Params = ()
    keep: Callable[[R], bool] | None = None


@dataclass(frozen=True, slots=True)
class _At:
    """A position in a listing: after the row `place` of one scope; at its start when the id is empty."""

    scope: int = 0
    place: tuple[str, str] = ("", "")

    @property
    def marker(self) -> str:
        return self.place[1]

    def __str__(self) -> str:
        return f"{self.scope}|{self.place[0]}|{self.place[1]}"

    @classmethod
    def parse(cls, cursor: str, scopes: int) -> _At:
        if not cursor:
            return cls()
        scope, _, rest = cursor.partition("|")
        first, bar, second = rest.rpartition("|")
        if not scope.isdigit() or int(scope) >= scopes or not bar:
            raise InvalidRequest("the page token's position is not one of this listing; start the listing again")
        return cls(int(scope), (first, second))


@dataclass(frozen=True, slots=True)
class _Batch(Generic[R]):
    """Rows of one scope, in order, with their documents if those are wanted, and whether the scope goes on."""

    rows: Sequence[R]
    documents: Sequence[dict[str, Any]]
    more: bool

    def kept(self, keep: Callable[[R], bool] | None) -> _Batch[R]:
        if keep is None:
            return self
        chosen = [i for i, row in enumerate(self.rows) if keep(row)]
        documents = [self.documents[i] for i in chosen] if self.documents else []
        return _Batch([self.rows[i] for i in chosen], documents, self.more)


async def list_page(
    session: Session,
    call: Call,
    listing: Listing[R, M],
    query: Query,
    *,
    pushed: Params = (),
    scopes: Sequence[Scope[R]] = (),
) -> Page[M]:
    """Return the native page behind the query's cursor, as messages.

    Raises:
        Busy: The row that the caller's own order stood at is gone.
    """
    walk = _Walk(session, call, listing, query, pushed, scopes or (Scope(),))
    return await walk.page()


class _Walk(Generic[R, M]):
    """One call's way through one listing."""

    def __init__(
        self,
        session: Session,
        call: Call,
        listing: Listing[R, M],
        query: Query,
        pushed: Params,
        scopes: Sequence[Scope[R]],
    ) -> None:
        self._session, self._call, self._listing, self._query = session, call, listing, query
        self._pushed, self._scopes = pushed, scopes

    async def page(self) -> Page[M]:
        at = _At.parse(self._query.cursor, len(self._scopes))
        while True:
            whole = await self._read(at)
            batch = whole.kept(self._scopes[at.scope].keep)
            more = whole.more or at.scope + 1 < len(self._scopes)
            if batch.rows or not more:
                return self._page(at, batch, more)
            at = self._behind(at, whole)

    def _behind(self, at: _At, batch: _Batch[R]) -> _At:
        """Where to go on after a batch of which nothing is shown."""
        if not batch.more:
            return _At(at.scope + 1)
        place = self._listing.place(batch.rows[-1])
        if place == at.place:
            text = (
                f"{self._listing.service} of {self._call.cluster} answers the same page of {self._listing.path} again"
            )
            raise PlatformFault(text, reason="PAGING_LOOP")
        return _At(at.scope, place)

    def _page(self, at: _At, batch: _Batch[R], more: bool) -> Page[M]:
        rows, place = batch.rows, self._listing.place
        message = self._listing.message
        items = [message(row) for row in rows]
        for item, document in zip(items, batch.documents, strict=False):
            item.native.update(document)  # type: ignore[attr-defined] # every resource has it
        last = len(rows) - 1

        def position(index: int) -> str:
            if index == last and more and not batch.more:
                return str(_At(at.scope + 1))
            return str(_At(at.scope, place(rows[index])))

        return Page(items, more, position)

    async def _read(self, at: _At) -> _Batch[R]:
        limit = min(max(self._query.limit, 1), MAX_LIMIT)
        try:
            return await self._fetch(at.scope, at.marker, limit)
        except (NotFound, InvalidRequest) as error:
            if not at.marker:
                raise
            if self._query.order_by:
                text = (
                    f"the {self._listing.key} that the listing stood at was deleted meanwhile, and in the chosen order "
                    "its place can't be found again; start the listing again"
                )
                raise Busy(text, reason="LISTING_CHANGED") from error
            return await self._walk_again(at)

    async def _walk_again(self, at: _At) -> _Batch[R]:
        """Read from the scope's start to the first rows behind `at`; each page costs a call, none is shown twice."""
        listing = self._listing

        def behind(row: R) -> bool:
            place = listing.place(row)
            return place < at.place if listing.descending else place > at.place

        marker = ""
        while True:
            batch = await self._fetch(at.scope, marker, MAX_LIMIT)
            rest = batch.kept(behind)
            if rest.rows or not batch.more:
                return rest
            marker = listing.place(batch.rows[-1])[1]

    async def _fetch(self, scope: int, marker: str, limit: int) -> _Batch[R]:
        listing = self._listing
        params = [*self._scopes[scope].params, *self._pushed, *listing.sort(self._query.order_by)]
        params.append(("limit", str(limit)))
        if marker:
            params.append(("marker", marker))
        documents: list[dict[str, Any]] = []
        if self._call.full:
            body = await self._get(params, dict[str, Any])
            page = converted(body, listing.page)
            documents = body[listing.key]
        else:
            page = await self._get(params, listing.page)
        rows = page.rows
        more = bool(rows) and (page.has_next or len(rows) >= limit or await self._goes_on(scope, rows[-1]))
        return _Batch(rows, documents, more)

    async def _goes_on(self, scope: int, last: R) -> bool:
        """Ask whether anything follows a short page without a link: the end of a list is seen, not assumed.

        Costs one small call a listing; proxies and services that lost their links have cut lists short before.
        """
        listing = self._listing
        params = [*self._scopes[scope].params, *self._pushed, *listing.sort(self._query.order_by)]
        try:
            page = await self._get([*params, ("limit", "1"), ("marker", listing.place(last)[1])], listing.page)
        except (NotFound, InvalidRequest):
            return True  # the last row was deleted just now: the next page finds its way
        return bool(page.rows)

    async def _get(self, params: Sequence[tuple[str, str]], into: type[Any]) -> Any:
        listing = self._listing
        return await self._session.get(self._call, listing.service, listing.path, into, params=params)


async def read_one(
    session: Session, call: Call, listing: Listing[R, M], row: type[R], *, key: str, template: str = ""
) -> M:
    """Return one resource of a listing, `call.id`, as a message; an empty `key` means a bare document.

    Raises:
        NotFound: There is none of that id under the cluster's scope.
    """
    path = template or f"{listing.path}/{{id}}"
    body = await session.get(call, listing.service, path, dict[str, Any], args={"id": call.id})
    document = body.get(key) if key else body
    message = listing.message(converted(document, row))
    if call.full:
        message.native.update(document)  # type: ignore[attr-defined] # every resource has it
    return message
