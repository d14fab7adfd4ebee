"""What is kept of an operation between two steps: values come back as they were, waits add up, versions are checked."""

from __future__ import annotations

from typing import Any

import pytest

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import volume_pb2
from cloudspan_common.errors import Defect
from cloudspan_common.polling import MAX_POLL_S
from cloudspan_common.testing import FakeClock
from cloudspan_kit.engine.cursor import forget_waiting, has_value, keep_value, kept_value, read_cursor, waited

Record = step_pb2.Cursor.Step


@pytest.mark.parametrize(
    "value", [volume_pb2.Volume(name="v", size_bytes=1 << 40), {"a": [1, "b", None]}, "text", True]
)
def test_what_a_wait_ended_with_comes_back_after_the_bytes_were_stored(value: Any) -> None:
    record = Record()
    keep_value(record, value)
    stored = Record.FromString(record.SerializeToString())
    assert has_value(stored)
    assert kept_value(stored) == value


def test_a_value_that_is_neither_a_message_nor_json_is_looked_up_again() -> None:
    record = Record()
    keep_value(record, "before")
    keep_value(record, object())
    assert not has_value(record)


async def test_waits_add_up_and_a_clock_that_jumps_does_not_end_them() -> None:
    clock, record = FakeClock(), Record()
    assert waited(record, clock) == 0.0
    await clock.advance(0.1)
    assert waited(record, clock) == pytest.approx(0.1)
    await clock.advance(86400.0)
    assert waited(record, clock) < 1.0
    record.settled.FromSeconds(1000)
    await clock.advance(86400.0)
    assert waited(record, clock) == pytest.approx(1000 + 2 * MAX_POLL_S)
    forget_waiting(record)
    assert waited(record, clock) == 0.0


def test_a_cursor_of_another_version_is_refused() -> None:
    assert read_cursor(b"").version == 1
    with pytest.raises(Defect, match="version 7"):
        read_cursor(step_pb2.Cursor(version=7).SerializeToString())
