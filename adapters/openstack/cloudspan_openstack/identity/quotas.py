"""Quotas: a project's, merged from Nova, Cinder and Neutron, as far as the cloud has them.

A service that fails makes the whole read fail: a quota with a part missing in silence would look like no limit.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Never

import msgspec

from cloudspan.v1 import quota_pb2
from cloudspan_common.errors import Forbidden, NotFound
from cloudspan_kit import GIB, Kind, KindDriver, RowPage, Rows, Source, read_rows
from cloudspan_kit.drivers import QuotaDriver
from cloudspan_openstack.cloud.keystone import other_project
from cloudspan_openstack.cloud.source import session_of
from cloudspan_openstack.identity.projects import PROJECTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

    from cloudspan_kit import Call, Query
    from cloudspan_openstack.cloud.source import AnyKind

Quota = quota_pb2.Quota
_METRICS: Mapping[str, Mapping[str, Quota.Metric]] = {
    "compute": {
        "instances": Quota.METRIC_SERVERS,
        "cores": Quota.METRIC_VCPUS,
        "ram": Quota.METRIC_MEMORY_MIB,
        "key_pairs": Quota.METRIC_KEY_PAIRS,
        "server_groups": Quota.METRIC_SERVER_GROUPS,
    },
    "volume": {
        "volumes": Quota.METRIC_VOLUMES,
        "gigabytes": Quota.METRIC_VOLUME_BYTES,
        "snapshots": Quota.METRIC_SNAPSHOTS,
        "backups": Quota.METRIC_BACKUPS,
        "backup_gigabytes": Quota.METRIC_BACKUP_BYTES,
    },
    "network": {
        "network": Quota.METRIC_NETWORKS,
        "subnet": Quota.METRIC_SUBNETS,
        "port": Quota.METRIC_PORTS,
        "router": Quota.METRIC_ROUTERS,
        "floatingip": Quota.METRIC_FLOATING_IPS,
        "security_group": Quota.METRIC_SECURITY_GROUPS,
        "security_group_rule": Quota.METRIC_SECURITY_GROUP_RULES,
        "loadbalancer": Quota.METRIC_LOAD_BALANCERS,
        "listener": Quota.METRIC_LISTENERS,
    },
}
_IN_GIB = frozenset(("gigabytes", "backup_gigabytes"))
# Nova before 2.36 repeats its long gone own networking here; Neutron is asked for these.
_NOT_NOVAS = frozenset(("fixed_ips", "floating_ips", "networks", "security_groups", "security_group_rules"))
# Limits for each user or object rather than for the project: the use is told as 0 whatever it is.
_USE_UNTOLD = frozenset(("key_pairs", "metadata_items", "server_group_members", "per_volume_gigabytes"))


class FiguresRow(msgspec.Struct):
    """What may be used of one thing, and is."""

    limit: int | None = None
    in_use: int | None = None
    used: int | None = None
    """The same as `in_use`, in Neutron's words."""
    reserved: int | None = None


Figures = dict[str, FiguresRow]


class QuotaRow(msgspec.Struct, kw_only=True):
    """What the services say of one project."""

    id: str
    name: str | None = None
    compute: Figures = msgspec.field(default_factory=dict)
    volume: Figures = msgspec.field(default_factory=dict)
    network: Figures = msgspec.field(default_factory=dict)


class _Merged(Source[Never]):
    """Quotas of all services, by project: the credentials' own is listed, others are read one by one."""

    def id_of(self, row: Any) -> str:
        return str(row.id)

    async def one(self, call: Call, kind: AnyKind[Any, Any], native_id: str) -> Rows[Any]:
        project = await PROJECTS.source.row(call, PROJECTS, native_id)
        try:
            return await _read(call, native_id, project.name or "")
        except Forbidden as error:
            raise await other_project(call, native_id, error) from error

    async def page(self, call: Call, kind: AnyKind[Any, Any], query: Query) -> RowPage[Any]:
        login = await session_of(call).scope(call)
        is_behind = query.cursor < login.project_id
        found = await _read(call, login.project_id, login.project_name) if is_behind else Rows[QuotaRow]([])
        return RowPage(found, more=False, position=lambda _: login.project_id)

    async def sweep(self, call: Call, kind: AnyKind[Any, Any]) -> AsyncIterator[Sequence[Any]]:
        login = await session_of(call).scope(call)
        yield (await _read(call, login.project_id, login.project_name)).rows


QUOTAS = Kind(collection="quotas", message=Quota, row=QuotaRow, source=_Merged())


class Quotas(KindDriver[QuotaRow, Quota], QuotaDriver):
    """QuotaService."""

    kind = QUOTAS

    def message(self, row: QuotaRow) -> Quota:
        return Quota(
            name=self._ref.resource("quotas", row.id),
            display_name=row.name,
            project=self._ref.resource("projects", row.id),
            items=[
                item
                for service, figures in (("compute", row.compute), ("volume", row.volume), ("network", row.network))
                for item in _items(service, figures)
            ],
        )


def _items(service: str, told: Figures) -> Iterator[Quota.Item]:
    words = _METRICS[service]
    for word, figures in told.items():
        limit = figures.limit
        if limit is None or (service == "compute" and word in _NOT_NOVAS):
            continue
        unit = GIB if word in _IN_GIB else 1
        used, known = figures.used if figures.in_use is None else figures.in_use, word not in _USE_UNTOLD
        yield Quota.Item(
            metric=words.get(word, Quota.METRIC_UNKNOWN),
            native_metric=word,
            limit=-1 if limit < 0 else limit * unit,
            used=used * unit if known and used is not None else None,
            reserved=figures.reserved * unit if known and figures.reserved is not None else None,
        )


async def _read(call: Call, project_id: str, name: str) -> Rows[QuotaRow]:
    """Return what a project may use and uses.

    Raises:
        Forbidden: It is another project's, and the credentials are a member's.
    """
    readers = {"compute": _compute, "volume": _volume, "network": _network}
    services = [service for service in readers if session_of(call).has(service)]
    parts = await asyncio.gather(*(readers[service](call, project_id) for service in services))
    told = dict(zip(services, parts, strict=True))
    document = {"id": project_id, "name": name, **{service: _figures(part) for service, part in told.items()}}
    found = read_rows([document], QuotaRow, "id")
    return replace(found, documents=[told] if call.full and found.rows else [])


def _figures(part: Mapping[str, Any]) -> dict[str, Any]:
    return {word: told if isinstance(told, dict) else {"limit": told} for word, told in part.items()}


async def _compute(call: Call, project_id: str) -> dict[str, Any]:
    path, args = "/os-quota-sets/{id}/detail", {"id": project_id}
    return _part(await session_of(call).get(call, "compute", path, dict[str, Any], args=args), "quota_set")


async def _volume(call: Call, project_id: str) -> dict[str, Any]:
    path, args, params = "/os-quota-sets/{id}", {"id": project_id}, (("usage", "true"),)
    answer = await session_of(call).get(call, "volume", path, dict[str, Any], args=args, params=params)
    return _part(answer, "quota_set")


async def _network(call: Call, project_id: str) -> dict[str, Any]:
    session, args = session_of(call), {"id": project_id}
    try:
        body = await session.get(call, "network", "/quotas/{id}/details.json", dict[str, Any], args=args)
    except NotFound:  # without the extension quota_details: limits only
        body = await session.get(call, "network", "/quotas/{id}", dict[str, Any], args=args)
    return _part(body, "quota")


def _part(body: dict[str, Any], key: str) -> dict[str, Any]:
    return {word: value for word, value in body.get(key, {}).items() if word != "id"}
