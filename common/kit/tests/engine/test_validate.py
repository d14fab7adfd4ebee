"""A request that is only checked: everything before the first write is, and nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
from common.kit.tests.scripted_cloud import EAST, ScriptedCloud, saga
from google.protobuf import empty_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import server_pb2
from cloudspan_common import errors
from cloudspan_common.deadlines import Deadline
from cloudspan_common.testing import FakeClock
from cloudspan_kit import Call
from cloudspan_kit.engine.step import drive, take_step


@pytest.fixture
def cloud() -> ScriptedCloud:
    return ScriptedCloud(FakeClock())


def a_call(seconds: float = 20.0) -> Call:
    return Call(cluster=EAST, deadline=Deadline.after(seconds))


@pytest.mark.parametrize("asked", ["step", "request"])
async def test_a_request_that_is_only_checked_writes_nothing(cloud: ScriptedCloud, asked: str) -> None:
    """Whichever of the two says so; a first step that looks has looked."""
    request = server_pb2.StartServerRequest(validate_only=asked == "request")
    step = step_pb2.StepRequest(operation_id="7", attempt=1, installation="test", validate_only=asked == "step")
    answer = await take_step(saga(cloud), request, step, a_call(), settle_s=1.0, clock=cloud.clock)
    assert answer.done
    assert answer.response.Is(empty_pb2.Empty.DESCRIPTOR)
    assert (cloud.writes, cloud.reads, cloud.looks) == ([], 0, 1)


@pytest.mark.parametrize("verb", ["create_step", "change", "wait_until", "none"])
async def test_a_check_goes_up_to_the_first_step_and_swallows_nothing(verb: str) -> None:
    """What is wrong before it is told, with where it was; what lies behind it is not come to."""
    asked: list[str] = []

    async def mutation(op: Any, request: Any) -> None:
        op.set_resource(EAST.resource("servers", "1"))
        if request.name == "bad":
            raise errors.NotFound("there is no such server")
        try:
            if verb != "none":
                await getattr(op, verb)("step", *([never] if verb != "create_step" else []))
        except Exception:  # noqa: BLE001 - what a careless author writes
            asked.append("swallowed")
        asked.extend([] if verb == "none" else ["behind"])

    async def never() -> None:
        asked.append("acted")

    step = step_pb2.StepRequest(operation_id="7", attempt=1, installation="test", validate_only=True)
    request = server_pb2.StartServerRequest(name="good")
    answer = await take_step(mutation, request, step, a_call(), settle_s=1.0)
    assert (answer.done, answer.HasField("response"), answer.resource) == (True, True, EAST.resource("servers", "1"))
    request.name = "bad"
    answer = await take_step(mutation, request, step, a_call(), settle_s=1.0)
    error = errors.from_status(answer.error)
    assert isinstance(error, errors.NotFound)
    assert error.metadata["cluster"] == "east"
    assert asked == []


async def test_a_direct_call_that_is_only_checked_is_a_finished_operation(cloud: ScriptedCloud) -> None:
    """It never acts; a refusal is the operation's error."""
    request = server_pb2.StartServerRequest(validate_only=True)
    operation = await drive(saga(cloud), request, "acme/Make", a_call(), settle_s=1.0, clock=cloud.clock)
    assert operation.done
    assert operation.response.Is(empty_pb2.Empty.DESCRIPTOR)
    assert not cloud.writes

    async def refuses(_op: Any, _request: Any) -> None:
        raise errors.InvalidRequest("the size is odd")

    operation = await drive(refuses, request, "acme/Make", a_call(), settle_s=1.0)
    assert operation.error.message == "the size is odd"
