"""Times as services write them, with a zone or without, and those that are none."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from cloudspan_kit import read_rows
from cloudspan_openstack.cloud.neutron import Row
from cloudspan_openstack.cloud.values import timestamp, unix_time

if TYPE_CHECKING:
    from collections.abc import Iterator

MOMENT = 1_700_000_000


@pytest.fixture(params=["UTC", "Asia/Shanghai", "America/New_York"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The zone of this process."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize(
    "told", ["2023-11-14T22:13:20", "2023-11-14T22:13:20Z", "2023-11-14T22:13:20.000000", "2023-11-15T06:13:20+08:00"]
)
def test_a_time_without_a_zone_is_utc_whatever_zone_this_process_is_in(told: str) -> None:
    """As a message, and as seconds."""
    (row,) = read_rows([{"id": "a", "created_at": told}], Row, "id").rows
    shown = timestamp(row.created_at)
    assert shown is not None
    assert (shown.seconds, shown.nanos, unix_time(row.created_at)) == (MOMENT, 0, MOMENT)


@pytest.mark.parametrize(
    "told",
    [None, "", "soon", "0000-00-00T00:00:00", "0001-01-01T00:00:00Z", "2023-02-31T00:00:00", 1 << 62, 1e300, {}, []],
)
def test_a_time_that_is_none_is_absent(told: object) -> None:
    """The row is shown."""
    (row,) = read_rows([{"id": "a", "created_at": told}], Row, "id").rows
    assert (timestamp(row.created_at), unix_time(row.created_at)) == (None, None)


@pytest.mark.parametrize(
    "when",
    [
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-14))),
    ],
)
def test_a_time_that_no_message_holds_is_absent(when: datetime) -> None:
    assert timestamp(when) is None


def test_a_time_before_1970_keeps_its_fraction() -> None:
    """Nanoseconds count forward."""
    shown = timestamp(datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=UTC))
    assert shown is not None
    assert (shown.seconds, shown.nanos) == (-1, 500_000_000)
