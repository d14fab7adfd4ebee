"""How often a resource in transit is looked at."""

from __future__ import annotations

import pytest

from cloudspan_common.polling import FIRST_POLL_S, MAX_POLL_S, poll_interval


@pytest.mark.parametrize(("waited_s", "interval_s"), [(0.0, FIRST_POLL_S), (4.0, 1.0), (1000.0, MAX_POLL_S)])
def test_pauses_grow_with_the_time_waited_between_two_limits(waited_s: float, interval_s: float) -> None:
    assert poll_interval(waited_s) == interval_s
