"""`cloudspan events` and `webhooks`, and a client that follows events; the gateway answers what a test says."""

from __future__ import annotations

import json

import pytest
from google.longrunning import operations_pb2

from cloudspan.client import Client, Resync, answers
from cloudspan.client.generated import sync_calls
from cloudspan.v1 import event_pb2, operation_pb2, webhook_pb2
from cloudspan_common import errors

SERVER = "platforms/os/clusters/a/servers/1"
CONSUMER = "tenants/default/eventConsumers/billing"
HOOK = "tenants/default/webhooks/billing"


def event(number: int, kind: str = "resource.servers.added", **data: object) -> event_pb2.Event:
    made = event_pb2.Event(id=f"e{number}", type=kind, subject=SERVER, cluster="platforms/os/clusters/a", **data)
    made.time.FromSeconds(1_000 + number)
    return made


def failed() -> event_pb2.Event:
    operation = operations_pb2.Operation(name="operations/x", done=True)
    metadata = operation_pb2.OperationMetadata(method="cloudspan.v1.ServerService/CreateServer")
    metadata.error_summary.reason = "NO_VALID_HOST"
    operation.metadata.Pack(metadata)
    operation.error.code, operation.error.message = 8, "no host\nhas room"
    return event(3, "operation.failed", operation=operation)


@pytest.fixture
def followed(gateway, monkeypatch):
    """Have the streams answered one after the other with messages or an error, and at the end with an error."""
    monkeypatch.setattr(sync_calls.time, "sleep", lambda _seconds: None)

    def answer(*streams):
        scripts = iter([*streams, errors.NotFound("it is over")])
        gateway.answers["WatchEvents"] = lambda _request: next(scripts)

    return answer


def says(token: str, *events: event_pb2.Event, consumer: str = "") -> event_pb2.WatchEventsResponse:
    return event_pb2.WatchEventsResponse(events=events, resume_token=token, consumer=consumer)


def test_the_newest_events_are_shown_the_oldest_first(gateway, run):
    """With what one wants to know of each, on one line."""
    refused = event_pb2.Event(type="audit.refused")
    refused.audit_event.subject, refused.audit_event.reason = "users/al", "PERMISSION_MISSING"
    state = event(1, "cluster.unreachable")
    state.cluster_state.message = "no answer"
    newest = [refused, failed(), event(2, resource={"display_name": "web", "state": "RUNNING"}), state]
    gateway.answers["ListEvents"] = event_pb2.ListEventsResponse(events=newest)
    lines = run("events", "--type", "resource.", "--subject", SERVER, "--since", "2026-11-28T20:00+00:00").splitlines()
    assert [next(word for word in line.split() if "." in word) for line in lines] == [
        "cluster.unreachable", "resource.servers.added", "operation.failed", "audit.refused",
    ]  # fmt: skip
    assert "NO_VALID_HOST: no host" in lines[2]
    assert "CreateServer  operations/x" in lines[2]
    assert "users/al" in lines[3]
    assert gateway.asked("ListEvents").filter == (
        f'type = "resource.*" AND subject = "{SERVER}" AND time >= "2026-11-28T20:00:00Z"'
    )


def test_events_are_followed_over_a_cut(gateway, run, followed):
    """From where the last message ended; each as JSON if that is asked for."""
    followed([says("t0"), says("t1", event(1))], [says("t2", event(2))])
    shown = run("events", "--follow", "--json", code=1)
    assert [json.loads(line)["id"] for line in shown.splitlines()[:2]] == ["e1", "e2"]
    assert [call.request.resume_token for call in gateway.calls if call.method == "WatchEvents"] == ["", "t1", "t2"]


def test_a_consumer_acknowledges_what_it_has_shown(gateway, run, followed):
    followed([says("t0", consumer=CONSUMER), says("t1", event(1), event(2), consumer=CONSUMER)])
    run("events", "--consumer", "billing", code=1)
    assert gateway.calls[0].request.consumer == "billing"
    acknowledged = gateway.asked("AcknowledgeEvents")
    assert (acknowledged.name, acknowledged.resume_token) == (CONSUMER, "t1")


