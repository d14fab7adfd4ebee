"""The identity area: projects, which are accounts, and their quotas.

`cluster` lists it among its areas; the kit calls the functions by their names. An ordinary account sees itself, the
administrator all. The administrator itself has no quota.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import project_pb2, quota_pb2
from cloudspan_kit import ABSENT, MIB, Capability, Page, converted
from cloudspan_zstack.cloud import conditions
from cloudspan_zstack.cloud.labels import read_labels
from cloudspan_zstack.cloud.listings import Listing, list_page, read_one
from cloudspan_zstack.cloud.rows import Row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Call, Query
    from cloudspan_zstack.cloud.session import Session

_ADMIN = "SystemAdmin"
_USAGES = "/accounts/quota/{uuid}/usages"
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


class AccountRow(Row, kw_only=True):
    type: str = ""


class _Usage(msgspec.Struct):
    name: str
    total: int
    used: int | None = None


class _Usages(msgspec.Struct):
    usages: list[_Usage] = []


class Identity:
    """Projects and quotas of one cluster."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_projects": Capability(
            sortable=("display_name",),
            fields={
                "domain": (ABSENT, "accounts are in no domain"),
                "parent_project": (ABSENT, "accounts are not nested"),
            },
        )
    }

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref
        self._projects: Listing[AccountRow, project_pb2.Project] = Listing(
            "/accounts", AccountRow, self._project_messages, sortable={"display_name": "name"},
            pushes={
                "name": conditions.name("uuid", f"{ref}/projects/"), "display_name": conditions.text("name"),
            },
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<Identity {self._ref}>"

    async def get_project(self, call: Call, _request: project_pb2.GetProjectRequest) -> project_pb2.Project:
        return await read_one(self._session, call, self._projects)

    async def list_projects(self, call: Call, query: Query) -> Page[project_pb2.Project]:
        return await list_page(self._session, call, query, self._projects)

    async def get_quota(self, call: Call, _request: quota_pb2.GetQuotaRequest) -> quota_pb2.Quota:
        return await self._quota(call, call.id)

    async def list_quotas(self, call: Call, query: Query) -> Page[quota_pb2.Quota]:
        """List the quota of the cluster's own account; others are read one by one."""
        own = (await self._session.login(call)).account_uuid
        wanted: Sequence[str] = [own] if query.cursor < own else []
        return Page([await self._quota(call, uuid) for uuid in wanted], more=False, position=wanted.__getitem__)

    async def _quota(self, call: Call, account: str) -> quota_pb2.Quota:
        """Return what an account may use and uses; for the administrator nothing is limited.

        Raises:
            NotFound: There is no such account, or this one does not see it.
        """
        row = await self._session.get_one(call, "/accounts/{uuid}", AccountRow, args={"uuid": account})
        quota = quota_pb2.Quota(
            name=self._ref.resource("quotas", account),
            display_name=row.name,
            project=self._ref.resource("projects", account),
        )
        if row.type == _ADMIN:
            return quota
        document = await self._session.read(call, _USAGES, dict[str, Any], args={"uuid": account})
        told = converted(document, _Usages)
        quota.items.extend(_item(usage) for usage in told.usages)
        if call.full:
            quota.native.update(document)
        return quota

    async def _project_messages(self, call: Call, rows: Sequence[AccountRow]) -> list[project_pb2.Project]:
        labels = await read_labels(self._session, call, "AccountVO", [row.uuid for row in rows])
        return [
            project_pb2.Project(
                name=self._ref.resource("projects", row.uuid),
                display_name=row.name,
                labels=labels.get(row.uuid),
                description=row.description,
                enabled=True,
            )
            for row in rows
        ]


def _item(usage: _Usage) -> quota_pb2.Quota.Item:
    unit = MIB if usage.name == "vm.memorySize" else 1
    return quota_pb2.Quota.Item(
        metric=_METRICS.get(usage.name, _Q.METRIC_UNKNOWN),
        limit=usage.total // unit if usage.total >= 0 else -1,
        used=None if usage.used is None else usage.used // unit,
        native_metric=usage.name,
    )
