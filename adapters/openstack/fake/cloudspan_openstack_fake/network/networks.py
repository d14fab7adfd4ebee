"""Neutron's networks."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from cloudspan_openstack_fake.network.resource import COMMON, Resource, invalid_input
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json


class Networks(Resource):
    """/v2.0/networks."""

    one, many = "network", "networks"
    missing_kind, missing_text = "NetworkNotFound", "Network {} could not be found."
    fresh = MappingProxyType({
        "admin_state_up": True, "mtu": 1450, "status": "ACTIVE", "subnets": [], "shared": False,
        "availability_zone_hints": [], "availability_zones": [], "ipv4_address_scope": None,
        "ipv6_address_scope": None, "router:external": False, "port_security_enabled": True, "is_default": False,
    })  # fmt: skip
    settable = frozenset({"admin_state_up", "mtu", "shared", "router:external", "port_security_enabled"})
    attributes = COMMON | fresh.keys() | {
        "provider:network_type", "provider:physical_network", "provider:segmentation_id", "dns_domain",
    }  # fmt: skip
    admin_only = frozenset(
        {"shared", "router:external", "provider:network_type", "provider:physical_network", "provider:segmentation_id"}
    )

    def visible(self, call: Call, row: Json) -> bool:
        return super().visible(call, row) or bool(row["shared"] or row["router:external"])

    def make(self, call: Call, asked: Json) -> Json:
        up = asked.get("admin_state_up", True)
        if not isinstance(up, bool):
            raise invalid_input(f"'{up}' cannot be converted to boolean.")
        return super().make(call, asked)

    def check_deletable(self, row: Json) -> None:
        ports = [
            p["id"] for p in self._store.ports if p["network_id"] == row["id"] and p["device_owner"] != "network:dhcp"
        ]
        if ports:
            text = (
                f"Unable to complete operation on network {row['id']}. There are one or more ports still in use on the "
                f"network, id for these ports is: {','.join(sorted(ports))}."
            )
            raise Refused(409, text, "NetworkInUse")

    def removed(self, row: Json) -> None:
        for subnet_id in row["subnets"]:
            self._store.subnets.remove(subnet_id)
