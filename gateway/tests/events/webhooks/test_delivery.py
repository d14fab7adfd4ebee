"""Events are sent in their order, until they are received or a day has passed; by one gateway at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from gateway.tests.access_by_header import TenantAccess
from gateway.tests.events.webhooks.receiver import Receiver, receiver
from standardwebhooks import Webhook as Verifier

from cloudspan.v1 import event_pb2, webhook_pb2
from cloudspan_common.registry.coordination.memory import World
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.events.log import EventLog
from cloudspan_gateway.events.place import Place
from cloudspan_gateway.events.webhooks import delivery, sender, signature
from cloudspan_gateway.events.webhooks.addresses import Allowed
from cloudspan_gateway.events.webhooks.delivery import Delivery, Tools
from cloudspan_gateway.events.webhooks.sender import Sender
from cloudspan_gateway.events.webhooks.store import Hook, WebhookStore
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.outbox.event import OutboxEvent
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.engine import open_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_gateway.access.access import Access

MAIN = "platforms/memory/clusters/main"
LEASE_S = 10.0


class Lab:
    """A database, a webhook in it, and gateways that send; time passes as the test says."""

    def __init__(self, database, clock: FakeClock, to: Receiver) -> None:
        self.database, self.clock, self.to = database, clock, to
        self.world = World(clock)
        self.cipher = Cipher.new()
        self.store = WebhookStore(database, self.cipher, lambda _conn, _events: None)
        self.access: Access = TenantAccess("acme")
        self.counted: list[str] = []
        self.lease_s = LEASE_S
        self._running: dict[str, tuple[asyncio.Task[None], list[asyncio.Task[None]]]] = {}
        self._closing: list = []

    async def begun(self, **fields) -> Hook:
        """Keep a webhook that gets what happens from now on."""
        log = EventLog(self.database, self.clock)
        head = await log.head()
        row = webhook_pb2.Webhook(name="tenants/acme/webhooks/one", url=self.to.url, **fields)
        hook = Hook("acme", "one", row, signature.new_secret(), Place(head.sequence, head.epoch))
        await self.store.create(hook, None)
        return hook

    async def hook(self) -> Hook:
        return await self.store.get("acme", "one")

    def start(self, name: str = "one") -> None:
        """Start a gateway."""
        log = EventLog(self.database, self.clock)
        sending = Sender(Allowed(["127.0.0.0/8"]), self.clock)
        coordinator = self.world.coordinator(self.lease_s)
        tools = Tools(
            self.database, coordinator, self.clock, self.store, log, sending.send, lambda _hook: self.access,
            self.counted.append,
        )  # fmt: skip
        tasks = [asyncio.create_task(Delivery(tools).run()), asyncio.create_task(log.run())]
        self._running[name] = (tasks[0], tasks)
        self._closing += [sending.close, coordinator.close]

    async def kill(self, name: str = "one") -> None:
        """End a gateway without a word to anybody: its lock stays until its lease ends."""
        for task in self._running.pop(name)[1]:
            task.cancel()
            await asyncio.wait({task})

    async def happens(self, *subjects: object, tenant: str = "acme") -> None:
        happened = [OutboxEvent("operation.succeeded", self.clock.now(), f"s{one}", tenant=tenant) for one in subjects]
        await self.database.transact(lambda conn: outbox.append(conn, self.database, happened))

    async def until(self, condition: Callable[[], object], step_s: float = 0.5) -> None:
        """Let time pass until something is so."""
        async with asyncio.timeout(20):
            while not condition():
                await self.clock.advance(step_s)
                await asyncio.sleep(0.005)

    async def until_kept(self, condition: Callable[[Hook], object], step_s: float = 0.5) -> Hook:
        async with asyncio.timeout(20):
            while not condition(found := await self.hook()):
                await self.clock.advance(step_s)
                await asyncio.sleep(0.005)
        return found

    async def close(self) -> None:
        for name in list(self._running):
            await self.kill(name)
        for close in self._closing:
            await close()


@pytest.fixture
async def lab():
    clock = FakeClock()
    database = await open_database("memory:", clock)
    await database.transact(outbox.begin)
    async with receiver() as to:
        made = Lab(database, clock, to)
        yield made
        await made.close()
    await database.close()


async def test_events_are_sent_in_their_order_and_signed(lab: Lab) -> None:
    """Those of its tenant, from its creation on."""
    await lab.happens(0)
    hook = await lab.begun()
    lab.start()
    await lab.happens(1, 2)
    await lab.happens(3, tenant="other")
    await lab.happens(4)
    await lab.until(lambda: len(lab.to.requests) == 3)
    assert lab.to.subjects == ["s1", "s2", "s4"]
    first = lab.to.requests[0]
    assert first.headers["content-type"] == "application/cloudevents+json"
    assert first.headers["webhook-id"] == first.event["id"]
    assert first.event["tenant"] == "acme"
    stamp = datetime.fromtimestamp(int(first.headers["webhook-timestamp"]), UTC)
    verifier = Verifier(signature.shown(hook.secret))
    assert verifier.sign(first.event["id"], stamp, first.body.decode()) == first.headers["webhook-signature"]
    kept = await lab.until_kept(lambda hook: hook.received_time and hook.place.sequence >= 5)
    assert kept.attempt is not None
    assert kept.attempt.status == 204


@pytest.mark.parametrize("answer", [500, 429, 404, 302, "reset", "hang"])
async def test_what_is_not_received_is_sent_again_and_holds_up_what_is_behind(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, answer: int | str
) -> None:
    """Under the same id; a redirect is not followed."""
    monkeypatch.setattr(sender, "TIMEOUT_S", 0.2)
    await lab.begun()
    lab.to.answers.extend([answer, answer])
    lab.start()
    await lab.happens(1, 2)
    await lab.until(lambda: len(lab.to.requests) == 4)
    assert [each.event["subject"] for each in lab.to.requests] == ["s1", "s1", "s1", "s2"]
    assert len({each.event["id"] for each in lab.to.requests}) == 2
    assert lab.counted.count("failed") == 2


async def test_the_pause_between_attempts_grows(lab: Lab) -> None:
    """1, 2, 4 s and so on, a fifth more or less, up to ten minutes."""
    lab.lease_s = 1e6  # time passes in large steps
    await lab.begun()
    lab.to.answers.extend([500] * 13)
    lab.start()
    await lab.happens(1)
    pauses: list[float] = []
    for count in range(1, 13):
        hook = await lab.until_kept(lambda hook, count=count: hook.attempts == count, step_s=0.0)
        assert hook.next_attempt_time is not None
        pauses.append(hook.next_attempt_time - lab.clock.now())
        # In steps: it may not have begun to wait yet.
        await lab.until(lambda count=count: len(lab.to.requests) > count, step_s=pauses[-1] / 4 + 0.01)
    expected = [min(2.0**n, 600.0) for n in range(12)]
    assert all(0.79 * want < got < 1.21 * want for want, got in zip(expected, pauses, strict=True))


async def test_the_receiver_may_ask_for_a_longer_pause(lab: Lab) -> None:
    """Up to an hour; what is no number of seconds is ignored."""
    lab.lease_s = 1e6  # time passes in large steps
    await lab.begun()
    lab.to.answers.extend([{"retry-after": "120"}, {"retry-after": "9999999"}, {"retry-after": "-1"}])
    lab.start()
    await lab.happens(1)
    for count, (least, most) in enumerate([(119, 121), (3599, 3601), (3, 5)], 1):
        hook = await lab.until_kept(lambda hook, count=count: hook.attempts == count, step_s=0.0)
        assert hook.next_attempt_time is not None
        pause_s = hook.next_attempt_time - lab.clock.now()
        assert least < pause_s < most
        await lab.until(lambda count=count: len(lab.to.requests) > count, step_s=pause_s / 4 + 0.01)


async def test_after_a_day_without_success_it_is_dead_until_it_is_replayed(lab: Lab) -> None:
    lab.lease_s = 1e6  # time passes in steps of an hour
    await lab.begun()
    lab.to.answers.extend([{"retry-after": "3600"}] * 100)
    lab.start()
    await lab.happens(1, 2)
    hook = await lab.until_kept(lambda hook: hook.dead, step_s=3601.0)
    assert hook.failing_since is not None
    assert lab.clock.now() - hook.failing_since >= delivery.DEAD_AFTER_S
    sent = len(lab.to.requests)
    lab.to.answers.clear()
    await lab.clock.advance(10_000.0)
    assert len(lab.to.requests) == sent
    await lab.store.change(
        "acme",
        "one",
        lambda hook: replace(hook, dead=False, attempts=0, failing_since=None, next_attempt_time=None),
        None,
    )
    await lab.until(lambda: len(lab.to.requests) == sent + 2)
    assert lab.to.subjects == ["s1", "s2"]


async def test_a_receiver_that_is_gone_is_dead_at_once(lab: Lab) -> None:
    await lab.begun()
    lab.to.answers.append(410)
    lab.start()
    await lab.happens(1)
    hook = await lab.until_kept(lambda hook: hook.dead)
    assert hook.attempt is not None
    assert hook.attempt.status == 410


async def test_one_gateway_sends_and_another_takes_over(lab: Lab) -> None:
    """At least once each; nothing of the first one's is sent again but what it had not kept."""
    await lab.begun()
    for name in ("one", "two"):
        lab.start(name)
    await lab.happens(1, 2)
    await lab.until(lambda: len(lab.to.requests) == 2)
    await lab.kill("one")
    await lab.happens(3)
    await lab.until(lambda: len(lab.to.requests) >= 3, step_s=2.0)
    assert lab.to.subjects == ["s1", "s2", "s3"]


