"""Neutron's ports, and the desk where Nova plugs them into servers."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from cloudspan_openstack_fake.network import addresses
from cloudspan_openstack_fake.network.resource import COMMON, Resource, bad_request
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.rows import Server
    from cloudspan_openstack_fake.store import Store

_MAC = re.compile(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}")
_UUID = re.compile(r"[0-9a-fA-F-]{32,36}")
_OWNED = ("network:router_interface", "network:router_gateway", "network:floatingip")


class Ports(Resource):
    """/v2.0/ports."""

    one, many = "port", "ports"
    required = ("network_id",)
    ignores_tags = True
    missing_kind, missing_text = "PortNotFound", "Port {} could not be found."
    fresh = MappingProxyType({
        "network_id": None, "mac_address": None, "admin_state_up": True, "status": "DOWN", "device_id": "",
        "device_owner": "", "fixed_ips": [], "allowed_address_pairs": [], "extra_dhcp_opts": [],
        "security_groups": [], "binding:vnic_type": "normal", "port_security_enabled": True,
    })  # fmt: skip
    settable = frozenset({
        "admin_state_up", "device_id", "device_owner", "allowed_address_pairs", "extra_dhcp_opts",
        "binding:vnic_type", "port_security_enabled",
    })  # fmt: skip
    attributes = COMMON | fresh.keys() | {
        "binding:host_id", "binding:profile", "dns_name", "ip_allocation", "qos_policy_id",
    }  # fmt: skip

    def make(self, call: Call, asked: Json) -> Json:
        network = self._store.networks.get(asked["network_id"])
        if network is None or not (self.visible(call, network) or network["shared"]):
            raise Refused(404, f"Network {asked['network_id']} could not be found.", "NetworkNotFound")
        mac = asked.get("mac_address")
        if mac is not None and not _MAC.fullmatch(str(mac)):
            raise bad_request(f"Invalid input for mac_address. Reason: '{mac}' is not a valid MAC address.")
        groups = self._groups(call.project_id, asked.get("security_groups"))
        fixed = fixed_ips(self._store, network, asked.get("fixed_ips"))
        row = super().make(call, asked) | {"network_id": network["id"], "fixed_ips": fixed, "security_groups": groups}
        return row | {"mac_address": mac or self._store.new_mac()}

    def _groups(self, project_id: str, asked: list[str] | None) -> list[str]:
        if asked is None:
            return default_groups(self._store, project_id)
        for wanted in asked:
            if not _UUID.fullmatch(str(wanted)):
                raise bad_request(f"Invalid input for security_groups. Reason: '{wanted}' is not a valid UUID.")
            if wanted not in self._store.security_groups:
                raise Refused(404, f"Security group {wanted} does not exist", "SecurityGroupNotFound")
        return list(asked)

    def change(self, call: Call, row: Json, asked: Json) -> None:
        if "security_groups" in asked:
            asked["security_groups"] = self._groups(row["project_id"], asked["security_groups"])
        if "fixed_ips" in asked:
            network = self._store.networks_row(row["network_id"])
            kept = row["fixed_ips"]
            addresses.give_back(self._store, kept)
            asked["fixed_ips"] = fixed_ips(self._store, network, asked["fixed_ips"])
        row.update(asked)
        server = self._store.servers.get(row["device_id"])
        if server is not None:
            server.changed()

    def check_deletable(self, row: Json) -> None:
        if row["device_owner"] in _OWNED:
            text = (
                f"Port {row['id']} cannot be deleted directly via the port API: has device owner {row['device_owner']}."
            )
            raise Refused(409, text, "ServicePortInUse")

    def removed(self, row: Json) -> None:
        forget_port(self._store, row)


class PortDesk:
    """What Nova does with ports."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def plug(self, server: Server, wish: Json) -> str | None:
        """Bind a given port, or make one on a given network; return its id, None if the port went to another server.

        The loser of a race for one port unbinds it on its way to ERROR, and so takes it from the winner too.
        """
        if wanted := wish.get("port"):
            port = self._store.ports.get(wanted)
            if port is None:
                return None
            if port["device_id"]:
                self._unbind(port)
                return None
        else:
            port = self._make(server, wish)
            if port is None:
                return None
        self._bind(port, server)
        return str(port["id"])

    def unplug(self, port_id: str) -> None:
        """Delete a port that Nova has made, release one that it was given."""
        port = self._store.ports.get(port_id)
        if port is None:
            return
        if port.get("_by_nova"):
            self._store.ports.remove(port_id)
            forget_port(self._store, port)
        else:
            self._unbind(port)

    def _make(self, server: Server, wish: Json) -> Json | None:
        network = self._store.networks.get(wish["network"])
        if network is None:
            return None
        asked = [{"ip_address": wish["address"]}] if wish.get("address") else None
        groups = [
            g["id"]
            for g in self._store.security_groups
            if g["project_id"] == server.project_id and g["name"] in server.security_groups
        ]
        try:
            fixed = fixed_ips(self._store, network, asked)
        except Refused:
            return None  # no address left: Nova reports it as a network that could not be allocated
        now = self._store.stamp()
        row: Json = {
            "id": self._store.new_id(), "name": "", "tenant_id": server.project_id, "project_id": server.project_id,
            "description": "", "tags": [], "created_at": now, "updated_at": now, "revision_number": 1, "_by_nova": True,
        }  # fmt: skip
        row |= new_port(self._store, network["id"], fixed, groups)
        self._store.ports.add(row["id"], row)
        return row

    def _bind(self, port: Json, server: Server) -> None:
        zone = server.zone or self._store.zones[0]
        port.update(device_id=server.id, device_owner=f"compute:{zone}", status="ACTIVE")
        port["revision_number"] += 2
        port["updated_at"] = self._store.stamp()

    def _unbind(self, port: Json) -> None:
        port.update(device_id="", device_owner="", status="DOWN")
        port["revision_number"] += 1
        port["updated_at"] = self._store.stamp()


