"""Neutron's floating IPs."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from cloudspan_openstack_fake.network import addresses
from cloudspan_openstack_fake.network.resource import COMMON, Resource
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.network.routers import Routers
    from cloudspan_openstack_fake.store import Store


class FloatingIps(Resource):
    """/v2.0/floatingips."""

    one, many = "floatingip", "floatingips"
    required = ("floating_network_id",)
    missing_kind, missing_text = "FloatingIPNotFound", "Floating IP {} could not be found"
    fresh = MappingProxyType({
        "floating_ip_address": None, "floating_network_id": None, "router_id": None, "port_id": None,
        "fixed_ip_address": None, "status": "DOWN", "port_details": None, "revision_number": 0,
    })  # fmt: skip
    attributes = COMMON | fresh.keys() | {"subnet_id", "dns_name", "dns_domain"}

    def __init__(self, store: Store, routers: Routers) -> None:
        super().__init__(store, store.floating_ips)
        self._routers = routers

    def make(self, call: Call, asked: Json) -> Json:
        network_id = asked["floating_network_id"]
        network = self._store.networks.get(network_id)
        if network is None:
            raise Refused(404, f"Network {network_id} could not be found.", "NetworkNotFound")
        if not network["router:external"]:
            text = f"Bad floatingip request: Network {network_id} is not a valid external network."
            raise Refused(400, text, "BadRequest")
        row = super().make(call, asked) | {"floating_network_id": network_id}
        del row["name"]
        if asked.get("port_id"):
            self._check_free(row, asked)
            self._associate(call, row, asked)
        subnet = self._store.subnets.get(next(iter(network["subnets"]), ""))
        if subnet is None:
            raise Refused(409, f"No more IP addresses available on network {network_id}.", "IpAddressGenerationFailure")
        row["floating_ip_address"] = addresses.take(self._store, subnet, asked.get("floating_ip_address"))["ip_address"]
        return row

    def change(self, call: Call, row: Json, asked: Json) -> None:
        # Binding one that is bound elsewhere simply moves it; without `port_id` it stays where it is.
        if asked.get("port_id"):
            self._check_free(row, asked)
        if "port_id" in asked:
            self._free(row)
        if asked.get("port_id"):
            self._associate(call, row, asked)
        row["description"] = asked.get("description", row["description"])

    def _check_free(self, row: Json, asked: Json) -> None:
        """Refuse an address that another one of the same external network leads to."""
        port = self._store.ports.get(asked["port_id"])
        fixed = _chosen(port, asked.get("fixed_ip_address")) if port else {}
        for other in self._store.floating_ips:
            same = other["port_id"] == asked["port_id"] and other["fixed_ip_address"] == fixed.get("ip_address")
            if same and other["id"] != row["id"] and other["floating_network_id"] == row["floating_network_id"]:
                text = (
                    f"Cannot associate floating IP {row['floating_ip_address']} ({row['id']}) with port "
                    f"{asked['port_id']} using fixed IP {fixed['ip_address']}, as that fixed IP already has a floating "
                    f"IP on external network {row['floating_network_id']}."
                )
                raise Refused(409, text, "FloatingIPPortAlreadyAssociated")

    def _associate(self, call: Call, row: Json, asked: Json) -> None:
        port_id = asked["port_id"]
        port = self._store.ports.get(port_id)
        if port is None or (port["project_id"] != call.project_id and not call.identity.is_admin):
            raise Refused(404, f"Port {port_id} could not be found.", "PortNotFound")
        fixed = _chosen(port, asked.get("fixed_ip_address"))
        router_id = self._routers.route_out(fixed["subnet_id"], row["floating_network_id"])
        if router_id is None:
            text = (
                f"External network {row['floating_network_id']} is not reachable from subnet {fixed['subnet_id']}.  "
                f"Therefore, cannot associate Port {port_id} with a Floating IP."
            )
            raise Refused(404, text, "ExternalGatewayForFloatingIPNotFound")
        details = {
            key: port[key]
            for key in ("name", "network_id", "mac_address", "admin_state_up", "status", "device_id", "device_owner")
        }
        row.update(
            port_id=port_id,
            fixed_ip_address=fixed["ip_address"],
            router_id=router_id,
            status="ACTIVE",
            port_details=details,
        )
        self._show_at_server(port)

    def _free(self, row: Json) -> None:
        port = self._store.ports.get(row["port_id"] or "")
        row.update(port_id=None, fixed_ip_address=None, router_id=None, status="DOWN", port_details=None)
        if port is not None:
            self._show_at_server(port)

    def _show_at_server(self, port: Json) -> None:
        server = self._store.servers.get(port["device_id"])
        if server is not None:
            server.changed()

    def removed(self, row: Json) -> None:
        self._free(row)
        for subnet in self._store.subnets:
            if subnet["network_id"] == row["floating_network_id"]:
                subnet["_used"].discard(row["floating_ip_address"])


def _chosen(port: Json, address: str | None) -> Json:
    if address is None and len(port["fixed_ips"]) > 1:
        text = (
            f"Bad floatingip request: Port {port['id']} has multiple fixed IPv4 addresses.  Must provide a specific "
            "IPv4 address when assigning a floating IP."
        )
        raise Refused(400, text, "BadRequest")
    for fixed in port["fixed_ips"]:
        if address in (None, fixed["ip_address"]):
            return dict(fixed)
    text = f"Bad floatingip request: Port {port['id']} does not have fixed ip {address}."
    raise Refused(400, text, "BadRequest")
