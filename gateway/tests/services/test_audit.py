"""Reading the audit through a real gateway: pages, filters, and nothing of another tenant."""

from __future__ import annotations

import pytest
from gateway.tests.access_by_header import ByHeader, authenticating
from gateway.tests.audit_chains import event
from tests.harness.clouds import memory_cluster
from tests.harness.in_process import Deployment, deployment

from cloudspan.client import errors
from cloudspan.v1.audit_pb2 import ListAuditEventsRequest
from cloudspan_gateway.audit.event import Type
from cloudspan_gateway.services import audit as service


def as_(user: str):
    return (("authorization", f"Bearer {user}"),)


@pytest.fixture
async def running():
    async with deployment(memory_cluster()) as opened:
        made = [event(f"users/u{n % 2}", tenant=f"t{n % 3}", create_time=1000.0 * n, reason=f"R{n}") for n in range(30)]
        failed = event("users/u0", type=Type.TYPE_REFUSAL, tenant="t0", outcome="PERMISSION_DENIED", create_time=31e3)
        await opened.gateway.audit.keep([*made, failed])
        yield opened


async def listed(running: Deployment, metadata=(), **request):
    """Return all that a traversal finds, in its order."""
    found, token = [], ""
    while True:
        page = ListAuditEventsRequest(**request, page_token=token)
        answer = await running.client.audits.ListAuditEvents(page, metadata=metadata)
        found += answer.events
        token = answer.next_page_token
        if not token:
            return found


async def test_a_traversal_finds_every_event_once_in_either_direction(running: Deployment) -> None:
    """The newest first, or the whole chain from its start."""
    forth = [one.sequence for one in await listed(running, page_size=7, oldest_first=True)]
    back = [one.sequence for one in await listed(running, page_size=7)]
    assert forth == list(range(1, 32))
    assert back == forth[::-1]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('outcome != "OK"', 1),
        ("type = REFUSAL", 1),
        ("type = TYPE_MUTATION AND subject = users/u1", 15),
        ('create_time >= "1970-01-01T07:00:00Z" AND outcome = OK', 4),
        ("reason = R7", 1),
        ("tenant = t1 OR reason = R2", 11),
        ("NOT subject = users/u1", 16),
        ("sequence <= 3", 3),
    ],
)
async def test_filters_find_by_any_field(running: Deployment, text: str, count: int) -> None:
    """Those that the database knows, and those that stand in the record alone."""
    assert len(await listed(running, filter=text, page_size=10)) == count


async def test_a_search_that_finds_little_still_ends(running: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page looks through so many, and the next one goes on."""
    monkeypatch.setattr(service, "_READ_AT_ONCE", 3)
    monkeypatch.setattr(service, "_MOST_READ", 5)
    assert [one.reason for one in await listed(running, filter="reason = R0")] == ["R0"]


async def test_nothing_of_another_tenant_is_listed(running: Deployment) -> None:
    """Whatever the filter asks for; an administrator over all tenants sees all."""
    authenticating(running.gateway, ByHeader())
    mine = await listed(running, as_("root@t1"), page_size=3)
    assert {one.tenant for one in mine} == {"t1"}
    assert await listed(running, as_("root@t1"), filter="tenant = t2") == []
    assert await listed(running, as_("root@t1"), filter="tenant = t2 OR subject = users/u0 AND tenant = t2") == []
    assert {one.tenant for one in await listed(running, as_("root@-"))} >= {"t0", "t1", "t2"}


async def test_a_page_token_is_good_in_its_tenant_alone(running: Deployment) -> None:
    """Also with the same request."""
    authenticating(running.gateway, ByHeader())
    first = ListAuditEventsRequest(page_size=2)
    token = (await running.client.audits.ListAuditEvents(first, metadata=as_("root@t1"))).next_page_token
    again = ListAuditEventsRequest(page_size=2, page_token=token)
    with pytest.raises(errors.InvalidRequest) as refused:
        await running.client.audits.ListAuditEvents(again, metadata=as_("root@t2"))
    assert refused.value.reason == "PAGE_TOKEN_OTHER_QUERY"


async def test_an_event_says_the_same_in_its_fields_and_in_its_record(running: Deployment) -> None:
    """What `record` was made from."""
    (found,) = await listed(running, filter="reason = R7")
    assert f'"sequence":{found.sequence}' in found.record
    assert (found.create_time.ToJsonString(), found.subject) == ("1970-01-01T01:56:40Z", "users/u1")
    assert len(found.hash) == len(found.previous_hash) == 64


async def test_long_words_make_pages_short_and_never_too_large(running: Deployment) -> None:
    """Clients refuse answers of 4 MiB: nobody makes the audit unreadable by what they call things."""
    texts = ("resource", "message", "subject", "method", "cluster", "reason", "request_id", "peer", "credential")
    await running.gateway.audit.keep([event(**dict.fromkeys(texts, "\u6f22" * 900)) for _ in range(300)])
    first = await running.client.audits.ListAuditEvents(ListAuditEventsRequest(page_size=1000))
    assert first.next_page_token
    assert len(await listed(running, page_size=1000)) == 331
