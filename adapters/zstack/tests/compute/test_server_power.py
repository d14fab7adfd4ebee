"""Servers are started, stopped and rebooted once, whatever happens to requests and jobs."""

from __future__ import annotations

import pytest

from cloudspan.v1 import server_pb2

from .conftest import make_server

_Server = server_pb2.Server


async def test_a_server_is_stopped_and_started(bench):
    """Each is done as well when it was so before."""
    made = await make_server(bench)
    for method, request, state in (
        ("stop_server", server_pb2.StopServerRequest, _Server.STATE_STOPPED),
        ("stop_server", server_pb2.StopServerRequest, _Server.STATE_STOPPED),
        ("start_server", server_pb2.StartServerRequest, _Server.STATE_RUNNING),
        ("start_server", server_pb2.StartServerRequest, _Server.STATE_RUNNING),
    ):
        assert (await bench.done(method, request(name=made.name), _Server)).state == state
    assert bench.cloud.control.count(call="StopVmInstance") == bench.cloud.control.count(call="StartVmInstance") == 1


@pytest.mark.parametrize("kind", ["lost_job", "lost_reply", "duplicate_job"])
async def test_a_stop_is_judged_by_the_server_when_its_job_is_lost(bench, kind):
    """The state tells."""
    made = await make_server(bench)
    bench.cloud.control.fault(kind, call="StopVmInstance", count=1)
    stopped = await bench.done("stop_server", server_pb2.StopServerRequest(name=made.name), _Server)
    assert stopped.state == _Server.STATE_STOPPED


async def test_a_stop_that_failed_says_why(bench):
    """With the platform's own words."""
    made = await make_server(bench)
    bench.cloud.control.fault("failure", call="StopVmInstance", count=1, code="SYS.1016", message="agent is silent")
    answer = await bench.operate("stop_server", server_pb2.StopServerRequest(name=made.name))
    assert "agent is silent" in answer.error.message


@pytest.mark.parametrize("kind", ["lost_reply", "duplicate_job", "lost_job"])
async def test_a_reboot_is_done_once_whatever_happens_to_it(bench, kind):
    """The same job is the same reboot."""
    made = await make_server(bench)
    bench.cloud.control.fault(kind, call="RebootVmInstance", count=1)
    request = server_pb2.RebootServerRequest(name=made.name)
    assert (await bench.done("reboot_server", request, _Server)).state == _Server.STATE_RUNNING
    jobs = {r.job_uuid for r in bench.cloud.control.requests(call="RebootVmInstance")}
    assert len(jobs) == 1


async def test_a_hard_reboot_powers_off_and_starts(bench):
    """The platform's own reboot knows no force."""
    made = await make_server(bench)
    request = server_pb2.RebootServerRequest(name=made.name, mode=server_pb2.RebootServerRequest.MODE_HARD)
    assert (await bench.done("reboot_server", request, _Server)).state == _Server.STATE_RUNNING
    (stop,) = bench.cloud.control.requests(call="StopVmInstance")
    assert stop.body["stopVmInstance"]["type"] == "cold"


async def test_a_paused_server_is_not_started(bench):
    """Start would not end that state."""
    made = await make_server(bench)
    bench.cloud.control.break_server(made.name[-32:], "Paused")
    answer = await bench.operate("start_server", server_pb2.StartServerRequest(name=made.name))
    assert "WRONG_STATE" in str(answer.error)
