"""Neutron's lists: filters, fields, order, pages and their links, the same for every resource.

Without `limit` there is no paging at all: `marker` is ignored and everything comes at once. With it, a full page has
a next link even if nothing follows, and a first page has a previous one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.store import parse_time
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_PAGING = {"limit", "marker", "page_reverse", "sort_key", "sort_dir", "fields"}
CHANGED_SINCE = "changed_since"
_TAG_FILTERS = {"tags", "tags-any", "not-tags", "not-tags-any"}


def public(row: Json) -> Json:
    """Return a row without what the fake keeps for itself."""
    return {key: value for key, value in row.items() if key[0] != "_"}


def listing(
    call: Call, many: str, rows: Iterable[Json], attributes: frozenset[str], missing: Callable[[str], Refused]
) -> Reply:
    """Answer a list call over the visible rows, which come in the order of their ids."""
    limit = _limit(call)
    found = [row for row in rows if _met(row, _filters(call, attributes))]
    found = _ordered(call, found, attributes)
    reverse = call.one("page_reverse").lower() in ("true", "1")
    if limit:
        found = _page(call, found, limit, reverse, {row["id"] for row in rows}, missing)
    fields = call.many("fields")
    shown = [public(row) for row in found]
    if fields:
        shown = [{key: row[key] for key in row if key in fields} for row in shown]
    document: Json = {many: shown}
    if limit:
        links = _links(call, [row["id"] for row in found], limit, reverse)
        if links:
            document[f"{many}_links"] = links
    return reply(document)


def changed(call: Call, rows: Iterable[Json]) -> list[Json]:
    """Return the rows that have changed since the call's `changed_since`."""
    since = parse_time(call.one(CHANGED_SINCE))
    return [row for row in rows if since is None or (parse_time(row["updated_at"]) or 0.0) >= since]


def _limit(call: Call) -> int:
    asked = call.one("limit")
    if asked and not asked.isdigit():
        text = f"Bad limit request: Limit must be an integer 0 or greater and not '{asked}'."
        raise Refused(400, text, "BadRequest")
    return int(asked or 0)


def _filters(call: Call, attributes: frozenset[str]) -> dict[str, list[str]]:
    asked: dict[str, list[str]] = {}
    for name, value in call.query:
        if name not in _PAGING and not (name == CHANGED_SINCE and name in attributes):
            asked.setdefault(name, []).append(value)
    unknown = [name for name in asked if name not in attributes and name not in _TAG_FILTERS]
    if unknown:
        raise Refused(400, f"{unknown} is invalid attribute for filtering", "HTTPBadRequest")
    return asked


def _met(row: Json, asked: dict[str, list[str]]) -> bool:
    return all(
        _tagged(row, name, values) if name in _TAG_FILTERS else _equal(row.get(name, row.get(f"_{name}")), values)
        for name, values in asked.items()
    )


def _tagged(row: Json, name: str, values: list[str]) -> bool:
    wanted, tags = {tag for value in values for tag in value.split(",")}, set(row.get("tags", ()))
    found = bool(wanted & tags) if name.endswith("any") else wanted <= tags
    return found is not name.startswith("not")


def _equal(value: Any, wanted: list[str]) -> bool:
    if isinstance(value, bool):
        return str(value).lower() in [text.lower() for text in wanted]
    if isinstance(value, list):
        return any(_in_list(value, text) for text in wanted)
    return ("" if value is None else str(value)) in wanted


def _in_list(values: list[Any], wanted: str) -> bool:
    key, equals, text = wanted.partition("=")
    if equals:  # fixed_ips=ip_address=10.0.0.5
        return any(isinstance(value, dict) and str(value.get(key)) == text for value in values)
    return wanted in values


def _ordered(call: Call, rows: list[Json], attributes: frozenset[str]) -> list[Json]:
    keys, directions = call.many("sort_key"), call.many("sort_dir")
    if len(keys) != len(directions):
        raise Refused(400, "The number of sort_keys and sort_dirs must be same", "HTTPBadRequest")
    if wrong := [direction for direction in directions if direction not in ("asc", "desc")]:
        text = f"{wrong} is invalid value for sort_dirs, valid value is 'asc' and 'desc'"
        raise Refused(400, text, "HTTPBadRequest")
    if wrong := [key for key in keys if key not in attributes]:
        raise Refused(400, f"{wrong} is invalid attribute for sort_keys", "HTTPBadRequest")
    for key, direction in reversed(list(zip(keys, directions, strict=True))):
        rows = sorted(rows, key=lambda row: str(row[key]), reverse=direction == "desc")
    return rows


def _page(
    call: Call, rows: list[Json], limit: int, reverse: bool, known: set[str], missing: Callable[[str], Refused]
) -> list[Json]:
    marker = call.one("marker")
    ids = [row["id"] for row in rows]
    if marker and marker not in known:
        raise missing(marker)
    place = ids.index(marker) if marker in ids else None
    if reverse:
        end = len(rows) if place is None else place
        return rows[max(0, end - limit) : end]
    start = 0 if place is None else place + 1
    return rows[start : start + limit]


def _links(call: Call, ids: list[str], limit: int, reverse: bool) -> list[Json]:
    full = len(ids) >= limit
    kept = [(name, value) for name, value in call.query if name not in ("marker", "page_reverse")]
    links = []
    if full or reverse:
        links.append(_link(call, "next", [*kept, *([("marker", ids[-1])] if ids else [])]))
    if full or not reverse:
        links.append(_link(call, "previous", [*kept, *([("marker", ids[0])] if ids else []), ("page_reverse", "True")]))
    return links


def _link(call: Call, rel: str, query: list[tuple[str, str]]) -> Json:
    return {"rel": rel, "href": f"{call.url}{call.path}?{urlencode(query)}"}
