"""How operations end otherwise: undone, cancelled, suspected, out of time, called straight at an adapter."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from common.kit.tests.scripted_cloud import EAST, Fault, Gateway, ScriptedCloud, one_server, saga
from google.protobuf import empty_pb2, struct_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import operation_pb2, server_pb2
from cloudspan_common import errors
from cloudspan_common.deadlines import Deadline
from cloudspan_common.testing import FakeClock
from cloudspan_kit import Call, Made
from cloudspan_kit.engine.markers import MAX_MARKER_CHARS
from cloudspan_kit.engine.run import OperationRun
from cloudspan_kit.engine.step import drive, take_step

Phase = operation_pb2.OperationMetadata.Phase


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cloud(clock: FakeClock) -> ScriptedCloud:
    return ScriptedCloud(clock)


async def test_a_failed_state_undoes_what_was_made(cloud: ScriptedCloud) -> None:
    """GaveUp from a poll ends the operation with its own words; the last made goes first."""

    async def mutation(op: Any, request: Any) -> None:
        await saga(cloud, ("port", "server"), polls=0)(op, request)

        async def poll() -> bool:
            raise errors.GaveUp("server is in ERROR: no valid host")

        await op.wait_until("running", poll)

    ended = await Gateway(cloud, mutation).drive()
    assert ended.answer.error.message == "server is in ERROR: no valid host"
    assert cloud.writes[2:] == ["delete server-1", "delete port-0"]
    assert all(ended.left_overs.values())


async def test_an_undo_that_is_refused_leaves_the_rest_undone_and_itself_listed(cloud: ScriptedCloud) -> None:
    """The server can't be deleted, the port can."""
    cloud.faults = {2: Fault(refuses=errors.PreconditionFailed("is locked"))}
    ended = await Gateway(cloud, saga(cloud, ("port", "server"), polls=0, fails=errors.GaveUp("broken"))).drive()
    assert ended.left == ["server-1"]
    assert [row.kind for row in cloud.visible()] == ["server"]
    assert "is locked" in ended.answer.left_overs[0].reason


async def test_a_read_of_the_driver_that_finds_no_cloud_undoes_nothing(cloud: ScriptedCloud) -> None:
    """Between steps a driver may read; an unreachable cloud there is waited for."""
    down = [errors.Unreachable("down"), errors.OutOfTime("late")]

    async def mutation(op: Any, request: Any) -> None:
        await one_server(cloud)(op, request)
        if down:
            raise down.pop()

    ended = await Gateway(cloud, mutation).drive()
    assert ended.ok
    assert cloud.writes == ["create server"]


async def test_a_suspicion_outlives_reads_that_fail_before_the_step(cloud: ScriptedCloud) -> None:
    """The first try sent and died; the second can't even read: the call fails, so that the attempt stays counted."""
    down: list[errors.CloudspanError] = []

    async def mutation(op: Any, request: Any) -> None:
        if down:
            raise down.pop()
        await one_server(cloud)(op, request)

    cloud.faults = {0: Fault(dies_after=True)}
    gateway = Gateway(cloud, mutation)
    assert await gateway.take() is None
    down.append(errors.Unreachable("down"))
    assert await gateway.take() is None
    assert (await gateway.drive()).ok
    assert cloud.writes == ["create server"]


async def test_a_suspicion_that_cannot_be_cleared_ends_unknown(cloud: ScriptedCloud) -> None:
    """The flavor was deleted behind the first try: that step is never come to again."""

    async def mutation(op: Any, request: Any) -> None:
        if cloud.writes:
            raise errors.NotFound("the flavor is gone")
        await one_server(cloud)(op, request)

    cloud.faults = {0: Fault(dies_after=True)}
    ended = await Gateway(cloud, mutation).drive()
    assert errors.from_status(ended.answer.error).reason == "OUTCOME_UNKNOWN"
    assert "cs-test-" in ended.answer.error.message


async def test_a_finished_wait_is_not_polled_again(cloud: ScriptedCloud) -> None:
    """Later steps may change what it waited for; its value is kept, messages and JSON alike."""
    polls: list[str] = []
    values: list[object] = []

    async def mutation(op: Any, request: Any) -> None:
        for number, value in enumerate((server_pb2.Server(name="s", vcpus=2), "gone", True, {"a": [1.5, "x"]})):

            async def poll(number: int = number, value: object = value) -> object:
                polls.append(str(number))
                return value

            values.append(await op.wait_until(f"wait {number}", poll))
            await op.create_step(
                f"kind{number}",
                send=lambda marker, number=number: cloud.create(f"kind{number}", marker),
                find=lambda marker: cloud.find("any", marker),
                undo=cloud.delete,
            )

    assert (await Gateway(cloud, mutation).drive()).ok
    assert polls == ["0", "1", "2", "3"]
    assert values[-4:] == [server_pb2.Server(name="s", vcpus=2), "gone", True, {"a": [1.5, "x"]}]


