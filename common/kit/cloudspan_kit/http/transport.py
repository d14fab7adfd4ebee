"""One HTTP exchange with a cloud: connections, TLS, time-outs, and what a broken connection proves.

`caller` and the platforms' logins call it. Each cluster has an `HttpTransport` of its own, so that a cluster that hangs
takes no connection from another.
"""

from __future__ import annotations

import functools
import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import structlog
from yarl import URL

from cloudspan_common.errors import InvalidRequest, OutOfTime, PlatformFault, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

log = structlog.get_logger(__name__)

# Servers close idle connections after 5 s and more; a write that meets the closing would have an unknown outcome.
_KEEPALIVE_S = 4.0
_MAX_RETRY_AFTER_S = 86_400
_MAX_DIGITS = 10  # of more, int() may refuse to read them
_MAX_CONNECTIONS = 64  # the limiters allow fewer for each endpoint
# Of answers: 1000 of Nova's servers take 3 MB, with long metadata ten times as much; a change answers one resource.
_MAX_READ_MIB, _MAX_CHANGE_MIB = 64, 4
_MIB = 1 << 20
_FIRST_REDIRECT = 300
_MAX_PLACE = 200

REDIRECTS = (301, 302, 303, 307, 308)
"""Statuses whose Location says where else to ask; 300 comes with a service's list of versions."""


class NoReply(Unreachable):
    """A request was sent, wholly or in part, and no answer came: a read may be sent again, a write may not."""

    default_reason = "NO_REPLY"


class NoReplyInTime(OutOfTime):
    """A request was sent and the caller's deadline ended before the answer: the same as NoReply for a write."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
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


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def retry_after_s(self) -> float | None:
        """What Retry-After says, a day at most; None if it says nothing that can be read."""
        text = self.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdecimal():
            return float(min(int(text[:_MAX_DIGITS]), _MAX_RETRY_AFTER_S))
        try:
            later = _utc(text)
            now = _utc(self.headers["Date"]) if "Date" in self.headers else datetime.now(UTC)
        except (ValueError, TypeError, OverflowError):
            return None
        return min(max(0.0, (later - now).total_seconds()), _MAX_RETRY_AFTER_S)

    @property
    def redirect(self) -> str:
        """Where the answer redirects to, for people; empty where it does not.

        Without user and query: those of login pages hold what is secret.
        """
        if self.status not in REDIRECTS:
            return ""
        try:
            url = URL(self.headers.get("Location", ""))
            place = str(url.with_user(None) if url.host else url).partition("?")[0]
        except ValueError:
            place = ""
        return "".join(c for c in place[:_MAX_PLACE] if c.isprintable()) or "nowhere that can be read"

    @property
    def kind(self) -> str:
        """The content type without its parameters."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip()


