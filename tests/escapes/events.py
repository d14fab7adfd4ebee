"""Attempts at what happens to another tenant: its events, its consumers and tokens, its webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.escapes.attempt import FORBIDDEN, HIDDEN, Attempt, Code, changed
from tests.escapes.tenants import BY, ask
from tests.escapes.world import CANARY, OWN, SECRET, request_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.escapes.world import Outcome, World

EVENTS, WEBHOOKS = "EventService", "WebhookService"
_WATCHED_S = 0.5
"""How long a stream is listened to: what is kept already comes at once."""
_BAD = (Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE)
_SEEN = (Code.OK, Code.DEADLINE_EXCEEDED)
"""A stream that is allowed ends with its caller's deadline."""
_THEIRS = "tenants/acme/eventConsumers/billing"
_HOOK = "tenants/acme/webhooks/billing"


def followed(*metadata: tuple[str, str], by: str = BY, **fields: Any) -> Callable[[World], Outcome]:
    """Follow for a moment, from the oldest event on; fields that are functions get the world."""

    def tries(world: World) -> Outcome:
        said = {key: value(world) if callable(value) else value for key, value in fields.items()}
        request = request_of(f"{EVENTS}/WatchEvents", **{"from_oldest": True, **said})
        return world.call(f"{EVENTS}/WatchEvents", request, by=by, extra=metadata, limit_s=_WATCHED_S)

    return tries


def _resume_token(world: World, **fields: Any) -> str:
    """Of acme's stream."""
    request = request_of(f"{EVENTS}/WatchEvents", **fields)
    outcome = world.call(f"{EVENTS}/WatchEvents", request, by="alice", limit_s=_WATCHED_S)
    assert outcome.answers, outcome.text
    return str(outcome.answers[-1].resume_token)


def _consumers_token(world: World) -> str:
    """Of acme's consumer, which is there by then."""
    return _resume_token(world, consumer="billing")


def _page_token(world: World) -> str:
    token = world.do(
        f"{EVENTS}/ListEvents", request_of(f"{EVENTS}/ListEvents", page_size=1), by="alice"
    ).next_page_token
    assert token
    return str(token)


STREAMS = [
    Attempt("following everything", followed(), _SEEN),
    Attempt("following what is not ours", followed(filter='NOT tenant = "globex"'), _SEEN),
    Attempt("following another tenant", followed(filter='tenant = "acme"'), _SEEN),
    Attempt("following another's cluster", followed(filter=f'cluster = "{SECRET}"'), _SEEN),
    Attempt("following refusals", followed(filter='type : "audit."'), _SEEN),
    Attempt("following as another tenant", followed(("x-tenant", "acme")), HIDDEN),
    Attempt("following in another's pool", followed(("x-pool", "acme-prod")), HIDDEN),
    Attempt("following without a role", followed(by="nobody"), (*FORBIDDEN, *HIDDEN)),
    Attempt("going on with another's stream", followed(resume_token=_resume_token), _BAD),
    Attempt("going on with a forged stream", followed(resume_token=changed(_resume_token)), _BAD),
    Attempt("going on with another's consumer's stream", followed(resume_token=_consumers_token), _BAD),
    Attempt("going on as a consumer of another's name", followed(consumer="billing"), _SEEN),
    Attempt("going on with a page token of events", followed(resume_token=_page_token), _BAD),
    Attempt("following as a name that is none", followed(consumer="../acme/billing"), _BAD),
]
LISTS = [
    Attempt("all events", ask(f"{EVENTS}/ListEvents", page_size=1000), (Code.OK,)),
    Attempt("events of another tenant", ask(f"{EVENTS}/ListEvents", filter='tenant = "acme"'), (Code.OK,)),
    Attempt("events that are not ours", ask(f"{EVENTS}/ListEvents", filter='NOT tenant = "globex"'), (Code.OK,)),
    Attempt("events of another's cluster", ask(f"{EVENTS}/ListEvents", filter=f'cluster = "{SECRET}"'), (Code.OK,)),
    Attempt("events of other clusters", ask(f"{EVENTS}/ListEvents", filter=f'NOT cluster = "{OWN}"'), (Code.OK,)),
    Attempt("events by another's name", ask(f"{EVENTS}/ListEvents", filter=f'subject : "{CANARY}"'), (Code.OK,)),
    Attempt("events as another tenant", ask(f"{EVENTS}/ListEvents", ("x-tenant", "acme")), HIDDEN),
    Attempt("a page of another's events", ask(f"{EVENTS}/ListEvents", page_size=1, page_token=_page_token), _BAD),
    Attempt("a forged page of events", ask(f"{EVENTS}/ListEvents", page_size=1, page_token=changed(_page_token)), _BAD),
    Attempt("a resume token as a page of events", ask(f"{EVENTS}/ListEvents", page_token=_resume_token), _BAD),
]
CONSUMERS = [
    Attempt("another's consumer", ask(f"{EVENTS}/GetEventConsumer", name=_THEIRS), HIDDEN),
    Attempt("the consumers of another", ask(f"{EVENTS}/ListEventConsumers", parent="tenants/acme"), HIDDEN),
    Attempt("the consumers of all", ask(f"{EVENTS}/ListEventConsumers", parent="tenants/-"), (*_BAD, *HIDDEN)),
    Attempt("forgetting another's consumer", ask(f"{EVENTS}/DeleteEventConsumer", name=_THEIRS), HIDDEN),
    Attempt(
        "acknowledging for another",
        ask(f"{EVENTS}/AcknowledgeEvents", name=_THEIRS, resume_token=_consumers_token),
        HIDDEN,
    ),
    Attempt(
        "acknowledging with another's token",
        ask(
            f"{EVENTS}/AcknowledgeEvents",
            name="tenants/globex/eventConsumers/billing",
            resume_token=_consumers_token,
        ),
        _BAD,
    ),
]
HOOKS = [
    *(
        Attempt(f"{rpc} of another's", ask(f"{WEBHOOKS}/{rpc}", name=_HOOK), (*FORBIDDEN, *HIDDEN))
        for rpc in ("GetWebhook", "DeleteWebhook", "ReplayWebhook", "TestWebhook")
    ),
    Attempt("the webhooks of another", ask(f"{WEBHOOKS}/ListWebhooks", parent="tenants/acme"), (*FORBIDDEN, *HIDDEN)),
    Attempt(
        "a webhook for another",
        ask(
            f"{WEBHOOKS}/CreateWebhook",
            parent="tenants/acme",
            webhook_id="x",
            webhook={"url": "https://example.com/"},
        ),
        (*FORBIDDEN, *HIDDEN),
    ),
    Attempt("webhooks as a viewer", ask(f"{WEBHOOKS}/ListWebhooks", by="mike"), FORBIDDEN),
]
ALL = [*STREAMS, *LISTS, *CONSUMERS, *HOOKS]
