"""One step of an operation at a time: what is sent when, what is waited out, what is undone, what is told."""

from __future__ import annotations

from typing import Any

import pytest
from common.kit.tests.scripted_cloud import EAST, Fault, Gateway, ScriptedCloud, one_server, saga

from cloudspan.v1 import operation_pb2
from cloudspan_common import errors
from cloudspan_common.testing import FakeClock
from cloudspan_kit import BY_KEY, UNSAFE

Phase = operation_pb2.OperationMetadata.Phase


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cloud(clock: FakeClock) -> ScriptedCloud:
    return ScriptedCloud(clock)


async def test_each_write_is_stored_before_the_next_is_sent(cloud: ScriptedCloud) -> None:
    """Three creates take at least three answers, each with one id more, behind the one that holds what was seen."""
    gateway = Gateway(cloud, saga(cloud, polls=0))
    await gateway.drive()
    told = [len(answer.native_ids) for answer in gateway.answers]
    assert told == sorted(told)
    assert set(told) == {0, 1, 2, 3}
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


async def test_with_all_that_were_sent_accounted_for_nothing_settles_again(cloud: ScriptedCloud) -> None:
    """Both were seen: when the other one is gone, the one kept is the result at once."""
    cloud.faults = {0: Fault(commits_after_s=130.0), 1: Fault(commits_after_s=20.0)}
    before = cloud.clock.monotonic()
    assert (await Gateway(cloud, one_server(cloud)).drive()).ok
    assert cloud.clock.monotonic() - before < 170


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


async def test_a_create_by_key_that_is_lost_each_time_backs_off_and_ends(cloud: ScriptedCloud) -> None:
    """Whatever loses it: at once, then after 1, 2, 4, ... s up to a minute, and after twelve sends no more."""
    cloud.by_key = True
    cloud.faults = {number: Fault(refuses=errors.OutcomeUnknown("the job has been expired")) for number in range(1000)}
    before = cloud.clock.monotonic()
    ended = await Gateway(cloud, one_server(cloud, safety=BY_KEY)).drive()
    assert errors.from_status(ended.answer.error).reason == "OUTCOME_UNKNOWN"
    assert "after 12 sends" in ended.answer.error.message
    assert len(cloud.writes) == 12
    assert 300 < cloud.clock.monotonic() - before < 600


async def test_a_create_by_key_that_comes_between_two_sends_is_the_one(cloud: ScriptedCloud) -> None:
    """Each pause is spent looking."""
    cloud.by_key = True
    cloud.faults = {
        **{number: Fault(refuses=errors.OutcomeUnknown("reset")) for number in range(7)},
        7: Fault(commits_after_s=20.0),
    }
    ended = await Gateway(cloud, one_server(cloud, safety=BY_KEY)).drive()
    assert ended.ok
    assert len(cloud.writes) == 8


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


@pytest.mark.parametrize("error", [errors.Unreachable("down"), errors.LoginRefused("no")])
async def test_a_first_write_that_was_not_carried_out_is_the_callers_to_decide(
    cloud: ScriptedCloud, error: errors.CloudspanError
) -> None:
    """Nothing was begun, so nothing is lost by saying so."""
    cloud.faults = {0: Fault(refuses=error)}
    ended = await Gateway(cloud, one_server(cloud)).drive()
    assert ended.answer.error.message == error.message
    assert ended.steps == 1


async def test_a_first_write_that_is_asked_to_slow_down_is_waited_out(cloud: ScriptedCloud) -> None:
    """A 429 is no failure: the operation says what it waits for, and goes on when it may."""
    cloud.faults = {0: Fault(refuses=errors.RateLimited("slow", retry_after_s=7))}
    gateway = Gateway(cloud, one_server(cloud))
    assert (await gateway.drive()).ok
    assert any(a.retry_after.seconds == 7 and "slow" in a.stage for a in gateway.answers)
    assert len(cloud.rows) == 1


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

        await op.wait_until("ready", poll, percent=50)

    ended = await Gateway(cloud, mutation).drive()
    assert ended.ok
    assert not troubles
