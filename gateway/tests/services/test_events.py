"""Events through a real gateway: listed, followed, resumed; and nothing of another tenant."""

from __future__ import annotations

import asyncio

import pytest
from gateway.tests.access_by_header import ByHeader, TenantAccess, authenticating
from gateway.tests.following import DATABASES, OPERATIONS, Stream, as_, ended, keep, listed, server, told_gateway
from gateway.tests.inventory_writer import InventoryWriter
from tests.harness.clouds import MAIN, create_request
from tests.harness.in_process import Deployment

from cloudspan.client import errors, waiting
from cloudspan.v1 import event_pb2, operation_pb2, server_pb2
from cloudspan_common.contract import Permission
from cloudspan_common.errors import Unreachable
from cloudspan_gateway.events import streams
from cloudspan_gateway.events.follower import Follower
from cloudspan_gateway.events.place import Place
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.outbox.event import OutboxEvent
from cloudspan_gateway.services import events as service


@pytest.fixture(params=DATABASES)
async def running(request, tmp_path, monkeypatch: pytest.MonkeyPatch):
    async with told_gateway(request.param, tmp_path, monkeypatch) as opened:
        yield opened


@pytest.fixture
def writer(running: Deployment) -> InventoryWriter:
    return InventoryWriter(running.gateway.database, InventoryStore(running.gateway.database))


@pytest.mark.parametrize("running", ["memory:", *DATABASES], indirect=True)
async def test_an_operations_end_is_an_event(running: Deployment) -> None:
    """With its metadata and its resource, and without its response."""
    stream = await Stream(running, filter=OPERATIONS).begun()
    made = await running.client.servers.CreateServer(create_request("web"), metadata=waiting(5))
    assert await stream.until(1) == ["operation.succeeded"]
    event = stream.events[0]
    metadata = operation_pb2.OperationMetadata()
    assert event.operation.metadata.Unpack(metadata)
    assert (event.subject, event.cluster) == (metadata.resource, MAIN)
    assert metadata.resource.startswith(f"{MAIN}/servers/")
    assert (event.operation.name, event.operation.done) == (made.name, True)
    assert not event.operation.HasField("response")
    deleting = server_pb2.DeleteServerRequest(name=metadata.resource)
    await running.client.servers.DeleteServer(deleting, metadata=waiting(5))
    assert await stream.until(2) == ["operation.succeeded"] * 2
    assert [one.id for one in await listed(running, filter=OPERATIONS)] == [one.id for one in reversed(stream.events)]


async def test_changes_of_resources_are_events_in_the_order_of_their_commits(
    running: Deployment, writer: InventoryWriter
) -> None:
    """Each with the resource as it was then, between the events of other kinds."""
    stream = await Stream(running).begun()
    await writer.put("servers", server(1, "a"))
    await keep(running, ended(1))
    await writer.put("servers", server(1, "b"))
    await writer.remove(f"{MAIN}/servers/1")
    assert await stream.until(4) == [
        "resource.servers.added", "operation.succeeded", "resource.servers.updated", "resource.servers.removed",
    ]  # fmt: skip
    assert [each.resource.display_name for each in stream.events] == ["a", "", "b", "b"]
    assert {each.subject for each in stream.events} == {f"{MAIN}/servers/1"}
    assert len({each.id for each in stream.events}) == 4
    assert [each.id for each in (await listed(running, oldest_first=True))[-4:]] == [each.id for each in stream.events]


async def test_a_traversal_finds_every_event_once_in_either_direction(
    running: Deployment, writer: InventoryWriter
) -> None:
    """Over many pages of both tables."""
    for number in range(130):
        await keep(running, *(ended(3 * number + more) for more in range(3)))
        await writer.put_together("servers", server(number, "a"), server(f"x{number}", "b"))
    forth = [each.id for each in await listed(running, page_size=7, oldest_first=True)]
    back = [each.id for each in await listed(running, page_size=113)]
    assert len(forth) == len(set(forth)) == 1 + 130 * 5
    assert back == forth[::-1]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('type : "operation."', 3),
        ("type = operation.failed", 1),
        (f'subject = "{MAIN}/servers/2"', 1),
        ('time >= "1970-01-01T00:16:42Z" AND type : "operation."', 2),
        ("tenant = t9", 1),
        (f'cluster = "{MAIN}" AND NOT type = cluster.ready', 3),
    ],
)
async def test_filters_find_by_what_all_events_have(running: Deployment, text: str, count: int) -> None:
    await keep(running, ended(1), ended(2, tenant="t9"))
    await keep(running, OutboxEvent("operation.failed", 1003.0, f"{MAIN}/servers/3", MAIN))
    assert len(await listed(running, filter=text)) == count


