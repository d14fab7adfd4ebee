"""One HTTP exchange with a cloud: connections, TLS, time-outs, and what a broken connection proves.

Only `session` calls it. Each cluster has a connector of its own, so that a cluster that hangs takes no connection
from another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp

from cloudspan_common.errors import InvalidRequest, Unreachable
from cloudspan_openstack.errors import Answer, Asked, NoReplyInTime, connection_error

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from yarl import URL

# Apache closes idle connections after 5 s; a write that meets the closing would have an unknown outcome.
_KEEPALIVE_S = 4.0
_MAX_CONNECTIONS = 64  # the limiters allow fewer for each endpoint
_USER_AGENT = "cloudspan-openstack"


class Wire:
    """The connections of one cluster; opened at the first exchange, inside the running loop."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._http: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def exchange(
        self, asked: Asked, url: URL, headers: Mapping[str, str], body: bytes | None, *, timeout_s: float
    ) -> Answer:
        """Send one request and read its answer, whatever its status; redirects are not followed.

        Raises:
            Unreachable: No connection was made: nothing was sent.
            NoReply: The connection broke after it was made.
            NoReplyInTime: `timeout_s` passed after it was made.
        """
        # Half for the connection: a host that swallows packets then still leaves proof that nothing was sent.
        timeout = aiohttp.ClientTimeout(total=timeout_s, connect=timeout_s / 2)
        try:
            async with self._session().request(
                asked.method, url, headers=headers, data=body, timeout=timeout, allow_redirects=False
            ) as response:
                return Answer(response.status, response.headers, await response.read())
        except aiohttp.InvalidURL as error:
            text = f"{asked}: {url} is no URL; look at the catalogue and the overrides in clouds.yaml"
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

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            connector = aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, ssl=self._tls, keepalive_timeout=_KEEPALIVE_S)
            self._http = aiohttp.ClientSession(
                connector=connector,
                headers={"Accept": "application/json", "User-Agent": _USER_AGENT},
                # Cookies of load balancers would tie all calls to one of their back ends.
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept-Encoding",),  # unpacking a page costs more than a local network saves
            )
        return self._http
