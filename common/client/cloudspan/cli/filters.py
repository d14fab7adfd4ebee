"""Filters (AIP-160) made from what people type: every value is quoted, so that none of it is read as a filter."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

_AGE = re.compile(r"([0-9]{1,6})(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPECIAL = re.compile(r'[\\"*]')


def quoted(text: str) -> str:
    """Return `text` as a filter's value that equals it and nothing else; a star is only a star."""
    return '"' + _SPECIAL.sub(r"\\\g<0>", text) + '"'


def equals(field: str, text: str) -> str:
    """Return the condition that a field has that value; empty, which is none, for an empty one."""
    return f"{field} = {quoted(text)}" if text else ""


def since(field: str, time: str) -> str:
    """Return the condition that a time is not before another one; empty, which is none, for an empty one."""
    return f'{field} >= "{time}"' if time else ""


def all_of(conditions: Iterable[str], own: str = "") -> str:
    """Return the filter that lets through what meets all conditions, and the filter that somebody wrote."""
    parts = [condition for condition in conditions if condition]
    return " AND ".join([*parts, f"({own})"] if own.strip() else parts)


def point_in_time(_context: click.Context, _param: click.Parameter, text: str) -> str:
    """Return in RFC 3339 what an option says: how long ago (`12h`), or a date or time (that of this machine's zone)."""
    return moment(text, datetime.now(UTC)) if text else ""


def moment(text: str, now: datetime) -> str:
    """Return in RFC 3339 what was `12h` before `now`, or a date or time as written.

    Raises:
        click.BadParameter: It is neither.
    """
    age = _AGE.fullmatch(text)
    try:
        found = now - timedelta(**{_UNITS[age[2]]: int(age[1])}) if age else datetime.fromisoformat(text)
        return found.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    except (ValueError, OverflowError) as error:
        wanted = "how long ago, such as 30m, 12h or 7d, or a time such as 2026-11-28T20:00"
        raise click.BadParameter(f"{text!r} is no time; expected {wanted}") from error


since_option = click.option(
    "--since", default="", callback=point_in_time, help="Only what happened since: 12h (ago), 7d, 2026-11-28T20:00."
)
