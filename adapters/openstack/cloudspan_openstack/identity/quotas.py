"""Quotas: a project's, merged from Nova, Cinder and Neutron, as far as the cloud has them.

A service that fails makes the whole read fail: a quota with a part missing in silence would look like no limit. A
service that refuses to tell what is used is asked for the limits alone; a list also does without one that refuses both.
What is missing then, and why, is told in the list's `cluster_status`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
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
# Where each service tells a project's quota: the answer's key, and the paths, limits with use first.
_FORMS: Mapping[str, tuple[str, Sequence[tuple[str, Sequence[tuple[str, str]]]]]] = {
    "compute": ("quota_set", (("/os-quota-sets/{id}/detail", ()), ("/os-quota-sets/{id}", ()))),
    "volume": ("quota_set", (("/os-quota-sets/{id}", (("usage", "true"),)), ("/os-quota-sets/{id}", ()))),
    # Details are an extension, which a Neutron may lack.
    "network": ("quota", (("/quotas/{id}/details.json", ()), ("/quotas/{id}", ()))),
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
    """Quotas of all services, by project: the credentials' own, or the caller's, is listed; others are read singly."""

    def id_of(self, row: Any) -> str:
        return str(row.id)

    async def one(self, call: Call, kind: AnyKind[Any, Any], native_id: str) -> Rows[Any]:
        login = await session_of(call).scope(call)
        if native_id == login.project_id:
            return (await _read(call, native_id, login.project_name)).whole()
        project = await PROJECTS.source.row(call, PROJECTS, native_id)
        try:
            return (await _read(call, native_id, project.name or "")).whole()
        except Forbidden as error:
            raise await other_project(call, native_id, error) from error

    async def page(self, call: Call, kind: AnyKind[Any, Any], query: Query) -> RowPage[Any]:
        listed, name = await _listed(call)
        if query.cursor >= listed:
            return RowPage(Rows([]), more=False, position=lambda _: listed)
        found = await _read(call, listed, name)
        partial = "; ".join(found.lacking)
        return RowPage(found.rows, more=False, position=lambda _: listed, partial=partial)

    async def sweep(self, call: Call, kind: AnyKind[Any, Any]) -> AsyncIterator[Sequence[Any]]:
        yield (await _read(call, *await _listed(call))).rows.rows


async def _listed(call: Call) -> tuple[str, str]:
    """Return id and name of the project whose quota is listed."""
    login = await session_of(call).scope(call)
    if call.caller.project in ("", login.project_id):
        return login.project_id, login.project_name
    return call.caller.project, (await PROJECTS.source.row(call, PROJECTS, call.caller.project)).name or ""


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


@dataclass(frozen=True, slots=True)
class _Read:
    """What the services tell of one project."""

    rows: Rows[QuotaRow]
    lacking: Sequence[str]
    """What they refuse to tell, and why."""
    refused: Forbidden | NotFound | None
    """The refusal of a service that tells nothing."""

    def whole(self) -> Rows[QuotaRow]:
        """Return the rows where every service tells its limits; raise the refusal of one that doesn't."""
        if self.refused is not None:
            raise self.refused
        return self.rows


async def _read(call: Call, project_id: str, name: str) -> _Read:
    """Return what a project may use and uses.

    Raises:
        Forbidden: No service tells anything: it is another project's, and the credentials are a member's.
        CloudspanError: A service does not answer.
    """
    services = [service for service in _FORMS if session_of(call).has(service)]
    answers = await asyncio.gather(*(_ask(call, service, project_id) for service in services))
    refused = [answer.refused for answer in answers if answer.figures is None and answer.refused]
    if refused and len(refused) == len(answers):
        raise refused[0]
    told = {
        service: answer.figures for service, answer in zip(services, answers, strict=True) if answer.figures is not None
    }
    document = {"id": project_id, "name": name, **{service: _figures(part) for service, part in told.items()}}
    found = read_rows([document], QuotaRow, "id")
    rows = replace(found, documents=[told] if call.full and found.rows else [])
    lacking = [
        f"{service} does not tell {'what is used' if answer.figures is not None else 'its limits'}: "
        f"{answer.refused.message}"
        for service, answer in zip(services, answers, strict=True)
        if answer.refused
    ]
    return _Read(rows, lacking, refused[0] if refused else None)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one service tells; none where it refuses, and the first refusal."""

    figures: dict[str, Any] | None
    refused: Forbidden | NotFound | None = None


async def _ask(call: Call, service: str, project_id: str) -> _Answer:
    """Ask a service for limits and use, else for limits alone: clouds may keep the use to their operators."""
    refused: Forbidden | NotFound | None = None
    key, forms = _FORMS[service]
    for path, params in forms:
        try:
            body = await session_of(call).get(
                call, service, path, dict[str, Any], args={"id": project_id}, params=params
            )
        except (Forbidden, NotFound) as error:
            refused = refused or error
        else:
            return _Answer(_part(body, key), refused)
    return _Answer(None, refused)


def _figures(part: Mapping[str, Any]) -> dict[str, Any]:
    return {word: told if isinstance(told, dict) else {"limit": told} for word, told in part.items()}


def _part(body: dict[str, Any], key: str) -> dict[str, Any]:
    return {word: value for word, value in body.get(key, {}).items() if word != "id"}
