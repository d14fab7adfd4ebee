"""Neutron's routers."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.network import addresses
from cloudspan_openstack_fake.network.ports import forget_port, new_port
from cloudspan_openstack_fake.network.resource import COMMON, Resource
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from cloudspan_openstack_fake.wire import Handler

INTERFACE, GATEWAY = "network:router_interface", "network:router_gateway"


class Routers(Resource):
    """/v2.0/routers with add_ and remove_router_interface."""

    one, many = "router", "routers"
    missing_kind, missing_text = "RouterNotFound", "Router {} could not be found"
    fresh = MappingProxyType({
        "admin_state_up": True, "status": "ACTIVE", "external_gateway_info": None, "availability_zones": [],
        "availability_zone_hints": [], "routes": [], "flavor_id": None,
    })  # fmt: skip
    settable = frozenset({"admin_state_up"})
    attributes = COMMON | fresh.keys() | {"distributed", "ha"}

    def table(self) -> dict[str, Handler]:
        one = "/v2.0/routers/{id}"
        return {
            **super().table(),
            f"PUT {one}/add_router_interface": self._add_interface,
            f"PUT {one}/remove_router_interface": self._remove_interface,
        }

    def make(self, call: Call, asked: Json) -> Json:
        row = super().make(call, asked)
        if asked.get("external_gateway_info"):
            self._set_gateway(row, asked["external_gateway_info"])
        return row

    def change(self, call: Call, row: Json, asked: Json) -> None:
        if "external_gateway_info" in asked:
            wanted = asked.pop("external_gateway_info")
            self._clear_gateway(row)
            if wanted:
                self._set_gateway(row, wanted)
        row.update(asked)

    def _set_gateway(self, row: Json, wanted: Json) -> None:
        network = self._store.networks.get(wanted.get("network_id", ""))
        if network is None:
            raise Refused(404, f"Network {wanted.get('network_id')} could not be found.", "NetworkNotFound")
        if not network["router:external"]:
            text = f"Bad router request: Network {network['id']} is not an external network."
            raise Refused(400, text, "BadRequest")
        subnet = self._store.subnets.get(next(iter(network["subnets"]), ""))
        fixed = [addresses.take(self._store, subnet)] if subnet else []
        # The gateway port belongs to no project: no member sees it.
        self._port(network["id"], fixed, row["id"], GATEWAY, "")
        snat = wanted.get("enable_snat", True)
        row["external_gateway_info"] = {"network_id": network["id"], "external_fixed_ips": fixed, "enable_snat": snat}

    def _clear_gateway(self, row: Json) -> None:
        for port in self._ports_of(row["id"], GATEWAY):
            self._drop_port(port)
        row["external_gateway_info"] = None

    def _port(self, network_id: str, fixed: list[Json], router_id: str, owner: str, project_id: str) -> Json:
        now = self._store.stamp()
        row: Json = {
            "id": self._store.new_id(), "name": "", "tenant_id": project_id, "project_id": project_id,
            "description": "", "tags": [], "created_at": now, "updated_at": now, "revision_number": 3,
        }  # fmt: skip
        row |= new_port(self._store, network_id, fixed, [])
        row |= {"device_id": router_id, "device_owner": owner, "status": "ACTIVE", "port_security_enabled": False}
        self._store.ports.add(row["id"], row)
        return row

    def _ports_of(self, router_id: str, owner: str) -> list[Json]:
        return [port for port in self._store.ports if port["device_id"] == router_id and port["device_owner"] == owner]

    def _drop_port(self, port: Json) -> None:
        self._store.ports.remove(port["id"])
        forget_port(self._store, port)

    def _add_interface(self, call: Call) -> Reply:
        row, asked = self.find(call, call.params["id"]), call.document()
        if port_id := asked.get("port_id"):
            port = self._store.ports.get(port_id)
            if port is None:
                raise Refused(404, f"Port {port_id} could not be found.", "PortNotFound")
            port.update(device_id=row["id"], device_owner=INTERFACE, status="ACTIVE")
        elif subnet_id := asked.get("subnet_id"):
            port = self._add_subnet(row, subnet_id)
        else:
            raise Refused(400, "Bad router request: Either subnet_id or port_id must be specified.", "BadRequest")
        self.touched(row)
        return reply(_interface(row, port))

    def _add_subnet(self, row: Json, subnet_id: str) -> Json:
        subnet = self._store.subnets.get(subnet_id)
        if subnet is None:
            raise Refused(404, f"Subnet {subnet_id} could not be found.", "SubnetNotFound")
        for port in self._ports_of(row["id"], INTERFACE):
            if any(fixed["subnet_id"] == subnet_id for fixed in port["fixed_ips"]):
                text = f"Bad router request: Router already has a port on subnet {subnet_id}."
                raise Refused(400, text, "BadRequest")
        if subnet["gateway_ip"] is None:
            raise Refused(400, "Bad router request: Subnet for router interface must have a gateway IP.", "BadRequest")
        fixed = [addresses.take(self._store, subnet, subnet["gateway_ip"])]
        return self._port(subnet["network_id"], fixed, row["id"], INTERFACE, row["project_id"])

    def _remove_interface(self, call: Call) -> Reply:
        row, asked = self.find(call, call.params["id"]), call.document()
        for port in self._ports_of(row["id"], INTERFACE):
            subnets = [fixed["subnet_id"] for fixed in port["fixed_ips"]]
            if asked.get("port_id") == port["id"] or asked.get("subnet_id") in subnets:
                self._check_unneeded(row, subnets)
                self._drop_port(port)
                self.touched(row)
                return reply(_interface(row, port))
        text = f"Router {row['id']} has no interface on subnet {asked.get('subnet_id')}"
        raise Refused(404, text, "RouterInterfaceNotFoundForSubnet")

    def _check_unneeded(self, row: Json, subnets: list[str]) -> None:
        for floating in self._store.floating_ips:
            port = self._store.ports.get(floating["port_id"] or "")
            behind = [fixed["subnet_id"] for fixed in port["fixed_ips"]] if port else []
            if floating["router_id"] == row["id"] and set(behind) & set(subnets):
                text = (
                    f"Router interface for subnet {subnets[0]} on router {row['id']} cannot be deleted, as it is "
                    "required by one or more floating IPs."
                )
                raise Refused(409, text, "RouterInterfaceInUseByFloatingIP")

    def check_deletable(self, row: Json) -> None:
        ports = [port["id"] for port in self._ports_of(row["id"], INTERFACE)]
        if ports:
            raise Refused(409, f"Router {row['id']} has ports still attached: {', '.join(ports)}", "RouterInUse")

    def removed(self, row: Json) -> None:
        self._clear_gateway(row)

    def connect(self, row: Json, subnet_id: str, external_id: str) -> None:
        """Put a router between a subnet and an external network."""
        self._set_gateway(row, {"network_id": external_id})
        self._add_subnet(row, subnet_id)

    def route_out(self, subnet_id: str, external_id: str) -> str | None:
        """Return the router between a subnet and an external network, if there is one."""
        for router in self.rows:
            gateway = router["external_gateway_info"]
            if not gateway or gateway["network_id"] != external_id:
                continue
            for port in self._ports_of(router["id"], INTERFACE):
                if any(fixed["subnet_id"] == subnet_id for fixed in port["fixed_ips"]):
                    return str(router["id"])
        return None


def _interface(row: Json, port: Json) -> Json:
    subnets = [fixed["subnet_id"] for fixed in port["fixed_ips"]]
    return {
        "id": row["id"],
        "tenant_id": row["tenant_id"],
        "port_id": port["id"],
        "network_id": port["network_id"],
        "subnet_id": subnets[0],
        "subnet_ids": subnets,
    }
