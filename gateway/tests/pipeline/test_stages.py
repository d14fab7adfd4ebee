"""Stages around an answer."""

from __future__ import annotations

from gateway.tests.calls import call

from cloudspan_gateway.call import Answer, Call
from cloudspan_gateway.pipeline.stages import Proceed, Stage, compose


def noting(name: str, seen: list[str]) -> Stage:
    async def stage(asked: Call, proceed: Proceed) -> Answer:
        seen.append(f"{name} in")
        answer = await proceed(asked)
        seen.append(f"{name} out")
        return answer

    return stage


async def test_the_first_stage_is_the_outermost() -> None:
    """It sees the call first and its answer last."""
    seen: list[str] = []

    async def answer(_: Call) -> bytes:
        seen.append("answer")
        return b"a"

    composed = compose([noting("one", seen), noting("two", seen)], answer)
    assert await composed(call("/a.B/C")) == b"a"
    assert seen == ["one in", "two in", "answer", "two out", "one out"]
