"""The webhooks of one gateway, as the composition root has them; runs as the part `webhooks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import Counter

from cloudspan_gateway.events.webhooks.addresses import Allowed
from cloudspan_gateway.events.webhooks.delivery import Delivery, Tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan.v1.event_pb2 import Event
    from cloudspan_gateway.events.log import EventLog
    from cloudspan_gateway.events.parts import EventNeeds
    from cloudspan_gateway.events.webhooks.config import WebhookSettings
    from cloudspan_gateway.events.webhooks.delivery import AccessOf
    from cloudspan_gateway.events.webhooks.sender import Attempt, Sender
    from cloudspan_gateway.events.webhooks.store import WebhookStore


class Webhooks:
    """All parts of the webhooks."""

    def __init__(
        self, needs: EventNeeds, events: EventLog, store: WebhookStore, access_of: AccessOf, settings: WebhookSettings
    ) -> None:
        """Make the parts; nothing is sent before `run`."""
        self.store = store
        self.events = events
        self.clock = needs.clock
        self.settings = settings
        self.allowed = Allowed(settings.allowed)
        self._sender: Sender | None = None
        attempts = Counter(
            "cloudspan_gateway_webhook_attempts",
            "Attempts to send an event to a webhook, by outcome: received, failed.",
            ["outcome"],
            registry=needs.metrics,
        )
        tools = Tools(
            needs.database, needs.coordinator, needs.clock, store, events, self.send, access_of,
            lambda outcome: attempts.labels(outcome).inc(),
        )  # fmt: skip
        self._delivery = Delivery(tools)

    def __repr__(self) -> str:
        return f"<Webhooks: {self._delivery!r}>"

    async def run(self) -> None:
        """Send until cancelled."""
        await self._delivery.run()

    async def send(self, url: str, event: Event, secrets: Sequence[bytes]) -> Attempt:
        """Send one event once; see `Sender.send`."""
        if self._sender is None:
            # aiohttp takes 5 MB; only gateways with webhooks have it.
            from cloudspan_gateway.events.webhooks.sender import Sender  # noqa: PLC0415 - see above

            self._sender = Sender(self.allowed, self.clock, self.settings.authority)
        return await self._sender.send(url, event, secrets)

    async def close(self) -> None:
        """Close the connections to receivers."""
        if self._sender is not None:
            await self._sender.close()
