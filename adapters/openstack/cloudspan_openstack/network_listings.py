"""What Neutron's collections are: rows, order, filters that it does right, and the parts an administrator sees.

`network` lists and gets through these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cloudspan_openstack import pushdown
from cloudspan_openstack.marker_pages import Listing, Params, Scope
from cloudspan_openstack.network_rows import (
    FloatingIpRow,
    FloatingIps,
    NetworkMapper,
    NetworkRow,
    Networks,
    PortRow,
    Ports,
    Row,
    RouterRow,
    Routers,
    SecurityGroupRow,
    SecurityGroups,
    SubnetRow,
    Subnets,
)

if TYPE_CHECKING:
    from cloudspan_common.adapterkit.driver import Query
    from cloudspan_common.names import ClusterRef
    from cloudspan_openstack.catalogue import Scope as Login

R = TypeVar("R", bound=Row)
M = TypeVar("M")

# Neutron sorts by few attributes: created_at and description are refused with 400.
SORTABLE: Mapping[str, Mapping[str, str]] = {
    "networks": {"display_name": "name", "native_state": "status", "mtu": "mtu"},
    "subnets": {"display_name": "name", "cidr": "cidr", "network": "network_id"},
    "ports": {"display_name": "name", "native_state": "status", "mac_address": "mac_address"},
    "security_groups": {"display_name": "name"},
    "floatingips": {"ip_address": "floating_ip_address", "native_state": "status"},
    "routers": {"display_name": "name", "native_state": "status"},
}
# BUILD is CREATING and nothing else; ACTIVE rows may be DOWN for us (switched off by their owner), never the reverse.
_STATES = {"ACTIVE": "ACTIVE", "CREATING": "BUILD", "ERROR": "ERROR"}


@dataclass(frozen=True, slots=True)
class Kind(Generic[R, M]):
    """One collection, how to read one of it, and what may be pushed down."""

    listing: Listing[R, Any]
    row: type[R]
    one: str
    pushes: Mapping[str, pushdown.Push]


@dataclass(frozen=True, slots=True)
class Kinds:
    """All collections of one cluster's Neutron."""

    networks: Kind[NetworkRow, Any]
    subnets: Kind[SubnetRow, Any]
    ports: Kind[PortRow, Any]
    security_groups: Kind[SecurityGroupRow, Any]
    floating_ips: Kind[FloatingIpRow, Any]
    routers: Kind[RouterRow, Any]

    @classmethod
    def of(cls, ref: ClusterRef, mapper: NetworkMapper) -> Kinds:
        """Return them for one cluster."""
        state, flag, pushes = pushdown.word("status", _STATES), pushdown.FLAGS, _Pushes(ref)
        fields = pushes.named
        named = {**fields("network", "networks"), "display_name": pushdown.text("name")}
        network = {
            **pushes.common("networks"),
            "state": state,
            "native_state": pushdown.text("status"),
            "external": pushdown.word("router:external", flag),
        }
        subnet = {**pushes.common("subnets"), **named, "cidr": pushdown.text("cidr")}
        port = {
            **pushes.common("ports"),
            **named,
            **fields("server", "servers", "device_id"),
            "state": state,
            "native_state": pushdown.text("status"),
            "device_id": pushdown.text("device_id"),
            "device_owner": pushdown.text("device_owner"),
            "mac_address": pushdown.text("mac_address"),
        }
        address = {
            "name": pushdown.name("id", f"{ref}/floatingIps/"),
            "ip_address": pushdown.text("floating_ip_address"),
            "display_name": pushdown.text("floating_ip_address"),
            "native_state": pushdown.text("status"),
            **fields("port", "ports"),
            **fields("router", "routers"),
            **fields("external_network", "networks", "floating_network_id"),
        }
        # Routers answer 400 to a filter by status, unlike all the others.
        return cls(
            networks=_kind("network", "networks", Networks, NetworkRow, mapper.network, network),
            subnets=_kind("subnet", "subnets", Subnets, SubnetRow, mapper.subnet, subnet),
            ports=_kind("port", "ports", Ports, PortRow, mapper.port, port),
            security_groups=_kind(
                "security_group", "security_groups", SecurityGroups, SecurityGroupRow, mapper.security_group,
                pushes.common("securityGroups"),
            ),
            floating_ips=_kind("floatingip", "floatingips", FloatingIps, FloatingIpRow, mapper.floating_ip, address),
            routers=_kind("router", "routers", Routers, RouterRow, mapper.router, pushes.common("routers")),
        )  # fmt: skip


class _Pushes:
    """Pushes of one cluster's names."""

    def __init__(self, ref: ClusterRef) -> None:
        self._ref = ref

    def named(self, field: str, collection: str, native: str = "") -> dict[str, pushdown.Push]:
        return {field: pushdown.name(native or f"{field}_id", f"{self._ref}/{collection}/")}

    def common(self, collection: str) -> dict[str, pushdown.Push]:
        return {**self.named("name", collection, "id"), "display_name": pushdown.text("name")}


def _kind(one: str, key: str, page: type[Any], row: type[R], message: Any, pushes: Mapping[str, Any]) -> Kind[R, Any]:
    sortable = SORTABLE[key]

    def sort(order_by: Sequence[tuple[str, bool]]) -> Params:
        chosen = [(sortable[field], "desc" if descending else "asc") for field, descending in order_by]
        # By id unless told otherwise: the order that a listing can be taken up again in.
        return tuple(
            param
            for native, direction in chosen or [("id", "asc")]
            for param in (("sort_key", native), ("sort_dir", direction))
        )

    listing: Listing[R, Any] = Listing(
        service="network",
        path="/" + key.replace("_", "-"),
        key=key,
        page=page,
        message=message,
        place=_place,
        descending=False,
        sort=sort,
    )
    return Kind(listing, row, one, pushes)


def _place(row: Row) -> tuple[str, str]:
    return "", row.id


def parts(login: Login, ref: ClusterRef, query: Query, kind: Kind[R, Any]) -> list[Scope[R]]:
    """Return the parts that a listing is made of.

    A member's listing is one part: Neutron shows its own and what is shared with it. An administrator's would be
    every project's, so it gets the same as a member would: its own, then what is shared with all, then external
    networks. `project = "..."` asks for another project, `project = "*"` for all of them.
    """
    prefix = f"{ref}/projects/"
    wanted = query.filter.equal("project") or ""
    if "*" in wanted or (not login.is_admin and not wanted):
        return [Scope()]
    if wanted.startswith(prefix) or not login.is_admin:
        return [Scope((("project_id", wanted.removeprefix(prefix)),))]
    own = login.project_id
    if query.order_by:
        # Parts one after the other would not be in order: read all, keep what the parts would hold.
        return [Scope((), lambda row: row.project_id == own or _shared(row) or _external(row))]
    found: list[Scope[R]] = [Scope((("project_id", own),))]
    if kind.row in (NetworkRow, SecurityGroupRow):
        found.append(Scope((("shared", "True"),), lambda row: row.project_id != own and _shared(row)))
    if kind.row is NetworkRow:
        external = lambda row: row.project_id != own and not _shared(row)  # noqa: E731 - reads better beside its use
        found.append(Scope((("router:external", "True"),), external))
    return found


def _shared(row: Row) -> bool:
    return isinstance(row, NetworkRow | SecurityGroupRow) and row.shared


def _external(row: Row) -> bool:
    return isinstance(row, NetworkRow) and row.external
