"""Make and delete networks and subnets, each create exactly once.

`network.Network` builds on it. The marker of a create travels in the description, the only field that Neutron
both takes at create and filters by; tags at create are refused. Afterwards the marker becomes a tag beside the
labels, and the description is what the caller wanted: in this order, so that the marker can be found all the time.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cloudspan_common.adapterkit.driver import BY_KEY, Made
from cloudspan_common.adapterkit.options import read_options
from cloudspan_common.adapterkit.values import converted, listed, native_id
from cloudspan_common.errors import (
    AlreadyExists,
    GaveUp,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    Violation,
)
from cloudspan_openstack.network_options import CreateNetworkOptions, CreateSubnetOptions
from cloudspan_openstack.network_rows import NetworkRow, Networks, Ports, Row, SubnetRow, Subnets
from cloudspan_openstack.values import tags_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan.v1 import network_pb2, subnet_pb2
    from cloudspan_common.adapterkit.driver import Call, Operation
    from cloudspan_common.names import ClusterRef
    from cloudspan_openstack.network_rows import NetworkMapper
    from cloudspan_openstack.session import Session

R = TypeVar("R", bound=Row)

_ENDED = ("ACTIVE", "DOWN", "ERROR")
_MAX_TEXT = 255


@dataclass(frozen=True, slots=True)
class _Kind(Generic[R]):
    """How one kind is created, found and deleted."""

    one: str
    many: str
    collection: str
    row: type[R]
    page: Any


_NETWORK = _Kind("network", "networks", "networks", NetworkRow, Networks)
_SUBNET = _Kind("subnet", "subnets", "subnets", SubnetRow, Subnets)


class NetworkChanges:
    """The mutations of networks and subnets of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef, mapper: NetworkMapper) -> None:
        self._session, self._ref, self._mapper = session, ref, mapper

    async def create_network(
        self, op: Operation, request: network_pb2.CreateNetworkRequest
    ) -> network_pb2.Network | None:
        wanted = request.network
        options = read_options(request.options, CreateNetworkOptions)
        tags = tags_of(wanted.labels, "network.labels")
        _check_text(wanted.description, "network.description")
        body: dict[str, object] = {"name": wanted.display_name, **options.body()}
        if wanted.mtu:
            body["mtu"] = wanted.mtu
        made = await op.create(
            "network",
            send=lambda marker: self._create(op.call, _NETWORK, body | {"description": marker}),
            find=lambda marker: self._find(op.call, _NETWORK, marker),
            undo=lambda made_id: self._remove(op.call, _NETWORK, made_id),
        )
        op.touches(self._ref.resource("networks", made.id))
        await self._dress(op, _NETWORK, made.id, tags, wanted.description)
        row = await op.until("active", lambda: self._ended(op.call, made.id), percent=90)
        if row.status == "ERROR":
            raise GaveUp(f"Neutron made network {made.id} and put it into ERROR; ask the cloud's operator")
        return self._mapper.network(row)

    async def delete_network(self, op: Operation, request: network_pb2.DeleteNetworkRequest) -> None:
        await self._delete(op, _NETWORK, request.name, "network_id={id}")

    async def create_subnet(self, op: Operation, request: subnet_pb2.CreateSubnetRequest) -> subnet_pb2.Subnet | None:
        wanted = request.subnet
        options = read_options(request.options, CreateSubnetOptions)
        tags = tags_of(wanted.labels, "subnet.labels")
        _check_text(wanted.description, "subnet.description")
        body = _subnet_body(wanted, self._ref) | options.body()
        made = await op.create(
            "subnet",
            send=lambda marker: self._create_subnet(op.call, body | {"description": marker}),
            find=lambda marker: self._find(op.call, _SUBNET, marker),
            undo=lambda made_id: self._remove(op.call, _SUBNET, made_id),
            # Of 8 equal creates sent at once Neutron carried out one and refused 7 for the overlap.
            safety=BY_KEY,
        )
        op.touches(self._ref.resource("subnets", made.id))
        await self._dress(op, _SUBNET, made.id, tags, wanted.description)
        row = await op.until("readable", lambda: self._get(op.call, _SUBNET, made.id), percent=90)
        return self._mapper.subnet(row)

    async def delete_subnet(self, op: Operation, request: subnet_pb2.DeleteSubnetRequest) -> None:
        await self._delete(op, _SUBNET, request.name, "fixed_ips=subnet_id={id}")

    # ------------------------------------------------------------------ one native call each

    async def _create(self, call: Call, kind: _Kind[R], body: dict[str, object]) -> Made:
        answer = await self._session.send(
            call, "POST", "network", f"/{kind.many}", dict[str, Any], json={kind.one: body}
        )
        return Made(converted(answer.get(kind.one), kind.row).id)

    async def _create_subnet(self, call: Call, body: dict[str, object]) -> Made:
        try:
            return await self._create(call, _SUBNET, body)
        except InvalidRequest as error:
            if "overlaps with another subnet" not in error.message:
                raise
            text = f"{body['cidr']} overlaps another subnet of the network; choose another range: {error.message}"
            raise AlreadyExists(text, reason="RANGE_OVERLAPS", metadata=error.metadata) from error

    async def _find(self, call: Call, kind: _Kind[R], marker: str) -> list[Made]:
        """Return what carries the marker: in the description at first, as a tag once that is restored."""
        scope = await self._session.scope(call)
        found: dict[str, Row] = {}
        for field in ("description", "tags"):
            params = ((field, marker), ("project_id", scope.project_id))
            page = await self._session.get(call, "network", f"/{kind.many}", kind.page, params=params)
            found |= {row.id: row for row in page.rows if row.description == marker or marker in row.tags}
        by_age = sorted(found.values(), key=lambda row: (str(row.created_at), row.id))
        return [Made(row.id) for row in by_age]

    async def _dress(self, op: Operation, kind: _Kind[R], made_id: str, tags: Sequence[str], description: str) -> None:
        """Put labels and marker into tags, then the description right; both may be done twice."""
        marker = op.marker(kind.one)

        async def tag() -> None:
            path, body = f"/{kind.many}/{{id}}/tags", {"tags": [*tags, marker]}
            await self._session.send(
                op.call, "PUT", "network", path, None, args={"id": made_id}, json=body, redo_ok=True
            )

        async def describe() -> None:
            path, body = f"/{kind.many}/{{id}}", {kind.one: {"description": description}}
            await self._session.send(
                op.call, "PUT", "network", path, None, args={"id": made_id}, json=body, redo_ok=True
            )

        await op.act("labels", tag)
        await op.act("description", describe)

    async def _get(self, call: Call, kind: _Kind[R], resource_id: str) -> R:
        path = f"/{kind.many}/{{id}}"
        answer = await self._session.get(call, "network", path, dict[str, Any], args={"id": resource_id})
        return converted(answer.get(kind.one), kind.row)

    async def _ended(self, call: Call, network_id: str) -> NetworkRow | None:
        row = await self._get(call, _NETWORK, network_id)
        return row if row.status in _ENDED else None

    async def _remove(self, call: Call, kind: _Kind[R], resource_id: str) -> None:
        """Delete; done as well when it is gone."""
        path = f"/{kind.many}/{{id}}"
        try:
            await self._session.send(call, "DELETE", "network", path, None, args={"id": resource_id}, redo_ok=True)
        except NotFound:
            return

    async def _delete(self, op: Operation, kind: _Kind[R], name: str, users: str) -> None:
        op.touches(name)
        resource_id = native_id(self._ref, kind.collection, name, "name")

        async def delete() -> None:
            try:
                await self._remove(op.call, kind, resource_id)
            except PreconditionFailed as error:
                raise await self._in_use(op.call, name, users.format(id=resource_id), error) from error

        await op.act("delete", delete)
        await op.until("gone", lambda: self._gone(op.call, kind, resource_id), percent=90)

    async def _gone(self, call: Call, kind: _Kind[R], resource_id: str) -> bool | None:
        try:
            await self._get(call, kind, resource_id)
        except NotFound:
            return True
        return None

    async def _in_use(self, call: Call, name: str, users: str, error: PreconditionFailed) -> PreconditionFailed:
        """Say which ports stand in the way; Neutron names one of them at most."""
        field, _, value = users.partition("=")
        page = await self._session.get(call, "network", "/ports", Ports, params=((field, value),))
        if not page.rows:
            return error  # others' ports, which these credentials do not see
        ports = listed(
            f"{self._ref.resource('ports', port.id)} ({port.device_owner or 'unused'})" for port in page.rows
        )
        text = f"{name} is in use by {len(page.rows)} ports, remove them first: {ports}"
        return PreconditionFailed(text, reason="IN_USE", metadata=error.metadata, resource=name)


