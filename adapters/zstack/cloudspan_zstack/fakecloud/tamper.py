"""How an answer is spoilt on its way out, for the faults that need an answer first."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from cloudspan_zstack.fakecloud.faults import Body, Fault, Kind
from cloudspan_zstack.fakecloud.wire import HTML, TEXT, Reply, text

_LOGIN_PAGE = b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><form>...</form></body></html>\n"
_PROXY_PAGE = (
    "<html>\r\n<head><title>{0}</title></head>\r\n<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
)


def spoil(fault: Fault, answer: Reply) -> Reply:
    """Return what leaves the house instead of `answer`."""
    if fault.kind is Kind.HTML_200:
        return Reply(200, _LOGIN_PAGE, HTML)
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
    status = fault.status or (429 if limited else 500)
    title = f"{status} {HTTPStatus(status).phrase}"
    if fault.body is Body.NATIVE:
        answer = text("java.lang.NullPointerException: null", status)
    elif fault.body is Body.HTML:
        answer = Reply(status, _PROXY_PAGE.format(title).encode(), HTML)
    else:
        answer = Reply(status, b"" if fault.body is Body.EMPTY else f"{title}\n".encode(), TEXT)
    if limited and fault.retry_after is not None:
        answer.headers["Retry-After"] = fault.retry_after
    return answer
