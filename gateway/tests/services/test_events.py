"""Events through a real gateway: listed, followed, resumed, read by consumers, and nothing of another tenant."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from gateway.tests.access_by_header import ByHeader, TenantAccess, authenticating
from gateway.tests.inventory_writer import InventoryWriter
from sqlalchemy import delete
from tests.harness.clouds import MAIN, create_request, memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.client import errors, waiting
from cloudspan.v1 import event_pb2, operation_pb2, server_pb2
from cloudspan_common.contract import Permission
from cloudspan_gateway.events import cluster_states, streams
from cloudspan_gateway.inventory.store import InventoryStore
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.outbox.event import OutboxEvent
from cloudspan_gateway.services import events as service
from cloudspan_gateway.storage.tables import events

CONSUMER = "tenants/default/eventConsumers/billing"


def as_(user: str):
    return (("authorization", f"Bearer {user}"),)


def server(key: object, display_name: str, project: str = "") -> server_pb2.Server:
    return server_pb2.Server(name=f"{MAIN}/servers/{key}", display_name=display_name, project=project)


@pytest.fixture(params=["memory:", "sqlite"])
async def running(request, tmp_path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster_states, "PAUSE_S", 0.01)
    database = request.param if request.param == "memory:" else f"sqlite:{tmp_path}/gateway.db"
    async with deployment(memory_cluster(), database=database) as opened:
        await _until_told(opened, "cluster.ready")
        others = delete(events).where(events.c.type != "cluster.ready")  # how it came there is another test's
        await opened.gateway.database.transact(lambda conn: conn.execute(others))
        yield opened


@pytest.fixture
def writer(running: Deployment) -> InventoryWriter:
    return InventoryWriter(running.gateway.database, InventoryStore(running.gateway.database))


async def _until_told(running: Deployment, kind: str) -> None:
    async with asyncio.timeout(10):
        while not await listed(running, filter=f"type = {kind}"):  # noqa: ASYNC110 - its leader is to be elected
            await asyncio.sleep(0.02)


async def listed(running: Deployment, metadata=(), **request) -> list[event_pb2.Event]:
    """Return all that a traversal finds, in its order."""
    found, token = [], ""
    while True:
        page = event_pb2.ListEventsRequest(**request, page_token=token)
        answer = await running.client.events.ListEvents(page, metadata=metadata)
        found += answer.events
        token = answer.next_page_token
        if not token:
            return found


async def keep(running: Deployment, *happened: OutboxEvent) -> None:
    database = running.gateway.database
    await database.transact(lambda conn: outbox.append(conn, database, happened))


def ended(number: int, tenant: str = "", **fields) -> OutboxEvent:
    fields = {"cluster": MAIN, "subject": f"{MAIN}/servers/{number}", **fields}
    return OutboxEvent("operation.succeeded", 1000.0 + number, tenant=tenant, **fields)


OPERATIONS = 'type : "operation."'


class Stream:
    """One WatchEvents, and what it has brought."""

    def __init__(self, running: Deployment, metadata=(), **request) -> None:
        if "consumer" in request:  # the cluster may be told of at any time
            request["filter"] = OPERATIONS
        self._messages = running.client.events.WatchEvents(
            event_pb2.WatchEventsRequest(**request), metadata=metadata
        ).__aiter__()
        self.events: list[event_pb2.Event] = []
        self.token = ""

    async def begun(self) -> Stream:
        await self._next()
        return self

    async def until(self, count: int) -> list[str]:
        while len(self.events) < count:
            await self._next()
        return [event.type for event in self.events]

    async def _next(self) -> None:
        async with asyncio.timeout(10):
            message = await anext(self._messages)
        self.events += message.events
        self.token = message.resume_token

    async def leave(self) -> None:
        await self._messages.aclose()


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


# ------------------------------------------------------------------ consumers


async def test_a_consumer_goes_on_behind_what_it_has_acknowledged(running: Deployment) -> None:
    """What it has read and not acknowledged comes again; what came before its first stream does not."""
    await keep(running, ended(0))
    stream = await Stream(running, consumer="billing").begun()
    await keep(running, ended(1))
    await stream.until(1)
    acknowledged = await acknowledge(running, stream.token)
    assert acknowledged.name == CONSUMER
    await keep(running, ended(2))
    await stream.until(2)
    await stream.leave()
    again = await reading_again(running)
    await again.until(1)
    assert [each.subject for each in again.events] == [f"{MAIN}/servers/2"]


async def test_a_consumers_place_never_goes_back(running: Deployment) -> None:
    stream = await Stream(running, consumer="billing").begun()
    first = stream.token
    await keep(running, ended(1))
    await stream.until(1)
    await acknowledge(running, stream.token)
    await acknowledge(running, first)
    await stream.leave()
    await keep(running, ended(2))
    again = await reading_again(running)
    await again.until(1)
    assert [each.subject for each in again.events] == [f"{MAIN}/servers/2"]


async def test_one_stream_at_a_time_reads_as_a_consumer(running: Deployment) -> None:
    """ABORTED, which says to try again; others are not in its way."""
    stream = await Stream(running, consumer="billing").begun()
    with pytest.raises(errors.CloudspanError) as busy:
        await Stream(running, consumer="billing").begun()
    assert busy.value.reason == "CONSUMER_IN_USE"
    await Stream(running, consumer="other").begun()
    await stream.leave()
    await reading_again(running)


async def test_a_consumer_whose_events_are_gone_is_told_and_can_begin_with_the_oldest(running: Deployment) -> None:
    """It says so itself: it is missing some then."""
    await (await Stream(running, consumer="billing").begun()).leave()
    await keep(running, *(ended(number) for number in range(5)))
    await running.gateway.database.transact(lambda conn: outbox.purge(conn, 1003.5, 100))
    stream = await reading_again(running)
    with pytest.raises(errors.CloudspanError) as lost:
        await stream.until(1)
    assert lost.value.reason == "EVENTS_LOST"
    stream = await reading_again(running, from_oldest=True)
    await stream.until(1)
    assert [each.subject for each in stream.events] == [f"{MAIN}/servers/4"]
    await acknowledge(running, stream.token)
    await stream.leave()
    await keep(running, ended(5))
    again = await reading_again(running)
    await again.until(1)
    assert [each.subject for each in again.events] == [f"{MAIN}/servers/5"]


async def test_consumers_are_listed_and_forgotten(running: Deployment) -> None:
    for name in ("billing", "audit"):
        await (await Stream(running, consumer=name).begun()).leave()
    found = await running.client.events.ListEventConsumers(event_pb2.ListEventConsumersRequest())
    assert [each.name.rpartition("/")[2] for each in found.event_consumers] == ["audit", "billing"]
    one = await running.client.events.GetEventConsumer(event_pb2.GetEventConsumerRequest(name=CONSUMER))
    assert one.HasField("create_time")
    assert not one.HasField("acknowledge_time")
    await running.client.events.DeleteEventConsumer(event_pb2.DeleteEventConsumerRequest(name=CONSUMER))
    for call in (
        running.client.events.GetEventConsumer(event_pb2.GetEventConsumerRequest(name=CONSUMER)),
        running.client.events.DeleteEventConsumer(event_pb2.DeleteEventConsumerRequest(name=CONSUMER)),
    ):
        with pytest.raises(errors.NotFound):
            await call


async def test_a_tenant_has_so_many_consumers(running: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudspan_gateway.events.consumers.MOST_OF_A_TENANT", 1)
    stream = await Stream(running, consumer="billing").begun()
    with pytest.raises(errors.CloudspanError) as refused:
        await Stream(running, consumer="other").begun()
    assert refused.value.reason == "TOO_MANY_FOLLOWERS"
    await stream.leave()
    await reading_again(running)


async def test_the_token_of_another_stream_acknowledges_nothing(running: Deployment) -> None:
    await Stream(running, consumer="billing").begun()
    for other in (Stream(running, consumer="other"), Stream(running)):
        with pytest.raises(errors.InvalidRequest):
            await acknowledge(running, (await other.begun()).token)


async def test_a_stream_ends_when_its_consumer_is_read_elsewhere(running: Deployment) -> None:
    """Its lock was lost: another gateway may have it by now."""
    stream = await Stream(running, consumer="billing").begun()
    await running.gateway.coordinator.close()
    with pytest.raises(errors.CloudspanError, match="may no longer read"):
        await stream.until(1)


async def acknowledge(running: Deployment, token: str) -> event_pb2.EventConsumer:
    request = event_pb2.AcknowledgeEventsRequest(name=CONSUMER, resume_token=token)
    return await running.client.events.AcknowledgeEvents(request)


async def reading_again(running: Deployment, **request) -> Stream:
    """Return a stream of the consumer, once the gateway has noticed that the one before has left."""
    async with asyncio.timeout(10):
        while True:
            stream = Stream(running, consumer="billing", **request)
            with suppress(errors.Busy):
                return await stream.begun()
            await asyncio.sleep(0.02)


# ------------------------------------------------------------------ tenants


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


async def test_a_consumer_of_another_tenant_does_not_exist(running: Deployment) -> None:
    """In the same words as one that nobody has."""
    authenticating(running.gateway, ByHeader())
    await (await Stream(running, as_("al@acme"), consumer="billing").begun()).leave()
    said = set()
    for name in ("tenants/acme/eventConsumers/billing", "tenants/acme/eventConsumers/nobody"):
        for call in ("GetEventConsumer", "DeleteEventConsumer", "AcknowledgeEvents"):
            extra = {"resume_token": "x"} if call == "AcknowledgeEvents" else {}
            request = getattr(event_pb2, f"{call}Request")(name=name, **extra)
            with pytest.raises(errors.NotFound) as missing:
                await getattr(running.client.events, call)(request, metadata=as_("bob@other"))
            said.add(str(missing.value).replace(name, "NAME"))
    assert len(said) == 1
    parent = event_pb2.ListEventConsumersRequest(parent="tenants/acme")
    with pytest.raises(errors.NotFound):
        await running.client.events.ListEventConsumers(parent, metadata=as_("bob@other"))


async def test_a_token_of_another_tenant_is_refused(running: Deployment) -> None:
    authenticating(running.gateway, ByHeader())
    stream = await Stream(running, as_("al@acme")).begun()
    with pytest.raises(errors.InvalidRequest):
        await Stream(running, as_("bob@other"), resume_token=stream.token).begun()
