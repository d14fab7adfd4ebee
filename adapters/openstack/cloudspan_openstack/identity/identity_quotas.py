"""A project's quota, merged from Nova, Cinder and Neutron. `identity` calls it.

A service that fails makes the whole read fail: a quota with a part missing in silence would look like no limit.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import quota_pb2
from cloudspan_common.errors import NotFound
from cloudspan_kit import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call
    from cloudspan_openstack.cloud.session import Session

_Q = quota_pb2.Quota
_METRICS: Mapping[str, Mapping[str, _Q.Metric]] = {
    "compute": {
        "instances": _Q.METRIC_SERVERS,
        "cores": _Q.METRIC_VCPUS,
        "ram": _Q.METRIC_MEMORY_MIB,
        "key_pairs": _Q.METRIC_KEY_PAIRS,
        "server_groups": _Q.METRIC_SERVER_GROUPS,
    },
    "volume": {
        "volumes": _Q.METRIC_VOLUMES,
        "gigabytes": _Q.METRIC_VOLUME_BYTES,
        "snapshots": _Q.METRIC_SNAPSHOTS,
        "backups": _Q.METRIC_BACKUPS,
        "backup_gigabytes": _Q.METRIC_BACKUP_BYTES,
    },
    "network": {
        "network": _Q.METRIC_NETWORKS,
        "subnet": _Q.METRIC_SUBNETS,
        "port": _Q.METRIC_PORTS,
        "router": _Q.METRIC_ROUTERS,
        "floatingip": _Q.METRIC_FLOATING_IPS,
        "security_group": _Q.METRIC_SECURITY_GROUPS,
        "security_group_rule": _Q.METRIC_SECURITY_GROUP_RULES,
        "loadbalancer": _Q.METRIC_LOAD_BALANCERS,
        "listener": _Q.METRIC_LISTENERS,
    },
}
_IN_GIB = frozenset(("gigabytes", "backup_gigabytes"))
# Nova before 2.36 repeats its long gone own networking here; Neutron is asked for these.
_NOT_NOVAS = frozenset(("fixed_ips", "floating_ips", "networks", "security_groups", "security_group_rules"))
# Limits for each user or object rather than for the project: the use is told as 0 whatever it is.
_USE_UNTOLD = frozenset(("key_pairs", "metadata_items", "server_group_members", "per_volume_gigabytes"))


async def read_quota(session: Session, call: Call, ref: ClusterRef, project_id: str, name: str) -> quota_pb2.Quota:
    """Return what a project may use and uses.

    Raises:
        Forbidden: It is another project's, and the credentials are a member's.
    """
    readers = {"compute": _compute, "volume": _volume, "network": _network}
    services = [service for service in readers if session.has(service)]
    documents = await asyncio.gather(*(readers[service](session, call, project_id) for service in services))
    quota = quota_pb2.Quota(
        name=ref.resource("quotas", project_id),
        display_name=name,
        project=ref.resource("projects", project_id),
        items=[
            item
            for service, document in zip(services, documents, strict=True)
            for item in _items(service, document)
        ],
    )  # fmt: skip
    if call.full:
        quota.native.update(dict(zip(services, documents, strict=True)))
    return quota


async def _compute(session: Session, call: Call, project_id: str) -> dict[str, Any]:
    path, args = "/os-quota-sets/{id}/detail", {"id": project_id}
    return _part(await session.get(call, "compute", path, dict[str, Any], args=args), "quota_set")


async def _volume(session: Session, call: Call, project_id: str) -> dict[str, Any]:
    path, args, params = "/os-quota-sets/{id}", {"id": project_id}, (("usage", "true"),)
    return _part(await session.get(call, "volume", path, dict[str, Any], args=args, params=params), "quota_set")


async def _network(session: Session, call: Call, project_id: str) -> dict[str, Any]:
    args = {"id": project_id}
    try:
        body = await session.get(call, "network", "/quotas/{id}/details.json", dict[str, Any], args=args)
    except NotFound:  # without the extension quota_details: limits only
        body = await session.get(call, "network", "/quotas/{id}", dict[str, Any], args=args)
    return _part(body, "quota")


def _part(body: dict[str, Any], key: str) -> dict[str, Any]:
    return {word: value for word, value in body.get(key, {}).items() if word != "id"}


def _items(service: str, document: Mapping[str, Any]) -> Iterator[quota_pb2.Quota.Item]:
    words = _METRICS[service]
    for word, told in document.items():
        if service == "compute" and word in _NOT_NOVAS:
            continue
        unit = GIB if word in _IN_GIB else 1
        figures = told if isinstance(told, dict) else {"limit": told}
        limit, used = figures.get("limit"), figures.get("in_use", figures.get("used"))
        reserved = figures.get("reserved")
        if limit is None:
            continue
        known = word not in _USE_UNTOLD
        yield quota_pb2.Quota.Item(
            metric=words.get(word, _Q.METRIC_UNKNOWN),
            native_metric=word,
            limit=-1 if limit < 0 else limit * unit,
            used=used * unit if known and used is not None else None,
            reserved=reserved * unit if known and reserved is not None else None,
        )
