"""Sends one event to one URL, once."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import ssl
from dataclasses import dataclass
from socket import AF_INET
from typing import TYPE_CHECKING

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.resolver import ThreadedResolver

from cloudspan_common.cloud_events import CONTENT_TYPE, cloud_event
from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.events.webhooks.signature import headers

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence
    from pathlib import Path

    from aiohttp.abc import ResolveResult

    from cloudspan.v1.event_pb2 import Event
    from cloudspan_common.clock import Clock
    from cloudspan_gateway.events.webhooks.addresses import Allowed

TIMEOUT_S = 10.0
AT_ONCE = 16
MOST_RETRY_AFTER_S = 3600.0
_GONE = 410
_LONGEST_ERROR = 200


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it; times in seconds."""

    time: float
    """When it began, Unix."""
    event: str
    status: int = 0
    """Of HTTP; 0 where there was no answer."""
    error: str = ""
    """Why it failed; empty where it did not."""
    took_s: float = 0.0
    retry_after_s: float = 0.0
    """What the receiver asks for."""

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants nothing more, ever."""
        return self.status == _GONE


class CheckedResolver(AbstractResolver):
    """Looks up names for one scheme; one address that is not admitted refuses all of them."""

    def __init__(self, allowed: Allowed, scheme: str) -> None:
        self._allowed = allowed
        self._scheme = scheme
        self._resolver = ThreadedResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = AF_INET) -> list[ResolveResult]:
        """Return where a name leads. Raises OSError where that is nowhere, or nowhere that is admitted."""
        found = await self._resolver.resolve(host, port, family)
        for each in found:
            if not self._allowed.admits(ipaddress.ip_address(each["host"].partition("%")[0]), self._scheme):
                raise OSError(errno.EACCES, "its name leads to an address that is not public; see --webhook-allow")
        return found

    async def close(self) -> None:
        """Let go of it."""
        await self._resolver.close()


class Sender:
    """The connections of one gateway to receivers; at most `AT_ONCE` requests are under way."""

    def __init__(self, allowed: Allowed, clock: Clock, authority: Path | None = None) -> None:
        """Take what may be reached, and a file of authorities instead of the system's."""
        self.allowed = allowed
        self._clock = clock
        self._authority = authority
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    def __repr__(self) -> str:
        return f"<Sender to {self.allowed!r}>"

    async def send(self, url: str, event: Event, secrets: Sequence[bytes]) -> Attempt:
        """Return what came of one POST; whatever goes wrong stands in it."""
        body = cloud_event(event)
        async with self._turns:
            began, began_at = self._clock.monotonic(), self._clock.now()
            signed = headers(event.id, began_at, body, secrets)
            status, error, retry_after_s = await self._answer(url, body, signed)
            return Attempt(began_at, event.id, status, error, self._clock.monotonic() - began, retry_after_s)

    async def _answer(self, url: str, body: bytes, signed: dict[str, str]) -> tuple[int, str, float]:
        sent = {**signed, "content-type": CONTENT_TYPE, "user-agent": "cloudspan-webhooks"}
        try:
            target = self.allowed.checked(url)  # what the operator allows may be less than when it was set
            posting = self._session(target.scheme).post(target, data=body, headers=sent, allow_redirects=False)
            async with posting as answer:
                return answer.status, _why(answer.status), _retry_after(answer)
        except InvalidRequest as error:
            return 0, error.message, 0.0
        except TimeoutError:
            return 0, f"no answer within {TIMEOUT_S:g} s", 0.0
        except (aiohttp.ClientError, OSError, ssl.CertificateError) as error:
            return 0, f"{type(error).__name__}: {error}"[:_LONGEST_ERROR], 0.0

    def _session(self, scheme: str) -> aiohttp.ClientSession:
        found = self._sessions.get(scheme)
        if found is None:
            context = ssl.create_default_context(cafile=str(self._authority)) if self._authority else True
            connector = aiohttp.TCPConnector(
                resolver=CheckedResolver(self.allowed, scheme), use_dns_cache=False, ssl=context, limit=AT_ONCE
            )
            found = self._sessions[scheme] = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return found

    async def close(self) -> None:
        """Close all connections."""
        for session in self._sessions.values():
            await session.close()


def _why(status: int) -> str:
    if 200 <= status < 300:
        return ""
    return f"HTTP {status}" + (": redirects are not followed" if 300 <= status < 400 else "")


def _retry_after(answer: aiohttp.ClientResponse) -> float:
    """Return what Retry-After says in seconds, within bounds; 0 for none, or for a date."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), MOST_RETRY_AFTER_S) if text.isascii() and text.isdigit() and len(text) < 10 else 0.0
