"""`Update*` and `Change*State` of the resources that only take them down in their row."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.store import Store, Table
    from cloudspan_zstack_fake.wire import Call, Handler

_NAMES = ("name", "description")
_OFFERING = (*_NAMES, "allocatorStrategy")
_IMAGE = (*_NAMES, "guestOsType", "mediaType", "format", "system", "platform", "architecture", "virtio")


class Changes:
    """The calls that change fields of a row, and nothing else."""

    def __init__(self, store: Store, views: Views) -> None:
        self._store, self._views = store, views
        self.handlers: dict[str, Handler] = {}
        fields: dict[str, tuple[Table, tuple[str, ...]]] = {
            "Image": (store.images, _IMAGE),
            "Volume": (store.volumes, _NAMES),
            "VolumeSnapshot": (store.snapshots, _NAMES),
            "L2Network": (store.l2_networks, _NAMES),
            "L3Network": (store.l3_networks, (*_NAMES, "dnsDomain", "category", "system")),
            "Vip": (store.vips, _NAMES),
            "Eip": (store.eips, _NAMES),
            "SecurityGroup": (store.security_groups, _NAMES),
            "InstanceOffering": (store.instance_offerings, _OFFERING),
            "DiskOffering": (store.disk_offerings, _OFFERING),
            "SshKeyPair": (store.ssh_keys, _NAMES),
        }
        for kind, (table, names) in fields.items():
            self.handlers[f"Update{kind}"] = self._update(kind, table, names)
        for kind in ("Image", "Volume", "L3Network", "Vip", "Eip", "SecurityGroup", "InstanceOffering", "DiskOffering"):
            self.handlers[f"Change{kind}State"] = self._change_state(kind, fields[kind][0])

    def _update(self, kind: str, table: Table, names: tuple[str, ...]) -> Handler:
        def update(call: Call) -> Json:
            wanted = {name: call.params[name] for name in names if name in call.params}
            return self._changed(kind, table, call, wanted)

        return update

    def _change_state(self, kind: str, table: Table) -> Handler:
        def change(call: Call) -> Json:
            state = "Enabled" if call.params["stateEvent"] == "enable" else "Disabled"
            return self._changed(kind, table, call, {"state": state})

        return change

    def _changed(self, kind: str, table: Table, call: Call, wanted: Json) -> Json:
        row = self._store.touch(table.present(call.uuid()), **wanted)
        return {"inventory": self._views.show(f"{kind}Inventory", row)}
