"""How an answer is spoilt on its way out, for the faults that need an answer first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cloudspan_kit.fakes.faults import Body
from cloudspan_kit.fakes.pages import LOGIN_PAGE, foreign_body
from cloudspan_openstack_fake.faults import Fault, Kind
from cloudspan_openstack_fake.wire import HTML, TITLES, Json, Refused, Reply

if TYPE_CHECKING:
    from cloudspan_openstack_fake.wire import Call, Service


def spoil(fault: Fault, call: Call, answer: Reply) -> Reply:
    """Return what leaves the house instead of `answer`."""
    if fault.kind is Kind.HTML_200:
        return Reply(200, LOGIN_PAGE, HTML)
    if fault.kind is Kind.TRUNCATED_JSON:
        answer.payload = answer.payload[: len(answer.payload) // 2]
        return answer
    if fault.kind in (Kind.HALF_PAGE, Kind.MISSING_NEXT, Kind.REPEATED_MARKER) and answer.status == 200:
        return _spoil_page(fault.kind, call, answer)
    return answer


def refusal(fault: Fault, call: Call, service: Service) -> Reply:
    """Return the answer of a RATE_LIMIT or SERVER_ERROR."""
    limited = fault.kind is Kind.RATE_LIMIT
    status = fault.refusal_status
    title = f"{status} {TITLES.get(status, 'Error')}"
    if fault.body is Body.NATIVE:
        text = "This request was rate-limited." if limited else _unexpected(call.service)
        answer = service.refusal(call, Refused(status, text))
    else:
        media = HTML if fault.body is Body.HTML else "text/plain"
        answer = Reply(status, foreign_body(fault.body, title), media)
    if limited and fault.retry_after is not None:
        answer.headers["Retry-After"] = fault.retry_after
    return answer


def _unexpected(service: str) -> str:
    if service == "network":
        return "Request Failed: internal server error while processing your request."
    return (
        "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if "
        "possible.\n<class 'oslo_messaging.exceptions.MessagingTimeout'>"
    )


def _spoil_page(kind: Kind, call: Call, answer: Reply) -> Reply:
    document = msgspec.json.decode(answer.payload)
    if not isinstance(document, dict):
        return answer
    if kind is Kind.REPEATED_MARKER:
        _lead_back(document, call)
    else:
        _drop_next(document)
    if kind is Kind.HALF_PAGE:
        for key, value in document.items():
            if isinstance(value, list) and not key.endswith("_links"):
                document[key] = value[: len(value) // 2]
    answer.payload = msgspec.json.encode(document)
    return answer


def _drop_next(document: Json) -> None:
    document.pop("next", None)
    for key in [key for key in document if key.endswith("_links")]:
        document[key] = [link for link in document[key] if link["rel"] != "next"]
        if not document[key]:
            del document[key]


def _lead_back(document: Json, call: Call) -> None:
    query = "&".join(f"{name}={value}" for name, value in call.query)
    here = f"{call.path}?{query}" if query else call.path
    if "next" in document:
        document["next"] = here
    for key in [key for key in document if key.endswith("_links")]:
        for link in document[key]:
            if link["rel"] == "next":
                link["href"] = call.url + here
