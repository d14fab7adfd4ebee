"""VIPs and the EIPs that stand on them: a public address, bound one to one to a NIC."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cloudspan_zstack_fake.store import taken_uuid
from cloudspan_zstack_fake.wire import Call, Failure, Handler, Work

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.network.addresses import Addresses
    from cloudspan_zstack_fake.store import Store, Table


class Vips:
    """The VIP and EIP calls."""

    def __init__(self, store: Store, views: Views, addresses: Addresses, quotas: Quotas) -> None:
        self._store, self._views, self._addresses, self._quotas = store, views, addresses, quotas
        self.handlers: dict[str, Handler] = {
            "CreateVip": self._create_vip,
            "DeleteVip": self._delete_vip,
            "CreateEip": self._create_eip,
            "AttachEip": self._attach,
            "DetachEip": self._detach,
            "DeleteEip": self._delete_eip,
            "GetEipAttachableVmNics": self._candidate_nics,
        }

    def _table(self, call: Call) -> Table:
        return self._store.vips if "Vip" in call.name else self._store.eips

    def _result(self, call: Call, row: Json) -> Json:
        return {"inventory": self._views.vip(row) if "Vip" in call.name else self._views.plain(row)}

    def _create_vip(self, call: Call) -> Json:
        l3 = self._store.l3_networks.present(call.params["l3NetworkUuid"])
        self._quotas.check(call, vip__num=1)
        chosen = call.params.get("resourceUuid")
        if chosen and self._store.owner_table(chosen) is not None:
            raise taken_uuid()
        used = self._addresses.take(l3, call.params.get("requiredIp"), for_vip=True)
        span = self._store.ip_ranges.present(used["ipRangeUuid"])
        row = self._store.create(
            self._store.vips, call, l3NetworkUuid=l3["uuid"], ipRangeUuid=span["uuid"], ip=used["ip"], state="Enabled",
            gateway=used["gateway"], netmask=used["netmask"], prefixLen=span["prefixLen"], serviceProvider=None,
            peerL3NetworkUuids=None, system=False, _used=used["uuid"], _eip=None,
        )  # fmt: skip
        return self._result(call, row)

    def _delete_vip(self, call: Call) -> Json:
        vip = self._store.vips.present(call.uuid())
        if vip["system"]:
            raise Failure("SYS.1006", f"the vip[uuid:{vip['uuid']}] is a router's own, it can't be deleted")
        self.remove(vip)
        return {}

    def remove(self, vip: Json) -> None:
        """Remove a VIP and the EIP on it; its address is free again."""
        if vip["_eip"]:
            self._store.drop(self._store.eips, vip["_eip"])
        self._addresses.release(vip["_used"])
        self._store.drop(self._store.vips, vip["uuid"])

    def _create_eip(self, call: Call) -> Work:
        vip = self._store.vips.present(call.params["vipUuid"])
        if vip["_eip"] is not None:
            text = f"vip[uuid:{vip['uuid']}] has been occupied other network service entity[Eip]"
            raise Failure("SYS.1006", text)
        if vip["state"] != "Enabled":
            raise Failure("SYS.1006", f"vip[uuid:{vip['uuid']}] is not Enabled")
        self._quotas.check(call, eip__num=1)
        nic = self._store.nics.get(call.params.get("vmNicUuid"))
        if nic is not None:
            self._check_nic(vip, nic)
        eip = self._store.create(
            self._store.eips, call, vmNicUuid=None, vipUuid=vip["uuid"], state="Enabled", vipIp=vip["ip"], guestIp=None
        )
        vip["_eip"] = eip["uuid"]
        if nic is not None:
            self._bind(eip, nic)
        # The row is there, bound and all, before the backend is told, and is taken back where that fails.
        yield self._store.timing.attach_s
        if eip["uuid"] not in self._store.eips:
            raise Failure("SYS.1006", f"the eip[uuid:{eip['uuid']}] was deleted meanwhile")
        if nic is not None and nic["uuid"] not in self._store.nics:
            vip["_eip"] = None
            self._store.drop(self._store.eips, eip["uuid"])
            raise Failure("SYS.1006", f"the nic[uuid:{nic['uuid']}] went away while eip[uuid:{eip['uuid']}] was made")
        return self._result(call, eip)

    def _check_nic(self, vip: Json, nic: Json) -> None:
        store = self._store
        l3 = store.l3_networks.present(nic["l3NetworkUuid"])
        if not any(ref["networkServiceType"] == "Eip" for ref in l3["_services"]):
            raise Failure("SYS.1006", f"the L3 network[uuid:{l3['uuid']}] of the nic has no Eip service")
        vm = store.vms.get(nic["vmInstanceUuid"])
        networks = {other["l3NetworkUuid"] for other in store.nics.some(vm["_nics"] if vm else [nic["uuid"]])}
        if vip["l3NetworkUuid"] in networks:
            raise Failure("SYS.1006", f"the vm is already on the L3 network[uuid:{vip['l3NetworkUuid']}] of the vip")
        if any(_inside(vip["ip"], span) for span in store.ip_ranges.some(l3["_ranges"])):
            raise Failure("SYS.1006", f"vip[{vip['ip']}] is inside the guest's range")
        if store.eips.where(vmNicUuid=nic["uuid"]):
            raise Failure("SYS.1007", f"can not bound more than 1 ipv4 eip to a vm nic[uuid:{nic['uuid']}] of flat ")

    def _serve(self, vip: Json, nic: Json) -> None:
        """Take down who serves a VIP and for which networks, which it keeps when its EIP is detached."""
        l3 = self._store.l3_networks.present(nic["l3NetworkUuid"])
        uuid = next(ref["networkServiceProviderUuid"] for ref in l3["_services"] if ref["networkServiceType"] == "Eip")
        provider = self._store.providers.present(uuid)["type"]
        self._store.touch(vip, serviceProvider=provider, peerL3NetworkUuids=[l3["uuid"]])

    def _bind(self, eip: Json, nic: Json, used_ip: str | None = None) -> None:
        if used_ip and used_ip not in nic["_ips"]:
            raise Failure("SYS.1007", f"the used ip[uuid:{used_ip}] is not of the nic[uuid:{nic['uuid']}]")
        self._serve(self._store.vips.present(eip["vipUuid"]), nic)
        address = self._store.used_ips.present(used_ip)["ip"] if used_ip else nic["ip"]
        self._store.touch(eip, vmNicUuid=nic["uuid"], guestIp=address)

    def _attach(self, call: Call) -> Json:
        eip = self._store.eips.present(call.params["eipUuid"])
        nic = self._store.nics.present(call.params["vmNicUuid"])
        if eip["vmNicUuid"] is not None:
            raise Failure(
                "SYS.1006", f"eip[uuid:{eip['uuid']}] has attached to another vm nic[uuid:{eip['vmNicUuid']}]"
            )
        if eip["state"] != "Enabled":
            raise Failure("SYS.1006", f"eip[uuid: {eip['uuid']}] can only be attached when state is Enabled")
        self._check_nic(self._store.vips.present(eip["vipUuid"]), nic)
        self._bind(eip, nic, call.params.get("usedIpUuid"))
        return self._result(call, eip)

    def _detach(self, call: Call) -> Json:
        eip = self._store.eips.present(call.uuid())
        if eip["vmNicUuid"] is None:
            raise Failure("SYS.1006", f"eip[uuid:{eip['uuid']}] has not attached to any vm nic")
        return self._result(call, self._store.touch(eip, vmNicUuid=None, guestIp=None))

    def _delete_eip(self, call: Call) -> Json:
        eip = self._store.eips.present(call.uuid())
        self._store.vips.present(eip["vipUuid"])["_eip"] = None
        self._store.drop(self._store.eips, eip["uuid"])
        return {}

    def _candidate_nics(self, call: Call) -> Json:
        eip = self._store.eips.present(call.uuid())
        vip = self._store.vips.present(eip["vipUuid"])
        found = []
        for nic in self._store.nics:
            try:
                self._check_nic(vip, nic)
            except Failure:
                continue  # it is what makes it no candidate
            found.append(self._views.nic(nic))
        start, limit = call.params.get("start", 0), call.params.get("limit", 1000)
        return {"inventories": found[start : start + limit], "start": start, "more": start + limit < len(found)}


def _inside(address: str, span: Json) -> bool:
    return bool(span["_start"] <= int(ipaddress.IPv4Address(address)) <= span["_end"])
