"""What a step reads: reads that are kept for later steps, waits that are shared, native calls that are reported."""

from __future__ import annotations

from typing import Any

import pytest
from common.kit.tests.scripted_cloud import EAST, Fault, Gateway, ScriptedCloud, one_server, saga

from cloudspan_common import errors
from cloudspan_common.deadlines import Deadline
from cloudspan_common.telemetry import NativeCall, record_native_call
from cloudspan_common.testing import FakeClock
from cloudspan_kit import Call, Watch


@pytest.fixture
def cloud() -> ScriptedCloud:
    return ScriptedCloud(FakeClock())


def a_call(seconds: float = 20.0) -> Call:
    return Call(cluster=EAST, deadline=Deadline.after(seconds))


async def test_a_look_is_looked_once_and_means_the_same_to_all_steps(cloud: ScriptedCloud) -> None:
    """Seven answers, one look."""
    gateway = Gateway(cloud, saga(cloud))
    assert (await gateway.drive()).ok
    assert len(gateway.answers) > 3
    assert cloud.looks == 1


async def test_what_was_looked_up_is_stored_before_anything_is_written(cloud: ScriptedCloud) -> None:
    """An answer that is lost before that is looked up anew."""
    gateway = Gateway(cloud, saga(cloud))
    gateway.lost_answers = {1}
    await gateway.take()
    assert not cloud.writes
    assert (await gateway.drive()).ok
    assert {row.plan for row in cloud.rows} == {2}


@pytest.mark.parametrize("cancel_at", [-1, 0])
async def test_a_look_that_a_new_version_put_before_a_create_hides_nothing(
    cloud: ScriptedCloud, cancel_at: int
) -> None:
    """The version before sent the create and died; this one looks first, and still finds what was made."""
    cloud.faults = {0: Fault(dies_after=True)}
    gateway = Gateway(cloud, one_server(cloud))
    assert await gateway.take() is None

    async def next_version(op: Any, request: Any) -> None:
        await op.read_once("plan", cloud.look)
        await one_server(cloud)(op, request)

    gateway.mutation = next_version
    ended = await gateway.drive(cancel_at=cancel_at)
    assert ended.ok == (cancel_at < 0)
    assert cloud.writes.count("create server") == 1
    assert len(cloud.visible()) == int(ended.ok)


async def test_a_look_that_a_new_version_put_before_a_create_does_not_keep_it_from_being_undone(
    cloud: ScriptedCloud,
) -> None:
    """The version before made it and its answer is stored; cancelled under this one nothing is left."""
    gateway = Gateway(cloud, one_server(cloud))
    assert await gateway.take() is not None

    async def next_version(op: Any, request: Any) -> None:
        await op.read_once("plan", cloud.look)
        await one_server(cloud)(op, request)

    gateway.mutation = next_version
    ended = await gateway.drive(cancel_at=0)
    assert (ended.left, cloud.visible()) == ([], [])


async def test_a_look_that_fails_under_suspicion_keeps_it(cloud: ScriptedCloud) -> None:
    """The call fails, so that the attempt stays counted."""
    cloud.faults = {0: Fault(dies_after=True)}
    gateway = Gateway(cloud, one_server(cloud))
    await gateway.take()
    troubles: list[errors.CloudspanError] = [errors.Unreachable("down"), errors.PlatformFault("500")]

    async def next_version(op: Any, request: Any) -> None:
        async def look() -> None:
            if troubles:
                raise troubles.pop()

        await op.read_once("plan", look)
        await one_server(cloud)(op, request)

    gateway.mutation = next_version
    assert (await gateway.drive()).ok
    assert len(gateway.failures) == 2
    assert cloud.writes == ["create server"]


async def test_a_look_waits_out_what_proves_nothing(cloud: ScriptedCloud) -> None:
    """And obeys a cloud that says when to come again."""
    troubles: list[errors.CloudspanError] = [errors.Unreachable("down"), errors.RateLimited("slow", retry_after_s=7)]

    async def mutation(op: Any, _: Any) -> None:
        async def look() -> dict[str, Any]:
            if troubles:
                raise troubles.pop(0)
            return {"zones": ["a"]}

        assert await op.read_once("zones", look) == {"zones": ["a"]}

    gateway = Gateway(cloud, mutation)
    assert (await gateway.drive()).ok
    assert [answer.retry_after.seconds for answer in gateway.answers] == [0, 7, 0]


