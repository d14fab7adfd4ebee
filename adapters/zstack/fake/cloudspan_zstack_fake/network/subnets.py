"""IP ranges of L3 networks: added by CIDR or by start and end, all of one network in one CIDR with one gateway."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Call, Failure, Handler

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.compute.servers import Machines
    from cloudspan_zstack_fake.network.addresses import Addresses
    from cloudspan_zstack_fake.network.floating_ips import Vips
    from cloudspan_zstack_fake.store import Store

_POOL = "AddressPool"
Address = ipaddress.IPv4Address
Network = ipaddress.IPv4Network
AnyAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
AnyNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class IpRanges:
    """The IP range and address calls."""

    def __init__(self, store: Store, views: Views, addresses: Addresses, machines: Machines, vips: Vips) -> None:
        self._store, self._views, self._addresses = store, views, addresses
        self._machines, self._vips = machines, vips
        self.handlers: dict[str, Handler] = {
            "AddIpRange": self._add,
            "AddIpRangeByNetworkCidr": self._add_by_cidr,
            "AddIpv6RangeByNetworkCidr": self._add_ipv6_by_cidr,
            "UpdateIpRange": self._update,
            "DeleteIpRange": self._delete,
            "GetFreeIp": self._free,
            "CheckIpAvailability": self._check_availability,
            "GetIpAddressCapacity": self._capacity,
        }

    def _add(self, call: Call) -> Json:
        params = call.params
        l3 = self._store.l3_networks.present(params["l3NetworkUuid"])
        try:
            start, end = Address(params["startIp"]), Address(params["endIp"])
            network = Network(f"{start}/{params['netmask']}", strict=False)
            gateway = Address(params["gateway"]) if params.get("gateway") else None
        except ValueError as error:
            raise Failure("SYS.1007", str(error)) from None
        if start > end or end not in network or start.is_multicast or start.is_reserved or start.is_link_local:
            raise Failure("SYS.1007", f"the range {start} - {end} is not one of usable addresses in {network}")
        pool = params.get("ipRangeType") == _POOL
        if gateway is None and not pool:
            raise Failure("SYS.1007", "adding normal ip range must specify gateway ip address")
        if gateway is not None and start <= gateway <= end and not pool:
            raise Failure("SYS.1007", f"gateway[{gateway}] must not be in the range {start} - {end}")
        self._check_fit(l3, network, gateway, start, end, pool=pool)
        self._tag_network(l3, call)
        span = self._store.create(self._store.ip_ranges, call, **self.row(l3, network, gateway, start, end, pool=pool))
        l3["_ranges"].append(span["uuid"])
        return {"inventory": self._views.plain(span)}

    def _add_by_cidr(self, call: Call) -> Json:
        params = call.params
        l3 = self._store.l3_networks.present(params["l3NetworkUuid"])
        try:
            network = Network(params["networkCidr"], strict=False)
            gateway = Address(params["gateway"]) if params.get("gateway") else network[1]
        except (ValueError, IndexError) as error:
            raise Failure("SYS.1007", f"networkCidr[{params['networkCidr']}]: {error}") from None
        if network.num_addresses < 4 or gateway not in network:
            raise Failure("SYS.1007", f"networkCidr[{network}] is too small or gateway[{gateway}] is not in it")
        pool = params.get("ipRangeType") == _POOL
        runs = [(network[1], network[-2])] if pool else _around(network[1], network[-2], gateway)
        parts = [part for part in runs if part[0] <= part[1]]
        for start, end in parts:
            self._check_fit(l3, network, gateway, start, end, pool=pool)
        self._tag_network(l3, call)
        spans = []
        for place, (start, end) in enumerate(parts):
            if place:
                call.params = {name: value for name, value in params.items() if name != "resourceUuid"}
            fields = self.row(l3, network, gateway, start, end, pool=pool)
            spans.append(self._store.create(self._store.ip_ranges, call, **fields))
            l3["_ranges"].append(spans[-1]["uuid"])
        shown = [self._views.plain(span) for span in spans]
        return {"inventory": shown[0], "inventories": shown}

    def _add_ipv6_by_cidr(self, call: Call) -> Json:
        """Add the range of a whole network; its first address is the gateway."""
        params = call.params
        l3 = self._store.l3_networks.present(params["l3NetworkUuid"])
        try:
            network = ipaddress.IPv6Network(params["networkCidr"], strict=False)
        except ValueError as error:
            raise Failure("SYS.1007", f"networkCidr[{params['networkCidr']}]: {error}") from None
        start, end = network[2], network[-1]
        for span in self._store.ip_ranges.some(l3["_ranges"]):
            if int(start) <= span["_end"] and span["_start"] <= int(end):
                what = f"uuid:{span['uuid']}, start ip:{span['startIp']}, end ip: {span['endIp']}"
                raise Failure("SYS.1007", f"overlap with ip range[{what}]")
        self._tag_network(l3, call)
        row = self.row(l3, network, network[1], start, end) | {"ipVersion": 6, "addressMode": params["addressMode"]}
        span = self._store.create(self._store.ip_ranges, call, **row)
        l3["_ranges"].append(span["uuid"])
        return {"inventory": self._views.plain(span), "inventories": [self._views.plain(span)]}

    def _tag_network(self, l3: Json, call: Call) -> None:
        """Give the tags of a range to its network, as the server does, which refuses those that are there already."""
        texts = call.params.pop("userTags", None) or []
        there = set(self._store.tags(l3["uuid"], self._store.user_tags))
        for text in texts:
            if text in there:
                what = f"tag:{text}, type:User, resourceType:IpRangeVO, resourceUuid:{l3['uuid']}"
                raise Failure("SYS.1006", f"Duplicated Tag[{what}]")
        self._store.tag("L3NetworkVO", l3["uuid"], texts, self._store.user_tags)

    def row(
        self, l3: Json, network: AnyNetwork, gateway: AnyAddress | None, start: AnyAddress, end: AnyAddress, *,
        pool: bool = False,
    ) -> Json:  # fmt: skip
        """Return the fields of a range beside those that every resource has.

        An address pool, which gives addresses to VIPs only, tells its first address as its gateway.
        """
        return {
            "l3NetworkUuid": l3["uuid"], "startIp": str(start), "endIp": str(end), "netmask": str(network.netmask),
            "gateway": str(start if pool else gateway), "networkCidr": str(network), "ipVersion": 4,
            "prefixLen": network.prefixlen, "_pool": pool, "_start": int(start), "_end": int(end),
            "_next": int(start), "_used": set(),
        }  # fmt: skip

    def _check_fit(
        self, l3: Json, network: Network, gateway: Address | None, start: Address, end: Address, *, pool: bool
    ) -> None:
        for span in self._store.ip_ranges.some(l3["_ranges"]):
            if int(start) <= span["_end"] and span["_start"] <= int(end):
                what = f"uuid:{span['uuid']}, start ip:{span['startIp']}, end ip: {span['endIp']}"
                raise Failure("SYS.1007", f"overlap with ip range[{what}]")
            if pool or span["_pool"]:
                continue
            if span["networkCidr"] != str(network):
                what = f"There has been a IP range[uuid:{span['uuid']}, CIDR:{span['networkCidr']}], the new IP range"
                text = f"multiple CIDR on the same L3 network is not allowed. {what}[CIDR:{network}]"
                raise Failure("SYS.1007", f"{text} is not in the CIDR with the existing one")
            if span["gateway"] != str(gateway):
                text = f"new add ip range gateway {gateway} is different from old gateway {span['gateway']}"
                raise Failure("SYS.1007", text)

    def _update(self, call: Call) -> Json:
        wanted = {name: call.params[name] for name in ("name", "description") if name in call.params}
        span = self._store.touch(self._store.ip_ranges.present(call.uuid()), **wanted)
        return {"inventory": self._views.plain(span)}

    def _delete(self, call: Call) -> Json:
        """Remove a range with the VIPs and NICs whose addresses are of it."""
        store = self._store
        span = store.ip_ranges.present(call.uuid())
        for used in store.used_ips.where(ipRangeUuid=span["uuid"]):
            for vip in store.vips.where(_used=used["uuid"]):
                self._vips.remove(vip)
            for nic in store.nics.some([used["vmNicUuid"]] if used["vmNicUuid"] else []):
                self._machines.remove_nic(nic)
            store.used_ips.remove(used["uuid"])
        store.l3_networks.present(span["l3NetworkUuid"])["_ranges"].remove(span["uuid"])
        store.drop(store.ip_ranges, span["uuid"])
        return {}

    def _spans(self, call: Call) -> list[Json]:
        params, store = call.params, self._store
        if params.get("ipRangeUuid"):
            return [store.ip_ranges.present(params["ipRangeUuid"])]
        return store.ip_ranges.some(store.l3_networks.present(params.get("l3NetworkUuid", ""))["_ranges"])

    def _free(self, call: Call) -> Json:
        limit = call.params.get("limit", 100)
        rows: list[Json] = []
        for span in self._spans(call):
            for address in self._addresses.free(span):
                if len(rows) == limit:
                    break
                rows.append(
                    {"ipRangeUuid": span["uuid"], "ip": address, "netmask": span["netmask"], "gateway": span["gateway"]}
                )
        return {"inventories": rows}

    def _check_availability(self, call: Call) -> Json:
        l3 = self._store.l3_networks.present(call.params["l3NetworkUuid"])
        try:
            number = int(Address(call.params["ip"]))
        except ValueError:
            raise Failure("SYS.1007", f"invalid IP[{call.params['ip']}]") from None
        for span in self._store.ip_ranges.some(l3["_ranges"]):
            if span["_start"] <= number <= span["_end"]:
                used = number in span["_used"]
                return {"available": not used, **({"reason": "USED"} if used else {})}
        return {"available": False, "reason": "IP_NOT_IN_RANGE"}

    def _capacity(self, call: Call) -> Json:
        chosen, store = call.params, self._store
        spans = [
            span for span in store.ip_ranges
            if chosen.get("all") or span["uuid"] in chosen.get("ipRangeUuids", ())
            or span["l3NetworkUuid"] in chosen.get("l3NetworkUuids", ())
        ]  # fmt: skip
        total = sum(span["_end"] - span["_start"] + 1 for span in spans)
        used = sum(len(span["_used"]) for span in spans)
        numbers = {"TotalCapacity": total, "AvailableCapacity": total - used, "UsedIpAddressNumber": used}
        plain = {name[0].lower() + name[1:]: number for name, number in numbers.items()}
        whole = plain | {f"ipv4{name}": number for name, number in numbers.items()}
        return whole | {"resourceType": "IpRangeVO", "capacityData": [self._capacity_of(span) for span in spans]}

    def _capacity_of(self, span: Json) -> Json:
        total, used = span["_end"] - span["_start"] + 1, len(span["_used"])
        numbers = {"totalCapacity": total, "availableCapacity": total - used, "usedIpAddressNumber": used}
        return {"resourceUuid": span["uuid"], **numbers}


def _around(first: Address, last: Address, gateway: Address) -> list[tuple[Address, Address]]:
    if not first <= gateway <= last:
        return [(first, last)]
    return [(first, gateway - 1), (gateway + 1, last)]
