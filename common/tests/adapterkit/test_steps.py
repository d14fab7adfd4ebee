"""One step of an operation at a time: what is sent when, what is waited out, what is undone, what is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from google.protobuf import empty_pb2, struct_pb2

from cloudspan.adapter.v1 import step_pb2
from cloudspan.v1 import operation_pb2, server_pb2
from cloudspan_common import errors
from cloudspan_common.adapterkit.driver import BY_KEY, UNSAFE, Call, Made
from cloudspan_common.adapterkit.steps import MAX_MARKER_CHARS, OperationRun
from cloudspan_common.adapterkit.stepper import drive, take_step
from cloudspan_common.deadlines import Deadline
from cloudspan_common.testing import FakeClock
from common.tests.adapterkit.scripted_cloud import EAST, Fault, Gateway, ScriptedCloud, saga

Phase = operation_pb2.OperationMetadata.Phase


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cloud(clock: FakeClock) -> ScriptedCloud:
    return ScriptedCloud(clock)


def one_server(cloud: ScriptedCloud, **given: Any) -> Any:
    async def mutation(op: Any, _: Any) -> None:
        made = await op.create(
            "server",
            **{
                "send": lambda marker: cloud.create("server", marker),
                "find": lambda marker: cloud.find("server", marker),
                "undo": cloud.delete,
            }
            | given,
        )
        op.touches(EAST.resource("servers", made.id))

    return mutation


async def test_each_write_is_stored_before_the_next_is_sent(cloud: ScriptedCloud) -> None:
    """Three creates take at least three answers, each with one id more."""
    gateway = Gateway(cloud, saga(cloud, polls=0))
    await gateway.drive()
    told = [len(answer.native_ids) for answer in gateway.answers]
    assert told == sorted(told)
    assert set(told) == {1, 2, 3}
    assert cloud.writes == ["create port", "create volume", "create server"]


async def test_a_create_without_a_reply_is_not_sent_again_within_settle(cloud: ScriptedCloud) -> None:
    """It appears 100 s later and is the one."""
    cloud.faults = {0: Fault(commits_after_s=100.0)}
    gateway = Gateway(cloud, one_server(cloud))
    ended = await gateway.drive()
    assert ended.ok
    assert cloud.writes == ["create server"]
    phases = {answer.phase for answer in gateway.answers}
    assert Phase.PHASE_RECONCILING in phases


async def test_a_create_that_never_came_through_is_sent_again_after_settle(cloud: ScriptedCloud) -> None:
    """Not before 120 s of looking, and not much later."""
    cloud.faults = {0: Fault(refuses=errors.OutcomeUnknown("reset"))}
    before = cloud.clock.monotonic()
    ended = await Gateway(cloud, one_server(cloud)).drive()
    assert ended.ok
    assert cloud.writes == ["create server"] * 2
    assert 120 <= cloud.clock.monotonic() - before < 135


async def test_of_two_the_oldest_is_kept_and_the_other_removed_and_listed(cloud: ScriptedCloud) -> None:
    """The first create appears after settle, when the second was sent and lost as well."""
    cloud.faults = {0: Fault(commits_after_s=130.0), 1: Fault(commits_after_s=20.0)}
    ended = await Gateway(cloud, one_server(cloud)).drive()
    assert ended.ok
    (kept,) = cloud.visible()
    assert ended.answer.native_ids["server"] == kept.id == "server-0"
    assert ended.left_overs == {EAST.resource("servers", "server-1"): True}


async def test_the_reported_one_is_kept_when_an_older_one_comes_late(cloud: ScriptedCloud) -> None:
    """The last look before the end finds the first create; what callers were told stays."""
    cloud.faults = {0: Fault(commits_after_s=125.0)}
    gateway = Gateway(cloud, saga(cloud, ("server",), polls=30))
    ended = await gateway.drive()
    assert ended.ok
    (kept,) = cloud.visible()
    assert kept.id == "server-1"
    assert ended.left_overs == {EAST.resource("servers", "server-0"): True}


async def test_a_duplicate_is_listed_before_it_is_removed(cloud: ScriptedCloud) -> None:
    """An adapter that dies under the removal leaves the list complete."""
    cloud.faults = {0: Fault(commits_after_s=125.0), 2: Fault(dies_after=True)}
    gateway = Gateway(cloud, saga(cloud, ("server",), polls=30))
    ended = await gateway.drive()
    first = next(answer for answer in gateway.answers if answer.left_overs)
    assert not first.left_overs[0].removed
    assert ended.left_overs == {EAST.resource("servers", "server-0"): True}
    assert cloud.writes.count("delete server-0") == 1


async def test_a_duplicate_that_cannot_be_removed_is_left_and_named(cloud: ScriptedCloud) -> None:
    """A refused delete of a duplicate does not fail the operation."""
    cloud.faults = {0: Fault(commits_after_s=125.0), 2: Fault(refuses=errors.Forbidden("locked"))}
    ended = await Gateway(cloud, saga(cloud, ("server",), polls=30)).drive()
    assert ended.ok
    assert ended.left == ["server-0"]
    assert "locked" in ended.answer.left_overs[0].reason


async def test_without_an_undo_duplicates_are_only_listed(cloud: ScriptedCloud) -> None:
    """Nobody knows how to delete them, so somebody must."""
    cloud.faults = {0: Fault(commits_after_s=130.0), 1: Fault(commits_after_s=20.0)}
    ended = await Gateway(cloud, one_server(cloud, undo=None)).drive()
    assert ended.ok
    assert ended.left == ["server-1"]
    assert "delete it" in ended.answer.left_overs[0].reason


async def test_with_a_key_of_ours_nothing_settles(cloud: ScriptedCloud) -> None:
    """The look decides; a second send would be refused by the platform."""
    cloud.by_key = True
    cloud.faults = {0: Fault(refuses=errors.OutcomeUnknown("reset"))}
    before = cloud.clock.monotonic()
    assert (await Gateway(cloud, one_server(cloud, safety=BY_KEY)).drive()).ok
    assert cloud.clock.monotonic() - before < 5


async def test_a_key_that_is_somebody_elses_is_refused(cloud: ScriptedCloud) -> None:
    """Without a lost reply ALREADY_EXISTS is about another's resource, whatever the look would find."""
    cloud.faults = {0: Fault(refuses=errors.AlreadyExists("taken"))}
    ended = await Gateway(cloud, one_server(cloud, safety=BY_KEY)).drive()
    assert ended.answer.error.message == "taken"
    assert cloud.reads == 0