@pytest.mark.parametrize("method", ["list", "watch"])
async def test_a_filter_that_is_none_is_refused(running: Deployment, method: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="colour"):
        await (listed(running, filter="colour = 1") if method == "list" else Stream(running, filter="colour=1").begun())


async def test_a_search_that_finds_little_still_ends(running: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page looks through so many, and the next one goes on."""
    monkeypatch.setattr(service, "_MOST_PAGES", 1)
    await keep(running, ended(1, tenant="rare"))
    for _ in range(3):
        await keep(running, *(ended(number) for number in range(90)))
    assert len(await listed(running, filter="tenant = rare")) == 1
    assert len(await listed(running, filter="tenant = rare", oldest_first=True)) == 1


async def test_a_stream_goes_on_where_its_token_says(running: Deployment) -> None:
    """Also behind events that its filter left out."""
    stream = await Stream(running, filter="tenant = mine").begun()
    await keep(running, ended(1, tenant="mine"), ended(2), ended(3))
    await stream.until(1)
    await stream.leave()
    await keep(running, ended(4), ended(5, tenant="mine"))
    again = Stream(running, filter="tenant = mine", resume_token=stream.token)
    await again.until(1)
    assert [each.subject for each in again.events] == [f"{MAIN}/servers/5"]


async def test_a_stream_may_begin_with_the_oldest_event_that_is_kept(running: Deployment) -> None:
    await keep(running, ended(1))
    stream = Stream(running, from_oldest=True)
    assert await stream.until(2) == ["cluster.ready", "operation.succeeded"]


@pytest.mark.parametrize("token", ["x", "é", "A" * 2000, "AAAA"])
async def test_a_token_that_is_none_is_refused(running: Deployment, token: str) -> None:
    with pytest.raises(errors.InvalidRequest, match="resume_token"):
        await Stream(running, resume_token=token).begun()
    with pytest.raises(errors.InvalidRequest, match="page_token"):
        await running.client.events.ListEvents(event_pb2.ListEventsRequest(page_token=token))


async def test_a_token_of_another_filter_is_refused(running: Deployment) -> None:
    stream = await Stream(running, filter="tenant = a").begun()
    with pytest.raises(errors.InvalidRequest) as refused:
        await Stream(running, filter="tenant = b", resume_token=stream.token).begun()
    assert refused.value.reason == "PAGE_TOKEN_OTHER_QUERY"


async def test_events_that_are_no_longer_kept_are_an_error(running: Deployment) -> None:
    """And who begins anew hears of what comes."""
    stream = await Stream(running).begun()
    await stream.leave()
    async with asyncio.timeout(10):
        while running.gateway.events.streams.count:  # noqa: ASYNC110 - what a stream has read is there for others
            await asyncio.sleep(0.005)
    await keep(running, *(ended(number) for number in range(5)))
    await running.gateway.database.transact(lambda conn: outbox.purge(conn, 1003.5, 100))
    with pytest.raises(errors.CloudspanError) as lost:
        await Stream(running, resume_token=stream.token).until(1)
    assert lost.value.reason == "EVENTS_LOST"
    assert [each.subject for each in await listed(running, filter=OPERATIONS)] == [f"{MAIN}/servers/4"]
    assert [each.subject for each in await listed(running, oldest_first=True)] == [f"{MAIN}/servers/4"]


async def test_a_quiet_stream_sends_bookmarks(running: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that its token moves over what it was not shown."""
    monkeypatch.setattr(streams, "BOOKMARK_S", 0.0)
    stream = await Stream(running, filter="tenant = mine").begun()
    before = stream.token
    await keep(running, ended(1))
    await stream._next()
    assert stream.events == []
    assert stream.token != before


async def test_streams_end_when_the_gateway_drains(running: Deployment) -> None:
    """UNAVAILABLE: their callers go on at another gateway."""
    stream = await Stream(running).begun()
    running.gateway.events.drain()
    with pytest.raises(errors.CloudspanError, match="shutting down"):
        await stream.until(1)


async def test_a_caller_hears_of_its_tenants_operations_alone(running: Deployment) -> None:
    """Whatever the filter asks for; an administrator over all tenants hears of all."""
    await keep(running, ended(1, tenant="acme"), ended(2, tenant="other"), ended(3, tenant="acme", project="p1"))
    authenticating(running.gateway, ByHeader({"users/bob@acme": TenantAccess("acme", only="p2")}))
    only = 'type : "operation."'
    assert {each.tenant for each in await listed(running, as_("alice@acme"), filter=only)} == {"acme"}
    assert await listed(running, as_("alice@acme"), filter="tenant = other") == []
    stream = Stream(running, as_("alice@other"), from_oldest=True, filter=only)
    await stream.until(1)
    assert [each.subject for each in stream.events] == [f"{MAIN}/servers/2"]


async def test_nothing_more_is_sent_once_a_caller_sees_less(
    running: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the page either that was read before."""
    monkeypatch.setattr(streams, "MAX_EVENTS", 2)
    await keep(running, *(ended(number, tenant="acme") for number in range(5)))
    access = [TenantAccess("acme")]
    follower = Follower(OPERATIONS, lambda: access[0])
    log = running.gateway.events.log
    place = Place(0, (await log.head()).epoch)
    messages = running.gateway.events.streams.messages(follower, place)
    assert await anext(messages) == ([], place)
    events, _ = await anext(messages)
    assert len(events) == 2
    access[0] = TenantAccess("other")
    running.gateway.events.drain()
    with pytest.raises(Unreachable):
        await anext(messages)


async def test_a_caller_hears_of_refusals_of_its_tenant_if_it_administers_that(running: Deployment) -> None:
    viewer = TenantAccess("acme", frozenset({Permission.PERMISSION_ADMINISTER}))
    deleter = TenantAccess("acme", frozenset({Permission.PERMISSION_DELETE}))
    accesses = {"users/viewer": viewer, "users/deleter": deleter, "users/other": TenantAccess("other")}
    authenticating(running.gateway, ByHeader(accesses))
    request = server_pb2.DeleteServerRequest(name=f"{MAIN}/servers/1")
    with pytest.raises(errors.CloudspanError):
        await running.client.servers.DeleteServer(request, metadata=as_("deleter@acme"))
    only = "type = audit.refused"
    (refusal,) = await listed(running, as_("admin@acme"), filter=only)
    assert refusal.subject == f"{MAIN}/servers/1"
    assert refusal.audit_event.method == "cloudspan.v1.ServerService/DeleteServer"
    assert refusal.audit_event.outcome == "PERMISSION_DENIED"
    assert refusal.audit_event.sequence > 0
    assert await listed(running, as_("viewer@acme"), filter=only) == []
    assert await listed(running, as_("other@other"), filter=only) == []


async def test_a_caller_of_one_project_hears_of_its_resources_alone(
    running: Deployment, writer: InventoryWriter
) -> None:
    """A resource that comes from another project is a new one to it, and one that goes there is gone."""
    one, two = (f"{MAIN}/projects/p{number}" for number in (1, 2))
    await writer.put("servers", server(1, "a", one), server(2, "b", two), server(1, "a", two), server(2, "b", one))
    authenticating(running.gateway, ByHeader({"users/bob": TenantAccess("acme", only="p1")}))
    found = await listed(running, as_("bob@acme"), filter='type : "resource."', oldest_first=True)
    assert [(each.type.rpartition(".")[2], each.resource.display_name) for each in found] == [
        ("added", "a"), ("removed", "a"), ("added", "b"),
    ]  # fmt: skip


async def test_a_caller_hears_of_clusters_that_it_sees(running: Deployment) -> None:
    accesses = {"users/bob": TenantAccess("acme", clusters=frozenset()), "users/al": TenantAccess("acme")}
    authenticating(running.gateway, ByHeader(accesses))
    assert [each.type for each in await listed(running, as_("al@acme"))] == ["cluster.ready"]
    assert await listed(running, as_("bob@acme")) == []


async def test_a_token_of_another_tenant_is_refused(running: Deployment) -> None:
    authenticating(running.gateway, ByHeader())
    stream = await Stream(running, as_("al@acme")).begun()
    with pytest.raises(errors.InvalidRequest):
        await Stream(running, as_("bob@other"), resume_token=stream.token).begun()
