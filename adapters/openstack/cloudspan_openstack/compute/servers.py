"""Reads of servers: one, and pages of them with what their completeness rests on.

Nova pages by marker; a page is followed while it has a next link or is as long as asked for, since Nova cuts a page
to its own `max_limit` without a word. See `cells` for what a page can't tell.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import unquote

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import Busy, InvalidRequest, PlatformFault
from cloudspan_kit import Capability, Page, converted
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.compute.cells import BriefPage
from cloudspan_openstack.compute.server_rows import STATES, TASK_STATES, ServerPage, ServerRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.listing.filter_ast import Filter
    from cloudspan_kit import Call, Query
    from cloudspan_openstack.compute.compute import Compute

_MAX_LIMIT = 1000
_SORT_KEYS = {"display_name": "display_name", "create_time": "created_at", "update_time": "updated_at"}
# Nova's `name` is a regular expression of the cloud's database; these stand for themselves in all of them, others
# do inside brackets, and a name with one that does in none is left to the kit.
_PLAIN = re.compile(r"[A-Za-z0-9 _,:;@#%&=!~'\"<>-]")
_BRACKETED = re.compile(r"[.*+?(){}|$/]")
_FILTERS_FOR_ALL = Microversion(2, 83)
_State = server_pb2.Server.State
# States that a task decides, whatever the status, can't be asked for by status.
_BY_TASK = frozenset(TASK_STATES.values())


class Servers:
    """GetServer and ListServers."""

    capabilities: ClassVar[Mapping[str, Capability]] = {"list_servers": Capability(sortable=tuple(_SORT_KEYS))}

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._session = compute.session

    async def get_server(self, call: Call, _request: server_pb2.GetServerRequest) -> server_pb2.Server:
        return await self._compute.server(call, call.id)

    async def list_servers(self, call: Call, query: Query) -> Page[server_pb2.Server]:
        limit = min(max(query.limit, 1), _MAX_LIMIT)
        version = await self._compute.version(call)
        params = [("limit", str(limit)), *_pushed(query.filter, self._session.is_admin, version)]
        for field, descending in query.order_by:
            params += [("sort_key", _SORT_KEYS[field]), ("sort_dir", "desc" if descending else "asc")]
        if query.cursor:
            params.append(("marker", query.cursor))
        rows, documents, more, doubt = await self._page(call, params, limit, query)
        ports, unread = await self._compute.ports_seen(call, rows)
        items = await self._compute.messages(call, rows, ports, dict(params).get("flavor", ""))
        doubt = "; ".join(filter(None, (doubt, unread)))
        for item, document in zip(items, documents, strict=False):
            item.native.update(document)
        return Page(items, more, lambda index: rows[index].id, partial=doubt)

    async def _page(
        self, call: Call, params: Sequence[tuple[str, str]], limit: int, query: Query
    ) -> tuple[list[ServerRow], list[dict[str, Any]], bool, str]:
        """Return rows, their documents under view FULL, whether there is more, and what speaks against completeness."""
        if query.cursor:
            (page, documents), doubt = await self._read(call, params), ""
        else:
            (page, documents), doubt = await self._first(call, params)
        rows = page.servers
        if rows and rows[-1].id == query.cursor:
            text = f"Nova of {call.cluster} answers the page before again: its last server is the marker itself"
            raise PlatformFault(text, reason="PAGING_LOOP")
        more = bool(rows) and (page.has_next or len(rows) >= limit or await self._goes_on(call, params, rows[-1].id))
        if query.cursor and not more:
            doubt = await self._compute.cells.doubt(call)
        return rows, documents, more, doubt

    async def _goes_on(self, call: Call, params: Sequence[tuple[str, str]], last_id: str) -> bool:
        """Ask whether anything follows a short page without a link: the end of a list is seen, not assumed.

        Costs one small call a listing; proxies and services that lost their links have cut lists short before.
        """
        asked = [(key, value) for key, value in params if key not in ("limit", "marker")]
        page = await self._session.get(
            call, "compute", "/servers", BriefPage, params=[*asked, ("limit", "1"), ("marker", last_id)]
        )
        return bool(page.servers)

    async def _first(
        self, call: Call, params: Sequence[tuple[str, str]]
    ) -> tuple[tuple[ServerPage, list[dict[str, Any]]], str]:
        """Read the first page and look at the cells, both at once."""
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self._read(call, params))
                looking = group.create_task(self._compute.cells.doubt(call))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return reading.result(), looking.result()

    async def _read(self, call: Call, params: Sequence[tuple[str, str]]) -> tuple[ServerPage, list[dict[str, Any]]]:
        try:
            if not call.full:
                return await self._session.get(call, "compute", "/servers/detail", ServerPage, params=params), []
            body = await self._session.get(call, "compute", "/servers/detail", dict[str, Any], params=params)
            return converted(body, ServerPage), body["servers"]
        except InvalidRequest as error:
            if "marker" not in error.message:
                raise
            # A deleted server stays a good marker until Nova's database is purged.
            text = "the server that the listing stood at is gone for good; start the listing again"
            raise Busy(text, reason="LISTING_CHANGED", metadata=error.metadata) from error


def _pushed(asked: Filter, is_admin: bool, version: Microversion) -> list[tuple[str, str]]:
    """Return the equalities that Nova does right; the kit applies the whole filter to what comes back.

    Not pushed: metadata (a member gets all servers, an administrator a 400), zone (Nova compares what was asked for
    at creation, not where the server is), and host and, below 2.83, key pair for members, whose filter is ignored.
    """
    params: list[tuple[str, str]] = []
    name, state = asked.equal("display_name"), asked.equal("state")
    if name and (pattern := _as_regex(name)):
        params.append(("name", pattern))
    if state:
        params += [("status", status) for status in _statuses(state)]
    for field, key in (("image", "image"), ("flavor", "flavor")):
        if wanted := asked.equal(field):
            params.append((key, _id_of(wanted)))
    if (host := asked.equal("host")) and is_admin:
        params.append(("host", _id_of(host)))
    if (key_pair := asked.equal("key_pair")) and (is_admin or version >= _FILTERS_FOR_ALL):
        params.append(("key_name", _id_of(key_pair)))
    return params


def _id_of(name: str) -> str:
    return unquote(name.rpartition("/")[2])


def _as_regex(name: str) -> str:
    parts = [c if _PLAIN.match(c) else f"[{c}]" if _BRACKETED.match(c) else "" for c in name]
    return f"^{''.join(parts)}$" if all(parts) else ""


def _statuses(state: str) -> list[str]:
    """Nova's statuses for one of our states; none where they would not cover it."""
    name = state if state.startswith("STATE_") else f"STATE_{state}"
    value = _State.Value(name) if name in _State.keys() else None  # noqa: SIM118 - an enum wrapper, no dict
    if value is None or value in _BY_TASK or value == server_pb2.Server.STATE_UNKNOWN:
        return []
    return [status for status, ours in STATES.items() if ours == value and status != "DELETED"]
