"""A cloud in memory for sweeps: lists what it holds by pages, as well or as badly as a test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.tests.observed_servers import CLUSTER, name_of, server

from cloudspan_common.errors import Unreachable
from cloudspan_gateway.inventory.model import digest_of
from cloudspan_gateway.inventory.sync.source import Page, PageRequest

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cloudspan_gateway.inventory.model import Observed


def away() -> Unreachable:
    """Return what a cloud that is down answers."""
    return Unreachable("the cloud does not answer")


@dataclass
class ListedCloud:
    """`base.Source` over servers by id; its fields may be changed while it is swept."""

    servers: dict[str, str] = field(default_factory=dict)
    """id -> name for people."""
    projects: dict[str, str] = field(default_factory=dict)
    """id -> the project that it is of; those that stand not here are of the credentials' own, and listed by default."""
    page_size: int = 3
    hidden: set[str] = field(default_factory=set)
    """Is there, and left out of listings."""
    partial: str = ""
    unread: list[str] = field(default_factory=list)
    fails_at: int | None = None
    """The page, from 0, that can't be read."""
    get_fails: bool = False
    etags: bool = True
    tells_changes: bool = False
    gone: list[str] = field(default_factory=list)
    """Ids that a look for changes reports as deleted."""
    between_pages: Callable[[int], Awaitable[None]] | None = None
    """Called before a page is read, with its number."""
    asked: list[PageRequest] = field(default_factory=list)
    got: list[str] = field(default_factory=list)
    cluster: str = CLUSTER

    def row(self, one: str) -> Observed:
        """Return a server as it is now."""
        return server(one, self.servers[one], self.cluster, project=self.projects.get(one, ""))

    def listed_for(self, project: str) -> list[str]:
        """Return the ids of what a project has, or of what the credentials list."""
        return [one for one in self.servers if self.projects.get(one, "") == project]

    async def page(self, request: PageRequest) -> Page:
        self.asked.append(request)
        number = int(request.cursor.partition(":")[0] or 0)
        if self.between_pages is not None:
            await self.between_pages(number)
        if self.fails_at == number:
            raise away()
        if request.since is not None and self.tells_changes:
            gone = [name_of(one, self.cluster) for one in self.gone if not request.project]
            return Page(rows=tuple(self.row(one) for one in self.listed_for(request.project)), gone=gone)
        return self._page(request, number)

    def _page(self, request: PageRequest, number: int) -> Page:
        after = request.cursor.partition(":")[2]
        listed = self.listed_for(request.project)
        behind = sorted(one for one in listed if one > after and one not in self.hidden)
        ids, more = behind[: self.page_size], len(behind) > self.page_size
        next_cursor = f"{number + 1}:{ids[-1]}" if more else ""
        rows = tuple(self.row(one) for one in ids)
        etag = digest_of(b"".join(row.digest for row in rows) + next_cursor.encode()).hex() if self.etags else ""
        page = Page(
            rows=rows,
            next_cursor=next_cursor,
            etag=etag,
            partial=self.partial,
            unread=tuple(self.unread),
            ignored_since=request.since is not None,
        )
        if etag and etag == request.etag:
            return Page(next_cursor=next_cursor, etag=etag, unchanged=True, partial=self.partial, unread=page.unread)
        return page

    async def get(self, name: str) -> Observed | None:
        self.got.append(name)
        if self.get_fails:
            raise away()
        one = name.rpartition("/")[2]
        return self.row(one) if one in self.servers else None
