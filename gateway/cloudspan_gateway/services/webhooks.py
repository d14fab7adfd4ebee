"""WebhookService: which URLs get a tenant's events; `events.webhooks` sends them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from google.protobuf import empty_pb2

from cloudspan.v1 import event_pb2, webhook_pb2
from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_common.listing.page_token import page_by_name
from cloudspan_gateway.access import names
from cloudspan_gateway.access.access import NOTHING
from cloudspan_gateway.events.follower import Follower
from cloudspan_gateway.events.log import lost
from cloudspan_gateway.events.place import Place
from cloudspan_gateway.events.webhooks import signature
from cloudspan_gateway.events.webhooks.delivery import as_message
from cloudspan_gateway.events.webhooks.store import PREVIOUS_SECRET_S, Hook, name_of, not_there
from cloudspan_gateway.services.events import sees, tenant_of
from cloudspan_gateway.services.policy_rules import check_text, set_fields, stamp, update_fields

if TYPE_CHECKING:
    from cloudspan_gateway.call import Call
    from cloudspan_gateway.events.webhooks.parts import Webhooks

LIST_METHOD = "cloudspan.v1.WebhookService/ListWebhooks"
_FIELDS = frozenset({"display_name", "url", "filter", "secret", "disabled"})
_STATES = webhook_pb2.Webhook


class WebhookService:
    """Answers cloudspan.v1.WebhookService."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks
        self._store = webhooks.store
        self._clock = webhooks.clock

    def __repr__(self) -> str:
        return f"<WebhookService over {self._webhooks!r}>"

    async def create_webhook(self, request: webhook_pb2.CreateWebhookRequest, call: Call) -> webhook_pb2.Webhook:
        """Keep a webhook that gets what happens from now on; the answer shows its secret."""
        tenant, webhook = _parent(request.parent, call), names.check_id(request.webhook_id, "webhook_id")
        row = webhook_pb2.Webhook(name=name_of(tenant, webhook), subject=call.principal.subject)
        set_fields(row, request.webhook, _FIELDS - {"secret"})
        self._check(row)
        stamp(row, self._clock)
        chosen = request.webhook.secret
        secret = signature.secret_of(chosen) if chosen else signature.new_secret()
        head = await self._webhooks.events.head()
        hook = Hook(tenant, webhook, row, secret, Place(head.sequence, head.epoch))
        if call.event is not None:
            call.event = replace(call.event, resource=hook.name)
        with call.event_handed_over() as event:
            await self._store.create(hook, event)
        return self._shown(hook, secret)

    async def get_webhook(self, request: webhook_pb2.GetWebhookRequest, call: Call) -> webhook_pb2.Webhook:
        return self._shown(await self._store.get(*_ids(request.name, call)))

    async def list_webhooks(
        self, request: webhook_pb2.ListWebhooksRequest, call: Call
    ) -> webhook_pb2.ListWebhooksResponse:
        kept = [self._shown(hook) for hook in await self._store.of(_parent(request.parent, call))]
        page, token = page_by_name(LIST_METHOD, request, kept)
        return webhook_pb2.ListWebhooksResponse(webhooks=page, next_page_token=token)

    async def update_webhook(self, request: webhook_pb2.UpdateWebhookRequest, call: Call) -> webhook_pb2.Webhook:
        """Change fields; what is sent next is sent by them."""
        tenant, webhook = _ids(request.webhook.name, call, "webhook.name")
        fields = update_fields(request, "webhook", _FIELDS)
        wants_secret = "secret" in fields
        secret = None
        if wants_secret:
            chosen = request.webhook.secret
            secret = signature.secret_of(chosen) if chosen else signature.new_secret()

        def change(hook: Hook) -> Hook:
            row = webhook_pb2.Webhook()
            row.CopyFrom(hook.row)
            set_fields(row, request.webhook, fields - {"secret"})
            self._check(row)
            found = replace(hook, row=row, next_attempt_time=None)
            if secret is None:
                return found
            until = self._clock.now() + PREVIOUS_SECRET_S
            return replace(found, secret=secret, previous_secret=hook.secret, previous_until=until)

        with call.event_handed_over() as event:
            hook = await self._store.change(tenant, webhook, change, event)
        return self._shown(hook, secret)

    async def delete_webhook(self, request: webhook_pb2.DeleteWebhookRequest, call: Call) -> empty_pb2.Empty:
        tenant, webhook = _ids(request.name, call)
        with call.event_handed_over() as event:
            await self._store.delete(tenant, webhook, event)
        return empty_pb2.Empty()

    async def replay_webhook(self, request: webhook_pb2.ReplayWebhookRequest, call: Call) -> webhook_pb2.Webhook:
        """Send again from a time on, or go on where it stopped.

        Raises:
            Resync: EVENTS_LOST.
        """
        tenant, webhook = _ids(request.name, call)
        place = await self._place_at(request) if request.HasField("from_time") else None

        def change(hook: Hook) -> Hook:
            return replace(
                hook, place=place or hook.place, dead=False, attempts=0, failing_since=None, next_attempt_time=None
            )

        with call.event_handed_over() as event:
            return self._shown(await self._store.change(tenant, webhook, change, event))

    async def _place_at(self, request: webhook_pb2.ReplayWebhookRequest) -> Place:
        time = request.from_time.ToNanoseconds() / 1e9
        head = await self._webhooks.events.head()
        if head.oldest and time < self._clock.now() - self._webhooks.settings.keep_events_s:
            raise lost()
        return Place(await self._webhooks.events.first_since(time), head.epoch)

    async def test_webhook(
        self, request: webhook_pb2.TestWebhookRequest, call: Call
    ) -> webhook_pb2.TestWebhookResponse:
        """Send one event now, whatever state the webhook is in."""
        hook = await self._store.get(*_ids(request.name, call))
        event = event_pb2.Event(id=str(uuid.uuid4()), type="webhook.test", subject=hook.name, tenant=hook.tenant)
        event.time.FromNanoseconds(round(self._clock.now() * 1e9))
        attempt = await self._webhooks.send(hook.row.url, event, hook.secrets(self._clock.now()))
        return webhook_pb2.TestWebhookResponse(attempt=as_message(attempt))

    # -------------------------------------------------------------- what all have in common

    def _check(self, row: webhook_pb2.Webhook) -> None:
        """Raise InvalidRequest for a field that can't be kept."""
        check_text(row.display_name, "webhook.display_name")
        if not row.url:
            text = "webhook.url is empty; say where events are to be sent"
            raise InvalidRequest(text, reason="REQUIRED_FIELD_MISSING", violations=[Violation("webhook.url", text)])
        self._webhooks.allowed.checked(row.url)
        Follower(row.filter, lambda: NOTHING)

    def _shown(self, hook: Hook, secret: bytes | None = None) -> webhook_pb2.Webhook:
        shown = webhook_pb2.Webhook()
        shown.CopyFrom(hook.row)
        shown.state = _state_of(hook)
        if secret is not None:
            shown.secret = signature.shown(secret)
        if hook.attempt is not None:
            shown.last_attempt.CopyFrom(hook.attempt)
        times = {
            "received_time": hook.received_time,
            "failing_since_time": hook.failing_since,
            "next_attempt_time": hook.next_attempt_time if hook.is_sending else None,
        }
        for field, seconds in times.items():
            if seconds is not None:
                getattr(shown, field).FromNanoseconds(round(seconds * 1e9))
        return shown


def _state_of(hook: Hook) -> webhook_pb2.Webhook.State:
    if hook.row.disabled:
        return _STATES.STATE_DISABLED
    if hook.dead:
        return _STATES.STATE_DEAD
    return _STATES.STATE_RETRYING if hook.failing_since is not None else _STATES.STATE_ACTIVE


def _parent(parent: str, call: Call) -> str:
    tenant = names.ids_of(parent, names.TENANT, "parent")[0] if parent else tenant_of(call)
    if not sees(call, tenant):
        raise not_there(parent)
    return tenant


def _ids(name: str, call: Call, field: str = "name") -> tuple[str, str]:
    tenant, webhook = names.ids_of(name, names.WEBHOOK, field)
    if not sees(call, tenant):
        raise not_there(name)
    return tenant, webhook
