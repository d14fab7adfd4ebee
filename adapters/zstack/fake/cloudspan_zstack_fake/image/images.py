"""Images: added by URL, made of volumes, deleted softly, recovered, expunged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_zstack_fake.wire import Call, Failure, Handler, Work

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.views import Views
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.store import Store

_SCHEMES = ("http://", "https://", "ftp://", "sftp://", "file:///", "/", "upload://")
_EXPUNGE_S = 259200.0
_DOWNLOADED_BYTES = 2 * 1024**3


class Images:
    """The image calls."""

    def __init__(self, store: Store, views: Views, quotas: Quotas) -> None:
        self._store, self._views, self._quotas = store, views, quotas
        self.handlers: dict[str, Handler] = {
            "AddImage": self._add,
            "DeleteImage": self._delete,
            "RecoverImage": self._recover,
            "ExpungeImage": self._expunge,
            "CreateRootVolumeTemplateFromRootVolume": self._from_root_volume,
            "CreateDataVolumeTemplateFromVolume": self._from_data_volume,
        }

    def _of(self, call: Call) -> Json:
        return self._store.images.present(call.uuid())

    def _result(self, image: Json) -> Json:
        return {"inventory": self._views.image(image)}

    def _add(self, call: Call) -> Work:
        params = call.params
        if not params["url"].startswith(_SCHEMES):
            raise Failure("SYS.1007", f"url[{params['url']}] must start with one of {_SCHEMES}")
        self._quotas.check(call, image__num=1)
        image = self._store.create(self._store.images, call, **self.row(params, status="Downloading"))
        yield self._store.timing.image_s
        return self._ready(image, _DOWNLOADED_BYTES, params["backupStorageUuids"])

    def row(self, params: Json, *, status: str) -> Json:
        """Return the fields of a new image's row beside those that every resource has."""
        media = params.get("mediaType", "RootVolumeTemplate")
        return {
            "state": "Enabled", "status": status, "size": 0, "actualSize": 0, "md5Sum": None, "url": params.get("url"),
            "mediaType": media, "guestOsType": params.get("guestOsType", "Linux"), "type": "zstack",
            "platform": params.get("platform", "Linux"), "architecture": params.get("architecture", "x86_64"),
            "format": params.get("format", "iso" if media == "ISO" else "qcow2"),
            "system": params.get("system", False), "virtio": params.get("virtio", True), "_refs": [],
        }  # fmt: skip

    def _ready(self, image: Json, size: int, storages: list[str] | None) -> Json:
        if image["uuid"] not in self._store.images or image["status"] == "Deleted":
            raise Failure("SYS.1002", f"the image[uuid:{image['uuid']}] was deleted while it was made")
        self.fill(image, size, storages)
        return self._result(image)

    def fill(self, image: Json, size: int, storages: list[str] | None = None) -> None:
        """Make an image Ready on backup storages, by default on the first."""
        store = self._store
        chosen = storages or [next(iter(store.backup_storages))["uuid"]]
        path = f"/zstack_bs/rootVolumeTemplates/{image['uuid']}/{image['uuid']}.qcow2"
        image["_refs"] = [
            {
                "id": place, "imageUuid": image["uuid"], "backupStorageUuid": uuid, "installPath": path,
                "status": "Ready", "createDate": store.now(), "lastOpDate": store.now(),
            }
            for place, uuid in enumerate(chosen, 1)
        ]  # fmt: skip
        store.touch(image, status="Ready", size=size, actualSize=size // 4, md5Sum=store.fixed_uuid(image["uuid"]))

    def _from_root_volume(self, call: Call) -> Work:
        return self._from_volume(call, "Root", "RootVolumeTemplate")

    def _from_data_volume(self, call: Call) -> Work:
        return self._from_volume(call, "Data", "DataVolumeTemplate")

    def _from_volume(self, call: Call, kind: str, media: str) -> Work:
        volume = self._store.volumes.present(call.uuid())
        if volume["type"] != kind or volume["status"] != "Ready":
            raise Failure("SYS.1006", f"volume[uuid:{volume['uuid']}] is no Ready {kind} volume")
        self._quotas.check(call, image__num=1, image__size=volume["size"])
        params = {**call.params, "mediaType": media}
        image = self._store.create(self._store.images, call, **self.row(params, status="Creating"))
        image["url"] = f"volume://{volume['uuid']}"
        yield self._store.timing.image_s
        return self._ready(image, volume["size"], call.params.get("backupStorageUuids"))

    def _delete(self, call: Call) -> Work:
        image = self._of(call)
        yield self._store.timing.delete_s
        deleted_at = image["_deleted"] = self._store.now()
        self._store.touch(image, status="Deleted")
        self._store.timeline.after(_EXPUNGE_S, lambda: self._purge(image, deleted_at))
        return {}

    def _purge(self, image: Json, deleted_at: float) -> None:
        if image["status"] == "Deleted" and image["_deleted"] == deleted_at:
            self._store.drop(self._store.images, image["uuid"])

    def _recover(self, call: Call) -> Json:
        image = self._of(call)
        if image["status"] != "Deleted":
            raise Failure("SYS.1006", f"the image[uuid:{image['uuid']}] is not Deleted but {image['status']}")
        return self._result(self._store.touch(image, status="Ready"))

    def _expunge(self, call: Call) -> Work:
        image = self._of(call)
        if image["status"] != "Deleted":
            raise Failure("SYS.1006", f"the image[uuid:{image['uuid']}] is not Deleted but {image['status']}")
        yield self._store.timing.delete_s
        self._store.drop(self._store.images, image["uuid"])
        return {}
