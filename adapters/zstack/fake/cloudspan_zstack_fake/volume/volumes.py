"""Data volumes: created, attached, detached, grown, deleted softly, recovered and expunged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.compute.servers import require
from cloudspan_zstack_fake.wire import Call, Failure, Handler, Work

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.compute.servers import Machines
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.store import Store

_EXPUNGE_S = 259200.0
_MAX_DATA = 24


class Volumes:
    """The volume calls."""

    def __init__(self, store: Store, views: Views, machines: Machines, quotas: Quotas) -> None:
        self._store, self._views, self._machines, self._quotas = store, views, machines, quotas
        self.handlers: dict[str, Handler] = {
            "CreateDataVolume": self._create,
            "CreateDataVolumeFromVolumeSnapshot": self._from_snapshot,
            "CreateDataVolumeFromVolumeTemplate": self._from_template,
            "AttachDataVolumeToVm": self._attach,
            "DetachDataVolumeFromVm": self._detach,
            "DeleteDataVolume": self._delete,
            "RecoverDataVolume": self._recover,
            "ExpungeDataVolume": self._expunge,
            "ResizeDataVolume": self._resize,
            "ResizeRootVolume": self._resize,
            "GetDataVolumeAttachableVm": self._attachable_vms,
        }

    def _of(self, call: Call) -> Json:
        return self._store.volumes.present(call.uuid())

    def _result(self, volume: Json) -> Json:
        return {"inventory": self._views.plain(volume)}

    def _create(self, call: Call) -> Work:
        size, offering = call.params.get("diskSize"), call.params.get("diskOfferingUuid")
        if offering:
            row = self._store.disk_offerings.present(offering)
            if row["state"] != "Enabled":
                raise Failure(
                    "SYS.1007", f"disk offering[uuid:{offering}] is Disabled, can not create data volume from it"
                )
            size = row["diskSize"]
        # Without a storage the volume is a row in the database until its first attachment.
        return self._make(call, size or 0, instantiated="primaryStorageUuid" in call.params, offering=offering)

    def _from_snapshot(self, call: Call) -> Work:
        snapshot = self._store.snapshots.present(call.uuid())
        return self._make(call, snapshot["_volume_size"], instantiated=True)

    def _from_template(self, call: Call) -> Work:
        image = self._store.images.present(call.uuid())
        if image["mediaType"] != "DataVolumeTemplate":
            text = f"image[uuid:{image['uuid']}] is not DataVolumeTemplate, but {image['mediaType']}"
            raise Failure("SYS.1007", text)
        if image["status"] != "Ready":
            raise Failure("SYS.1006", f"image[uuid:{image['uuid']}] is not Ready, but {image['status']}")
        return self._make(call, image["size"], instantiated=True)

    def _make(self, call: Call, size: int, *, instantiated: bool, offering: str | None = None) -> Work:
        if size < 0:
            raise Failure("SYS.1007", "unexpected disk size settings")
        self._quotas.check(call, volume__data__num=1, volume__capacity=size)
        volume = self._store.create(self._store.volumes, call, **self.row(size, offering=offering))
        volume["isShareable"] = "ephemeral::shareable" in (call.params.get("systemTags") or ())
        if instantiated:
            storage = self._machines.storage_for(size, call.params.get("primaryStorageUuid"))
            self._store.touch(volume, status="Creating", primaryStorageUuid=storage["uuid"])
        yield self._store.timing.volume_s
        if volume["uuid"] not in self._store.volumes:
            raise Failure("SYS.1002", f"the volume[uuid:{volume['uuid']}] was deleted meanwhile")
        if instantiated:
            self._instantiate(volume)
        return self._result(volume)

    def row(self, size: int, *, offering: str | None = None) -> Json:
        """Return the fields of a new data volume's row beside those that every resource has."""
        return {
            "primaryStorageUuid": None, "vmInstanceUuid": None, "diskOfferingUuid": offering, "rootImageUuid": None,
            "installPath": None, "type": "Data", "format": None, "size": size, "actualSize": 0, "deviceId": None,
            "state": "Enabled", "status": "NotInstantiated", "isShareable": False,
        }  # fmt: skip

    def _instantiate(self, volume: Json) -> None:
        storage = volume["primaryStorageUuid"] or next(iter(self._store.primary_storages))["uuid"]
        path = f"/zstack_ps/dataVolumes/vol-{volume['uuid']}/{volume['uuid']}.qcow2"
        self._store.touch(
            volume, status="Ready", primaryStorageUuid=storage, installPath=path, format="qcow2",
            actualSize=volume["size"] // 10,
        )  # fmt: skip

    def _attach(self, call: Call) -> Work:
        volume = self._store.volumes.present(call.params["volumeUuid"])
        vm = self._store.vms.present(call.params["vmInstanceUuid"])
        self._check_attach(volume, vm)
        taken = {other["deviceId"] for other in self._store.volumes.some(vm["_volumes"])}
        place = next(number for number in range(1, len(taken) + 2) if number not in taken)
        vm["_volumes"].append(volume["uuid"])
        self._store.touch(volume, vmInstanceUuid=vm["uuid"], deviceId=place, lastAttachDate=self._store.now())
        yield self._store.timing.attach_s
        if volume["vmInstanceUuid"] != vm["uuid"]:
            raise Failure("VM.1005", f"the volume[uuid:{volume['uuid']}] was taken off the vm meanwhile")
        if volume["status"] == "NotInstantiated":
            self._instantiate(volume)
        return self._result(volume)

    def _check_attach(self, volume: Json, vm: Json) -> None:
        if volume["type"] != "Data":
            raise Failure(
                "SYS.1006", f"the volume[uuid:{volume['uuid']}] is a {volume['type']} volume, can't attach it"
            )
        if volume["vmInstanceUuid"] is not None:
            text = f"data volume[uuid:{volume['uuid']}] has been attached to some vm, cant attach again"
            raise Failure("SYS.1006", text)
        if volume["status"] == "Deleted":
            text = f"the volume[uuid:{volume['uuid']}] is in status of deleted, cannot do the operation"
            raise Failure("SYS.1006", text)
        if volume["state"] != "Enabled" or volume["status"] not in ("Ready", "NotInstantiated"):
            text = f"data volume[uuid:{volume['uuid']}] is {volume['state']} and {volume['status']}"
            raise Failure("SYS.1006", f"{text}, it must be Enabled and Ready or NotInstantiated")
        require(vm, "volume")
        if len(vm["_volumes"]) > _MAX_DATA:
            raise Failure("SYS.1006", f"the vm[uuid:{vm['uuid']}] already has {_MAX_DATA} data volumes")

    def _detach(self, call: Call) -> Work:
        volume = self._of(call)
        vm = self._store.vms.get(volume["vmInstanceUuid"])
        if vm is None:
            raise Failure("SYS.1006", f"data volume[uuid:{volume['uuid']}] is not attached to any vm, cant detach")
        if volume["type"] == "Root":
            raise Failure("SYS.1006", "it's not allowed to detach a root volume")
        require(vm, "volume")
        yield self._store.timing.attach_s
        if volume["vmInstanceUuid"] == vm["uuid"]:
            self._machines.detach_volume(volume)
        return self._result(volume)

    def _delete(self, call: Call) -> Work:
        volume = self._of(call)
        if volume["type"] == "Root":
            raise Failure("SYS.1006", f"volume[uuid:{volume['uuid']}] is a root volume, can't be deleted")
        if volume["status"] == "Deleted":
            raise Failure("SYS.1006", f"volume[uuid:{volume['uuid']}] is already in status of deleted")
        if volume["vmInstanceUuid"] is not None:
            self._machines.detach_volume(volume)
        yield self._store.timing.delete_s
        if self._store.config("volume", "deletionPolicy") == "Direct":
            self._machines.remove_volume(volume)
            return {}
        deleted_at = volume["_deleted"] = self._store.now()
        self._store.touch(volume, status="Deleted")
        self._store.timeline.after(_EXPUNGE_S, lambda: self._purge(volume, deleted_at))
        return {}

    def _purge(self, volume: Json, deleted_at: float) -> None:
        if volume["status"] == "Deleted" and volume["_deleted"] == deleted_at:
            self._machines.remove_volume(volume)

    def _recover(self, call: Call) -> Json:
        volume = self._of(call)
        if volume["status"] != "Deleted":
            raise Failure(
                "SYS.1006", f"the volume[uuid:{volume['uuid']}] is not in status of deleted: {volume['status']}"
            )
        return self._result(self._store.touch(volume, status="Ready"))

    def _expunge(self, call: Call) -> Work:
        volume = self._of(call)
        if volume["status"] != "Deleted":
            raise Failure("SYS.1006", f"the volume[uuid:{volume['uuid']}] must be deleted before it is expunged")
        yield self._store.timing.delete_s
        self._machines.remove_volume(volume)
        return {}

    def _resize(self, call: Call) -> Work:
        volume = self._of(call)
        wanted = "Data" if call.name == "ResizeDataVolume" else "Root"
        if volume["type"] != wanted:
            raise Failure("SYS.1006", f"volume[uuid:{volume['uuid']}] is a {volume['type']} volume")
        if call.params["size"] <= volume["size"]:
            raise Failure(
                "SYS.1006", f"a volume only grows: from {volume['size']} to {call.params['size']} it would not"
            )
        self._quotas.check(call, volume__capacity=call.params["size"] - volume["size"])
        yield self._store.timing.volume_s
        return self._result(self._store.touch(volume, size=call.params["size"]))

    def _attachable_vms(self, call: Call) -> Json:
        volume = self._of(call)
        states = ("Running", "Stopped", "Paused")
        rows = [row for row in self._store.vms if row["state"] in states and row["_account"] == volume["_account"]]
        return {"inventories": [self._views.vm(row) for row in rows]}
