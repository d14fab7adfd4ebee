"""How volumes are made exactly once, awaited, found by their mark, and taken away again.

`storage_changes`, `server_parts` and `marks` go through it. The marker of a create travels in the metadata, where
Cinder takes and finds it, and stays there: labels leave it out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import GaveUp, NotFound, PreconditionFailed, RateLimited
from cloudspan_kit.driver import Made, Watch
from cloudspan_kit.values import GIB, converted, listed
from cloudspan_openstack.volume.storage_rows import MARKER_KEY, Snapshots, VolumeRow, Volumes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.driver import Call, Operation
    from cloudspan_openstack.cloud.session import Session

BUSY = frozenset({"creating", "downloading", "attaching", "detaching", "uploading", "extending", "retyping"})
# A volume of a server that was deleted while it was built stays reserved for a moment.
_SOON_DELETABLE = BUSY | {"deleting", "reserved"}


class VolumeMaking:
    """Makes, finds and deletes the volumes of one cluster."""

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session, self._ref = session, ref

    async def make(
        self, op: Operation, step: str, body: Mapping[str, Any], more: Mapping[str, Any] | None = None
    ) -> Made[object]:
        """Make one as a step, which its removal undoes; `more` stands beside the volume in the request."""
        return await op.create_step(
            step,
            send=lambda marker: self._create(op.call, body, more or {}, marker),
            find=lambda marker: self._find(op.call, marker),
            undo=lambda made_id: self.undo(op.call, made_id),
            collection="volumes",
        )

    async def ready(self, op: Operation, step: str, volume_id: str, *, percent: int) -> None:
        """Wait until a new volume can be used.

        Raises:
            GaveUp: Cinder could not make it.
        """

        async def ready() -> bool | None:
            return await self.made(op.call, volume_id) is not None or None

        await op.wait_until(step, ready, percent=percent, watch=Watch("volumes", volume_id))

    async def made(self, call: Call, volume_id: str) -> VolumeRow | None:
        """Return a new volume once it can be used.

        Raises:
            GaveUp: Cinder could not make it.
        """
        row = await self.get(call, volume_id)
        if (row.status or "").startswith("error"):
            name = self._ref.resource("volumes", volume_id)
            text = (
                f"Cinder took the volume and then failed to make it: {name} is in state {row.status}; "
                "usually no storage has room for its size and type"
            )
            raise GaveUp(text, reason="VOLUME_ERROR", resource=name)
        return None if row.status in BUSY else row

    async def get(self, call: Call, volume_id: str) -> VolumeRow:
        """Return a volume as Cinder tells it.

        Raises:
            NotFound: There is none of that id under the cluster's scope.
        """
        body = await self._session.get(call, "volume", "/volumes/{id}", dict[str, Any], args={"id": volume_id})
        return converted(body.get("volume"), VolumeRow)

    async def delete(self, call: Call, volume_id: str) -> None:
        """Ask for deletion; done as well when it is gone or on its way.

        Raises:
            PreconditionFailed: It is attached, has snapshots, or is in a state that does not allow it; says which.
        """
        try:
            await self._session.send(
                call, "DELETE", "volume", "/volumes/{id}", None, args={"id": volume_id}, redo_ok=True
            )
        except NotFound:
            return
        except PreconditionFailed as error:
            # Cinder has one text for all reasons: look which it is.
            await self._explain(call, volume_id, error)

    async def undo(self, call: Call, volume_id: str) -> None:
        """Delete what a create made; done only when it is gone, else it would be reported as removed too early."""
        refused: PreconditionFailed | None = None
        try:
            await self.delete(call, volume_id)
        except PreconditionFailed as error:
            refused = error
        try:
            row = await self.get(call, volume_id)
        except NotFound:
            return
        if row.status in _SOON_DELETABLE:
            # Cinder deletes no volume that it is still making: the undo is asked again, as after any "slow down".
            text = f"volume {volume_id} is {row.status}; its removal is looked at again"
            raise RateLimited(text, reason="STILL_BUSY", retry_after_s=1.0) from refused
        text = f"volume {volume_id} is in state {row.status} and was not deleted"
        raise refused or PreconditionFailed(text, reason="NOT_DELETED")

    async def _create(self, call: Call, body: Mapping[str, Any], more: Mapping[str, Any], marker: str) -> Made[object]:
        volume = {**body, "metadata": {**body.get("metadata", {}), MARKER_KEY: marker}}
        if "imageRef" in body and "size" not in body:
            volume["size"] = await self._image_gib(call, body["imageRef"])
        document = {"volume": volume, **more}
        answer = await self._session.send(call, "POST", "volume", "/volumes", dict[str, Any], json=document)
        return Made(converted(answer.get("volume"), VolumeRow).id)

    async def _image_gib(self, call: Call, image_id: str) -> int:
        """Return the GiB that an image needs; Cinder knows it for snapshots only and answers 400 without a size."""
        image = await self._session.get(call, "image", "/images/{id}", dict[str, Any], args={"id": image_id})
        size = image.get("virtual_size") or image.get("size") or 0
        return max(int(image.get("min_disk") or 0), -(-int(size) // GIB), 1)

    async def _find(self, call: Call, marker: str) -> list[Made[object]]:
        """Return what carries the marker; a marker holds no quote, so the filter's Python dict is safe to write."""
        params = (("metadata", repr({MARKER_KEY: marker})),)
        page = await self._session.get(call, "volume", "/volumes/detail", Volumes, params=params)
        mine = [row for row in page.rows if row.metadata.get(MARKER_KEY) == marker]
        return [Made(row.id) for row in sorted(mine, key=lambda row: (str(row.created_at), row.id))]

    async def _explain(self, call: Call, volume_id: str, error: PreconditionFailed) -> None:
        name = self._ref.resource("volumes", volume_id)
        try:
            row = await self.get(call, volume_id)
        except NotFound:
            return
        if row.status == "deleting":
            return
        params = (("volume_id", volume_id),)
        snapshots = (await self._session.get(call, "volume", "/snapshots/detail", Snapshots, params=params)).rows
        servers = [a.server_id for a in row.attachments if a.server_id]
        if servers:
            users = listed(self._ref.resource("servers", server) for server in servers)
            text, reason = f"{name} is attached to {users}; detach it first", "VOLUME_IN_USE"
        elif snapshots:
            users = listed(self._ref.resource("snapshots", snapshot.id) for snapshot in snapshots)
            text, reason = f"{name} has {len(snapshots)} snapshots, delete them first: {users}", "HAS_SNAPSHOTS"
        else:
            text, reason = f"{name} is in state {row.status}, which can't be deleted: {error.message}", error.reason
        raise PreconditionFailed(text, reason=reason, metadata=error.metadata, resource=name) from error
