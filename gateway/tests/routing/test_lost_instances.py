"""An instance that dies under a call costs no read, and comes back by itself."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from gateway.tests.hand_made_adapter import GET_SERVER, TOOLS, Say

from cloudspan.v1 import server_pb2, server_pb2_grpc
from cloudspan_common.clock import SystemClock

CODE = grpc.StatusCode
NAME = "platforms/openstack/clusters/east/servers/1"


def get_server(deployment, **options):
    return server_pb2_grpc.ServerServiceStub(deployment.channel).GetServer(
        server_pb2.GetServerRequest(name=NAME), **options
    )


async def unavailable(_body, context):
    await context.abort(CODE.UNAVAILABLE, "going down")


async def test_a_read_lost_with_its_instance_is_answered_by_another(deployment):
    """Of two replicas one answers UNAVAILABLE without the stamp: no caller notices, and it is ejected."""
    sick = await deployment.plug_in(stamped=False)
    await deployment.plug_in(instance_id="os-2")
    sick.answers[GET_SERVER] = unavailable
    sick.describe_fails = None
    async with deployment.opened():
        sick.describe_fails = CODE.UNAVAILABLE
        served = set()
        for _ in range(12):
            call = get_server(deployment)
            await call
            served.add(dict(await call.trailing_metadata())["x-served-by"])
        assert served == {"os-2"}
        assert deployment.gateway.table.ejections == 1
        assert deployment.gateway.forwarder.retries == 1
        assert "<os-1 EJECTED" in deployment.states()


async def test_a_stopped_process_is_noticed_before_the_next_call(deployment):
    """The broken health stream ejects it; no call has to be lost for that."""
    gone = await deployment.plug_in()
    await deployment.plug_in(instance_id="os-2")
    async with deployment.opened():
        await deployment.until(lambda: deployment.states() == "[<os-1 READY>, <os-2 READY>]")
        await gone.stop()
        await deployment.until(lambda: "<os-1 EJECTED" in deployment.states())
        await get_server(deployment)
        assert deployment.gateway.forwarder.retries == 0


async def test_an_ejected_instance_is_probed_back_in(deployment):
    """Once its Describe answers again it gets calls again."""
    adapter = await deployment.plug_in(stamped=False)
    adapter.answers[GET_SERVER] = unavailable
    async with deployment.opened():
        adapter.describe_fails = CODE.UNAVAILABLE
        with pytest.raises(grpc.aio.AioRpcError):
            await get_server(deployment)
        await deployment.until(lambda: "EJECTED" in deployment.states())
        del adapter.answers[GET_SERVER]
        adapter.describe_fails = None
        await deployment.until(lambda: deployment.states() == "[<os-1 READY>]")
        assert (await get_server(deployment)).name == NAME


async def test_an_unavailable_of_the_cloud_is_passed_on_and_ejects_no_instance(deployment):
    """With the stamp it is the cloud that does not answer: another instance would meet the same cloud."""
    adapter = await deployment.plug_in()
    await deployment.plug_in(instance_id="os-2", clusters=("west",))

    async def cloud_down(_body, context):
        await context.abort(CODE.UNAVAILABLE, "nova does not answer", (("x-served-by", "os-1"),))

    adapter.answers[GET_SERVER] = cloud_down
    async with deployment.opened():
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await get_server(deployment)
        assert failed.value.details() == "nova does not answer"
        assert len(adapter.calls) == 1
        assert deployment.states() == "[<os-1 READY>, <os-2 READY>]"


async def test_a_call_that_may_change_something_is_not_sent_twice(deployment, told):
    """An adapter's own service may do anything: its caller gets the error, and no other instance is asked."""
    for number in (1, 2):
        sick = await deployment.plug_in(instance_id=f"os-{number}", stamped=False)
        sick.answers[f"/{TOOLS}/Echo"] = unavailable
    async with deployment.opened():
        echo = deployment.channel.unary_unary(f"/{TOOLS}/Echo", Say.SerializeToString, Say.FromString)
        error = await _failure(echo(Say(value="x"), metadata=(("x-platform", "openstack"),)))
    assert (error.code(), told(error).reason) == (CODE.UNAVAILABLE, "INSTANCE_LOST")
    assert "may have begun" in error.details()
    assert sum(len(adapter.calls) for adapter in deployment.adapters) == 1