async def test_undoing_reaches_what_was_made_behind_a_wait(cloud: ScriptedCloud) -> None:
    """Also behind one whose value can't be kept and no longer holds: then what is missed is listed."""
    holds = [True]

    async def mutation(op: Any, request: Any) -> None:
        await saga(cloud, ("port",), polls=0)(op, request)

        async def poll() -> object:
            return object() if holds else None

        await op.wait_until("odd", poll)
        await one_server(cloud)(op, request)
        raise errors.GaveUp("broken")

    assert (await Gateway(cloud, mutation).drive()).left == []
    assert not cloud.visible()
    gateway = Gateway(cloud, mutation)
    while not cloud.visible("server"):
        await gateway.take()
    holds.clear()
    gateway.step.undo = True
    ended = await gateway.drive()
    assert [row.kind for row in cloud.visible()] == ["server"]
    assert any(cloud.visible()[0].id in left.reason for left in ended.answer.left_overs)


async def test_an_action_without_a_reply_is_done_again(cloud: ScriptedCloud) -> None:
    """`do` is harmless twice; its result is kept for later steps."""
    cloud.faults = {0: Fault(loses_reply=True), 1: Fault(dies_after=True)}
    results: list[Any] = []

    async def mutation(op: Any, _: Any) -> None:
        async def stop() -> dict[str, object]:
            await cloud.write("stop", lambda _fault: None)
            return {"was": "RUNNING", "times": 2}

        results.append(await op.change("stop", stop))

    assert (await Gateway(cloud, mutation).drive()).ok
    assert cloud.writes == ["stop"] * 3
    assert results == [{"was": "RUNNING", "times": 2}]


async def test_an_action_that_may_have_been_done_is_undone_on_cancel(cloud: ScriptedCloud) -> None:
    """The reply was lost, then the end was asked for."""
    cloud.faults = {0: Fault(loses_reply=True)}

    async def mutation(op: Any, _: Any) -> None:
        await op.change(
            "attach",
            lambda: cloud.write("attach", lambda _fault: None),
            undo=lambda: cloud.write("detach", lambda _fault: None),
        )

    gateway = Gateway(cloud, mutation)
    ended = await gateway.drive(cancel_at=1)
    assert cloud.writes == ["attach", "detach"]
    assert errors.from_status(ended.answer.error).reason == "CANCELLED"


async def test_a_cancel_before_anything_ends_at_once(cloud: ScriptedCloud) -> None:
    """Nothing was sent and nothing is."""
    ended = await Gateway(cloud, one_server(cloud)).drive(cancel_at=0)
    assert (ended.steps, cloud.writes, cloud.reads) == (1, [], 0)
    assert errors.from_status(ended.answer.error).reason == "CANCELLED"


async def test_an_action_without_a_way_back_is_listed_on_cancel(cloud: ScriptedCloud) -> None:
    """A cancelled stop has still stopped."""

    async def mutation(op: Any, _: Any) -> None:
        op.set_resource("platforms/acme/clusters/east/servers/1")
        await op.change("stop", lambda: cloud.write("stop", lambda _fault: None))
        await op.wait_until("stopped", _not_yet)

    ended = await Gateway(cloud, mutation).drive(cancel_at=2)
    assert [left.name for left in ended.answer.left_overs] == ["platforms/acme/clusters/east/servers/1"]


async def _not_yet() -> None:
    return None


async def test_a_step_without_time_sends_nothing(cloud: ScriptedCloud) -> None:
    """A write cut off by its own deadline has an unknown outcome: it waits for a step with more time."""
    gateway = Gateway(cloud, one_server(cloud))
    gateway.deadline_s = 1.5
    answer = await gateway.take()
    assert answer is not None
    assert (cloud.writes, answer.done) == ([], False)
    gateway.deadline_s = 30.0
    assert (await gateway.drive()).ok


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0])
async def test_a_clock_that_is_set_neither_ends_nor_hangs_a_settle(cloud: ScriptedCloud, jump_s: float) -> None:
    """An hour forward or back between two looks."""
    cloud.faults = {0: Fault(commits_after_s=60.0)}
    gateway = Gateway(cloud, one_server(cloud))
    await gateway.take()
    await gateway.pass_time(1.0)
    await gateway.take()
    cloud.clock.step_wall(jump_s)
    ended = await gateway.drive(most=100)
    assert ended.ok
    assert cloud.writes == ["create server"]


