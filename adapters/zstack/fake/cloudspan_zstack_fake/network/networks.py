"""L3 networks with their DNS servers, routes and services; deleting one takes ranges, NICs and VIPs along."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Call, Failure, Handler, Work

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.compute.servers import Machines
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.network.floating_ips import Vips
    from cloudspan_zstack_fake.store import Store

_MTU = 1500
_MTUS = range(68, 9217)


class L3Networks:
    """The L3 network calls."""

    def __init__(self, store: Store, views: Views, machines: Machines, quotas: Quotas, vips: Vips) -> None:
        self._store, self._views, self._machines = store, views, machines
        self._quotas, self._vips = quotas, vips
        self.handlers: dict[str, Handler] = {
            "CreateL3Network": self._create,
            "DeleteL3Network": self._delete,
            "AddDnsToL3Network": self._add_dns,
            "RemoveDnsFromL3Network": self._remove_dns,
            "AddHostRouteToL3Network": self._add_route,
            "RemoveHostRouteFromL3Network": self._remove_route,
            "AttachNetworkServiceToL3Network": self._attach_services,
            "DetachNetworkServiceFromL3Network": self._detach_services,
            "GetL3NetworkMtu": self._mtu,
            "SetL3NetworkMtu": self._set_mtu,
            "GetL3NetworkDhcpIpAddress": self._dhcp_address,
        }

    def _of(self, call: Call) -> Json:
        return self._store.l3_networks.present(call.uuid())

    def _result(self, l3: Json) -> Json:
        return {"inventory": self._views.l3(l3)}

    def _create(self, call: Call) -> Json:
        params = call.params
        kind = params.get("type", "L3BasicNetwork")
        if kind == "L3VpcNetwork" and not self._store.settings.commercial:
            raise Failure("SYS.1007", f"unsupported l3network type[{kind}]")
        if params["system"] != (params["category"] == "System"):
            raise Failure("SYS.1007", f"system[{params['system']}] does not go with category[{params['category']}]")
        l2 = self._store.l2_networks.present(params["l2NetworkUuid"])
        self._quotas.check(call, l3__num=1)
        return self._result(self._store.create(self._store.l3_networks, call, **self.row(params, l2)))

    def row(self, params: Json, l2: Json) -> Json:
        """Return the fields of an L3 network beside those that every resource has."""
        return {
            "type": params.get("type", "L3BasicNetwork"), "zoneUuid": l2["zoneUuid"], "l2NetworkUuid": l2["uuid"],
            "state": "Enabled", "dnsDomain": params.get("dnsDomain"), "system": params.get("system", False),
            "category": params.get("category", "Private"), "ipVersion": params.get("ipVersion", 4),
            "enableIPAM": params.get("enableIPAM", True), "isolated": False, "dns": [], "_ranges": [],
            "_services": [], "_routes": [], "_mtu": _MTU, "_dhcp": None,
        }  # fmt: skip

    def _delete(self, call: Call) -> Work:
        l3 = self._of(call)
        yield self._store.timing.delete_s
        self.remove(l3)
        return {}

    def remove(self, l3: Json) -> None:
        """Remove an L3 network: its VIPs with their EIPs, its NICs, ranges and services."""
        store = self._store
        for vip in store.vips.where(l3NetworkUuid=l3["uuid"]):
            self._vips.remove(vip)
        for nic in store.nics.where(l3NetworkUuid=l3["uuid"]):
            self._machines.remove_nic(nic)
        for group in store.security_groups:
            if l3["uuid"] in group["attachedL3NetworkUuids"]:
                group["attachedL3NetworkUuids"].remove(l3["uuid"])
        for used in store.used_ips.where(l3NetworkUuid=l3["uuid"]):
            store.used_ips.remove(used["uuid"])
        for span in l3["_ranges"]:
            store.drop(store.ip_ranges, span)
        store.drop(store.l3_networks, l3["uuid"])

    def _add_dns(self, call: Call) -> Json:
        l3, dns = self._of(call), call.params["dns"]
        try:
            ipaddress.ip_address(dns)
        except ValueError:
            raise Failure("SYS.1007", f"dns[{dns}] is not a IP address") from None
        if dns in l3["dns"]:
            raise Failure("SYS.1006", f"there has been a DNS[{dns}] on L3 network[uuid:{l3['uuid']}]")
        l3["dns"].append(dns)
        return self._result(self._store.touch(l3))

    def _remove_dns(self, call: Call) -> Json:
        l3 = self._of(call)
        if call.params["dns"] in l3["dns"]:
            l3["dns"].remove(call.params["dns"])
        return self._result(self._store.touch(l3))

    def _add_route(self, call: Call) -> Json:
        l3, prefix = self._of(call), call.params["prefix"]
        if any(route["prefix"] == prefix for route in l3["_routes"]):
            raise Failure("SYS.1006", f"there has been a hostroute for prefix[{prefix}]")
        now = self._store.now()
        l3["_routes"].append(
            {
                "id": len(l3["_routes"]) + 1,
                "l3NetworkUuid": l3["uuid"],
                "prefix": prefix,
                "nexthop": call.params["nexthop"],
                "createDate": now,
                "lastOpDate": now,
            }
        )
        return self._result(self._store.touch(l3))

    def _remove_route(self, call: Call) -> Json:
        l3 = self._of(call)
        l3["_routes"] = [route for route in l3["_routes"] if route["prefix"] != call.params["prefix"]]
        return self._result(self._store.touch(l3))

    def _attach_services(self, call: Call) -> Json:
        l3 = self._of(call)
        for provider_uuid, kinds in call.params["networkServices"].items():
            provider = self._store.providers.get(provider_uuid)
            if provider is None:
                text = f"cannot find network service provider[uuid:{provider_uuid}] or it provides no services"
                raise Failure("SYS.1007", text)
            for kind in kinds:
                if kind not in provider["networkServiceTypes"]:
                    text = f"network service provider[uuid:{provider_uuid}] doesnt provide services[{kind}]"
                    raise Failure("SYS.1007", text)
                if kind in self.services(l3):
                    text = f"there has been a network service[{kind}] attached to L3 network[uuid:{l3['uuid']}]"
                    raise Failure("SYS.1006", text)
                self.add_service(l3, provider, kind)
        return self._result(self._store.touch(l3))

    def services(self, l3: Json) -> set[str]:
        """Return the types of service that an L3 network has."""
        return {ref["networkServiceType"] for ref in l3["_services"]}

    def add_service(self, l3: Json, provider: Json, kind: str) -> None:
        """Give an L3 network a service."""
        l3["_services"].append(
            {"l3NetworkUuid": l3["uuid"], "networkServiceProviderUuid": provider["uuid"], "networkServiceType": kind}
        )

    def _detach_services(self, call: Call) -> Json:
        l3 = self._of(call)
        wanted = {
            (key.partition(".")[2], value) for key, value in call.query if key.startswith("networkServices.")
        }  # fmt: skip
        l3["_services"] = [
            ref for ref in l3["_services"]
            if (ref["networkServiceProviderUuid"], ref["networkServiceType"]) not in wanted
        ]  # fmt: skip
        return self._result(self._store.touch(l3))

    def _mtu(self, call: Call) -> Json:
        return {"mtu": self._of(call)["_mtu"]}

    def _set_mtu(self, call: Call) -> Json:
        if not _MTUS[0] <= call.params["mtu"] <= _MTUS[-1]:
            raise Failure("SYS.1007", f"field[mtu] must be in range of [{_MTUS[0]}, {_MTUS[-1]}]")
        self._of(call)["_mtu"] = call.params["mtu"]
        return {}

    def _dhcp_address(self, call: Call) -> Json:
        l3 = self._of(call)
        if l3["_dhcp"] is None and "DHCP" in self.services(l3) and l3["_ranges"]:
            l3["_dhcp"] = self._machines.addresses.take(l3)["ip"]
        return {} if l3["_dhcp"] is None else {"ip": l3["_dhcp"]}
