"""The credentials that a client's calls bring: sent, renewed where they were refused, and never shown."""
# ruff: noqa: N802 - servicers' functions have the names and arguments of the rpcs

from __future__ import annotations

import asyncio
import logging
import re
import traceback
from pathlib import Path
from types import SimpleNamespace

import grpc
import pytest
from google.longrunning import operations_pb2

from cloudspan.client import AsyncClient, Client, Tls, Unauthenticated, aio_credentials, tags, waiting
from cloudspan.client.connection import is_loopback
from cloudspan.v1 import operation_pb2, operation_pb2_grpc, server_pb2, server_pb2_grpc, session_pb2
from cloudspan_common import grpcs

GOOD, OLD = "cs_good-token", "cs_old-token"
GET = server_pb2.GetServerRequest(name="x")
CREATE = server_pb2.CreateServerRequest(request_id="6f1c4b0a-38a5-4a0e-9c0f-1d9a3a1b2c3d")
WATCH = operation_pb2.WatchOperationRequest(name="operations/1")


class Guarded(server_pb2_grpc.ServerServiceServicer, operation_pb2_grpc.OperationServiceServicer):
    """Serves whoever brings the one token; remembers the metadata of every call."""

    def __init__(self):
        self.accepted = f"Bearer {GOOD}"
        self.calls = []
        self.cut_after = None

    async def _guard(self, context):
        self.calls.append(dict(context.invocation_metadata()))
        if self.calls[-1].get("authorization") != self.accepted:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "log in")

    async def GetServer(self, request, context):
        await self._guard(context)
        return server_pb2.Server(name=request.name)

    async def CreateServer(self, request, context):
        await self._guard(context)
        return operations_pb2.Operation(name="operations/1", done=True)

    async def WatchOperation(self, request, context):
        await self._guard(context)
        yield operations_pb2.Operation(name=request.name)
        if self.cut_after:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the session has ended")
        yield operations_pb2.Operation(name=request.name, done=True)


class Source:
    """Returns one token after the other, and counts how often it was asked."""

    def __init__(self, *tokens):
        self.tokens = list(tokens)
        self.asked = 0

    def next(self):
        self.asked += 1
        return self.tokens[min(self.asked, len(self.tokens)) - 1]

    async def __call__(self):
        await asyncio.sleep(0)
        return self.next()


@pytest.fixture
async def guarded():
    server, servicer = grpcs.new_server(), Guarded()
    server_pb2_grpc.add_ServerServiceServicer_to_server(servicer, server)
    operation_pb2_grpc.add_OperationServiceServicer_to_server(servicer, server)
    servicer.address = f"127.0.0.1:{grpcs.listen(server, '127.0.0.1:0')}"
    await server.start()
    yield servicer
    await server.stop(0)


async def test_a_token_travels_with_every_call_and_the_tenant_with_it(guarded):
    """Calls with one answer, changes, streams, and stubs over the client's channel."""
    async with AsyncClient(guarded.address, token=GOOD, tenant="acme", pool="prod") as client:
        await client.servers.GetServer(GET)
        await client.servers.CreateServer(CREATE)
        assert [state.done async for state in client.operations.WatchOperation(WATCH)] == [False, True]
        await server_pb2_grpc.ServerServiceStub(client.channel).GetServer(GET)
    assert len(guarded.calls) == 4
    for call in guarded.calls:
        assert (call["authorization"], call["x-tenant"], call["x-pool"]) == (f"Bearer {GOOD}", "acme", "prod")


async def test_one_call_may_act_in_another_tenant_and_pool(guarded):
    """What it leaves out stays the client's."""
    async with AsyncClient(guarded.address, token=GOOD, tenant="acme", pool="prod") as client:
        await client.servers.GetServer(GET, metadata=tags(tenant="zoo") + waiting(3))
        await client.servers.GetServer(GET, metadata=tags(pool="test"))
    found = [(call["x-tenant"], call["x-pool"], call.get("x-wait")) for call in guarded.calls]
    assert found == [("zoo", "prod", "3s"), ("acme", "test", None)]


async def test_a_client_without_a_token_sends_none(guarded):
    async with AsyncClient(guarded.address) as client:
        with pytest.raises(Unauthenticated, match="log in"):
            await client.servers.GetServer(GET)
    assert "authorization" not in guarded.calls[0]
    assert len(guarded.calls) == 1