async def test_a_clock_set_forward_does_not_shorten_a_short_settle_by_much(cloud: ScriptedCloud) -> None:
    """The look after the jump counts for twice the pause before it, not for ten seconds."""
    gateway = Gateway(cloud, one_server(cloud), settle_s=6.0)
    cloud.faults = {0: Fault(commits_after_s=3.0)}
    await gateway.take()
    cloud.clock.step_wall(3600.0)
    ended = await gateway.drive(most=100)
    assert ended.ok
    assert cloud.writes == ["create server"]


async def test_a_cursor_of_another_version_is_our_defect(cloud: ScriptedCloud) -> None:
    """It is said, and nothing is sent."""
    gateway = Gateway(cloud, one_server(cloud))
    gateway.step.cursor = step_pb2.Cursor(version=2).SerializeToString()
    assert await gateway.take() is None
    assert "version 2" in gateway.failures[0].message
    assert isinstance(gateway.failures[0], errors.Defect)


def test_a_marker_fits_everywhere_or_is_refused(clock: FakeClock) -> None:
    """60 characters, no comma, no slash."""
    request = step_pb2.StepRequest(operation_id="0" * 8 + "-" + "0" * 24, attempt=1, installation="a" * 8)
    run = OperationRun(Call(cluster=EAST, deadline=Deadline.after(9)), request, settle_s=1, clock=clock)
    assert len(run.marker("x" * 15)) == MAX_MARKER_CHARS
    for bad in ("x" * 16, "a,b", "a/b"):
        with pytest.raises(errors.Defect):
            run.marker(bad)


async def test_a_driver_that_catches_everything_does_not_catch_the_kit(cloud: ScriptedCloud) -> None:
    """`except Exception` around a step is no way out."""

    async def mutation(op: Any, request: Any) -> None:
        try:
            await one_server(cloud)(op, request)
        except Exception:  # noqa: BLE001 - what a careless author writes
            cloud.writes.append("swallowed")

    assert (await Gateway(cloud, mutation).drive()).ok
    assert cloud.writes == ["create server"]


async def test_a_direct_call_is_driven_to_its_end(cloud: ScriptedCloud) -> None:
    """Without a gateway the kit itself steps, and answers with the finished operation."""
    call = Call(cluster=EAST, deadline=Deadline.after(20), request_id="r-1")
    work = asyncio.create_task(
        drive(saga(cloud), empty_pb2.Empty(), "acme/Make", call, settle_s=120.0, clock=cloud.clock)
    )
    while not work.done():
        await cloud.clock.advance(1.0)
    operation = work.result()
    metadata = operation_pb2.OperationMetadata()
    operation.metadata.Unpack(metadata)
    result = struct_pb2.Struct()
    assert operation.response.Unpack(result)
    assert set(result.fields) == set(metadata.native_ids) == {"port", "volume", "server"}
    assert metadata.request_id == "r-1"


async def test_a_direct_call_without_time_for_a_write_says_so_at_once(cloud: ScriptedCloud) -> None:
    """It does not spin until its deadline."""
    call = Call(cluster=EAST, deadline=Deadline.after(1.5))
    with pytest.raises(errors.OutOfTime, match="nothing known"):
        await drive(saga(cloud), empty_pb2.Empty(), "acme/Make", call, settle_s=1.0, clock=cloud.clock)
    assert call.deadline.remaining() > 1.0


async def test_a_direct_call_out_of_time_says_what_was_made(cloud: ScriptedCloud) -> None:
    """Nobody goes on with it, so its caller must know what is there."""

    async def mutation(op: Any, request: Any) -> None:
        await one_server(cloud)(op, request)
        await op.wait_until("never", _not_yet)

    call = Call(cluster=EAST, deadline=Deadline.after(2.2))
    with pytest.raises(errors.OutOfTime, match="server server-0"):
        await asyncio.wait_for(drive(mutation, empty_pb2.Empty(), "acme/Make", call, settle_s=1.0), 5)


async def test_a_defect_of_a_driver_is_raised_and_its_write_found_again(cloud: ScriptedCloud) -> None:
    """A KeyError behind the native create: the call fails, the next one finds what was made."""
    broken = [KeyError("id")]

    async def send(marker: str) -> Made[object]:
        made = await cloud.create("server", marker)
        if broken:
            raise broken.pop()
        return made

    mutation = one_server(cloud, send=send)
    gateway = Gateway(cloud, mutation)
    gateway.step.attempt = 1
    call = Call(cluster=EAST, deadline=Deadline.after(30))
    with pytest.raises(KeyError):
        await take_step(mutation, empty_pb2.Empty(), gateway.step, call, settle_s=120.0, clock=cloud.clock)
    assert (await gateway.drive()).ok
    assert cloud.writes == ["create server"]
