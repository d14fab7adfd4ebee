"""Quotas: what accounts may use and use. A list has that of the cluster's own account; others are read one by one.

The administrator has none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cloudspan.v1 import quota_pb2
from cloudspan_kit import MIB, Call, Kind, KindDriver, Query, RowPage, Rows, read_rows
from cloudspan_kit.drivers import QuotaDriver
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import AnyKind, M, R, ZStackSource, session_of
from cloudspan_zstack.identity.projects import AccountRow

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

_ADMIN = "SystemAdmin"
_Q = quota_pb2.Quota
# `vm.num` counts running servers only, `vip.num` addresses that floating IPs share with others: they have no word here.
_METRICS = {
    "vm.totalNum": _Q.METRIC_SERVERS,
    "vm.cpuNum": _Q.METRIC_VCPUS,
    "vm.memorySize": _Q.METRIC_MEMORY_MIB,
    "volume.data.num": _Q.METRIC_VOLUMES,
    "volume.capacity": _Q.METRIC_VOLUME_BYTES,
    "snapshot.volume.num": _Q.METRIC_SNAPSHOTS,
    "image.num": _Q.METRIC_IMAGES,
    "image.size": _Q.METRIC_IMAGE_BYTES,
    "l3.num": _Q.METRIC_NETWORKS,
    "eip.num": _Q.METRIC_FLOATING_IPS,
    "securityGroup.num": _Q.METRIC_SECURITY_GROUPS,
    "ssh_key_pair.num": _Q.METRIC_KEY_PAIRS,
    "loadBalancer.num": _Q.METRIC_LOAD_BALANCERS,
    "listener.num": _Q.METRIC_LISTENERS,
}


class Usage(msgspec.Struct, frozen=True):
    """One limit of an account, and what is used of it."""

    name: str = ""
    total: int | None = None
    used: int | None = None


class QuotaRow(Row, kw_only=True):
    """An account with its limits."""

    usages: list[Usage] = msgspec.field(default_factory=list)


class _Usages(ZStackSource):
    """The limits of accounts: two calls for each, so a list has the cluster's own account only."""

    async def one(self, call: Call, kind: AnyKind[R, M], native_id: str) -> Rows[R]:
        session, args = session_of(call), {"uuid": native_id}
        account = await session.get_one(call, "/accounts/{uuid}", AccountRow, args=args)
        row: Any = QuotaRow(uuid=account.uuid, name=account.name)
        if account.type == _ADMIN:
            return Rows([row])
        document = await session.read(call, "/accounts/quota/{uuid}/usages", dict[str, Any], args=args)
        usages = document.get("usages")
        found = read_rows(usages if isinstance(usages, list) else [], Usage, "name")
        row.usages = list(found.rows)
        return Rows([row], [document] if call.full else (), found.unread)

    async def page(self, call: Call, kind: AnyKind[R, M], query: Query) -> RowPage[R]:
        own = await _listed(call)
        rows: Rows[R] = await self.one(call, kind, own) if query.cursor < own else Rows([])
        return RowPage(rows, more=False, position=lambda _index: own)

    async def sweep(self, call: Call, kind: AnyKind[R, M]) -> AsyncIterator[Sequence[R]]:
        yield (await self.one(call, kind, await _listed(call))).rows


async def _listed(call: Call) -> str:
    """Return the uuid of the account whose quota is listed: the caller's if it has one alone, else the credentials'."""
    return call.caller.project or (await session_of(call).login(call)).account_uuid


QUOTAS = Kind(collection="quotas", message=quota_pb2.Quota, row=QuotaRow, source=_Usages("/accounts/quota"))


class Quotas(KindDriver[QuotaRow, quota_pb2.Quota], QuotaDriver):
    """QuotaService."""

    kind = QUOTAS

    def message(self, row: QuotaRow) -> quota_pb2.Quota:
        return quota_pb2.Quota(
            name=self._ref.resource("quotas", row.uuid),
            display_name=row.name,
            project=self._ref.resource("projects", row.uuid),
            items=[_item(usage, usage.total) for usage in row.usages if usage.total is not None],
        )


def _item(usage: Usage, total: int) -> quota_pb2.Quota.Item:
    unit = MIB if usage.name == "vm.memorySize" else 1
    return _Q.Item(
        metric=_METRICS.get(usage.name, _Q.METRIC_UNKNOWN),
        limit=total // unit if total >= 0 else -1,
        used=None if usage.used is None else usage.used // unit,
        native_metric=usage.name,
    )