async def test_a_refusal_of_the_second_send_is_looked_into(cloud: ScriptedCloud) -> None:
    """The first one, late, took the quota that the second was refused for: it is the one."""
    cloud.faults = {0: Fault(commits_after_s=120.4), 1: Fault(refuses=errors.QuotaExceeded("full"))}
    gateway = Gateway(cloud, one_server(cloud))
    ended = await gateway.drive()
    await gateway.pass_time(1000)
    assert {row.id for row in cloud.visible()} == ({ended.answer.native_ids["server"]} if ended.ok else set())


async def test_an_unsafe_create_without_a_reply_ends_unknown_and_undoes_the_rest(cloud: ScriptedCloud) -> None:
    """What can't be found again is not sent again; the answer says where to look."""

    async def mutation(op: Any, request: Any) -> None:
        await saga(cloud, ("port",), polls=0)(op, request)
        await one_server(cloud, safety=UNSAFE)(op, request)

    cloud.faults = {1: Fault(refuses=errors.OutcomeUnknown("reset"))}
    ended = await Gateway(cloud, mutation).drive()
    assert errors.from_status(ended.answer.error).reason == "OUTCOME_UNKNOWN"
    assert cloud.writes == ["create port", "create server", "delete port-0"]
    assert any("marker" in left.reason and not left.removed for left in ended.answer.left_overs)


async def test_a_500_to_a_create_proves_nothing(cloud: ScriptedCloud) -> None:
    """It is reconciled like a lost reply."""
    cloud.faults = {0: Fault(refuses=errors.PlatformFault("500"))}
    ended = await Gateway(cloud, one_server(cloud)).drive()
    assert ended.ok
    assert cloud.reads > 1


@pytest.mark.parametrize(
    "error", [errors.Unreachable("down"), errors.RateLimited("slow", retry_after_s=7), errors.LoginRefused("no")]
)
async def test_a_first_write_that_was_not_carried_out_is_the_callers_to_decide(
    cloud: ScriptedCloud, error: errors.CloudspanError
) -> None:
    """Nothing was begun, so nothing is lost by saying so."""
    cloud.faults = {0: Fault(refuses=error)}
    ended = await Gateway(cloud, one_server(cloud)).drive()
    assert ended.answer.error.message == error.message
    assert ended.steps == 1


