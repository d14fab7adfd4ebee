"""What happens to volumes after the API has answered, asked for by Cinder's handlers and by Nova."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_openstack_fake.compute.server_create import new_attachment
from cloudspan_openstack_fake.store import micros

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.rows import Attachment, Server
    from cloudspan_openstack_fake.store import Store


class VolumeLife:
    """Moves volumes through their states."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def new_row(self, project_id: str, user_id: str, asked: Json) -> Json:
        """Return a volume that is being created; it becomes available by itself."""
        kind = asked.get("volume_type") or "__DEFAULT__"
        row: Json = {
            "id": self._store.new_id(),
            "status": "creating",
            "size": int(asked["size"]),
            "availability_zone": asked.get("availability_zone") or self._store.zones[0],
            "created_at": micros(self._store.now()),
            "updated_at": None,
            "name": asked.get("name"),
            "description": asked.get("description"),
            "volume_type": kind,
            "snapshot_id": asked.get("snapshot_id"),
            "source_volid": asked.get("source_volid"),
            "metadata": dict(asked.get("metadata") or {}),
            "user_id": user_id,
            "bootable": "false",
            **dict.fromkeys(("encrypted", "multiattach"), False),
            **dict.fromkeys(("replication_status", "consistencygroup_id")),
            "attachments": [],
            "_image": asked.get("imageRef"),
            "_project": project_id,
            "_type_id": self._store.volume_types[kind]["id"],
            "_seq": self._store.next_seq(),
        }
        self._store.volumes.add(row["id"], row)
        self._store.timeline.after(self._store.timing.volume_s, lambda: self._created(row))
        return row

    def _created(self, row: Json) -> None:
        if row["status"] != "creating":
            return
        image = self._store.images.get(row["_image"] or "")
        source = self._store.volumes.get(row["source_volid"] or "")
        if image is not None:
            names = (
                "os_distro",
                "architecture",
                "checksum",
                "container_format",
                "disk_format",
                "min_disk",
                "min_ram",
                "size",
            )
            meta = {name: str(image[name]) for name in names if name in image}
            row["_image_meta"] = {**meta, "image_id": image["id"], "image_name": image["name"]}
            row["bootable"] = "true"
        elif source is not None:
            row["bootable"] = source["bootable"]
        self.set_status(row, "available")

    def set_status(self, row: Json, status: str) -> None:
        row["status"], row["updated_at"] = status, micros(self._store.now())

    def delete(self, row: Json) -> None:
        """Delete: deleting for a while, then gone."""
        self.set_status(row, "deleting")
        self._store.timeline.after(self._store.timing.delete_s, lambda: self._gone(row))

    def _gone(self, row: Json) -> None:
        self._store.volumes.remove(row["id"])

    def make_for(self, server: Server, mapping: Json) -> Attachment:
        """Make the volume of a block device mapping from an image."""
        asked = {"size": mapping["volume_size"], "imageRef": mapping["uuid"], "name": "", "description": ""}
        row = self.new_row(server.project_id, server.user_id, asked)
        self._created(row)
        return new_attachment(self._store, server, row["id"], bool(mapping.get("delete_on_termination")))

    def attaching(self, attachment: Attachment, server: Server) -> None:
        """Reserved now, attaching soon, in-use after a while."""
        row = self._store.volumes_row(attachment.volume_id)
        self.set_status(row, "reserved")

        def begin() -> None:
            if row["status"] == "reserved" and attachment.volume_id in server.volumes:
                self.set_status(row, "attaching")

        self._store.timeline.after(self._store.timing.attach_s / 2, begin)

        def finish() -> None:
            if attachment.volume_id in server.volumes:
                self.attached(attachment, server)

        self._store.timeline.after(self._store.timing.attach_s, finish)

    def attached(self, attachment: Attachment, server: Server) -> None:
        row = self._store.volumes_row(attachment.volume_id)
        self.set_status(row, "in-use")
        row["attachments"] = [
            {
                "id": row["id"],
                "attachment_id": attachment.attachment_id,
                "volume_id": row["id"],
                "server_id": server.id,
                "host_name": None,
                "device": attachment.device,
                "attached_at": micros(self._store.now()),
            }
        ]

    def detaching(self, attachment: Attachment) -> None:
        self.set_status(self._store.volumes_row(attachment.volume_id), "detaching")

    def detached(self, attachment: Attachment) -> None:
        """Release a volume, or delete it if it was to die with the server."""
        row = self._store.volumes.get(attachment.volume_id)
        if row is None:
            return
        row["attachments"] = []
        self.set_status(row, "available")
        if attachment.delete_on_termination:
            self.delete(row)