async def _failure(call):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value


async def test_a_read_is_tried_on_three_instances_at_most(deployment, told):
    """When all are going down the caller hears of it, with a time to come back."""
    for number in range(4):
        sick = await deployment.plug_in(instance_id=f"os-{number}", stamped=False)
        sick.answers[GET_SERVER] = unavailable
    async with deployment.opened():
        for adapter in deployment.adapters:
            adapter.describe_fails = CODE.UNAVAILABLE
        error = await _failure(get_server(deployment))
        assert error.code() is CODE.UNAVAILABLE
        assert told(error).reason == "INSTANCE_LOST"
        assert told(error).retry_after_s == 1.0
        assert sum(len(adapter.calls) for adapter in deployment.adapters) == 3


async def test_with_no_instance_left_a_known_platform_is_unavailable(deployment, told):
    """UNAVAILABLE with RetryInfo and what is wrong with each instance, for as long as the platform is remembered."""
    adapter = await deployment.plug_in()
    async with deployment.opened():
        await adapter.stop()
        await deployment.until(lambda: "EJECTED" in deployment.states())
        ejected = await _failure(get_server(deployment))
        deployment.registry.remove("os-1")
        await deployment.until(lambda: not deployment.gateway.table.snapshot.platforms["openstack"].instances)
        gone = await _failure(get_server(deployment))
    for error in (ejected, gone):
        assert (error.code(), told(error).reason) == (CODE.UNAVAILABLE, "NO_INSTANCE")
        assert told(error).retry_after_s == 1.0
    assert "os-1 is EJECTED" in ejected.details()
    assert "the last one is gone" in gone.details()


async def test_replacing_an_instance_under_load_loses_no_call(deployment):
    """New one in, old one draining, deregistered, stopped: every read is answered."""
    old = await deployment.plug_in()
    stop = asyncio.Event()
    served: list[str] = []

    async def load():
        while not stop.is_set():
            call = get_server(deployment)
            await call
            served.append(dict(await call.trailing_metadata())["x-served-by"])

    async with deployment.opened(), asyncio.TaskGroup() as callers:
        for _ in range(4):
            callers.create_task(load())
        await old.reached.wait()
        await deployment.plug_in(instance_id="os-2")
        await deployment.until(lambda: "<os-2 READY>" in deployment.states())
        deployment.registry.remove("os-1")
        await deployment.until(lambda: "os-1" not in deployment.states())
        await old.server.stop(1)
        await SystemClock().sleep(0.03)
        stop.set()
    assert {"os-1", "os-2"} == set(served)
    assert served[-1] == "os-2"


async def test_calls_go_to_the_less_busy_instance(deployment):
    """While one instance hangs with a call, the others follow to its replica."""
    first, second = await deployment.plug_in(), await deployment.plug_in(instance_id="os-2")
    release = asyncio.Event()

    async def hang(_body, _context):
        await release.wait()
        return b""

    for adapter in (first, second):
        adapter.answers[GET_SERVER] = hang
    async with deployment.opened():
        calls = [asyncio.ensure_future(_done(get_server(deployment))) for _ in range(8)]
        async with asyncio.timeout(5):
            while len(first.calls) + len(second.calls) < 8:  # noqa: ASYNC110 - the adapters have no event for it
                await asyncio.sleep(0.01)
        assert (len(first.calls), len(second.calls)) == (4, 4)
        release.set()
        await asyncio.gather(*calls)


async def _done(call):
    return await call
