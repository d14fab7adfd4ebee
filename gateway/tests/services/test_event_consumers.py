"""Named consumers of events through a real gateway: their place is kept, and one stream at a time reads as one."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from gateway.tests.access_by_header import ByHeader, authenticating
from gateway.tests.following import CONSUMER, DATABASES, Stream, as_, database_of, ended, keep, told_gateway
from tests.harness.clouds import MAIN
from tests.harness.in_process import Deployment, deployment

from cloudspan.client import errors
from cloudspan.v1 import event_pb2
from cloudspan_gateway.events import consumers, streams
from cloudspan_gateway.outbox import outbox


@pytest.fixture(params=DATABASES)
async def running(request, tmp_path, monkeypatch: pytest.MonkeyPatch):
    async with told_gateway(request.param, tmp_path, monkeypatch) as opened:
        yield opened


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
    async with asyncio.timeout(10):
        while running.gateway.events.streams.count:  # noqa: ASYNC110 - what a stream has read is there for others
            await asyncio.sleep(0.005)
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
    monkeypatch.setattr(consumers, "MOST_OF_A_TENANT", 1)
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


async def test_a_stream_ends_when_its_consumer_is_deleted(running: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at each second; the name may begin anew then."""
    monkeypatch.setattr(consumers, "LOOK_S", 0.0)
    monkeypatch.setattr(streams, "LOOK_S", 0.02)
    stream = await Stream(running, consumer="billing").begun()
    await running.client.events.DeleteEventConsumer(event_pb2.DeleteEventConsumerRequest(name=CONSUMER))
    with pytest.raises(errors.NotFound, match="was deleted"):
        await stream.until(1)
    await reading_again(running)


async def test_another_gateway_takes_over_where_a_consumer_was(tmp_path) -> None:
    """Their database keeps places and who reads; a gateway that drains lets go at once."""
    shared = database_of("postgresql", tmp_path)
    async with deployment(**shared) as other:
        async with deployment(**shared) as one:
            stream = await Stream(one, consumer="billing").begun()
            with pytest.raises(errors.Busy):
                await Stream(other, consumer="billing").begun()
            await keep(one, ended(1), ended(2))
            await stream.until(2)
            await acknowledge(other, stream.token)
            await keep(other, ended(3))
            await stream.until(3)
        again = await reading_again(other)
        await again.until(1)
        assert [each.subject for each in again.events] == [f"{MAIN}/servers/3"]


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
