"""Volume snapshots: a tree per volume, where deleting one takes all that stand on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Call, Failure, Handler, Work

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.store import Store


class Snapshots:
    """The snapshot calls."""

    def __init__(self, store: Store, views: Views, quotas: Quotas) -> None:
        self._store, self._views, self._quotas = store, views, quotas
        self.handlers: dict[str, Handler] = {
            "CreateVolumeSnapshot": self._create,
            "RevertVolumeFromSnapshot": self._revert,
            "DeleteVolumeSnapshot": self._delete,
        }

    def _result(self, snapshot: Json) -> Json:
        return {"inventory": self._views.plain(snapshot)}

    def _create(self, call: Call) -> Work:
        volume = self._store.volumes.present(call.params["volumeUuid"])
        if volume["state"] != "Enabled" or volume["status"] != "Ready":
            text = f"volume[uuid:{volume['uuid']}] is {volume['state']}, {volume['status']}"
            raise Failure("SYS.1006", f"{text}: it must be Enabled and Ready for a snapshot")
        self._quotas.check(call, snapshot__volume__num=1)
        snapshot = self.add(call, volume)
        yield self._store.timing.volume_s
        if snapshot["uuid"] not in self._store.snapshots:
            raise Failure("SYS.1002", f"the snapshot[uuid:{snapshot['uuid']}] went away with its volume")
        self._store.touch(snapshot, status="Ready")
        return self._result(snapshot)

    def add(self, call: Call, volume: Json) -> Json:
        """Add the row of a new snapshot at the top of the volume's current branch."""
        store = self._store
        latest = next(iter(store.snapshots.where(volumeUuid=volume["uuid"], latest=True)), None)
        snapshot = store.create(
            store.snapshots, call, type="Hypervisor", volumeUuid=volume["uuid"], volumeType=volume["type"],
            treeUuid=latest["treeUuid"] if latest else store.new_uuid(), parentUuid=latest and latest["uuid"],
            primaryStorageUuid=volume["primaryStorageUuid"], primaryStorageInstallPath=volume["installPath"],
            format="qcow2", latest=True, size=volume["size"] // 10, distance=latest["distance"] + 1 if latest else 1,
            state="Enabled", status="Creating", groupUuid=None, backupStorageRefs=[], _volume_size=volume["size"],
        )  # fmt: skip
        if latest is not None:
            latest["latest"] = False
        return snapshot

    def _revert(self, call: Call) -> Work:
        store = self._store
        snapshot = store.snapshots.present(call.uuid())
        volume = store.volumes.present(snapshot["volumeUuid"])
        vm = store.vms.get(volume["vmInstanceUuid"])
        if vm is not None and vm["state"] != "Stopped":
            cause = Failure("VM.1010", f"vm[uuid:{vm['uuid']}] is not Stopped but {vm['state']}")
            raise Failure("SYS.1006", f"unable to revert volume[uuid:{volume['uuid']}] to the snapshot", cause)
        yield store.timing.volume_s
        for other in store.snapshots.where(volumeUuid=volume["uuid"]):
            other["latest"] = other["uuid"] == snapshot["uuid"]
        store.touch(volume)
        return {}

    def _delete(self, call: Call) -> Work:
        store = self._store
        doomed = self.branch(store.snapshots.present(call.uuid()))
        for snapshot in doomed:
            store.touch(snapshot, status="Deleting")
        yield store.timing.delete_s
        for snapshot in doomed:
            store.drop(store.snapshots, snapshot["uuid"])
        self._choose_latest(doomed[0])
        return {}

    def branch(self, snapshot: Json) -> list[Json]:
        """Return a snapshot and all its descendants."""
        found = [snapshot]
        for one in found:
            found.extend(self._store.snapshots.where(parentUuid=one["uuid"]))
        return found

    def _choose_latest(self, gone: Json) -> None:
        rest = self._store.snapshots.where(volumeUuid=gone["volumeUuid"])
        if rest and not any(row["latest"] for row in rest):
            parent = self._store.snapshots.get(gone["parentUuid"]) or rest[-1]
            parent["latest"] = True
