"""CheckCluster: the way to an OpenStack cloud, stage by stage, each with what it found and how long it took.

`cluster.check` calls it. A stage that fails ends the check, since the later ones would only repeat its reason.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from yarl import URL

from cloudspan_common.adapterkit.driver import Stage
from cloudspan_common.errors import CloudspanError, Unreachable
from cloudspan_openstack.catalogue import SERVICES
from cloudspan_openstack.errors import connection_error

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cloudspan_common.adapterkit.driver import Call
    from cloudspan_common.tokens import TokenKeeper
    from cloudspan_openstack.clouds import Cloud
    from cloudspan_openstack.session import Session

# Keystone compares times of tokens in whole seconds, TLS and logs suffer from more.
_TOLERABLE_SKEW_S = 30.0
# Cheap reads that a stock policy grants to every member, one a service.
_PROBES = {
    "compute": "/limits",
    "network": "/networks",
    "volume": "/limits",
    "image": "/images",
}


async def check_cluster(call: Call, cloud: Cloud, session: Session, keeper: TokenKeeper) -> list[Stage]:
    """Return the stages that were tried: dns, connect, tls, login, catalogue, permissions, clock."""
    check = _Check(call, cloud, session, keeper)
    stages: list[Stage] = []
    for name, stage in check.stages():
        began = time.perf_counter()
        ok, message = await _outcome(stage)
        stages.append(Stage(name, ok, message, time.perf_counter() - began))
        if not ok:
            break
    return stages


async def _outcome(stage: Callable[[], Awaitable[str]]) -> tuple[bool, str]:
    try:
        return True, await stage()
    except CloudspanError as error:
        return False, f"{error.reason}: {error.message}"
    except TimeoutError:
        return False, "no answer in the time that the caller gave; does a firewall drop packets?"


class _Check:
    def __init__(self, call: Call, cloud: Cloud, session: Session, keeper: TokenKeeper) -> None:
        self._call = call
        self._cloud = cloud
        self._session = session
        self._keeper = keeper
        self._url = URL(cloud.auth_url)
        self._where = f"{self._url.host}:{self._url.port}"

    def stages(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        tls = [("tls", self._tls)] if self._url.scheme == "https" else []
        return [
            ("dns", self._dns), ("connect", self._connect), *tls, ("login", self._login),
            ("catalogue", self._catalogue), ("permissions", self._permissions), ("clock", self._clock),
        ]  # fmt: skip

    async def _dns(self) -> str:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._left()):
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
        context = self._cloud.tls() if tls else None
        try:
            async with asyncio.timeout(self._left()):
                _, writer = await asyncio.open_connection(self._url.host, self._url.port, ssl=context)
        except OSError as error:
            raise connection_error(error, f"connecting to {self._where}", {}) from error
        told = writer.get_extra_info("ssl_object")
        version = f"{told.version()}, certificate {'trusted' if self._cloud.verify else 'not checked'}" if told else ""
        writer.close()
        return version

    async def _login(self) -> str:
        scope = await self._session.scope(self._call)
        roles = ", ".join(scope.roles) or "none"
        return f"project {scope.project_name or scope.project_id}, roles {roles}"

    async def _catalogue(self) -> str:
        scope = await self._session.scope(self._call)
        missing = [service for service in SERVICES if service not in scope.endpoints]
        if "compute" in missing:
            scope.base("compute")
        versions = [
            f"{s} {await self._session.microversion(self._call, s)}" for s in ("compute", "volume") if s not in missing
        ]
        absent = f"; not there: {', '.join(missing)}" if missing else ""
        return f"{', '.join(sorted(scope.endpoints))}; spoken: {', '.join(versions)}{absent}"

    async def _permissions(self) -> str:
        refused = []
        asked = [service for service in _PROBES if self._session.has(service)]
        for service in asked:
            try:
                params = {"limit": "1"} if service in ("network", "image") else {}
                await self._session.get(self._call, service, _PROBES[service], dict[str, Any], params=params)
            except CloudspanError as error:
                refused.append(f"{service}: {error.reason}: {error.message}")
        if refused:
            raise Unreachable("; ".join(refused), reason="SERVICES_REFUSE")
        return f"{', '.join(asked)} answer"

    async def _clock(self) -> str:
        skew = self._keeper.state().skew_s
        if abs(skew) > _TOLERABLE_SKEW_S:
            text = f"the cloud's clock is {skew:+.0f} s off ours; set both by NTP"
            raise Unreachable(text, reason="CLOCK_SKEW")
        return f"the cloud's clock is {skew:+.1f} s off ours"

    def _left(self) -> float:
        return self._call.deadline.remaining()
