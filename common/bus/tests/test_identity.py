"""Who a message counts as: whom its token proves, else the bus itself; nothing else that its context says."""

from __future__ import annotations

import pytest
from common.bus.tests.conftest import CLUSTER, SERVERS, VOLUMES, World
from gateway.tests.access_by_header import ByHeader, authenticating

from cloudspan.client import AsyncClient
from cloudspan.v1 import audit_pb2
from cloudspan_bus.errors import RemoteError

pytestmark = pytest.mark.timeout(120)

SEED = f"{CLUSTER}/servers/seed-000000"
VOLUME = {"display_name": "data", "size_bytes": "1073741824"}
OURS = ("cloudspan_bus.errors",)


@pytest.fixture
async def asking(world: World, tmp_path):
    """A gateway that asks who calls, and a bus with a token of its own."""
    authenticating(world.deployment.gateway, ByHeader())
    token = tmp_path / "token"
    token.write_text("bus@acme\n")
    async with world.bus(token_file=token):
        yield world


async def events(world: World) -> list[audit_pb2.AuditEvent]:
    async with AsyncClient(world.address, token="alice@acme") as client:
        return list((await client.audits.ListAuditEvents(audit_pb2.ListAuditEventsRequest())).events)


async def test_a_message_with_a_token_is_its_bearers_and_the_audit_shows_the_bus(asking):
    """Its request id is the caller's too."""
    context = {"cloudspan_token": "alice@acme", "request_id": "req-4711", "user": "root", "is_admin": True}
    await asking.caller().call(VOLUMES, "CreateVolume", context, parent=CLUSTER, volume=VOLUME)
    asked = next(event for event in await events(asking) if event.type == audit_pb2.AuditEvent.TYPE_MUTATION)
    assert (asked.subject, asked.via, asked.request_id) == ("users/alice", "bus/one", "req-4711")


async def test_a_message_without_a_token_is_the_buss_own_whatever_its_context_says(asking):
    """User, tenant and roles in it are words."""
    context = {"user": "alice", "user_id": "alice", "tenant": "other", "auth_token": "alice@acme", "roles": ["admin"]}
    await asking.caller().call(VOLUMES, "CreateVolume", context, parent=CLUSTER, volume=VOLUME)
    asked = next(event for event in await events(asking) if event.type == audit_pb2.AuditEvent.TYPE_MUTATION)
    assert (asked.subject, asked.via) == ("users/bus", "bus/one")


@pytest.mark.parametrize("token", ["", "a b", "ä", 7, ["x"], "x" * 9000, "a\r\nx-tenant: other"])
async def test_a_token_that_is_none_is_refused_and_never_replaced_by_the_buss_own(asking, token):
    """Who shows a credential wants to be who it says."""
    with pytest.raises(RemoteError) as caught:
        await asking.caller(exmods=OURS).call(SERVERS, "GetServer", {"cloudspan_token": token}, name=SEED)
    assert (caught.value.code, caught.value.reason) == ("UNAUTHENTICATED", "MALFORMED_CREDENTIAL")


async def test_a_token_that_the_gateway_refuses_is_unauthenticated(asking):
    """As over gRPC."""
    with pytest.raises(RemoteError) as caught:
        await asking.caller(exmods=OURS).call(SERVERS, "GetServer", {"cloudspan_token": "bad"}, name=SEED)
    assert caught.value.code == "UNAUTHENTICATED"


async def test_a_tenant_without_a_token_is_refused(asking):
    """The bus's own roles are not for everybody to choose from."""
    with pytest.raises(RemoteError) as caught:
        await asking.caller(exmods=OURS).call(SERVERS, "GetServer", {"cloudspan_tenant": "acme"}, name=SEED)
    assert caught.value.reason == "NO_CREDENTIAL"


async def test_words_that_headers_can_not_hold_are_left_out(asking):
    """A request id or a trace that is malformed never reaches the gateway."""
    context = {"request_id": "a\nb", "traceparent": "x", "cloudspan_token": "alice@acme"}
    found = await asking.caller().call(SERVERS, "GetServer", context, name=SEED)
    assert found["name"] == SEED
