"""Whatever breaks at whichever native call, an operation leaves exactly one of each resource, or none, or lists it."""

from __future__ import annotations

import itertools

import pytest
from common.kit.tests.scripted_cloud import BY_KEY, BY_MARKER, Ended, Fault, Gateway, ScriptedCloud, saga

from cloudspan_common import errors
from cloudspan_common.testing import FakeClock

KINDS = ("port", "volume", "server")
FAULTS = {
    "dies before": Fault(dies_before=True),
    "dies after": Fault(dies_after=True),
    "loses the reply": Fault(loses_reply=True),
    "commits late": Fault(commits_after_s=7.0),
    "commits just in time": Fault(commits_after_s=115.0),
    "is cut off before": Fault(refuses=errors.OutcomeUnknown("no reply, nothing was made")),
    "finds nobody": Fault(refuses=errors.Unreachable("connection refused")),
}
SAFETIES = {"by marker": BY_MARKER, "by key": BY_KEY}


async def check(cloud: ScriptedCloud, ended: Ended, gateway: Gateway) -> None:
    """Look long after the end: what is there must be the result, or be listed as left, and made by one plan."""
    await gateway.pass_time(10_000)
    cloud._drop_late_twins()
    there = sorted(row.kind for row in cloud.visible())
    ids = {row.id for row in cloud.visible()}
    assert len({row.plan for row in cloud.rows}) <= 1, "two steps went by different looks"
    if ended.ok:
        assert there == sorted(KINDS), (cloud.writes, cloud.rows, ended)
        result = type(ended.answer.response).FromString(ended.answer.response.SerializeToString())
        assert all(native_id.encode() in result.value for native_id in ids)
        assert ids.isdisjoint(ended.left)
    else:
        assert ids <= set(ended.left), (cloud.writes, cloud.rows, ended)
    removed = {name.rpartition("/")[2] for name, gone in ended.left_overs.items() if gone}
    assert ids.isdisjoint(removed), "listed as removed and still there"


def begin(safety: str, faults: dict[int, Fault], *, fails: errors.CloudspanError | None = None) -> Gateway:
    cloud = ScriptedCloud(FakeClock(), by_key=safety == "by key", faults=faults)
    return Gateway(cloud, saga(cloud, KINDS, safety=SAFETIES[safety], fails=fails))


@pytest.mark.parametrize("safety", SAFETIES)
async def test_one_fault_at_any_write_leaves_one_of_each(safety: str) -> None:
    """Every write of the saga meets every fault once."""
    for number, name in itertools.product(range(3), FAULTS):
        gateway = begin(safety, {number: FAULTS[name]})
        ended = await gateway.drive()
        if not (number == 0 and name == "finds nobody"):
            assert ended.ok, (number, name, ended)
        await check(gateway.cloud, ended, gateway)


@pytest.mark.parametrize("safety", SAFETIES)
async def test_any_two_faults_leave_one_of_each(safety: str) -> None:
    """Faults of two writes, the second of which may be the first one's repetition."""
    for first, second in itertools.combinations(range(5), 2):
        for one, other in itertools.product(FAULTS, repeat=2):
            gateway = begin(safety, {first: FAULTS[one], second: FAULTS[other]})
            await check(gateway.cloud, await gateway.drive(), gateway)


@pytest.mark.parametrize("safety", SAFETIES)
async def test_a_cancel_at_any_step_under_any_fault_leaves_nothing_unlisted(safety: str) -> None:
    """A cancel before each step that a faulty run takes: nothing stays, or it is listed."""
    for number, name in itertools.product(range(3), FAULTS):
        steps = (await begin(safety, {number: FAULTS[name]}).drive()).steps
        for cancel_at in range(steps):
            gateway = begin(safety, {number: FAULTS[name]})
            ended = await gateway.drive(cancel_at=cancel_at)
            await check(gateway.cloud, ended, gateway)
            if cancel_at < 3:
                assert not gateway.cloud.visible(), (number, name, cancel_at)


@pytest.mark.parametrize("safety", SAFETIES)
async def test_a_lost_answer_at_any_step_changes_nothing(safety: str) -> None:
    """The adapter did its step and died before the gateway heard of it, or the gateway died before storing it."""
    steps = (await begin(safety, {}).drive()).steps
    for lost in range(1, steps + 1):
        gateway = begin(safety, {})
        gateway.lost_answers = {lost}
        ended = await gateway.drive()
        assert ended.ok
        await check(gateway.cloud, ended, gateway)
        assert len(gateway.cloud.rows) == len(KINDS)


async def test_what_an_answer_tells_to_watch_is_there_and_not_ready() -> None:
    """A gateway may leave every waiting operation to one listing: what is told is what was made last."""
    gateway = begin("by marker", {})
    await gateway.drive()
    for answer in gateway.answers:
        waits = answer.stage.endswith(" ready")
        assert waits == answer.HasField("transit")
        if waits:
            kind = answer.stage.removesuffix(" ready")
            assert answer.transit.collection == f"{kind}s"
            assert answer.transit.native_id == answer.native_ids[kind]


@pytest.mark.parametrize("safety", SAFETIES)
async def test_a_lost_answer_while_undoing_undoes_all_the_same(safety: str) -> None:
    """Answers and replies of the undos are lost one after another."""
    quota = errors.QuotaExceeded("no room")
    steps = (await begin(safety, {}, fails=quota).drive()).steps
    for lost in range(1, steps + 1):
        gateway = begin(safety, {}, fails=quota)
        gateway.lost_answers = {lost}
        ended = await gateway.drive()
        assert ended.answer.error.message == "no room"
        await check(gateway.cloud, ended, gateway)
        assert not gateway.cloud.visible()
    for number, name in itertools.product(
        range(3, 6), ("dies before", "dies after", "loses the reply", "finds nobody")
    ):
        gateway = begin(safety, {number: FAULTS[name]}, fails=quota)
        ended = await gateway.drive()
        assert not gateway.cloud.visible(), (number, name)
        assert ended.answer.error.message == "no room"