def _utc(text: str) -> datetime:
    """Return the time of an HTTP date; one of the zone -0000, which says nothing, is UTC (RFC 9110, section 5.6.7)."""
    time = parsedate_to_datetime(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Trust:
    """How a cloud's TLS certificate is checked, and how we show who we are."""

    verify: bool | str = True
    """Whether to check certificates, or the CA file to check them by."""
    client_certificate: tuple[str, str] | str | None = None
    """The file of certificate and key, or both files."""

    def files(self) -> list[Path]:
        """Return the files that it names."""
        pair = self.client_certificate or ()
        named = [self.verify if isinstance(self.verify, str) else "", *((pair,) if isinstance(pair, str) else pair)]
        return [Path(name) for name in named if name]

    def context(self, cloud: str) -> ssl.SSLContext:
        """Return the TLS settings for connections to `cloud`.

        Raises:
            InvalidRequest: A file is missing or holds no certificate.
        """
        if self.verify is True and self.client_certificate is None:
            return _by_the_systems_authorities()
        try:
            if self.verify is False:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            else:
                context = ssl.create_default_context(cafile=None if self.verify is True else self.verify)
            if self.client_certificate is not None:
                pair = self.client_certificate
                context.load_cert_chain(*(pair if isinstance(pair, tuple) else (pair,)))
        except OSError as error:
            text = f"cloud {cloud}: its CA, certificate or key file can't be read: {error}"
            raise InvalidRequest(text, reason="BAD_TLS_FILE") from error
        return context


@functools.cache
def _by_the_systems_authorities() -> ssl.SSLContext:
    """Return the one for all clusters without TLS files of their own: to read the authorities takes some 30 ms."""
    return ssl.create_default_context()


class HttpTransport:
    """The connections of one cluster; opened at the first exchange, inside the running loop."""

    def __init__(self, tls: ssl.SSLContext, user_agent: str) -> None:
        self._tls = tls
        self._user_agent = user_agent
        self._http: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<HttpTransport of {self._user_agent}: {'open' if self._http else 'not opened'}>"

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def exchange(
        self, asked: RequestInfo, url: URL, headers: Mapping[str, str], body: bytes | None, *, timeout_s: float
    ) -> Answer:
        """Send one request and read its answer, whatever its status; redirects are not followed.

        Raises:
            Unreachable: No connection was made: nothing was sent.
            NoReply: The connection broke after it was made.
            NoReplyInTime: `timeout_s` passed after it was made.
            PlatformFault: A success with an encoding that was not asked for (NOT_JSON), or with more than 64 MiB, of
                other methods than GET 4 MiB (ANSWER_TOO_LARGE). Other statuses say enough without such a body.
        """
        # Half for the connection: a host that swallows packets then still leaves proof that nothing was sent.
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=timeout_s / 2)
        try:
            return await self._exchange(asked, url, headers, body, timeout)
        except aiohttp.InvalidURL as error:
            text = f"{asked}: {url} is not a URL; check the cluster's endpoints"
            raise InvalidRequest(text, reason="BAD_ENDPOINT", metadata=asked.metadata()) from error
        except aiohttp.ConnectionTimeoutError as error:
            text = f"{asked}: no connection in {timeout_s / 2:.1f} s; is the host up, does a firewall drop packets?"
            raise Unreachable(text, reason="NO_CONNECTION", metadata=asked.metadata()) from error
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError) as error:
            raise connection_error(error, asked, asked.metadata()) from error
        except TimeoutError as error:
            text = f"{asked}: no answer in the {timeout_s:.1f} s that the caller had left"
            raise NoReplyInTime(text, metadata=asked.metadata()) from error
        except aiohttp.ClientError as error:
            raise connection_error(error, asked, asked.metadata(), sent=True) from error

    async def _exchange(
        self, asked: RequestInfo, url: URL, headers: Mapping[str, str], body: bytes | None, limit: aiohttp.ClientTimeout
    ) -> Answer:
        while True:
            try:
                async with self._session().request(
                    asked.method, url, headers=headers, data=body, timeout=limit, allow_redirects=False
                ) as response:
                    return Answer(response.status, response.headers, await _body(asked, response))
            except _Unasked:
                log.warning("connection dropped, it held an answer that nobody asked for", url=str(url.origin()))

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            connector = aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, ssl=self._tls, keepalive_timeout=_KEEPALIVE_S)
            self._http = aiohttp.ClientSession(
                connector=connector,
                request_class=_Request,
                headers={"Accept": "application/json", "User-Agent": self._user_agent},
                # Cookies of load balancers would tie all calls to one of their back ends.
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept-Encoding",),  # unpacking a page costs more than a local network saves
                auto_decompress=False,
            )
        return self._http


async def _body(asked: RequestInfo, response: aiohttp.ClientResponse) -> bytes:
    """Read the body, as much as an answer may have."""
    why = reason = ""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    most_mib = _MAX_READ_MIB if asked.method == "GET" else _MAX_CHANGE_MIB
    parts: list[bytes] = []
    if encoding not in ("", "identity"):
        why, reason = f"encoding {encoding[:40]!r}, which was not asked for; a proxy's doing?", "NOT_JSON"
    size = 0
    while not why and (part := await response.content.readany()):
        parts.append(part)
        size += len(part)
        if size > most_mib * _MIB:
            why, reason = f"more than {most_mib} MiB; ask for smaller pages, or see what it holds", "ANSWER_TOO_LARGE"
    if not why:
        return b"".join(parts)
    response.close()
    if response.status >= _FIRST_REDIRECT:
        return b""
    metadata = asked.metadata() | {"http_status": str(response.status)}
    raise PlatformFault(f"{asked} answered {response.status} with {why}", reason=reason, metadata=metadata)


class _Unasked(Exception):
    """A kept connection has bytes to read before anything was asked on it; nothing was sent."""


class _Request(aiohttp.ClientRequest):
    async def send(self, conn: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
        # aiohttp looks before it keeps a connection, not before it takes it again: an answer that came twice would be
        # taken for this request's.
        if conn.protocol is not None and conn.protocol.should_close:
            raise _Unasked
        return await super().send(conn)


def connection_error(
    native: BaseException, asked: object, metadata: Mapping[str, str], *, sent: bool = False
) -> Unreachable:
    """Return the error for a connection that failed, by its innermost cause: DNS, TLS, refused, reset."""
    causes = list(_causes(native))
    text = " ".join(str(native).split())[:300]
    certificate = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError)), None)
    if certificate is not None or "CERTIFICATE_VERIFY_FAILED" in text:
        why = certificate.verify_message if certificate else text
        message = f"{asked}: the certificate is not trusted ({why}); set cacert in the clouds file to the cloud's CA"
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
    told = text or type(native).__name__
    if sent:
        return NoReply(f"{asked}: the connection broke before the answer ({told})", metadata=metadata)
    return Unreachable(f"{asked}: no connection ({told})", reason="NO_CONNECTION", metadata=metadata)


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
