"""Dates as the server writes and reads them: in its own zone, without saying which."""

from __future__ import annotations

import functools
import re
from datetime import UTC, datetime, timedelta, timezone

_NARROW_SPACE = chr(0x202F)


@functools.lru_cache(maxsize=65536)
def written(second: int, offset_s: int, *, new_java: bool) -> str:
    """Return `Nov 14, 2024 10:20:57 PM`; a newer Java puts a comma after the year and a narrow space before PM."""
    moment = datetime.fromtimestamp(second, timezone(timedelta(seconds=offset_s)))
    comma, space = (",", _NARROW_SPACE) if new_java else ("", " ")
    hour = moment.hour % 12 or 12
    return f"{moment:%b} {moment.day}, {moment.year}{comma} {hour}:{moment:%M:%S}{space}{moment:%p}"


def parse_condition(value: str, offset_s: int) -> float:
    """Return the unix time of a date in a query condition: `2024-11-14 22:20:57` in the server's zone.

    Raises:
        ValueError: It is none.
    """
    moment = datetime.fromisoformat(value.strip())
    return moment.replace(tzinfo=timezone(timedelta(seconds=offset_s))).timestamp()


def parse_wall(header: str) -> datetime:
    """Return what a `Date` header shows on the wall, its zone left aside as the server does by default.

    Raises:
        ValueError: It is no `Mon, 02 Jan 2006 15:04:05 CST`.
    """
    found = re.fullmatch(r"(\w{3}, \d{1,2} \w{3} \d{4} \d{2}:\d{2}:\d{2}) \S+", header)
    if found is None:
        raise ValueError(header)
    return datetime.strptime(found[1], "%a, %d %b %Y %H:%M:%S").replace(tzinfo=UTC)


def wall(now: float, offset_s: int) -> datetime:
    """Return what the server's own clock shows on the wall, in the form that `parse_wall` returns."""
    return datetime.fromtimestamp(now + offset_s, UTC)
