"""ZStack's dates: text in the server's own zone that does not say which zone that is.

`issuer` teaches a `ServerZone` at each login, out of one moment told in both ways; drivers read dates through it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from google.protobuf.timestamp_pb2 import Timestamp

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# `Nov 14, 2024 10:20:57 PM`; newer Java puts a comma after the year and a narrow no-break space before PM.
_JAVA = re.compile(r"([A-Za-z]{3})\w*\.?\s+(\d{1,2}),\s*(\d{4}),?\s+(\d{1,2}):(\d{2}):(\d{2})(?:\s*([AaPp])\.?[Mm])?")
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?")
# Zones differ by quarters of an hour; what is less is the difference of two clocks.
_QUARTER_S = 900
# Unix seconds of the years 1 (with which programs say "never") and 9999; a field of the contract holds no others.
_FIRST, _LAST = -62_104_060_800, 253_370_764_800
_MAX_DIGITS = 20


class ServerZone:
    """The zone that a management node writes its dates in: configured, or learned as an offset."""

    def __init__(self, configured: tzinfo | None = None) -> None:
        self._configured = configured
        self._zone: tzinfo = configured or UTC
        self.is_known = configured is not None

    def __repr__(self) -> str:
        how = "configured" if self._configured else "learned" if self.is_known else "not known yet"
        return f"<ServerZone {self._zone}, {how}>"

    @property
    def zone(self) -> tzinfo:
        """The zone; UTC as long as nothing is known."""
        return self._zone

    def learn(self, text: str, moment: float) -> None:
        """Learn from a date that the server wrote at about `moment` (unix); a configured zone stays."""
        local = _wall_clock(text)
        if self._configured is not None or local is None:
            return
        offset = local.replace(tzinfo=UTC).timestamp() - moment
        quarters = round(offset / _QUARTER_S)
        self._zone = timezone(timedelta(seconds=quarters * _QUARTER_S))
        self.is_known = True

    def assume(self, zone: tzinfo) -> None:
        """Take the zone that a request was accepted in; a configured one stays."""
        if self._configured is None:
            self._zone, self.is_known = zone, True

    def moment(self, told: str | int | None) -> float | None:
        """Return what a field of a row tells as unix seconds; None for nothing, or for what is no date."""
        if not told:
            return None
        found = told / 1000 if isinstance(told, int) else self._read(told)
        return found if found is not None and _FIRST <= found <= _LAST else None

    def _read(self, told: str) -> float | None:
        local = _wall_clock(told)
        if local is not None:
            return local.replace(tzinfo=self._zone).timestamp()
        return _iso_moment(told, self._zone)

    def condition(self, moment: float) -> str:
        """Return unix seconds as the server reads a date in a condition: `2024-11-14 22:20:57`, in its zone."""
        return datetime.fromtimestamp(int(moment), self._zone).strftime("%Y-%m-%d %H:%M:%S")

    def timestamp(self, told: str | int | None) -> Timestamp | None:
        """Return a date as a message; None for nothing."""
        moment = self.moment(told)
        if moment is None:
            return None
        whole, thousandths = divmod(round(moment * 1000), 1000)
        return Timestamp(seconds=whole, nanos=thousandths * 1_000_000)


def parse_zone(text: str) -> tzinfo:
    """Return the zone of `Asia/Shanghai`, `UTC` or `+08:00`.

    Raises:
        ValueError: It is none.
    """
    found = _OFFSET.fullmatch(text)
    if found is not None:
        sign = -1 if found[1] == "-" else 1
        return timezone(sign * timedelta(hours=int(found[2]), minutes=int(found[3] or 0)))
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f"{text!r} is not a time zone; write it like Asia/Shanghai or +08:00") from error


def _wall_clock(text: str) -> datetime | None:
    found = _JAVA.fullmatch(text.strip())
    if found is None or found[1].lower() not in _MONTHS:
        return None
    hour = int(found[4])
    if found[7]:
        hour = hour % 12 + (12 if found[7] in "Pp" else 0)
    month = _MONTHS.index(found[1].lower()) + 1
    try:
        return datetime(int(found[3]), month, int(found[2]), hour, int(found[5]), int(found[6]))  # noqa: DTZ001 - it has none
    except ValueError:  # the 31st of February
        return None


def _iso_moment(text: str, zone: tzinfo) -> float | None:
    if text.isdecimal():
        return int(text[:_MAX_DIGITS]) / 1000
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
