"""One call, whatever its door."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext

import pytest
from gateway.tests.calls import call

from cloudspan_common.errors import Code
from cloudspan_common.names import ClusterRef
from cloudspan_gateway.audit.event import Event, Type
from cloudspan_gateway.call import Ending, Target

GET = "/cloudspan.v1.ServerService/GetServer"


def test_a_call_is_ok_until_it_has_an_ending() -> None:
    """Its repr shows where it went and how it ended."""
    asked = call(GET)
    assert asked.code is Code.OK
    asked.target, asked.tries = Target(GET[1:], ClusterRef("p", "c")), 2
    asked.ending = Ending(Code.NOT_FOUND, "no such server")
    assert repr(asked) == f"<Call {GET} to platforms/p/clusters/c: NOT_FOUND after 2 tries>"


def test_a_header_that_is_not_text_counts_as_absent() -> None:
    """Binary metadata under a text key is nobody's wait."""
    asked = call(GET, metadata=(("x-wait", b"\x00"), ("x-wait", "3s"), ("x-tenant", "t")))
    assert (asked.header("x-wait"), asked.header("x-tenant"), asked.header("x-none")) == ("3s", "t", "")


async def test_a_streamed_answer_begins_with_the_request_id() -> None:
    """And is noted as begun, so that it is not asked for again elsewhere."""
    asked = call(GET)
    asked.request_id = "r"
    await asked.begin((("x-count", "3"),))
    assert asked.answered
    assert asked.writer.head == {"x-count": "3", "x-request-id": "r"}


def test_what_goes_to_adapters_holds_the_targets_tags() -> None:
    """Services beyond the contract are led by them."""
    asked = call(GET)
    asked.request_id, asked.traceparent, asked.target = "r", "t", Target("a.B/C", tags=(("x-platform", "p"),))
    assert asked.outgoing() == (("x-request-id", "r"), ("traceparent", "t"), ("x-platform", "p"))


def test_an_event_is_handed_over_once_and_taken_back_where_keeping_it_failed() -> None:
    """A caller that leaves meanwhile leaves it with who keeps it: nobody else may write it a second time."""
    event = Event(Type.TYPE_MUTATION, 1.0)
    for error, left in ((None, None), (LookupError, event), (asyncio.CancelledError, None)):
        asked = call(GET)
        asked.event = event
        with nullcontext() if error is None else pytest.raises(error), asked.event_handed_over() as kept:
            assert (kept, asked.event) == (event, None)
            if error is not None:
                raise error
        assert asked.event is left