async def test_what_is_changed_holds_for_the_next_attempt(lab: Lab) -> None:
    """Also while it waits for that."""
    hook = await lab.begun()
    lab.to.answers.extend([500] * 1000)
    lab.start()
    await lab.happens(1)
    await lab.until(lambda: lab.to.requests)
    async with receiver() as other:
        row = webhook_pb2.Webhook(name=hook.name, url=other.url)
        await lab.store.change("acme", "one", lambda hook: replace(hook, row=row, next_attempt_time=None), None)
        await lab.until(lambda: other.requests)
        assert other.subjects == ["s1"]
        await lab.store.delete("acme", "one", None)
        await lab.happens(2)
        await lab.clock.advance(30.0)
        assert other.subjects == ["s1"]


async def test_what_the_subject_may_no_longer_hear_of_is_not_sent_again(lab: Lab) -> None:
    """It is asked before each attempt."""
    await lab.begun()
    lab.to.answers.extend([500, 500])
    lab.start()
    await lab.happens(1)
    await lab.until(lambda: lab.to.requests)
    sent = len(lab.to.requests)
    lab.access = TenantAccess("nobody")
    await lab.until_kept(lambda hook: hook.place.sequence >= 1, step_s=2.0)
    assert len(lab.to.requests) == sent
    lab.access = TenantAccess("acme")
    await lab.happens(2)
    await lab.until(lambda: len(lab.to.requests) > sent)
    assert lab.to.requests[-1].event["subject"] == "s2"