def _subnet_body(wanted: subnet_pb2.Subnet, ref: ClusterRef) -> dict[str, object]:
    try:
        cidr = ip_network(wanted.cidr, strict=False)
    except ValueError as error:
        text = f"subnet.cidr is {wanted.cidr!r}, which is no range of addresses ({error}); write it like 10.0.0.0/24"
        raise _bad("subnet.cidr", text) from error
    if wanted.ip_version not in (0, cidr.version):
        raise _bad("subnet.ip_version", f"subnet.ip_version is {wanted.ip_version}, {cidr} is of IPv{cidr.version}")
    if wanted.no_gateway and wanted.gateway_ip:
        raise _bad("subnet.gateway_ip", "subnet.gateway_ip and subnet.no_gateway exclude each other; keep one")
    body: dict[str, object] = {
        "name": wanted.display_name,
        "network_id": native_id(ref, "networks", wanted.network, "subnet.network"),
        "cidr": str(cidr),
        "ip_version": cidr.version,
        "enable_dhcp": not wanted.dhcp_disabled,
    }
    if wanted.no_gateway or wanted.gateway_ip:
        body["gateway_ip"] = wanted.gateway_ip or None
    if wanted.allocation_pools:
        body["allocation_pools"] = [{"start": pool.start, "end": pool.end} for pool in wanted.allocation_pools]
    if wanted.dns_nameservers:
        body["dns_nameservers"] = list(wanted.dns_nameservers)
    return body


def _bad(field: str, text: str) -> InvalidRequest:
    return InvalidRequest(text, violations=[Violation(field, text)])


def _check_text(text: str, field: str) -> None:
    """A description that only fails when it is restored would cost the whole create."""
    if len(text) > _MAX_TEXT:
        raise _bad(field, f"{field} has {len(text)} characters, Neutron keeps {_MAX_TEXT}")
