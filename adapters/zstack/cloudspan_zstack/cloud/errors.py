"""One catalogue of ZStack's errors: what each means in our tree, and who must act.

`session` asks `Catalogue.error` about every answer that is none of success. The rows are in `error_rules`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from prometheus_client import Counter

from cloudspan_common.errors import (
    CloudspanError,
    GaveUp,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    OutOfTime,
    PlatformFault,
    RateLimited,
    Unreachable,
    Violation,
)
from cloudspan_common.redaction import masked_text
from cloudspan_kit import cloud_words, page_words
from cloudspan_zstack.cloud.error_rules import ADVICE, BUSINESS, PLAIN, UNMAPPED, WRONG_KEY, LostJob, Rule, SessionEnded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import CollectorRegistry

    from cloudspan_kit import Answer, RequestInfo

_UUID = re.compile(r"[0-9a-f]{32}")
# Newer releases say it beside the old code.
_SESSION_ENDED = "ORG_ZSTACK_IDENTITY_10020"
_MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Link:
    """One error of a chain of causes."""

    code: str
    text: str
    english: str = ""
    """The same in English, for the errors that the server's catalogue of messages has."""

    @property
    def words(self) -> str:
        """Everything that is told of it."""
        return f"{self.text} {self.english}"


class Catalogue:
    """The rules, and the count of answers that none of them knows."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._unmapped = Counter(
            "cloudspan_unmapped_native_errors",
            "Native errors that the adapter's catalogue has no row for.",
            ("cluster", "service", "status"),
            registry=registry,
        )

    def error(self, asked: RequestInfo, answer: Answer, request_id: str = "", *, final: bool = False) -> CloudspanError:
        """Return the error that `answer`, anything but a success, means.

        Args:
            asked: What was asked; for a job, what the job does.
            answer: What came.
            request_id: The job's uuid, if there is one.
            final: The answer is a job's end: what would say "try later" elsewhere says "it has failed" here.
        """
        chain = error_chain(answer)
        rule, link = _by_chain(chain) if chain else _by_status(answer)
        if not rule.mapped:
            self._unmapped.labels(asked.cluster, asked.service, link.code).inc()
        metadata = asked.metadata() | {
            "native_code": link.code,
            "native_request_id": request_id,
            "http_status": str(answer.status),
        }
        kind, reason = _meaning(rule, link, asked, final=final)
        retry_after = answer.retry_after_s if issubclass(kind, RateLimited | Unreachable) else None
        advice = f"; {ADVICE[reason]}" if reason in ADVICE else ""
        # A cloud may repeat what was sent to it, secrets included.
        why = masked_text(_text_of(chain, link)).rstrip(".") or "no reason given"
        message = f"{asked} was refused with {link.code}: {why}{advice}"
        return kind(message, reason=reason, metadata=metadata, retry_after_s=retry_after)


def error_chain(answer: Answer) -> list[Link]:
    """Return the errors of a business answer, the most specific last; empty for any other answer."""
    if answer.status < 400:
        return []
    try:
        document = msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        return []
    found = document.get("error") if isinstance(document, dict) else None
    return _links(found) if isinstance(found, dict) else []


def refuses_session(answer: Answer) -> bool:
    """Whether a business answer says that the session, or the access key that a login found good, is so no more."""
    chain = error_chain(answer)
    if not chain:
        return False
    rule, _ = _by_chain(chain)
    return rule.pattern == WRONG_KEY or issubclass(rule.error, SessionEnded)


def bad(field: str, text: str, reason: str = "") -> InvalidRequest:
    """Return the error for one bad field of a request."""
    return InvalidRequest(text, reason=reason, violations=[Violation(field, text)])


def _links(error: Mapping[str, Any]) -> list[Link]:
    links: list[Link] = []
    current: Any = error
    while isinstance(current, dict) and len(links) < _MAX_DEPTH:
        code = str(current.get("code") or "")
        if current.get("globalErrorCode") == _SESSION_ENDED:
            code = "ID.1001"
        messages = current.get("messages")
        english = messages.get("message_en") if isinstance(messages, dict) else None
        links.append(Link(code, str(current.get("details") or current.get("description") or ""), str(english or "")))
        several = current.get("causes")
        current = current.get("cause") or (several[0] if isinstance(several, list) and several else None)
    return links


def _by_chain(chain: list[Link]) -> tuple[Rule, Link]:
    for link in reversed(chain):
        rule = next((rule for rule in BUSINESS if rule.matches(link.code, link.words)), None)
        if rule is not None:
            return rule, link
    return UNMAPPED, chain[-1]


def _by_status(answer: Answer) -> tuple[Rule, Link]:
    text = f"it redirects to {answer.redirect}" if answer.redirect else page_words(answer.body)
    link = Link(str(answer.status), text)
    return next((rule for rule in PLAIN if rule.matches(link.code, link.text)), UNMAPPED), link


def _meaning(rule: Rule, link: Link, asked: RequestInfo, *, final: bool) -> tuple[type[CloudspanError], str]:
    kind: type[CloudspanError] = rule.error
    if kind is NotFound and _is_reference(link.text, asked):
        return InvalidRequest, "REFERENCE_NOT_FOUND"
    waits = issubclass(kind, RateLimited | Unreachable | OutcomeUnknown | OutOfTime | PlatformFault)
    if final and waits and not issubclass(kind, LostJob | SessionEnded):
        return GaveUp, rule.reason
    return kind, rule.reason


def _is_reference(text: str, asked: RequestInfo) -> bool:
    """Whether what was not found is something that the request names beside the resource it is about."""
    missing = _UUID.findall(text)
    if missing:
        return not any(uuid in asked.path for uuid in missing)
    return asked.method == "POST"


def _text_of(chain: list[Link], link: Link) -> str:
    """The deciding error's own words, in English where there are such, or those of an error above it that has some."""
    own = link.english or link.text
    text = own or next((above.english or above.text for above in reversed(chain) if above.words.strip()), "")
    return cloud_words(text)
