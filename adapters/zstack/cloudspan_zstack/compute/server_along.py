"""What goes with a server when it is deleted: the volumes and floating IPs that were made to.

The platform itself takes only the boot disk along; so DeleteServer finds these by their tags and removes them after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cloudspan_common.errors import PreconditionFailed
from cloudspan_kit import listed
from cloudspan_zstack.cloud.beside import rows_by
from cloudspan_zstack.cloud.creation import Creation
from cloudspan_zstack.cloud.markers import going_with
from cloudspan_zstack.network.floating_ips import EIP, VIP, EipRow, VipRow
from cloudspan_zstack.volume.snapshots import SnapshotRow
from cloudspan_zstack.volume.volumes import VOLUME, VolumeRow

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_kit import Call, Operation
    from cloudspan_zstack.compute.server_rows import ServerRow
    from cloudspan_zstack.compute.servers import ServerReader


class ServerAlong:
    """Finds and removes what goes with servers of one cluster."""

    def __init__(self, reader: ServerReader, *, purge: bool) -> None:
        self._reader, self._session = reader, reader.session
        self._creation = Creation(reader.session)
        self._purge = purge

    async def look(self, call: Call, uuid: str) -> dict[str, Any]:
        """Return what goes with a server, as uuids by kind, as it is before the server is deleted.

        A volume that was detached, or an address that leads elsewhere by now, stays.

        Raises:
            PreconditionFailed: A volume has snapshots, which would go with it in silence.
        """
        going = await going_with(self._session, call, uuid)
        if not going:
            return {}
        row = await self._reader.row_or_none(call, uuid)
        volumes = await self._volumes(call, uuid, sorted(going.get("VolumeVO", ())))
        eips = await self._eips(call, row, sorted(going.get("EipVO", ())))
        vips = await rows_by(self._session, call, "/vips", VipRow, "uuid", going.get("VipVO", ()))
        unused = [vip.uuid for vip in vips if all(ref.uuid in eips for ref in vip.services_refs)]
        return {"volumes": volumes, "eips": eips, "vips": unused}

    async def remove(self, op: Operation, along: Mapping[str, Any]) -> None:
        """Remove what `look` found; volumes as the cluster's servers are: softly, unless it is told to purge."""
        for i, uuid in enumerate(along.get("eips", ())):
            await self._creation.remove(op, f"eip-{i}-delete", EIP, uuid)
        for i, uuid in enumerate(along.get("vips", ())):
            await self._creation.remove(op, f"vip-{i}-delete", VIP, uuid)
        for i, uuid in enumerate(along.get("volumes", ())):
            await self._creation.remove(op, f"vol-{i}-delete", VOLUME, uuid)
            if self._purge:
                await self._creation.expunge(op, f"vol-{i}-expunge", VOLUME, uuid)

    async def _volumes(self, call: Call, server: str, uuids: Sequence[str]) -> list[str]:
        rows = await rows_by(self._session, call, "/volumes", VolumeRow, "uuid", uuids)
        found = [row.uuid for row in rows if row.vm_instance_uuid == server and not VOLUME.gone(row)]
        snapshots = await rows_by(self._session, call, "/volume-snapshots", SnapshotRow, "volumeUuid", found)
        if snapshots:
            ref = self._reader.ref
            name = ref.resource("servers", server)
            volumes = listed(sorted({ref.resource("volumes", snapshot.volume_uuid) for snapshot in snapshots}))
            text = f"{volumes} would go with {name}, and {len(snapshots)} snapshots with that; delete them first: " + (
                listed(ref.resource("snapshots", snapshot.uuid) for snapshot in snapshots)
            )
            raise PreconditionFailed(text, reason="HAS_SNAPSHOTS", resource=name)
        return found

    async def _eips(self, call: Call, row: ServerRow | None, uuids: Sequence[str]) -> list[str]:
        nics = {"", *(nic.uuid for nic in row.vm_nics)} if row else {""}
        rows = await rows_by(self._session, call, "/eips", EipRow, "uuid", uuids)
        return [eip.uuid for eip in rows if eip.vm_nic_uuid in nics]
