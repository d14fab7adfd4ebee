"""How an answer is spoilt on its way out, for the faults that need an answer first."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from cloudspan_kit.fakes.faults import Body
from cloudspan_kit.fakes.pages import LOGIN_PAGE, foreign_body
from cloudspan_zstack_fake.faults import Fault, Kind
from cloudspan_zstack_fake.wire import HTML, TEXT, Reply, text


def spoil(fault: Fault, answer: Reply) -> Reply:
    """Return what leaves the house instead of `answer`."""
    if fault.kind is Kind.HTML_200:
        return Reply(200, LOGIN_PAGE, HTML)
    if fault.kind is Kind.TRUNCATED_JSON:
        answer.payload = answer.payload[: len(answer.payload) // 2]
    if fault.kind is Kind.HALF_PAGE and answer.status == 200:
        document = msgspec.json.decode(answer.payload)
        rows = document.get("inventories", [])
        document["inventories"] = rows[: len(rows) // 2]
        answer.payload = msgspec.json.encode(document)
    return answer


def refusal(fault: Fault) -> Reply:
    """Return the answer of a RATE_LIMIT or SERVER_ERROR."""
    limited = fault.kind is Kind.RATE_LIMIT
    status = fault.refusal_status
    title = f"{status} {HTTPStatus(status).phrase}"
    if fault.body is Body.NATIVE:
        answer = text("java.lang.NullPointerException: null", status)
    else:
        media = HTML if fault.body is Body.HTML else TEXT
        answer = Reply(status, foreign_body(fault.body, title), media)
    if limited and fault.retry_after is not None:
        answer.headers["Retry-After"] = fault.retry_after
    return answer
