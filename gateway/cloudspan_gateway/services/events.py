"""EventService: events in pages and as they happen, and the consumers whose place is kept."""

from __future__ import annotations

import hashlib
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from google.protobuf import empty_pb2

from cloudspan.v1 import event_pb2
from cloudspan_common.listing.page_token import MAX_ANSWER_BYTES, effective_page_size, page_by_name
from cloudspan_gateway.access import names
from cloudspan_gateway.access.access import EVERY_TENANT
from cloudspan_gateway.access.tenant_access import not_chosen
from cloudspan_gateway.events.consumers import name_of
from cloudspan_gateway.events.follower import Follower
from cloudspan_gateway.events.log import lost
from cloudspan_gateway.events.place import Place, PlaceTokens
from cloudspan_gateway.metadata import POOL
from cloudspan_gateway.operations.waiting import kept_waiting
from cloudspan_gateway.services.policy_rules import not_there
from cloudspan_gateway.storage.sealed_token import DIGEST_BYTES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from cloudspan_gateway.access.access import Access
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.events.consumers import Consumer
    from cloudspan_gateway.events.parts import Events
    from cloudspan_gateway.routing.tags import Tags
    from cloudspan_gateway.storage.cipher import Cipher

LIST_METHOD = "cloudspan.v1.EventService/ListEvents"
CONSUMERS_METHOD = "cloudspan.v1.EventService/ListEventConsumers"
DEFAULT_TENANT = "default"
"""Whose consumers and webhooks are where callers are not authenticated and name no tenant."""
_MOST_PAGES = 20
_MOST_BYTES = MAX_ANSWER_BYTES - 2**20  # what one event may have