def test_events_under_way_are_not_acknowledged(gateway, followed):
    """A program that ends while it works on one gets it again."""
    followed([says("t1", event(1), event(2), consumer=CONSUMER)])
    with Client(gateway.address) as client:
        for _ in client.follow_events(event_pb2.WatchEventsRequest(consumer="billing")):
            break
    assert "AcknowledgeEvents" not in [call.method for call in gateway.calls]


def test_a_consumer_that_is_still_read_by_its_own_cut_stream_waits(gateway, followed):
    """The gateway notices a moment later that the stream before is gone."""
    busy = errors.Busy("another stream reads", reason="CONSUMER_IN_USE")
    followed([says("t1", event(1), consumer=CONSUMER)], busy, busy, [says("t2", event(2), consumer=CONSUMER)])
    with Client(gateway.address) as client:
        stream = iter(client.follow_events(event_pb2.WatchEventsRequest(consumer="billing")))
        assert [next(stream).id, next(stream).id] == ["e1", "e2"]


def test_lost_events_are_said(gateway, followed):
    """And a first refusal is not tried again."""
    followed([says("t1", event(1))], errors.Resync("no longer kept", reason="EVENTS_LOST"))
    with Client(gateway.address) as client:
        followed_events = client.follow_events(event_pb2.WatchEventsRequest())
        stream = iter(followed_events)
        assert next(stream).id == "e1"
        with pytest.raises(Resync) as lost:
            next(stream)
    assert (lost.value.reason, followed_events.resume_token) == ("EVENTS_LOST", "t1")
    assert answers.watch_pause_s(0, lost.value) > 0


def test_consumers_are_shown_and_forgotten(gateway, run):
    one = event_pb2.EventConsumer(name=CONSUMER)
    one.create_time.FromSeconds(1000)
    gateway.answers["ListEventConsumers"] = event_pb2.ListEventConsumersResponse(event_consumers=[one])
    assert "billing" in run("events", "consumers")
    assert "forgot" in run("events", "forget-consumer", CONSUMER)
    assert gateway.asked("DeleteEventConsumer").name == CONSUMER


def test_webhooks_are_made_tried_and_replayed(gateway, run):
    """The secret is printed by what makes it."""
    row = webhook_pb2.Webhook(
        name=HOOK, url="https://example.com/", state=webhook_pb2.Webhook.STATE_DEAD, secret="whsec_x"
    )
    row.last_attempt.error = "HTTP 500"
    gateway.answers |= {
        "CreateWebhook": row,
        "UpdateWebhook": row,
        "ReplayWebhook": row,
        "ListWebhooks": webhook_pb2.ListWebhooksResponse(webhooks=[row]),
        "TestWebhook": webhook_pb2.TestWebhookResponse(attempt={"status": 204}),
    }
    assert "whsec_x" in run("webhooks", "create", "billing", "https://example.com/", "--filter", "type = x")
    assert gateway.asked("CreateWebhook").webhook.filter == "type = x"
    shown = run("webhooks", "list")
    assert "DEAD" in shown
    assert "whsec_x" not in shown
    assert "received, HTTP 204" in run("webhooks", "test", "billing")
    assert gateway.asked("TestWebhook").name == HOOK
    run("webhooks", "replay", "billing", "--since", "2026-11-28T20:00+00:00")
    assert gateway.asked("ReplayWebhook").from_time.ToJsonString() == "2026-11-28T20:00:00Z"
    assert "whsec_x" in run("webhooks", "new-secret", HOOK)
    run("webhooks", "disable", "billing")
    run("webhooks", "enable", "billing")
    assert [list(call.request.update_mask.paths) for call in gateway.calls if call.method == "UpdateWebhook"] == [
        ["secret"], ["disabled"], ["disabled"],
    ]  # fmt: skip
    run("webhooks", "delete", "billing")
    assert gateway.asked("DeleteWebhook").name == HOOK


def test_a_trial_that_fails_is_an_error(gateway, run):
    gateway.answers["TestWebhook"] = webhook_pb2.TestWebhookResponse(attempt={"error": "HTTP 500"})
    assert "not received: HTTP 500" in run("webhooks", "test", "billing", code=1)
