"""What Neutron's collections are: rows, order, filters that it does right, and the parts an administrator sees.

`network` lists and gets through these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_openstack.cloud import pushdown
from cloudspan_openstack.cloud.marker_pages import Listing, NativePage, Params, Scope
from cloudspan_openstack.network.network_rows import (
    NetworkRow,
    Networks,
    PortRow,
    Ports,
    RouterRow,
    Routers,
    Row,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from google.protobuf.message import Message

    from cloudspan.v1 import network_pb2, port_pb2, router_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_kit import Query
    from cloudspan_openstack.cloud.catalogue import Scope as Login
    from cloudspan_openstack.network.network_mapping import NetworkMapper

R = TypeVar("R", bound=Row)
M = TypeVar("M", bound="Message")

# Neutron sorts by few attributes: created_at and description are refused with 400.
SORTABLE: Mapping[str, Mapping[str, str]] = {
    "networks": {"display_name": "name", "native_state": "status", "mtu": "mtu"},
    "ports": {"display_name": "name", "native_state": "status", "mac_address": "mac_address"},
    "routers": {"display_name": "name", "native_state": "status"},
}
# BUILD is CREATING and nothing else; ACTIVE rows may be DOWN for us (switched off by their owner), never the reverse.
_STATES = {"ACTIVE": "ACTIVE", "CREATING": "BUILD", "ERROR": "ERROR"}


@dataclass(frozen=True, slots=True)
class Kind(Generic[R, M]):
    """One collection, how to read one of it, and what may be pushed down."""

    listing: Listing[R, M]
    row: type[R]
    one: str
    pushes: Mapping[str, pushdown.Push]


@dataclass(frozen=True, slots=True)
class Kinds:
    """All collections of one cluster's Neutron."""

    networks: Kind[NetworkRow, network_pb2.Network]
    ports: Kind[PortRow, port_pb2.Port]
    routers: Kind[RouterRow, router_pb2.Router]

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
        # Routers answer 400 to a filter by status, unlike all the others.
        return cls(
            networks=_kind("network", "networks", Networks, NetworkRow, mapper.network, network),
            ports=_kind("port", "ports", Ports, PortRow, mapper.port, port),
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


def _kind(
    one: str,
    key: str,
    page: type[NativePage[R]],
    row: type[R],
    message: Callable[[R], M],
    pushes: Mapping[str, pushdown.Push],
) -> Kind[R, M]:
    sortable = SORTABLE[key]

    def sort(order_by: Sequence[tuple[str, bool]]) -> Params:
        chosen = [(sortable[field], "desc" if descending else "asc") for field, descending in order_by]
        # By id unless told otherwise: the order that a listing can be taken up again in.
        return tuple(
            param
            for native, direction in chosen or [("id", "asc")]
            for param in (("sort_key", native), ("sort_dir", direction))
        )

    listing: Listing[R, M] = Listing(
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
    networks. `project = "..."` asks for another project, `project:*` for all of them.
    """
    prefix = f"{ref}/projects/"
    wanted = query.filter.equal("project") or ""
    if wanted.startswith(prefix):
        return [Scope((("project_id", wanted.removeprefix(prefix)),))]
    if not login.is_admin or pushdown.asks_for_projects(query):
        return [Scope()]
    own = login.project_id
    if query.order_by and kind.row is NetworkRow:
        text = (
            "an administrator's listing is made of its own, the shared and the external resources, which can't be "
            'sorted together; leave order_by out, or say whose with project = "..." or project:* in the filter'
        )
        raise InvalidRequest(text, reason="ORDER_NEEDS_PROJECT", violations=[Violation("order_by", text)])
    found: list[Scope[R]] = [Scope((("project_id", own),))]
    if kind.row is NetworkRow:
        found.append(Scope((("shared", "True"),), lambda row: row.project_id != own))
        found.append(Scope((("router:external", "True"),), lambda row: row.project_id != own and not _shared(row)))
    return found


def _shared(row: Row) -> bool:
    return isinstance(row, NetworkRow) and bool(row.shared)
