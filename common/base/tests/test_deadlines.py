"""A call's deadline: how it is read, handed down, and what its end says."""

from __future__ import annotations

import asyncio

import pytest

from cloudspan_common.deadlines import DEFAULT_TIMEOUT_S, Deadline, current_deadline, of, remaining_or
from cloudspan_common.errors import OutOfTime


async def test_a_scope_ends_with_its_deadline_and_names_the_work():
    """The message says what was being done, and for how long."""
    with pytest.raises(OutOfTime, match=r"listing servers of os-east did not end in the 0\.01 s it had"):
        async with Deadline.after(0.01, lambda: 0.0).scope("listing servers of os-east"):
            await asyncio.Event().wait()


async def test_a_timeout_of_the_blocks_own_passes_a_scope():
    """Only the scope's own end is OutOfTime."""
    with pytest.raises(TimeoutError, match="the socket's"):
        async with Deadline.after(5).scope("asking"):
            raise TimeoutError("the socket's")


async def test_nothing_is_begun_without_time():
    """An expired deadline sends no request."""
    begun = []
    with pytest.raises(OutOfTime, match="creating a server was not started"):
        async with Deadline.after(-1).scope("creating a server"):
            begun.append(1)
    assert begun == []


async def test_an_inner_scope_never_outlives_the_outer_one():
    """remaining_or sees the earlier of the two, and no deadline after them."""
    clock = lambda: 100.0  # noqa: E731 - a stopped clock
    async with Deadline.after(2, clock).scope("outer"), Deadline.after(30, clock).scope("inner") as inner:
        assert inner.remaining() == 2
        assert remaining_or(9) == 2
    assert current_deadline.get() is None
    assert remaining_or(9) == 9


def test_remaining_or_refuses_to_hand_out_zero():
    """Zero means "for ever" to some libraries."""
    token = current_deadline.set(Deadline.after(-1))
    with pytest.raises(OutOfTime):
        remaining_or(9)
    current_deadline.reset(token)


@pytest.mark.parametrize("said", [None, 9.2e18, float("inf"), float("nan")])
def test_an_absent_or_absurd_deadline_is_sixty_seconds(said):
    """The sync server says 9.2e18 where grpc.aio says None."""

    class Context:
        def time_remaining(self):
            return said

    assert of(Context()).remaining() == pytest.approx(DEFAULT_TIMEOUT_S, abs=1)
