"""Each script under examples/ does what its first line says, as a program against a running demo."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from concurrent import futures

import grpc
import pytest
from google.protobuf import empty_pb2
from tests.flows.demo import ROOT
from tests.harness.processes import free_port

from cloudspan.v1 import server_pb2, server_pb2_grpc, session_pb2, session_pb2_grpc
from cloudspan_common.clock import SystemClock
from cloudspan_common.registry.memory import MemoryRegistry
from cloudspan_common.registry.services import ServiceAddress
from cloudspan_gateway.app import Gateway
from cloudspan_gateway.config import GatewayConfig
from cloudspan_gateway.identity.handshake import HandshakeParts, Handshakes
from cloudspan_gateway.services.handshake import HandshakeService
from cloudspan_gateway.services.methods import service_methods

CLUSTERS = ["memory/main", "openstack/alpha"]


def _run(script, *arguments, fails=False, **environment):
    command = [sys.executable, f"examples/{script}", *arguments]
    env = os.environ | environment
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=50, check=False)
    assert bool(done.returncode) == fails, done.stderr
    return done.stdout + done.stderr


def test_every_example_is_run_here():
    """A new script needs a test of its own in this file."""
    scripts = {path.name for path in (ROOT / "examples").glob("*.py")}
    assert scripts == {
        "list_everywhere.py", "create_once.py", "follow_operation.py", "service_login.py", "login_and_list.py",
    }  # fmt: skip


def test_list_everywhere_names_servers_of_each_cluster(running_demo):
    """Four clusters of three platforms answer, each with servers of its own and its age."""
    printed = _run("list_everywhere.py", running_demo.gateway)
    clusters = ("memory/clusters/main", "openstack/clusters/alpha", "openstack/clusters/beta", "zstack/clusters/zeta")
    for cluster in clusters:
        assert f"platforms/{cluster}/servers/" in printed
        assert f"platforms/{cluster}: STATE_OK" in printed


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_create_once_makes_one_server_however_often_it_is_run(running_demo, cluster):
    """The second run gets the operation and the server of the first."""
    request_id = str(uuid.uuid4())
    first = _run("create_once.py", cluster, request_id, running_demo.gateway)
    assert "STATE_RUNNING" in first
    assert _run("create_once.py", cluster, request_id, running_demo.gateway) == first
    assert _run("create_once.py", cluster, str(uuid.uuid4()), running_demo.gateway) != first


@pytest.mark.parametrize("cluster", CLUSTERS)
def test_follow_operation_prints_its_way_to_the_end(running_demo, cluster):
    """The last line but one is the finished operation, the last one the volume."""
    *_, last, made = _run("follow_operation.py", cluster, running_demo.gateway).splitlines()
    assert "PHASE_DONE 100 %" in last
    platform, tag = cluster.split("/")
    assert made.startswith(f"made platforms/{platform}/clusters/{tag}/volumes/")


class _Sessions:
    """Of one service; notes what ended."""

    def __init__(self):
        self.ended = []

    async def create(self, subject, _tenant, method, peer):
        return session_pb2.Session(name="sessions/1", subject=subject, method=method, peer=peer), "secret"

    async def delete_session(self, request, _call):
        self.ended.append(request.name)
        return empty_pb2.Empty()


class _Gateway(Gateway):
    """One whose services log in, over sessions of its own."""

    sessions = _Sessions()

    async def _described(self, session, _principal):
        return session

    def _services(self):
        handshakes = Handshakes(HandshakeParts(self.registry, self.sessions, self.database, SystemClock()))
        answering = HandshakeService(handshakes, self._described)
        service = "cloudspan.v1.SessionService"
        sessions = (*service_methods(service, answering), *service_methods(service, self.sessions))
        return (*super()._services(), *sessions)


async def test_a_service_logs_in_and_out_without_a_password():
    """The gateway asks it back at the address that is registered for it."""
    registry, address = MemoryRegistry(), f"127.0.0.1:{free_port()}"
    registry.put_service("billing", ServiceAddress(address, "billing"))
    gateway = _Gateway(
        GatewayConfig(listen="127.0.0.1:0", metrics="", drain_s=0.0, database="memory:", no_inventory=True),
        registry,
    )
    async with gateway.running():
        listen = f"127.0.0.1:{gateway.server.port}"
        printed = await asyncio.to_thread(_run, "service_login.py", "billing", address, listen)
    assert printed.splitlines()[0] == "services/billing is logged in"
    assert gateway.sessions.ended == ["sessions/1"]


class Callers(session_pb2_grpc.SessionServiceServicer, server_pb2_grpc.ServerServiceServicer):
    """A gateway with one user, whose first session ends at once."""

    def __init__(self):
        self.sessions = []

    def CreateSession(self, request, context):  # noqa: N802
        if (request.user, request.password) != ("alice", "correct horse battery"):
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "user, password or one-time code is wrong")
        self.sessions.append(f"cs_{len(self.sessions)}")
        return session_pb2.Session(token=self.sessions[-1])

    def _authenticate(self, context):
        token = dict(context.invocation_metadata()).get("authorization", "")
        if token == "Bearer cs_0" or token.removeprefix("Bearer ") not in self.sessions:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such session")

    def GetSession(self, _request, context):  # noqa: N802
        self._authenticate(context)
        return session_pb2.Session(subject="users/alice", tenant="tenants/acme", roles=["roles/member"])

    def ListServers(self, _request, context):  # noqa: N802
        self._authenticate(context)
        return server_pb2.ListServersResponse(servers=[{"name": "platforms/a/clusters/b/servers/1"}])

    def DeleteSession(self, _request, context):  # noqa: N802
        self._authenticate(context)
        self.sessions.pop()
        return empty_pb2.Empty()


def test_login_and_list_logs_in_anew_when_its_session_has_ended_and_out_in_the_end():
    """A wrong password is one line, without it."""
    callers, server = Callers(), grpc.server(futures.ThreadPoolExecutor(2))
    session_pb2_grpc.add_SessionServiceServicer_to_server(callers, server)
    server_pb2_grpc.add_ServerServiceServicer_to_server(callers, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    printed = _run("login_and_list.py", "alice", address, CLOUDSPAN_PASSWORD="correct horse battery")
    refused = _run("login_and_list.py", "alice", address, fails=True, CLOUDSPAN_PASSWORD="guessed")
    server.stop(None).wait()
    assert printed.splitlines() == [
        "users/alice in tenants/acme: roles/member",
        "platforms/a/clusters/b/servers/1  ",
    ]
    assert callers.sessions == ["cs_0"]
    assert refused == "user, password or one-time code is wrong\n"
