"""Dates of the platform are read in its own zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cloudspan_zstack.cloud.dates import ServerZone, parse_zone


@pytest.mark.parametrize(
    "text",
    [
        "Nov 14, 2024 10:20:57 PM",
        "Nov 14, 2024, 10:20:57\N{NARROW NO-BREAK SPACE}PM",
        "Nov 14, 2024 22:20:57",
        "2024-11-14T22:20:57+08:00",
        "1731594057000",
        1731594057000,
    ],
)
def test_a_date_is_read_in_the_servers_zone_however_it_is_written(text):
    """Old and new Java, RFC 3339, milliseconds."""
    zone = ServerZone(parse_zone("Asia/Shanghai"))
    assert zone.timestamp(text).ToDatetime() == datetime(2024, 11, 14, 14, 20, 57)  # noqa: DTZ001 - protobuf's is naive


def test_the_zone_is_what_lies_between_a_date_and_its_moment_to_the_quarter():
    """Clocks may differ by minutes, zones do not."""
    zone = ServerZone()
    zone.learn("Nov 14, 2024 10:20:57 PM", datetime(2024, 11, 14, 16, 55, tzinfo=UTC).timestamp())
    assert (zone.is_known, zone.zone.utcoffset(None)) == (True, timedelta(hours=5, minutes=30))


def test_midnight_and_noon_are_twelve():
    """And nothing is no date."""
    zone = ServerZone(UTC)
    hours = [datetime.fromtimestamp(zone.moment(f"Jan 1, 2024 12:00:00 {m}"), UTC).hour for m in ("AM", "PM")]
    assert (hours, zone.timestamp(None), zone.timestamp("soon")) == ([0, 12], None, None)


@pytest.mark.parametrize(
    "told",
    ["", "soon", "Feb 31, 2024 10:20:57 PM", "Jan 1, 0000 10:20:57 PM", "0001-01-01T00:00:00Z", 0, 1 << 62, "9" * 5000],
)
def test_a_date_that_is_none_is_absent(told):
    """Or that no message holds."""
    assert ServerZone(UTC).timestamp(told) is None


def test_a_condition_has_a_time_as_it_stands_on_the_servers_wall():
    """Without a zone, to the second."""
    moment = datetime(2024, 11, 14, 14, 20, 57, 900_000, UTC).timestamp()
    assert ServerZone(parse_zone("Asia/Shanghai")).condition(moment) == "2024-11-14 22:20:57"
    assert ServerZone(parse_zone("-02:30")).condition(moment) == "2024-11-14 11:50:57"
