"""Many callers wait for many operations on one cluster: the cloud is asked as if it were one."""

from __future__ import annotations

import asyncio
import time

import pytest
from google.longrunning import operations_pb2
from tests.harness.clouds import openstack_entry
from tests.harness.openstack import fake, ref, serving

from cloudspan.v1 import server_pb2
from cloudspan_common.testing import FakeClock
from cloudspan_openstack_fake import Timing

OPERATIONS, WAITERS_EACH = 500, 20
WATCHED_S = 12.0
BUILD_S = 1_000.0


def _id(table, name):
    return next(row["id"] for row in table if row["name"] == name)


async def _cast(client, cloud, number):
    wanted = server_pb2.Server(
        display_name=f"w{number}",
        flavor=f"{ref()}/flavors/1",
        image=f"{ref()}/images/{_id(cloud.store.images, 'cirros')}",
    )
    wanted.network_interfaces.add(network=f"{ref()}/networks/{_id(cloud.store.networks, 'private')}")
    return await client.servers.CreateServer(server_pb2.CreateServerRequest(parent=ref(), server=wanted))


async def _waits_for_the_cloud(client, operation):
    async for change in operation.changes():
        if change.metadata.stage == "active":
            return


async def _pass_time(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:  # noqa: ASYNC110 - that nothing happens has no event
        await asyncio.sleep(0.05)


@pytest.mark.faults
@pytest.mark.timeout(300)
async def test_ten_thousand_waiters_cost_the_cloud_a_handful_of_calls(tmp_path):
    """500 servers that are being built, 20 callers in WaitOperation for each: while they wait only lists are read.

    Each operation looks once when its server is told to have changed; then all callers have their server.
    """
    clock = FakeClock()
    cloud = fake(clock=clock, timing=Timing(build_s=BUILD_S))
    async with cloud, serving({"east": openstack_entry(cloud)}, tmp_path) as made:
        cloud.control.set_quota("compute", instances=2 * OPERATIONS, cores=-1, ram=-1)
        operations = [await _cast(made.client, cloud, number) for number in range(OPERATIONS)]
        await asyncio.gather(*(_waits_for_the_cloud(made.client, operation) for operation in operations))
        wait = [operations_pb2.WaitOperationRequest(name=operation.name) for operation in operations] * WAITERS_EACH
        waiters = [
            asyncio.ensure_future(made.client.operations.WaitOperation(request, timeout=200)) for request in wait
        ]
        await _pass_time(1.0)
        cloud.control.clear_requests()
        await _pass_time(WATCHED_S)
        while_waiting = cloud.control.count()
        assert [waiter.exception() or waiter.result() for waiter in waiters if waiter.done()][:3] == []
        cloud.control.clear_requests()
        await clock.advance(BUILD_S)
        ended = await asyncio.gather(*waiters)
        at_the_end = cloud.control.count("compute")
    print(f"\n{len(wait)} waiters for {OPERATIONS} operations: {while_waiting} native calls in {WATCHED_S:g} s, "
          f"{at_the_end} at the end")  # fmt: skip
    assert all(operation.done and not operation.HasField("error") for operation in ended)
    assert while_waiting <= 60
    assert at_the_end <= OPERATIONS * 1.5 + 60
