"""Webhooks through a real gateway: managed by who administers the tenant, sent to a receiver, and tried."""

from __future__ import annotations

import asyncio

import pytest
from gateway.tests.access_by_header import ByHeader, TenantAccess, authenticating
from gateway.tests.audit_chains import rows
from gateway.tests.events.webhooks.receiver import Receiver, receiver
from google.protobuf import field_mask_pb2
from sqlalchemy import select
from standardwebhooks import Webhook as Verifier
from tests.harness.clouds import create_request, memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.client import errors, waiting
from cloudspan.v1 import webhook_pb2
from cloudspan_common.contract import Permission
from cloudspan_gateway.events.webhooks.store import MOST_OF_A_TENANT
from cloudspan_gateway.outbox import outbox
from cloudspan_gateway.outbox.event import OutboxEvent
from cloudspan_gateway.storage.tables import webhooks

NAME = "tenants/default/webhooks/billing"
State = webhook_pb2.Webhook


def as_(user: str):
    return (("authorization", f"Bearer {user}"),)


@pytest.fixture(params=["memory:", "sqlite"])
async def running(request, tmp_path):
    database = request.param if request.param == "memory:" else f"sqlite:{tmp_path}/gateway.db"
    async with deployment(memory_cluster(), database=database, webhook_allow=("127.0.0.0/8",)) as opened:
        yield opened


@pytest.fixture
async def to():
    async with receiver() as found:
        yield found


async def create(running: Deployment, url: str, webhook_id: str = "billing", metadata=(), **fields):
    row = webhook_pb2.Webhook(url=url, **fields)
    request = webhook_pb2.CreateWebhookRequest(webhook_id=webhook_id, webhook=row)
    return await running.client.webhooks.CreateWebhook(request, metadata=metadata)


async def get(running: Deployment, name: str = NAME, metadata=()):
    request = webhook_pb2.GetWebhookRequest(name=name)
    return await running.client.webhooks.GetWebhook(request, metadata=metadata)


async def update(running: Deployment, *paths: str, **fields):
    mask = field_mask_pb2.FieldMask(paths=paths)
    request = webhook_pb2.UpdateWebhookRequest(webhook=webhook_pb2.Webhook(name=NAME, **fields), update_mask=mask)
    return await running.client.webhooks.UpdateWebhook(request)


async def replay(running: Deployment, seconds: int | None = None):
    request = webhook_pb2.ReplayWebhookRequest(name=NAME)
    if seconds is not None:
        request.from_time.FromSeconds(seconds)
    return await running.client.webhooks.ReplayWebhook(request)


async def got(to: Receiver, count: int) -> list[str]:
    async with asyncio.timeout(20):
        while len(to.requests) < count:  # noqa: ASYNC110 - a list sets no Event
            await asyncio.sleep(0.02)
    return [each.event["type"] for each in to.requests]


async def test_an_operations_end_is_sent_and_verified_with_the_secret_that_was_shown(
    running: Deployment, to: Receiver
) -> None:
    made = await create(running, to.url, filter='type : "operation."', display_name="Billing")
    assert (made.name, made.state) == (NAME, State.STATE_ACTIVE)
    await running.client.servers.CreateServer(create_request(), metadata=waiting(5))
    assert await got(to, 1) == ["dev.cloudspan.operation.succeeded.v1"]
    (request,) = to.requests
    Verifier(made.secret).verify(request.body, request.headers)
    async with asyncio.timeout(10):
        while not (found := await get(running)).HasField("received_time"):  # noqa: ASYNC110 - nor does a row
            await asyncio.sleep(0.02)
    assert found.last_attempt.status == 204
    assert found.last_attempt.event == request.event["id"]


async def test_a_secret_is_shown_once_and_kept_sealed(running: Deployment, to: Receiver) -> None:
    """Neither reads, nor lists, nor the audit, nor the database show it."""
    made = await create(running, to.url)
    assert made.secret.startswith("whsec_")
    assert (await get(running)).secret == ""
    listed = await running.client.webhooks.ListWebhooks(webhook_pb2.ListWebhooksRequest())
    assert [(each.name, each.secret) for each in listed.webhooks] == [(NAME, "")]
    database = running.gateway.database
    kept = await database.read(lambda conn: repr(conn.execute(select(webhooks)).all()))
    audited = repr(await rows(database))
    assert NAME in audited
    for text in (kept, audited, repr(running.gateway.webhooks)):
        assert made.secret.removeprefix("whsec_") not in text


async def test_after_a_change_of_the_secret_both_sign_for_a_day(running: Deployment, to: Receiver) -> None:
    made = await create(running, to.url)
    changed = await update(running, "secret")
    assert changed.secret not in ("", made.secret)
    await running.client.webhooks.TestWebhook(webhook_pb2.TestWebhookRequest(name=NAME))
    for secret in (made.secret, changed.secret):
        Verifier(secret).verify(to.requests[0].body, to.requests[0].headers)
    chosen = "whsec_" + "QUJD" * 12
    assert (await update(running, "secret", secret=chosen)).secret == chosen


async def test_a_trial_tells_what_came_of_it(running: Deployment, to: Receiver) -> None:
    """A refusal is a result; nothing else is changed by it."""
    await create(running, to.url, disabled=True)
    to.answers.append(500)
    request = webhook_pb2.TestWebhookRequest(name=NAME)
    refused = await running.client.webhooks.TestWebhook(request)
    assert (refused.attempt.status, refused.attempt.error) == (500, "HTTP 500")
    received = await running.client.webhooks.TestWebhook(request)
    assert (received.attempt.status, received.attempt.error) == (204, "")
    assert to.requests[0].event["type"] == "dev.cloudspan.webhook.test.v1"
    assert not (await get(running)).HasField("last_attempt")


