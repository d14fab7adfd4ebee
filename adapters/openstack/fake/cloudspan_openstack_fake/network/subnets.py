"""Neutron's subnets."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan_openstack_fake.network.resource import COMMON, Resource, invalid_input
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json


class Subnets(Resource):
    """/v2.0/subnets."""

    one, many = "subnet", "subnets"
    required = ("network_id", "ip_version")
    missing_kind, missing_text = "SubnetNotFound", "Subnet {} could not be found."
    attributes = COMMON | {
        "network_id", "ip_version", "subnetpool_id", "enable_dhcp", "ipv6_ra_mode", "ipv6_address_mode", "gateway_ip",
        "cidr", "allocation_pools", "host_routes", "dns_nameservers", "service_types", "prefixlen", "segment_id",
        "dns_publish_fixed_ip", "use_default_subnetpool",
    }  # fmt: skip

    # Seen on a Zed: `?shared=true` finds the subnets of shared networks, though no subnet shows the attribute.
    hidden_filters = frozenset({"shared"})

    def visible(self, call: Call, row: Json) -> bool:
        return super().visible(call, row) or self._is_shared(row)

    def hidden(self, row: Json) -> Json:
        return {"_shared": self._is_shared(row)}

    def _is_shared(self, row: Json) -> bool:
        network = self._store.networks.get(row["network_id"])
        return network is not None and bool(network["shared"])

    def make(self, call: Call, asked: Json) -> Json:
        network = self._network(call, asked["network_id"])
        cidr = self._cidr(network, asked)
        gateway = asked.get("gateway_ip", str(cidr[1]) if cidr.num_addresses > 2 else None)
        pools = asked.get("allocation_pools") or _pools(cidr, gateway)
        for pool in pools:
            if ipaddress.ip_address(pool["start"]) not in cidr or ipaddress.ip_address(pool["end"]) not in cidr:
                text = f"The allocation pool {pool['start']}-{pool['end']} spans beyond the subnet cidr {cidr}."
                raise Refused(400, text, "OutOfBoundsAllocationPool")
        row = self.common(call, asked) | {
            "network_id": network["id"],
            "ip_version": cidr.version,
            "subnetpool_id": None,
            "enable_dhcp": asked.get("enable_dhcp", True),
            "ipv6_ra_mode": asked.get("ipv6_ra_mode"),
            "ipv6_address_mode": asked.get("ipv6_address_mode"),
            "gateway_ip": gateway,
            "cidr": str(cidr),
            "allocation_pools": pools,
            "host_routes": asked.get("host_routes") or [],
            "dns_nameservers": asked.get("dns_nameservers") or [],
            "service_types": asked.get("service_types") or [],
            "revision_number": 0,
            "_used": set(),
        }
        network["subnets"].append(row["id"])
        self.touched(network)
        return row

    def _network(self, call: Call, network_id: str) -> Json:
        network = self._store.networks.get(network_id)
        if network is None or (network["project_id"] != call.project_id and not call.identity.is_admin):
            raise Refused(404, f"Network {network_id} could not be found.", "NetworkNotFound")
        return network

    def _cidr(self, network: Json, asked: Json) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        if "cidr" not in asked:
            raise Refused(
                400, "Bad subnets request: a subnetpool must be specified in the absence of a cidr.", "BadRequest"
            )
        try:
            cidr = ipaddress.ip_network(asked["cidr"], strict=False)
        except ValueError:
            raise invalid_input(f"{asked['cidr']} is not in a CIDR format.") from None
        if cidr.version != int(asked["ip_version"]):
            raise invalid_input(f"cidr '{cidr}' does not match the ip_version '{asked['ip_version']}'.")
        for other in self._store.subnets:
            if other["network_id"] == network["id"] and cidr.overlaps(ipaddress.ip_network(other["cidr"])):
                text = f"Requested subnet with cidr: {cidr} for network: {network['id']} overlaps with another subnet."
                raise invalid_input(text)
        return cidr

    def check_deletable(self, row: Json) -> None:
        if any(fixed["subnet_id"] == row["id"] for port in self._store.ports for fixed in port["fixed_ips"]):
            text = (
                f"Unable to complete operation on subnet {row['id']}: "
                "One or more ports have an IP allocation from this subnet."
            )
            raise Refused(409, text, "SubnetInUse")

    def removed(self, row: Json) -> None:
        network = self._store.networks.get(row["network_id"])
        if network is not None:
            network["subnets"].remove(row["id"])


def _pools(cidr: ipaddress.IPv4Network | ipaddress.IPv6Network, gateway: str | None) -> list[Json]:
    """Return the range beside network, broadcast and gateway, split in two where the gateway lies inside."""
    first, last = int(cidr[1]), int(cidr[-2])
    where = int(ipaddress.ip_address(gateway)) if gateway else -1
    inside = first <= where <= last
    ranges = [(first, where - 1), (where + 1, last)] if inside else [(first, last)]
    return [
        {"start": str(ipaddress.ip_address(low)), "end": str(ipaddress.ip_address(high))}
        for low, high in ranges
        if low <= high
    ]
