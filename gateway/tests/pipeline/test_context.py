"""What a caller says of itself, and what is made where it says nothing."""

from __future__ import annotations

import pytest
from gateway.tests.calls import call

from cloudspan_gateway.call import Call
from cloudspan_gateway.metadata import Metadata
from cloudspan_gateway.pipeline.context import add_context


async def with_context(*metadata: tuple[str, str | bytes]) -> Call:
    asked = call("/a.B/C", metadata=metadata)

    async def proceed(_: Call) -> None:
        return None

    await add_context(asked, proceed)
    return asked


async def test_a_callers_ids_tags_and_context_are_sorted() -> None:
    """The request id and the trace stay, tags route, listed metadata is carried on, the rest is not."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    metadata: Metadata = (("x-request-id", "mine"), ("traceparent", trace), ("x-platform", "p"), ("tracestate", "s"))
    asked = await with_context(*metadata, ("authorization", "secret"), ("x-cloudspan-tenant", "t"), ("x-wait", "1s"))
    assert asked.request_id == "mine"
    assert asked.traceparent.split("-")[1] == trace.split("-")[1]
    assert asked.tags == {"x-platform": "p"}
    assert asked.carried == (("tracestate", "s"), ("x-cloudspan-tenant", "t"))


@pytest.mark.parametrize("bad", ["", "two words", "line\nbreak", "x" * 129])
async def test_a_request_id_that_cannot_stand_in_a_log_is_replaced(bad: str) -> None:
    """It would end up in headers and logs of others."""
    asked = await with_context(("x-request-id", bad))
    assert asked.request_id not in ("", bad)


@pytest.mark.parametrize("odd", ["a\x01b", "caf\u00e9", "a\nb", "\x7f", "\udc80"])
async def test_metadata_that_grpc_would_not_send_is_not_carried_on(odd: str) -> None:
    """It came in and can't go out: the call must not fail with INTERNAL for it."""
    asked = await with_context(
        ("tracestate", odd), ("x-cloudspan-a", odd), ("x-cloudspan-b", "good"), ("x-cloudspan-c-bin", b"\xff")
    )
    assert asked.carried == (("x-cloudspan-b", "good"), ("x-cloudspan-c-bin", b"\xff"))


async def test_metadata_near_ours_is_warned_of_and_changes_nothing() -> None:
    """What was not understood routes nothing and is not carried on."""
    asked = await with_context(("x_platform", "p"), ("x-cloudspan-a", "a"), ("x-forwarded-for", "192.0.2.1"))
    assert (asked.tags, asked.carried) == ({}, (("x-cloudspan-a", "a"),))
    assert asked.warnings == (("x-cloudspan-warning", "unknown metadata x_platform; did you mean x-platform?"),)


@pytest.mark.parametrize(("value", "taken"), [("true", True), ("false", False), ("", False), ("TRUE ", False)])
async def test_an_older_state_is_taken_by_one_word_alone(value: str, taken: bool) -> None:
    """And the word is the gateway's: it does not go on to adapters."""
    asked = await with_context(("x-stale-ok", value))
    assert (asked.stale_ok, asked.carried, asked.warnings) == (taken, (), ())
