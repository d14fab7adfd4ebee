"""One catalogue of OpenStack's errors: what each means in our tree, and who must act.

`wire` asks `connection_error` about what never became an answer, `session` asks `Catalogue.error` about every answer
above 399. The rows themselves are in `error_rules`.
"""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import msgspec
from prometheus_client import Counter

from cloudspan_common.errors import CloudspanError, OutOfTime, RateLimited, Unreachable
from cloudspan_openstack.error_rules import ADVICE, RULES, UNMAPPED, NoReply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry


_MAX_TEXT = 500
_ECHOED = re.compile(r"Value: .*(?=\. )", re.DOTALL)
_SECRET_FIELD = re.compile(r"Invalid input for field/attribute (adminPass|user_data|personality|public_key)\b")


class NoReplyInTime(OutOfTime):
    """A request was sent and the caller's deadline ended before the answer: the same as NoReply for a write."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        """The service's own request id, for whoever reads its logs."""
        headers = self.headers
        return headers.get("x-openstack-request-id") or headers.get("x-compute-request-id") or ""

    @property
    def retry_after_s(self) -> float | None:
        """What Retry-After says; None if it says nothing that can be read."""
        told = self.headers.get("Retry-After", "")
        if told.isdigit():
            return float(told)
        try:
            later, now = parsedate_to_datetime(told), parsedate_to_datetime(self.headers.get("Date", ""))
        except ValueError:
            return None
        return max(0.0, (later - now).total_seconds())


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked of which cluster, for messages and metadata."""

    platform: str
    cluster: str
    service: str
    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} of {self.service} in {self.cluster}"

    def metadata(self) -> dict[str, str]:
        """Return what every error about this carries."""
        return {"platform": self.platform, "cluster": self.cluster, "native_service": self.service}


class Catalogue:
    """The rules, and the count of answers that none of them knows."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._unmapped = Counter(
            "cloudspan_unmapped_native_errors",
            "Native errors that the adapter's catalogue has no row for.",
            ("cluster", "service", "status"),
            registry=registry,
        )

    def error(self, asked: Asked, answer: Answer) -> CloudspanError:
        """Return the error that `answer`, an HTTP status above 399 or a redirect, means."""
        code, told = native_text(answer)
        text = f"{code} {told}"
        rule = next((r for r in RULES if r.matches(asked.service, answer.status, text)), UNMAPPED)
        if not rule.mapped:
            self._unmapped.labels(asked.cluster, asked.service, str(answer.status)).inc()
        advice = f"; {ADVICE[rule.reason]}" if rule.reason in ADVICE else ""
        metadata = asked.metadata() | {
            "native_code": code or str(answer.status),
            "native_request_id": answer.request_id,
            "http_status": str(answer.status),
        }
        error, retry_after = rule.error, answer.retry_after_s
        if answer.status == 503 and retry_after is not None:
            error = RateLimited
        if not issubclass(error, RateLimited | Unreachable):
            retry_after = None
        message = f"{asked} was refused with HTTP {answer.status}: {told.rstrip('.') or 'no reason told'}{advice}"
        return error(message, reason=rule.reason, metadata=metadata, retry_after_s=retry_after)


def native_text(answer: Answer) -> tuple[str, str]:
    """Return the native code, if any, and the text that a person wrote, out of JSON, HTML or plain text.

    Nova: `{"itemNotFound": {"code": 404, "message": ...}}`, Neutron: `{"NeutronError": {"type", "message", "detail"}}`,
    Keystone: `{"error": {"code", "title", "message"}}`, Glance: a page of HTML.
    """
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return "", _plain(answer.body)
    code, text = _of_json(document)
    return code, _without_values(text)[:_MAX_TEXT]


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


def _plain(body: bytes) -> str:
    """The words of an HTML page, or of anything else."""
    text = body[:4096].decode("utf-8", "replace")
    text = re.sub(r"(?is)<(script|style|head).*?</\1>|<[^>]+>", " ", text)
    return " ".join(text.split())[:_MAX_TEXT]


def connection_error(
    native: BaseException, asked: object, metadata: Mapping[str, str], *, sent: bool = False
) -> Unreachable:
    """Return the error for a connection that failed, by its innermost cause: DNS, TLS, refused, reset."""
    causes = list(_causes(native))
    text = " ".join(str(native).split())[:300]
    certificate = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError)), None)
    if certificate is not None or "CERTIFICATE_VERIFY_FAILED" in text:
        why = certificate.verify_message if certificate else text
        message = f"{asked}: the certificate is not trusted ({why}); set cacert in clouds.yaml to the cloud's CA file"
        return Unreachable(message, reason="TLS_CERTIFICATE", metadata=metadata)
    if any(isinstance(c, ssl.SSLError) for c in causes):
        message = f"{asked}: TLS failed ({text}); is the endpoint really https?"
        return Unreachable(message, reason="TLS_FAILED", metadata=metadata)
    if any(isinstance(c, socket.gaierror) for c in causes) or "NameResolutionError" in text:
        message = f"{asked}: the host name does not resolve ({text}); look at DNS and the endpoint's URL"
        return Unreachable(message, reason="DNS_FAILED", metadata=metadata)
    if any(isinstance(c, ConnectionRefusedError) for c in causes) or "Connection refused" in text:
        message = f"{asked}: the connection was refused; nothing listens there, the service may be down"
        return Unreachable(message, reason="CONNECTION_REFUSED", metadata=metadata)
    if sent:
        return NoReply(
            f"{asked}: the connection broke before the answer ({text or type(native).__name__})", metadata=metadata
        )
    return Unreachable(
        f"{asked}: no connection ({text or type(native).__name__})", reason="NO_CONNECTION", metadata=metadata
    )


def _causes(error: BaseException | None) -> list[BaseException]:
    """`error` and what lies under it: causes, contexts, and errors that libraries pass as arguments."""
    found: list[BaseException] = []
    queue = [error]
    while queue:
        current = queue.pop()
        if current is None or current in found:
            continue
        found.append(current)
        inner = [
            current.__cause__,
            current.__context__,
            getattr(current, "os_error", None),
            getattr(current, "reason", None),
        ]
        queue += [e for e in [*inner, *current.args] if isinstance(e, BaseException)]
    return found