class EventService:
    """Answers cloudspan.v1.EventService."""

    def __init__(self, events: Events, tags: Tags, cipher: Cipher) -> None:
        self._events = events
        self._tags = tags
        self._resume_tokens = PlaceTokens(cipher, "resume_token")
        self._page_tokens = PlaceTokens(cipher, "page_token")

    def __repr__(self) -> str:
        return f"<EventService over {self._events!r}>"

    # -------------------------------------------------------------- events

    async def list_events(self, request: event_pb2.ListEventsRequest, call: Call) -> event_pb2.ListEventsResponse:
        """Return events that the caller hears of; a page looks through a bounded number of them."""
        follower = Follower(request.filter, partial(self._access, call))
        query = _digest("list", call.access.tenant, _pool(call), request.filter, request.oldest_first)
        place = await self._first_place(request, query)
        size, found = effective_page_size(request.page_size), list[event_pb2.Event]()
        walk = self._forwards if request.oldest_first else self._backwards
        token = ""
        async for shown, reached in walk(follower, place):
            for number, event in shown:
                found.append(event)
                if len(found) == size or sum(map(event_pb2.Event.ByteSize, found)) >= _MOST_BYTES:
                    token = self._page_tokens.token(query, Place(number, place.epoch))
                    break
            else:
                token = self._page_tokens.token(query, reached) if reached else ""
                continue
            break
        return event_pb2.ListEventsResponse(events=found, next_page_token=token)

    async def _first_place(self, request: event_pb2.ListEventsRequest, query: bytes) -> Place:
        head = await self._events.log.head()
        if request.page_token:
            place = self._page_tokens.read(request.page_token, query)
            if place.epoch != head.epoch:
                raise lost()
            return place
        return Place(head.oldest if request.oldest_first else head.sequence + 1, head.epoch)

    async def _forwards(
        self, follower: Follower, place: Place
    ) -> AsyncIterator[tuple[Sequence[tuple[int, event_pb2.Event]], Place | None]]:
        for _ in range(_MOST_PAGES):
            if not place.epoch:
                return  # nothing has ever happened
            page = await self._events.log.after(place.sequence, place.epoch)
            place = Place(page.upto, place.epoch)
            yield list(follower.shown(page.events)), place if page.events else None
            if not page.events:
                return

    async def _backwards(
        self, follower: Follower, place: Place
    ) -> AsyncIterator[tuple[Sequence[tuple[int, event_pb2.Event]], Place | None]]:
        for _ in range(_MOST_PAGES):
            page = await self._events.log.before(place.sequence, place.epoch)
            place = Place(page.upto, place.epoch)
            yield list(follower.shown(page.events))[::-1], place if page.upto else None
            if not page.upto:
                return

    async def watch_events(
        self, request: event_pb2.WatchEventsRequest, call: Call
    ) -> AsyncIterator[event_pb2.WatchEventsResponse]:
        """Yield events until the caller leaves; the first message has none, and says that it has begun."""
        follower = Follower(request.filter, partial(self._access, call))
        tenant = tenant_of(call) if request.consumer else ""
        if request.consumer:
            names.check_id(request.consumer, "consumer")
            query = _digest("consumer", tenant, request.consumer)
        else:
            query = _digest("watch", call.access.tenant, _pool(call), request.filter)
        name = name_of(tenant, request.consumer) if request.consumer else ""
        with kept_waiting(call):
            async with AsyncExitStack() as stack:
                check = None
                if request.consumer:
                    reading = self._events.consumers.reading(tenant, request.consumer)
                    check = (await stack.enter_async_context(reading)).check
                place = await self._begun(request, tenant, query)
                async for events, reached in self._events.streams.messages(follower, place, check):
                    token = self._resume_tokens.token(query, reached)
                    yield event_pb2.WatchEventsResponse(events=events, resume_token=token, consumer=name)

    async def _begun(self, request: event_pb2.WatchEventsRequest, tenant: str, query: bytes) -> Place:
        head = await self._events.log.head()
        oldest = Place(head.oldest, head.epoch)
        place = oldest if request.from_oldest else Place(head.sequence, head.epoch)
        if request.consumer:
            place = (await self._events.consumers.begun(tenant, request.consumer, place)).place
            is_lost = place.epoch != head.epoch or place.sequence < head.oldest
            place = oldest if is_lost and request.from_oldest else place
        if request.resume_token:
            place = self._resume_tokens.read(request.resume_token, query)
        return place

    def _access(self, call: Call) -> Access:
        # Asked again all the time: each second the recheck stage may give the call another access.
        return self._tags.narrowed(call.tags, call.access)

    # -------------------------------------------------------------- consumers

    async def acknowledge_events(
        self, request: event_pb2.AcknowledgeEventsRequest, call: Call
    ) -> event_pb2.EventConsumer:
        """Keep how far a consumer has come; durable before this returns."""
        tenant, consumer = _ids(request.name, call)
        place = self._resume_tokens.read(request.resume_token, _digest("consumer", tenant, consumer))
        found = await self._events.consumers.acknowledge(tenant, consumer, place)
        if found is None:
            raise not_there(request.name)
        call.event = None  # a place in a stream is nothing that an audit would ask for
        return _shown(found)

    async def get_event_consumer(
        self, request: event_pb2.GetEventConsumerRequest, call: Call
    ) -> event_pb2.EventConsumer:
        found = await self._events.consumers.get(*_ids(request.name, call))
        if found is None:
            raise not_there(request.name)
        return _shown(found)

    async def list_event_consumers(
        self, request: event_pb2.ListEventConsumersRequest, call: Call
    ) -> event_pb2.ListEventConsumersResponse:
        tenant = names.ids_of(request.parent, names.TENANT, "parent")[0] if request.parent else tenant_of(call)
        if not sees(call, tenant):
            raise not_there(request.parent)
        kept = [_shown(one) for one in await self._events.consumers.of(tenant)]
        page, token = page_by_name(CONSUMERS_METHOD, request, kept)
        return event_pb2.ListEventConsumersResponse(event_consumers=page, next_page_token=token)

    async def delete_event_consumer(self, request: event_pb2.DeleteEventConsumerRequest, call: Call) -> empty_pb2.Empty:
        if not await self._events.consumers.forget(*_ids(request.name, call)):
            raise not_there(request.name)
        return empty_pb2.Empty()


def tenant_of(call: Call) -> str:
    """Return the tenant whose consumers and webhooks a call is about, where it names none.

    Raises:
        InvalidRequest: The call acts in no single tenant.
    """
    if call.access.tenant == EVERY_TENANT:
        raise not_chosen("the call acts in no single tenant", ["any in x-tenant"])
    return call.access.tenant or DEFAULT_TENANT


def sees(call: Call, tenant: str) -> bool:
    """Whether what belongs to a tenant exists for a caller."""
    return tenant == call.access.tenant or call.access.sees(tenant)


def _ids(name: str, call: Call) -> tuple[str, str]:
    tenant, consumer = names.ids_of(name, names.EVENT_CONSUMER)
    if not sees(call, tenant):
        raise not_there(name)
    return tenant, consumer


def _shown(consumer: Consumer) -> event_pb2.EventConsumer:
    shown = event_pb2.EventConsumer(name=consumer.name)
    shown.create_time.FromNanoseconds(round(consumer.create_time * 1e9))
    if consumer.acknowledge_time is not None:
        shown.acknowledge_time.FromNanoseconds(round(consumer.acknowledge_time * 1e9))
    return shown


def _pool(call: Call) -> str:
    return call.tags.get(POOL, "")


def _digest(*said: object) -> bytes:
    return hashlib.blake2b(msgspec.msgpack.encode(said), digest_size=DIGEST_BYTES).digest()
