"""One catalogue of OpenStack's errors: what each means in our tree, and who must act.

`native` asks `Catalogue.error` about every answer above 299. The rows themselves are in `error_rules`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import Counter

from cloudspan_common.errors import CloudspanError, RateLimited, ServiceUnavailable, Unreachable
from cloudspan_common.redaction import masked_text
from cloudspan_kit import Answer, cloud_words, page_words
from cloudspan_openstack.cloud.error_rules import ADVICE, RULES, UNMAPPED

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from cloudspan_kit import RequestInfo


_ASK_TO_WAIT = (413, 429, 503)
_ECHOED = re.compile(r"Value: .*(?=\. )", re.DOTALL)
_SECRET_FIELD = re.compile(r"Invalid input for field/attribute (adminPass|user_data|personality|public_key)\b")


class Catalogue:
    """The rules, and the count of answers that none of them knows."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._unmapped = Counter(
            "cloudspan_unmapped_native_errors",
            "Native errors that the adapter's catalogue has no row for.",
            ("cluster", "service", "status"),
            registry=registry,
        )

    def error(self, asked: RequestInfo, answer: Answer) -> CloudspanError:
        """Return the error that `answer`, an HTTP status above 399 or a redirect, means."""
        code, told = native_text(answer)
        text = f"{code} {told}"
        wait_s = _time_to_wait(answer)
        rule = next((r for r in RULES if r.matches(asked.service, answer.status, text, wait_s)), UNMAPPED)
        if not rule.mapped:
            self._unmapped.labels(asked.cluster, asked.service, str(answer.status)).inc()
        advice = f"; {ADVICE[rule.reason]}" if rule.reason in ADVICE else ""
        metadata = asked.metadata() | {
            "native_code": code or str(answer.status),
            "native_request_id": request_id_of(answer),
            "http_status": str(answer.status),
        }
        error = rule.error
        if answer.status == 503 and wait_s is not None:
            error = ServiceUnavailable
        if not issubclass(error, RateLimited | Unreachable):
            wait_s = None
        message = f"{asked} was refused with HTTP {answer.status}: {_why(answer, told)}{advice}"
        return error(message, reason=rule.reason, metadata=metadata, retry_after_s=wait_s)


def _why(answer: Answer, told: str) -> str:
    if answer.redirect:
        return f"it redirects to {answer.redirect}"
    # A cloud may repeat what was sent to it, secrets included.
    return masked_text(told).rstrip(".") or "no reason given"


def _time_to_wait(answer: Answer) -> float | None:
    """Return what Retry-After says, or where there is none `retryAfter` in the body, as limiters before Nova do."""
    if answer.retry_after_s is not None or answer.status not in _ASK_TO_WAIT:
        return answer.retry_after_s
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return None
    inner = [value for value in document.values() if isinstance(value, dict)] if isinstance(document, dict) else []
    told = next((str(value["retryAfter"]) for value in inner if "retryAfter" in value), "")
    return Answer(answer.status, {**answer.headers, "Retry-After": told}, b"").retry_after_s


def native_text(answer: Answer) -> tuple[str, str]:
    """Return the native code, if any, and the text that a person wrote, out of JSON, HTML or plain text.

    Nova: `{"itemNotFound": {"code": 404, "message": ...}}`, Neutron: `{"NeutronError": {"type", "message", "detail"}}`,
    Keystone: `{"error": {"code", "title", "message"}}`, Glance: a page of HTML.
    """
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return "", page_words(answer.body)
    code, text = _of_json(document)
    return code, cloud_words(_without_values(text))


def _of_json(document: object) -> tuple[str, str]:
    if isinstance(document, dict):
        for kind, inner in document.items():
            if isinstance(inner, str):
                return (kind if kind != "message" else ""), inner
            if isinstance(inner, dict):
                code = str(inner.get("type") or inner.get("title") or kind)
                return code, str(inner.get("message") or inner.get("detail") or inner)
            if isinstance(inner, list) and inner and isinstance(inner[0], dict):
                return str(inner[0].get("title") or kind), str(inner[0].get("detail") or inner[0])
    return "", str(document)


def _without_values(text: str) -> str:
    """Schema errors repeat the request's value, a whole server with its password: keep the field and the reason."""
    secret = _SECRET_FIELD.match(text)
    return secret[0] if secret else _ECHOED.sub("Value: (not shown)", text)


def request_id_of(answer: Answer) -> str:
    """Return the service's own request id, for whoever reads its logs."""
    return answer.headers.get("x-openstack-request-id") or answer.headers.get("x-compute-request-id") or ""