async def test_a_look_that_finds_something_wrong_ends_the_operation(cloud: ScriptedCloud) -> None:
    """What was made before it is undone; there is nothing to undo of the look."""

    async def mutation(op: Any, request: Any) -> None:
        await one_server(cloud)(op, request)
        await op.read_once("volume", look)

    async def look() -> None:
        raise errors.NotFound("the volume is gone")

    ended = await Gateway(cloud, mutation).drive()
    assert ended.answer.error.message == "the volume is gone"
    assert cloud.writes == ["create server", "delete server-0"]
    assert ended.left == []


async def test_undoing_reaches_what_was_made_behind_a_look_without_looking(cloud: ScriptedCloud) -> None:
    """What it saw is in the cursor, even when it would see nothing now."""
    gateway = Gateway(cloud, saga(cloud, ("port", "server"), fails=errors.GaveUp("broken")))
    ended = await gateway.drive()
    assert (cloud.looks, ended.left) == (1, [])
    assert not cloud.visible()


async def test_a_first_write_behind_a_look_is_still_the_callers_to_decide(cloud: ScriptedCloud) -> None:
    """Nothing was begun by looking."""
    cloud.faults = {0: Fault(refuses=errors.Unreachable("down"))}
    ended = await Gateway(cloud, saga(cloud)).drive()
    assert ended.answer.error.message == "down"


async def test_what_was_made_behind_a_read_that_now_fails_is_listed(cloud: ScriptedCloud) -> None:
    """The flavor is read at every step and deleted behind the create: what can't be come to again is not forgotten."""

    async def mutation(op: Any, request: Any) -> None:
        if cloud.writes:
            raise errors.NotFound("the flavor is gone")
        await one_server(cloud)(op, request)

    ended = await Gateway(cloud, mutation).drive()
    assert ended.answer.error.message == "the flavor is gone"
    assert ["server-0" in left.reason for left in ended.answer.left_overs] == [True]


async def test_a_wait_that_is_shared_tells_what_for_until_it_ends(cloud: ScriptedCloud) -> None:
    """Also when a look fails; not any more while it is undone."""
    looks: list[object] = [None, errors.Unreachable("down"), errors.GaveUp("in ERROR"), errors.GaveUp("in ERROR")]

    async def mutation(op: Any, request: Any) -> None:
        await one_server(cloud)(op, request)
        await op.wait_until("running", poll, watch=Watch("servers", "server-0"))

    async def poll() -> object:
        look = looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look

    gateway = Gateway(cloud, mutation)
    await gateway.drive()
    told = [answer.transit.native_id for answer in gateway.answers]
    assert told[1:3] == ["server-0", "server-0"]
    assert not any(told[3:])


async def test_a_step_tells_its_native_calls_equal_ones_together(cloud: ScriptedCloud) -> None:
    """Three polls of one are one line; a create is another; what a later step took is that one's."""

    def asked(method: str, status: int, **more: Any) -> None:
        record_native_call(NativeCall("acme-east", "compute", method, "/servers", status, 2.0, **more))

    async def send(marker: str) -> Any:
        asked("GET", 200, native_request_id="r1")
        asked("POST", 202, retries=1, waited_ms=3.0)
        asked("GET", 200, native_request_id="r2")
        return await cloud.create("server", marker)

    gateway = Gateway(cloud, one_server(cloud, send=send))
    first, second = await gateway.take(), await gateway.take()
    assert first is not None
    assert second is not None
    assert [(c.method, c.status, c.count, c.retries, c.native_request_id) for c in first.calls] == [
        ("GET", 200, 2, 0, "r2"),
        ("POST", 202, 1, 1, ""),
    ]
    assert [(c.took.ToMicroseconds(), c.waited.ToMicroseconds()) for c in first.calls] == [(4000, 0), (2000, 3000)]
    assert not second.calls


async def test_a_failed_step_tells_its_calls_without_secrets(cloud: ScriptedCloud) -> None:
    """The platform's words may repeat what was sent."""

    async def send(_marker: str) -> Any:
        record_native_call(
            NativeCall("e", "compute", "POST", "/servers", 400, 2.0, error='adminPass: "hunter2" is too short')
        )
        raise errors.InvalidRequest("too short")

    answer = await Gateway(cloud, one_server(cloud, send=send)).take()
    assert answer is not None
    assert "too short" in answer.calls[0].error
    assert "hunter2" not in answer.calls[0].error