@pytest.mark.parametrize("own", [("authorization", "Bearer other"), ("x-auth-session", "other")])
async def test_a_credential_that_one_call_brings_itself_is_the_only_one_and_is_not_renewed(guarded, own):
    source = Source(GOOD)
    async with AsyncClient(guarded.address, token=source) as client:
        with pytest.raises(Unauthenticated):
            await client.servers.GetServer(GET, metadata=(own,))
    assert [call.get(own[0]) for call in guarded.calls] == [own[1]]
    assert [key for key in guarded.calls[0] if key in ("authorization", "x-auth-session")] == [own[0]]
    assert source.asked == 0


async def test_a_refused_token_is_renewed_once_and_the_call_sent_again(guarded):
    """A read, a change and a stream; the function is called at the first call, not before."""
    for call in (
        lambda client: client.servers.GetServer(GET),
        lambda client: client.servers.CreateServer(CREATE),
        _watched,
    ):
        source = Source(OLD, GOOD)
        guarded.calls.clear()
        async with AsyncClient(guarded.address, token=source) as client:
            assert source.asked == 0
            await call(client)
            await call(client)
        assert [c["authorization"] for c in guarded.calls] == [f"Bearer {token}" for token in (OLD, GOOD, GOOD)]
        assert source.asked == 2


async def _watched(client):
    return [state async for state in client.operations.WatchOperation(WATCH)]


async def test_a_token_that_is_refused_again_is_not_asked_for_a_third_time(guarded):
    """The caller sees the refusal; also when the function returns the same token once more, and for a plain token."""
    for token, sent in ((Source(OLD, "cs_older"), 2), (Source(OLD), 1), (OLD, 1)):
        for call in (lambda client: client.servers.GetServer(GET), _watched):
            guarded.calls.clear()
            async with AsyncClient(guarded.address, token=token) as client:
                with pytest.raises(Unauthenticated):
                    await call(client)
            assert len(guarded.calls) == sent
            if isinstance(token, Source):
                token.asked = 0


async def test_many_calls_that_are_refused_at_once_renew_once(guarded):
    source = Source(OLD, GOOD, "cs_third")
    async with AsyncClient(guarded.address, token=source) as client:
        await asyncio.gather(*(client.servers.GetServer(GET) for _ in range(20)))
    assert source.asked == 2


async def test_a_login_that_failed_is_not_tried_again_by_each_call(guarded, monkeypatch):
    """Until some time has passed: else an address with many calls is paused for many failed logins."""
    now, tries = [100.0], []
    monkeypatch.setattr(aio_credentials, "time", SimpleNamespace(monotonic=lambda: now[0]))

    async def log_in():
        tries.append(now[0])
        if len(tries) < 3:
            raise Unauthenticated("wrong password", reason="LOGIN_FAILED")
        return GOOD

    async def call(client):
        with pytest.raises(Unauthenticated, match="wrong password") as raised:
            await client.servers.GetServer(GET)
        assert raised.value.reason == "LOGIN_FAILED"

    async with AsyncClient(guarded.address, token=log_in) as client:
        await asyncio.gather(*(call(client) for _ in range(20)))
        assert tries == [100.0]
        now[0] = 102.1
        await call(client)
        now[0] = 104.2
        await client.servers.GetServer(GET)
    assert tries == [100.0, 102.1, 104.2]


async def test_a_token_s_function_that_calls_through_its_own_client_does_not_hang(guarded):
    """It would wait for the token that it is to return."""
    clients = []

    async def log_in():
        return (await clients[0].servers.GetServer(GET)).name

    def log_in_blocking():
        return clients[1].servers.GetServer(GET).name

    clients.append(AsyncClient(guarded.address, token=log_in))
    clients.append(Client(guarded.address, token=log_in_blocking))
    with pytest.raises(RuntimeError, match="calls through that client; use another one"):
        await clients[0].servers.GetServer(GET)
    with pytest.raises(RuntimeError, match="calls through that client; use another one"):
        await asyncio.to_thread(clients[1].servers.GetServer, GET)
    await clients[0].close()
    clients[1].close()


