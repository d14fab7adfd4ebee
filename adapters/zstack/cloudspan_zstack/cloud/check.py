"""CheckCluster: the way to a ZStack installation, stage by stage. `cluster.check` calls it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_common.errors import CloudspanError, Unreachable
from cloudspan_kit import Connectivity, check_clock, run_stages
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from cloudspan_common.tokens import TokenKeeper
    from cloudspan_kit import Call, Stage
    from cloudspan_zstack.cloud.clouds import Cloud
    from cloudspan_zstack.cloud.session import Session

# Cheap reads, one a kind of resource.
_PROBES = ("/vm-instances", "/volumes", "/images", "/l3-networks", "/zones")


async def check_cluster(call: Call, cloud: Cloud, session: Session, keeper: TokenKeeper) -> list[Stage]:
    """Return the stages that were tried: dns, connect, tls, login, permissions, clock."""
    check = _Check(call, cloud, session, keeper)
    way = Connectivity(call, cloud.endpoint, cloud.trust, cloud.name)
    own = [("login", check.login), ("permissions", check.permissions), ("clock", check.clock)]
    return await run_stages([*way.stages(), *own])


class _Check:
    def __init__(self, call: Call, cloud: Cloud, session: Session, keeper: TokenKeeper) -> None:
        self._call, self._cloud, self._session, self._keeper = call, cloud, session, keeper

    async def login(self) -> str:
        login = await self._session.login(self._call)
        role = "administrator" if login.is_admin else "no administrator"
        name = login.account_name or login.account_uuid
        return f"{self._cloud.who}: account {name}, {role}; ZStack {login.version or 'of an unknown version'}"

    async def permissions(self) -> str:
        refused, seen = [], []
        for template in _PROBES:
            try:
                found = await self._session.query(self._call, template, Row, limit=1, count=True)
                seen.append(f"{found.total} of {template}")
            except CloudspanError as error:
                refused.append(f"{template}: {error.reason}: {error.message}")
        if refused:
            raise Unreachable("; ".join(refused), reason="SERVICES_REFUSE")
        return f"{', '.join(seen)} are seen"

    async def clock(self) -> str:
        return f"{check_clock(self._keeper)}; it writes its dates in {self._session.zone.zone}"