async def test_nothing_is_sent_while_it_is_disabled(running: Deployment, to: Receiver) -> None:
    """What happens meanwhile is sent once it is on again."""
    await create(running, to.url, filter='type : "operation."')
    assert (await update(running, "disabled", disabled=True)).state == State.STATE_DISABLED
    await running.client.servers.CreateServer(create_request(), metadata=waiting(5))
    assert to.requests == []
    await update(running, "disabled")
    await got(to, 1)


async def test_a_replay_sends_again_from_a_time_on(running: Deployment, to: Receiver) -> None:
    await create(running, to.url, filter='type : "operation."')
    database = running.gateway.database
    happened = [OutboxEvent("operation.failed", 1e9 + number, f"s{number}") for number in range(3)]
    await database.transact(lambda conn: outbox.append(conn, database, happened))
    await got(to, 3)
    await replay(running, 1_000_000_001)
    await got(to, 5)
    assert [each.event["subject"] for each in to.requests] == ["s0", "s1", "s2", "s1", "s2"]


async def test_a_replay_from_before_what_is_kept_is_refused(running: Deployment, to: Receiver) -> None:
    await create(running, to.url)
    database = running.gateway.database
    happened = [OutboxEvent("operation.failed", 1e9 + number) for number in range(3)]
    await database.transact(lambda conn: outbox.append(conn, database, happened))
    await database.transact(lambda conn: outbox.purge(conn, 1e9 + 1.5, 10))
    with pytest.raises(errors.Resync) as lost:
        await replay(running, 1_000_000_000)
    assert lost.value.reason == "EVENTS_LOST"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"url": "https://10.0.0.1/"}, "WEBHOOK_URL_REFUSED"),
        ({"url": "http://example.com/#x"}, "WEBHOOK_URL_REFUSED"),
        ({"url": ""}, "REQUIRED_FIELD_MISSING"),
        ({"url": "https://example.com/", "secret": "mine"}, "BAD_WEBHOOK_SECRET"),
        ({"url": "https://example.com/", "filter": "colour = 1"}, "UNKNOWN_FILTER_FIELD"),
        ({"url": "https://example.com/", "display_name": "a\nb"}, "INVALID_REQUEST"),
    ],
)
async def test_what_can_not_be_kept_is_refused(running: Deployment, fields: dict[str, str], reason: str) -> None:
    """At its creation and at its change."""
    with pytest.raises(errors.InvalidRequest) as refused:
        await create(running, **fields)
    assert refused.value.reason == reason
    await create(running, "https://example.com/")
    with pytest.raises(errors.InvalidRequest) as refused:
        await update(running, *fields, **fields)
    assert refused.value.reason == reason


async def test_names_are_checked(running: Deployment) -> None:
    await create(running, "https://example.com/")
    with pytest.raises(errors.AlreadyExists):
        await create(running, "https://example.com/")
    with pytest.raises(errors.InvalidRequest):
        await create(running, "https://example.com/", "Not-An-Id")
    with pytest.raises(errors.NotFound):
        await get(running, "tenants/default/webhooks/other")
    with pytest.raises(errors.InvalidRequest):
        await get(running, "webhooks/other")
    await running.client.webhooks.DeleteWebhook(webhook_pb2.DeleteWebhookRequest(name=NAME))
    with pytest.raises(errors.NotFound):
        await running.client.webhooks.DeleteWebhook(webhook_pb2.DeleteWebhookRequest(name=NAME))


async def test_a_tenant_has_so_many_webhooks(running: Deployment) -> None:
    for number in range(MOST_OF_A_TENANT):
        await create(running, "https://example.com/", f"w{number}", disabled=True)
    with pytest.raises(errors.PreconditionFailed) as refused:
        await create(running, "https://example.com/", "one-more")
    assert refused.value.reason == "TOO_MANY_FOLLOWERS"


async def test_who_does_not_administer_the_tenant_sees_no_webhook_of_it(running: Deployment) -> None:
    """And one of another tenant does not exist, in the same words as one that nobody has."""
    viewer = TenantAccess("acme", frozenset({Permission.PERMISSION_ADMINISTER}))
    authenticating(running.gateway, ByHeader({"users/viewer": viewer}))
    await create(running, "https://example.com/", metadata=as_("al@acme"))
    name = "tenants/acme/webhooks/billing"
    assert (await get(running, name, as_("al@acme"))).subject == "users/al"
    with pytest.raises(errors.CloudspanError) as refused:
        await get(running, name, as_("viewer@acme"))
    assert refused.value.code.name == "PERMISSION_DENIED"
    said = set()
    for one in (name, "tenants/acme/webhooks/nobody"):
        for call in ("GetWebhook", "DeleteWebhook", "ReplayWebhook", "TestWebhook"):
            request = getattr(webhook_pb2, f"{call}Request")(name=one)
            with pytest.raises(errors.NotFound) as missing:
                await getattr(running.client.webhooks, call)(request, metadata=as_("bob@other"))
            said.add(str(missing.value).replace(one, "NAME"))
    assert len(said) == 1
    parent = webhook_pb2.ListWebhooksRequest(parent="tenants/acme")
    with pytest.raises(errors.NotFound):
        await running.client.webhooks.ListWebhooks(parent, metadata=as_("bob@other"))
    request = webhook_pb2.CreateWebhookRequest(
        parent="tenants/acme", webhook_id="x", webhook=webhook_pb2.Webhook(url="https://example.com/")
    )
    with pytest.raises(errors.NotFound):
        await running.client.webhooks.CreateWebhook(request, metadata=as_("bob@other"))