def test_the_program_of_the_document_logs_in_and_lists(gateway):
    """docs/clients.md, character by character."""
    page = (Path(__file__).parents[3] / "docs" / "clients.md").read_text()
    [block] = [
        text for text in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE) if "log_in" in text
    ]
    program = {}
    exec(block, program)  # noqa: S102 - our own document
    gateway.answers["CreateSession"] = session_pb2.Session(token=GOOD)
    gateway.answers["ListServers"] = server_pb2.ListServersResponse(servers=[{"name": "web"}])
    assert program["servers_of"](gateway.address, "alice", "correct horse battery", tenant="acme") == ["web"]
    assert gateway.calls[-1].metadata["authorization"] == f"Bearer {GOOD}"


async def test_a_stream_that_has_answered_is_not_begun_anew(guarded):
    """Its caller would see the first answers twice."""
    guarded.cut_after = 1
    source = Source(GOOD, "cs_other")
    async with AsyncClient(guarded.address, token=source) as client:
        with pytest.raises(Unauthenticated, match="the session has ended"):
            await _watched(client)
    assert (len(guarded.calls), source.asked) == (1, 1)


async def test_the_blocking_client_does_the_same(guarded):
    source = Source(OLD, GOOD)

    def block():
        with Client(guarded.address, token=source.next, tenant="acme") as client:
            states = [state.done for state in client.operations.WatchOperation(WATCH)]
            return client.servers.GetServer(GET).name, states

    assert await asyncio.to_thread(block) == ("x", [False, True])
    assert source.asked == 2
    assert guarded.calls[-1]["x-tenant"] == "acme"


@pytest.mark.parametrize("secret", ["cs_secret\nx-tenant: other", "cs_secret ", "", "cs_secrét", "s" * 8193])
async def test_a_token_that_metadata_can_t_hold_is_refused_without_being_shown(guarded, secret):
    """An error of gRPC's own would show it."""

    async def source():
        return secret

    async with AsyncClient(guarded.address, token=source) as client:
        with pytest.raises(ValueError, match="the token is empty, longer") as raised:
            await client.servers.GetServer(GET)
    shown = "".join(traceback.format_exception(raised.value))
    assert "secr" not in shown.replace("secret,", "")
    assert not guarded.calls


async def test_a_token_is_in_no_repr_error_or_log(guarded, caplog):
    """Not of the client nor of anything in it, nor in what a refused call raises."""
    caplog.set_level(logging.DEBUG)
    async with AsyncClient(guarded.address, token=OLD, tenant="acme") as client:
        with pytest.raises(Unauthenticated) as raised:
            await client.servers.GetServer(GET)
        texts = [repr(client), repr(client._calls._metadata), repr(client.servers.GetServer), repr(raised.value)]
        texts += traceback.format_exception(raised.value)
    assert client._calls._metadata.__repr__() == "<CallMetadata with a token>"
    assert [text for text in [*texts, caplog.text] if OLD in text] == []


LOCAL = [
    "127.0.0.1:7070", "localhost:7070", "LocalHost:1", "[::1]:7070", "127.8.9.1:1", "unix:/run/gateway.sock",
    "dns:///localhost:7070", "dns:localhost:7070", "ipv4:127.0.0.1:7070", "ipv6:[::1]:7070", "localhost",
]  # fmt: skip
ELSEWHERE = [
    "10.0.0.1:7070", "gateway.example:7070", "localhost.example:7070", "127.0.0.1.example:7070", "0.0.0.0:7070",
    "[::]:1", "dns://10.0.0.1/localhost:7070", "dns:///gateway:7070", "127.0.0.1:7070@gateway:7070",
    "ipv4:127.0.0.1:1,10.0.0.1:1", "xds:///localhost", "", "127.1:7070", "0x7f000001:7070", "127.0.0.1:7070#x",
    "[::ffff:10.0.0.1]:1", "localhost%2eevil:1",
]  # fmt: skip


@pytest.mark.parametrize("address", LOCAL)
def test_plain_text_is_fine_where_it_does_not_leave_the_machine(address):
    assert is_loopback(address)


@pytest.mark.parametrize("address", ELSEWHERE)
async def test_a_token_is_not_sent_in_plain_text_to_another_machine(address):
    """Unless that is said to be meant; neither by the blocking client."""
    for kind in (AsyncClient, Client):
        with pytest.raises(ValueError, match=r"the token would be sent to .* in plain text, .* use TLS") as raised:
            kind(address, token=GOOD)
        assert GOOD not in str(raised.value)
    await AsyncClient(address or "x", token=GOOD, insecure=True).close()
    await AsyncClient(address or "x", token=GOOD, tls=Tls()).close()
