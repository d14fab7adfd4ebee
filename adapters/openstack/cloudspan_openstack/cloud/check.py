"""CheckCluster: the way to an OpenStack cloud, stage by stage, each with what it found and how long it took.

`cluster.check` calls it. A stage that fails ends the check, since the later ones would only repeat its reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import CloudspanError, Unreachable
from cloudspan_kit import Connectivity, check_clock, run_stages
from cloudspan_openstack.cloud.services import SERVICES

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cloudspan_common.tokens import TokenKeeper
    from cloudspan_kit import Call, Stage
    from cloudspan_openstack.cloud.clouds import Cloud
    from cloudspan_openstack.cloud.session import Session

# Cheap reads that a stock policy grants to every member, one a service.
_PROBES = {
    "compute": "/limits",
    "network": "/networks",
    "volume": "/limits",
    "image": "/images",
}


async def check_cluster(call: Call, cloud: Cloud, session: Session, keeper: TokenKeeper) -> list[Stage]:
    """Return the stages that were tried: dns, connect, tls, login, catalogue, permissions, clock."""
    check = _Check(call, session, keeper)
    way = Connectivity(call, cloud.auth_url, cloud.trust, cloud.name)
    return await run_stages([*way.stages(), *check.stages()])


class _Check:
    def __init__(self, call: Call, session: Session, keeper: TokenKeeper) -> None:
        self._call, self._session, self._keeper = call, session, keeper

    def stages(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        return [
            ("login", self._login), ("catalogue", self._catalogue),
            ("permissions", self._permissions), ("clock", self._clock),
        ]  # fmt: skip

    async def _login(self) -> str:
        scope = await self._session.scope(self._call)
        roles = ", ".join(scope.roles) or "none"
        return f"project {scope.project_name or scope.project_id}, roles {roles}"

    async def _catalogue(self) -> str:
        scope = await self._session.scope(self._call)
        missing = [service for service in SERVICES if service not in scope.endpoints]
        if "compute" in missing:
            scope.base("compute")
        versions = [await self._spoken(service) for service in ("compute", "volume") if service not in missing]
        absent = f"; not there: {', '.join(missing)}" if missing else ""
        return f"{', '.join(sorted(scope.endpoints))}; spoken: {', '.join(versions)}{absent}"

    async def _spoken(self, service: str) -> str:
        version = await self._session.microversion(self._call, service)
        return f"{service} {version}{' (no version document)' if self._session.is_silent(service) else ''}"

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
        return check_clock(self._keeper)
