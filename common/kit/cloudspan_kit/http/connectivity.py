"""The first stages of CheckCluster, which every cloud over HTTP has: the host's name, its port, its certificate.

An adapter's check puts its own stages behind these and runs them all with `run_stages`.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from yarl import URL

from cloudspan_common.errors import CloudspanError, OutOfTime, Unreachable
from cloudspan_kit.cluster import Stage
from cloudspan_kit.http.transport import connection_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from cloudspan_common.tokens import TokenKeeper
    from cloudspan_kit.cluster import Call
    from cloudspan_kit.http.transport import Trust

    Step = tuple[str, Callable[[], Awaitable[str]]]

# Tokens compare whole seconds, TLS and logs suffer from more.
_TOLERABLE_SKEW_S = 30.0


async def run_stages(steps: Iterable[Step]) -> list[Stage]:
    """Return the stages that were tried; one that fails is the last, since later ones would repeat its reason."""
    stages: list[Stage] = []
    for name, step in steps:
        began = time.perf_counter()
        reason, message = await _outcome(step)
        stages.append(Stage(name, not reason, message, time.perf_counter() - began, reason))
        if reason:
            break
    return stages


async def _outcome(step: Callable[[], Awaitable[str]]) -> tuple[str, str]:
    """Return why a stage failed, empty when it did not, and what was found."""
    try:
        return "", await step()
    except CloudspanError as error:
        return error.reason, error.message
    except TimeoutError:
        return OutOfTime.default_reason, "no answer in the time that the caller gave; does a firewall drop packets?"


class Connectivity:
    """The way to one endpoint."""

    def __init__(self, call: Call, endpoint: str, trust: Trust, cloud: str) -> None:
        self._call = call
        self._trust = trust
        self._cloud = cloud
        self._url = URL(endpoint)
        self._where = f"{self._url.host}:{self._url.port}"

    def stages(self) -> list[Step]:
        """Return the stages: dns, connect, and tls where there is one."""
        tls: list[Step] = [("tls", self._tls)] if self._url.scheme == "https" else []
        return [("dns", self._dns), ("connect", self._connect), *tls]

    async def _dns(self) -> str:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._call.deadline.remaining()):
                found = await loop.getaddrinfo(self._url.host, self._url.port)
        except OSError as error:
            raise connection_error(error, self._where, {}) from error
        return f"{self._url.host} is {', '.join(sorted({str(entry[4][0]) for entry in found}))}"

    async def _connect(self) -> str:
        await self._open(tls=False)
        return f"{self._where} accepts connections"

    async def _tls(self) -> str:
        return await self._open(tls=True)

    async def _open(self, *, tls: bool) -> str:
        context = self._trust.context(self._cloud) if tls else None
        try:
            async with asyncio.timeout(self._call.deadline.remaining()):
                _, writer = await asyncio.open_connection(self._url.host, self._url.port, ssl=context)
        except OSError as error:
            raise connection_error(error, f"connecting to {self._where}", {}) from error
        told = writer.get_extra_info("ssl_object")
        checked = "trusted" if self._trust.verify else "not checked"
        writer.close()
        return f"{told.version()}, certificate {checked}" if told else ""


def check_clock(keeper: TokenKeeper) -> str:
    """Return how far the cloud's clock is off ours.

    Raises:
        Unreachable: Further than tokens and logs bear.
    """
    skew = keeper.state().skew_s
    if abs(skew) > _TOLERABLE_SKEW_S:
        raise Unreachable(f"the cloud's clock is {skew:+.0f} s off ours; set both by NTP", reason="CLOCK_SKEW")
    return f"the cloud's clock is {skew:+.1f} s off ours"