async def test_a_later_write_that_was_not_carried_out_is_waited_for(cloud: ScriptedCloud) -> None:
    """With a port made already, a cloud that asks to slow down is obeyed."""
    cloud.faults = {1: Fault(refuses=errors.RateLimited("slow down", retry_after_s=7.0))}
    gateway = Gateway(cloud, saga(cloud, ("port", "server"), polls=0))
    assert (await gateway.drive()).ok
    assert any(a.retry_after.seconds == 7 and "slow down" in a.stage for a in gateway.answers)


async def test_a_look_that_finds_no_cloud_is_repeated(cloud: ScriptedCloud) -> None:
    """Down for ten minutes: the time does not count as having looked."""
    cloud.faults = {0: Fault(refuses=errors.OutcomeUnknown("reset"))}
    cloud.find_fault = errors.Unreachable("down")
    gateway = Gateway(cloud, one_server(cloud))
    for _ in range(600):
        await gateway.take()
        await gateway.pass_time(1.0)
    assert cloud.writes == ["create server"]
    cloud.find_fault = None
    assert (await gateway.drive()).ok


async def test_a_look_that_is_forbidden_ends_unknown_after_settle(cloud: ScriptedCloud) -> None:
    """It would never be allowed; what may be there is listed with its marker."""
    cloud.faults = {0: Fault(loses_reply=True)}
    cloud.find_fault = errors.Forbidden("may not list servers")
    ended = await Gateway(cloud, one_server(cloud)).drive()
    assert errors.from_status(ended.answer.error).reason == "OUTCOME_UNKNOWN"
    assert "cs-test-" in ended.answer.left_overs[0].reason


async def test_a_wait_survives_whatever_proves_nothing(cloud: ScriptedCloud) -> None:
    """Five kinds of trouble while polling, then it is ready."""
    troubles: list[errors.CloudspanError] = [
        errors.Unreachable("down"),
        errors.RateLimited("slow", retry_after_s=3),
        errors.OutOfTime("late"),
        errors.PlatformFault("500"),
        errors.LoginRefused("password changed"),
    ]

    async def mutation(op: Any, request: Any) -> None:
        await one_server(cloud)(op, request)

        async def poll() -> bool:
            if troubles:
                raise troubles.pop(0)
            return True

        await op.until("ready", poll, percent=50)

    ended = await Gateway(cloud, mutation).drive()
    assert ended.ok
    assert not troubles


async def test_a_failed_state_undoes_what_was_made(cloud: ScriptedCloud) -> None:
    """GaveUp from a poll ends the operation with its own words; the last made goes first."""

    async def mutation(op: Any, request: Any) -> None:
        await saga(cloud, ("port", "server"), polls=0)(op, request)

        async def poll() -> bool:
            raise errors.GaveUp("server is in ERROR: no valid host")

        await op.until("running", poll)

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

            values.append(await op.until(f"wait {number}", poll))
            await op.create(
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

        await op.until("odd", poll)
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

        results.append(await op.act("stop", stop))

    assert (await Gateway(cloud, mutation).drive()).ok
    assert cloud.writes == ["stop"] * 3
    assert results == [{"was": "RUNNING", "times": 2}]


async def test_an_action_that_may_have_been_done_is_undone_on_cancel(cloud: ScriptedCloud) -> None:
    """The reply was lost, then the end was asked for."""
    cloud.faults = {0: Fault(loses_reply=True)}

    async def mutation(op: Any, _: Any) -> None:
        await op.act(
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
        op.touches("platforms/acme/clusters/east/servers/1")
        await op.act("stop", lambda: cloud.write("stop", lambda _fault: None))
        await op.until("stopped", _not_yet)

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
        await op.until("never", _not_yet)

    call = Call(cluster=EAST, deadline=Deadline.after(2.2))
    with pytest.raises(errors.OutOfTime, match="server server-0"):
        await asyncio.wait_for(drive(mutation, empty_pb2.Empty(), "acme/Make", call, settle_s=1.0), 5)


async def test_a_defect_of_a_driver_is_raised_and_its_write_found_again(cloud: ScriptedCloud) -> None:
    """A KeyError behind the native create: the call fails, the next one finds what was made."""
    broken = [KeyError("id")]

    async def send(marker: str) -> Made:
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
