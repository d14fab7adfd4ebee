"""Webhooks while the gateways that send are killed: each end of an operation arrives, signed, and in its order."""

from __future__ import annotations

import asyncio
import random

import pytest
from gateway.tests.events.webhooks.receiver import Receiver, receiver
from gateway.tests.postgres_server import needed
from standardwebhooks import Webhook as Verifier
from tests.harness.clouds import OpenStack
from tests.harness.fleet import Fleet, together
from tests.harness.mutations import KINDS

from cloudspan.v1 import event_pb2, webhook_pb2

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]

VOLUMES, CALLERS, KILLS = 80, 4, 6
ENDS = 'type : "operation."'


async def create(fleet: Fleet, to: Receiver) -> str:
    """Have the ends of operations sent; return the secret that signs."""
    webhook = webhook_pb2.Webhook(url=to.url, filter=ENDS)
    request = webhook_pb2.CreateWebhookRequest(webhook_id="billing", webhook=webhook)
    return str((await fleet.client.webhooks.CreateWebhook(request)).secret)


async def kill_in_turn(fleet: Fleet) -> None:
    """Kill one gateway after the other, each some while after the one before is back."""
    dice = random.Random(1)  # noqa: S311 - when it is killed
    for number in range(KILLS):
        await asyncio.sleep(dice.uniform(0.5, 3.0))
        name = ("one", "two")[number % 2]
        fleet.children[name].kill()
        await fleet.gateway(name)


async def told(fleet: Fleet) -> list[str]:
    """Return the ids of all ends of operations, in their order."""
    found, token = [], ""
    while True:
        request = event_pb2.ListEventsRequest(filter=ENDS, oldest_first=True, page_token=token)
        page = await fleet.client.events.ListEvents(request)
        found += [event.id for event in page.events]
        token = page.next_page_token
        if not token:
            return found


async def test_each_event_arrives_in_its_order_though_the_gateways_are_killed(tmp_path, nursery):
    """Two of them on one database; the receiver fails now and then as well."""
    site = OpenStack(settle_s=0.2)
    options = ("--lease", "4.5", "--webhook-allow", "127.0.0.0/8")
    async with receiver() as to, Fleet(nursery, site, tmp_path, *options, database=needed().new_database()) as fleet:
        for name in ("one", "two"):
            await fleet.gateway(name)
        await fleet.adapter()
        await fleet.listed("key pair")
        secret = await create(fleet, to)
        to.answers.extend(503 if number % 9 == 4 else 204 for number in range(VOLUMES))

        async def ask(numbers: range) -> None:
            for number in numbers:
                await fleet.ask(KINDS["volume"].request(site, f"one-{number}", number), fleet.clients["two"])
                await asyncio.sleep(0.2)

        await together(*(ask(range(at, VOLUMES, CALLERS)) for at in range(CALLERS)), kill_in_turn(fleet))
        expected = await told(fleet)
        async with asyncio.timeout(90):
            while len({each.event["id"] for each in to.requests}) < len(expected):  # noqa: ASYNC110 - HTTP has no event
                await asyncio.sleep(0.1)
    assert len(expected) == VOLUMES
    first = dict.fromkeys(each.event["id"] for each in to.requests)
    assert list(first) == expected
    for each in to.requests:
        Verifier(secret).verify(each.body, each.headers)
    print(f"{len(expected)} events in {len(to.requests)} requests, {KILLS} kills")
