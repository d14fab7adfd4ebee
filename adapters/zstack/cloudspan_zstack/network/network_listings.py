"""What ZStack's network collections are: paths, rows, order, and filters that it applies itself.

`network` lists and gets through these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_zstack.cloud import conditions
from cloudspan_zstack.cloud.listings import Listing
from cloudspan_zstack.network.network_rows import L3Row, NicRow, RouterRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import network_pb2, port_pb2, router_pb2
    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.network.network_messages import NetworkMessages

_COMMON = {"display_name": "name", "create_time": "createDate", "update_time": "lastOpDate"}
SORTABLE: Mapping[str, Mapping[str, str]] = {
    "networks": {**_COMMON, "native_state": "state"},
    "ports": {"display_name": "internalName", "mac_address": "mac", "network": "l3NetworkUuid"},
    "routers": {**_COMMON, "native_state": "state"},
}
_ENABLED = {"ACTIVE": ("state=Enabled",), "DOWN": ("state=Disabled",)}
_SWITCHED = {"true": ("state=Enabled",), "false": ("state=Disabled",)}
_KINDS = {"FLAT": ("type=L3BasicNetwork",), "ROUTED": ("type=L3VpcNetwork",)}
_FLAG = {"true": ("category=Public",), "false": ("category!=Public",)}


@dataclass(frozen=True, slots=True)
class Listings:
    """All network collections of one cluster."""

    networks: Listing[L3Row, network_pb2.Network]
    ports: Listing[NicRow, port_pb2.Port]
    routers: Listing[RouterRow, router_pb2.Router]

    @classmethod
    def of(cls, ref: ClusterRef, make: NetworkMessages) -> Listings:
        """Return them for one cluster."""
        pushes, sort = _pushes(ref), SORTABLE
        return cls(
            Listing("/l3-networks", L3Row, make.networks, sortable=sort["networks"], pushes=pushes["networks"]),
            Listing("/vm-instances/nics", NicRow, make.ports, sortable=sort["ports"], pushes=pushes["ports"]),
            # Of all routers: VPC routers are virtual routers as well.
            Listing(
                "/vm-instances/appliances/virtual-routers", RouterRow, make.routers, sortable=sort["routers"],
                pushes=pushes["routers"],
            ),
        )  # fmt: skip


def _pushes(ref: ClusterRef) -> dict[str, dict[str, conditions.Push]]:
    """Return what the cloud filters by itself, by collection."""
    common = {"display_name": conditions.text("name")}
    state = common | {"native_state": conditions.text("state")}
    network = {"network": conditions.name("l3NetworkUuid", f"{ref}/networks/")}
    port = network | {
        "display_name": conditions.text("internalName"),
        "native_state": conditions.text("state"),
        "state": conditions.word({"ACTIVE": ("state=enable",), "DOWN": ("state=disable",)}),
        "server": conditions.name("vmInstanceUuid", f"{ref}/servers/"),
        "device_id": conditions.text("vmInstanceUuid"),
        "mac_address": conditions.text("mac"),
    }
    found = {
        "networks": state
        | {
            "state": conditions.word(_ENABLED),
            "external": conditions.word(_FLAG),
            "admin_up": conditions.word(_SWITCHED),
            "kind": conditions.word(_KINDS),
            "dns_domain": conditions.text("dnsDomain"),
        },
        "ports": port,
        "routers": state,
    }
    return {kind: {"name": conditions.name("uuid", f"{ref}/{kind}/"), **more} for kind, more in found.items()}