def new_port(store: Store, network_id: str, fixed: list[Json], groups: list[str]) -> Json:
    """Return the attributes of a port that is not bound yet."""
    placed = {"network_id": network_id, "mac_address": store.new_mac(), "fixed_ips": fixed, "security_groups": groups}
    return Ports.blank({}) | placed


def default_groups(store: Store, project_id: str) -> list[str]:
    return [g["id"] for g in store.security_groups if g["project_id"] == project_id and g["name"] == "default"]


def fixed_ips(store: Store, network: Json, asked: list[Json] | None) -> list[Json]:
    """Reserve addresses on a network as asked, or one of its first subnet with room."""
    subnets = [subnet for subnet_id in network["subnets"] if (subnet := store.subnets.get(subnet_id))]
    if asked is None:
        return [addresses.take_from(store, network["id"], subnets)] if subnets else []
    taken = []
    for wish in asked:
        subnet = _subnet_for(subnets, wish)
        taken.append(addresses.take(store, subnet, wish.get("ip_address")))
    return taken


def _subnet_for(subnets: list[Json], wish: Json) -> Json:
    wanted, address = wish.get("subnet_id"), wish.get("ip_address")
    if wanted:
        found = next((subnet for subnet in subnets if subnet["id"] == wanted), None)
        if found is None:
            raise Refused(404, f"Subnet {wanted} could not be found.", "SubnetNotFound")
        return found
    found = next((subnet for subnet in subnets if address and addresses.holds(subnet, address)), None)
    if found is None:
        text = f"IP address {address} is not a valid IP for any of the subnets on the specified network."
        raise Refused(400, text, "InvalidIpForNetwork")
    return found


def forget_port(store: Store, port: Json) -> None:
    """Release what a deleted port held: addresses, floating IPs, its place at a server."""
    addresses.give_back(store, port["fixed_ips"])
    for floating in store.floating_ips:
        if floating["port_id"] == port["id"]:
            floating.update(port_id=None, fixed_ip_address=None, router_id=None, status="DOWN", port_details=None)
    server = store.servers.get(port["device_id"])
    if server is not None and port["id"] in server.port_ids:
        server.port_ids.remove(port["id"])
        server.changed()