async def test_a_filter_says_what_is_sent(lab: Lab) -> None:
    await lab.begun(filter='subject = "s2"')
    lab.start()
    await lab.happens(1, 2, 3)
    hook = await lab.until_kept(lambda hook: hook.place.sequence >= 3)
    assert lab.to.subjects == ["s2"]
    assert hook.place.sequence == 3


async def test_events_that_are_no_longer_kept_leave_it_dead(lab: Lab) -> None:
    """What it would miss is for its owner to know of."""
    await lab.begun()
    await lab.happens(1, 2, 3)
    await lab.database.transact(lambda conn: outbox.purge(conn, lab.clock.now() + 1, 2))
    lab.start()
    hook = await lab.until_kept(lambda hook: hook.dead)
    assert hook.attempt is not None
    assert "no longer kept" in hook.attempt.error


async def test_a_name_that_leads_to_an_address_that_is_not_public_is_not_reached(lab: Lab) -> None:
    """Whatever it led to before; the error names no address."""
    sending = Sender(Allowed(["10.0.0.0/8"]), lab.clock)
    event = event_pb2.Event(id="1", type="webhook.test", subject="x")
    event.time.FromNanoseconds(round(lab.clock.now() * 1e9))
    for url in (f"http://localhost:{lab.to.port}/", f"https://localhost:{lab.to.port}/", lab.to.url):
        attempt = await sending.send(url, event, [b"x" * 32])
        assert "not public" in attempt.error
        assert "127.0.0.1:" not in attempt.error
    await sending.close()
    assert lab.to.requests == []
