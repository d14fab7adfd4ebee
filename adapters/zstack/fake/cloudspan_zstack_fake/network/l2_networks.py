"""L2 networks, which the administrator makes and attaches to clusters; deleting one takes its L3 networks along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Call, Failure, Handler, Work

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.network.networks import L3Networks
    from cloudspan_zstack_fake.store import Store

_INTERFACES = frozenset({"eth0", "eth1", "bond0"})
"""What the hosts have; checked when an L2 network is attached to their cluster."""


class L2Networks:
    """The L2 network calls."""

    def __init__(self, store: Store, views: Views, l3_networks: L3Networks) -> None:
        self._store, self._views, self._l3_networks = store, views, l3_networks
        self.handlers: dict[str, Handler] = {
            "CreateL2NoVlanNetwork": self._create_plain,
            "CreateL2VlanNetwork": self._create_vlan,
            "DeleteL2Network": self._delete,
            "AttachL2NetworkToCluster": self._attach,
            "DetachL2NetworkFromCluster": self._detach,
        }

    def _result(self, row: Json) -> Json:
        return {"inventory": self._views.plain(row)}

    def _create_plain(self, call: Call) -> Json:
        return self._result(self._store.create(self._store.l2_networks, call, **self.row(call.params)))

    def _create_vlan(self, call: Call) -> Json:
        return self._result(self._store.create(self._store.l2_networks, call, **self.row(call.params)))

    def row(self, params: Json) -> Json:
        """Return the fields of an L2 network beside those that every resource has; with `vlan` of the VLAN type."""
        vlan = params.get("vlan")
        kind: Json = {"type": "L2NoVlanNetwork"} if vlan is None else {"type": "L2VlanNetwork", "vlan": vlan}
        return {
            "zoneUuid": params["zoneUuid"], "physicalInterface": params["physicalInterface"], **kind,
            "vSwitchType": params.get("vSwitchType", "LinuxBridge"), "virtualNetworkId": vlan or 0,
            "isolated": params.get("isolated", False), "pvlan": params.get("pvlan"), "attachedClusterUuids": [],
        }  # fmt: skip

    def _delete(self, call: Call) -> Work:
        uuid = call.uuid()
        yield self._store.timing.delete_s
        for l3 in self._store.l3_networks.where(l2NetworkUuid=uuid):
            self._l3_networks.remove(l3)
        self._store.drop(self._store.l2_networks, uuid)
        return {}

    def _both(self, call: Call) -> tuple[Json, str]:
        return self._store.l2_networks.present(call.params["l2NetworkUuid"]), call.params["clusterUuid"]

    def _attach(self, call: Call) -> Json:
        network, cluster = self._both(call)
        if cluster in network["attachedClusterUuids"]:
            text = f"l2Network[uuid:{network['uuid']}] has attached to cluster[uuid:{cluster}], cant attach again"
            raise Failure("SYS.1006", text)
        if network["physicalInterface"] not in _INTERFACES:
            raise Failure("SYS.1006", f"cannot find physical interface[{network['physicalInterface']}] on the hosts")
        self._check_conflict(network, cluster)
        network["attachedClusterUuids"].append(cluster)
        return self._result(self._store.touch(network))

    def _check_conflict(self, network: Json, cluster: str) -> None:
        """Refuse a second network of one kind, interface and VLAN on a cluster; before it is attached it may be."""
        same = {name: network.get(name) for name in ("type", "physicalInterface", "vlan")}
        for other in self._store.l2_networks.where(**same):
            if other["uuid"] != network["uuid"] and cluster in other["attachedClusterUuids"]:
                text = (
                    f"There has been a {other['type']}[uuid:{other['uuid']}, name:{other['name']}] attached to "
                    f"cluster[uuid:{cluster}] that has physical interface[{other['physicalInterface']}], "
                    f"vlan[{other.get('vlan')}]. Failed to attach L2VlanNetwork[uuid:{network['uuid']}]"
                )
                raise Failure("L2.1000", f"attach l2 network failed:{text}", Failure("SYS.1007", text))

    def _detach(self, call: Call) -> Json:
        network, cluster = self._both(call)
        if cluster in network["attachedClusterUuids"]:
            network["attachedClusterUuids"].remove(cluster)
        return self._result(self._store.touch(network))
