"""CreateServer: from the contract's request to a running server, exactly once.

One marker travels in Nova's create: as a tag from microversion 2.52 on, as metadata below. Two choices on what else is
made:

* A boot volume is made as a step of its own, with a marker of its own: a volume that Nova makes can't be found again,
  and stays behind when its server is removed.
* Ports are left to Nova. A port that Nova makes belongs to its server and goes with it, however the server ends; a
  port of ours would outlive a server deleted by other tools, and a create sent twice with one port breaks the winner:
  the loser goes to ERROR and takes the port's binding along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cloudspan_common.adapterkit.driver import BY_MARKER, Capability, Made
from cloudspan_common.adapterkit.options import read_options
from cloudspan_common.adapterkit.values import converted
from cloudspan_common.errors import (
    AlreadyExists,
    GaveUp,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    RateLimited,
)
from cloudspan_openstack.catalogue import Microversion
from cloudspan_openstack.server_request import CreateServerOptions, ServerPlan, plan_of
from cloudspan_openstack.server_rows import ServerPage, ServerRow, markers_of
from cloudspan_openstack.storage_rows import MARKER_KEY, VolumeRow, Volumes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import server_pb2
    from cloudspan_common.adapterkit.driver import Call, Operation
    from cloudspan_openstack.compute import Compute

_TAGS_AT_CREATE = Microversion(2, 52)
_PAGE = 1000
_MAKING = frozenset({"creating", "downloading"})


class ServerCreation:
    """CreateServer."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "create_server": Capability(create_safety=BY_MARKER, options=CreateServerOptions)
    }

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._session = compute.session

    async def create_server(self, op: Operation, request: server_pb2.CreateServerRequest) -> server_pb2.Server:
        plan = plan_of(request.server, read_options(request.options, CreateServerOptions), self._compute.ref)
        volume_id = await self._boot_volume(op, plan)
        made = await op.create(
            "server",
            send=lambda marker: self._send(op.call, plan, volume_id, marker),
            find=lambda marker: self._find(op.call, marker),
            undo=lambda server_id: self._undo(op.call, server_id),
            collection="servers",
        )
        name = self._compute.ref.resource("servers", made.id)
        op.touches(name)
        row = await op.until("active", lambda: self._built(op.call, made.id), percent=60)
        if row == "gone":
            text = f"{name} was deleted by someone else while it was being built"
            raise PreconditionFailed(text, reason="DELETED_MEANWHILE", resource=name)
        if row.status == "ERROR":
            raise _build_failed(name, row)
        await self._check_ports(op.call, plan, made.id)
        return await self._compute.message(op.call, row)

    async def _boot_volume(self, op: Operation, plan: ServerPlan) -> str:
        """Make the boot volume if one is asked for; return the id of the volume to boot from, if any."""
        if plan.new_volume is None:
            return plan.volume_id
        body = plan.new_volume
        made = await op.create(
            "boot-volume",
            send=lambda marker: self._send_volume(op.call, body, marker),
            find=lambda marker: self._find_volumes(op.call, marker),
            undo=lambda volume_id: self._undo_volume(op.call, volume_id),
            collection="volumes",
        )
        row = await op.until("boot volume ready", lambda: self._volume_made(op.call, made.id), percent=20)
        if (row.status or "").startswith("error"):
            name = self._compute.ref.resource("volumes", made.id)
            text = f"Cinder could not make the boot volume {name} from the image: it is in state {row.status}"
            raise GaveUp(text, reason="VOLUME_ERROR", resource=name)
        return made.id

    # ------------------------------------------------------------------ the server

    async def _send(self, call: Call, plan: ServerPlan, volume_id: str, marker: str) -> Made:
        version = await self._compute.version(call)
        document = plan.document(version, volume_id)
        server = document["server"]
        if version >= _TAGS_AT_CREATE:
            server["tags"] = [marker, *server.get("tags", ())]
        else:
            server["metadata"] = server["metadata"] | {MARKER_KEY: marker}
        try:
            answer = await self._session.send(call, "POST", "compute", "/servers", dict[str, Any], json=document)
        except (PreconditionFailed, AlreadyExists, InvalidRequest):
            # A port, address or volume in use may be so by a server of ours that came late.
            found = await self._find(call, marker) if plan.exclusive or volume_id else []
            if found:
                return found[0]
            raise
        return Made(str(answer["server"]["id"]))

    async def _find(self, call: Call, marker: str) -> list[Made]:
        """Return the servers that carry the marker, oldest first; each row is checked, whatever the filter did."""
        version = await self._compute.version(call)
        params = {"limit": str(_PAGE), "sort_key": "created_at", "sort_dir": "asc"}
        if version >= _TAGS_AT_CREATE:
            params["tags"] = marker
        found: list[str] = []
        while True:
            page = await self._session.get(call, "compute", "/servers/detail", ServerPage, params=params)
            found += [row.id for row in page.servers if marker in markers_of(row)]
            if not page.servers or not (page.has_next or len(page.servers) >= _PAGE):
                return [Made(server_id) for server_id in found]
            params["marker"] = page.servers[-1].id

    async def _built(self, call: Call, server_id: str) -> ServerRow | str | None:
        try:
            row = await self._compute.row(call, server_id)
        except NotFound:
            return "gone"
        return None if row.status in ("BUILD", "UNKNOWN") else row

    async def _undo(self, call: Call, server_id: str) -> None:
        """Delete a server, and be done only when it is gone: what it was made with can be removed only then."""
        row = await self._compute.gone(call, server_id)
        if isinstance(row, ServerRow) and row.task != "deleting":
            await self._compute.delete(call, server_id)
            row = await self._compute.gone(call, server_id)
        if row is not True:
            # As after any "slow down", an undo is asked again.
            raise RateLimited(f"server {server_id} is being deleted", reason="STILL_BUSY", retry_after_s=1.0)

    async def _check_ports(self, call: Call, plan: ServerPlan, server_id: str) -> None:
        """See that ports that were given belong to the server: removing a duplicate can have unbound them."""
        for port_id in plan.port_ids:
            port = await self._session.get(call, "network", "/ports/{id}", dict[str, Any], args={"id": port_id})
            owner = converted(port.get("port"), dict[str, Any]).get("device_id")
            if owner != server_id:
                text = f"port {port_id} does not belong to server {server_id} but to {owner or 'nothing'}"
                raise GaveUp(f"{text}; detach and attach it again", reason="PORT_LOST")

    # ------------------------------------------------------------------ its boot volume

    async def _send_volume(self, call: Call, body: Mapping[str, Any], marker: str) -> Made:
        document = {"volume": {**body, "metadata": {MARKER_KEY: marker}}}
        answer = await self._session.send(call, "POST", "volume", "/volumes", dict[str, Any], json=document)
        return Made(converted(answer.get("volume"), VolumeRow).id)

    async def _find_volumes(self, call: Call, marker: str) -> list[Made]:
        params = {"metadata": repr({MARKER_KEY: marker})}
        page = await self._session.get(call, "volume", "/volumes/detail", Volumes, params=params)
        mine = [row for row in page.rows if row.metadata.get(MARKER_KEY) == marker]
        return [Made(row.id) for row in sorted(mine, key=lambda row: (str(row.created_at), row.id))]

    async def _volume_made(self, call: Call, volume_id: str) -> VolumeRow | None:
        body = await self._session.get(call, "volume", "/volumes/{id}", dict[str, Any], args={"id": volume_id})
        row = converted(body.get("volume"), VolumeRow)
        return None if row.status in _MAKING else row

    async def _undo_volume(self, call: Call, volume_id: str) -> None:
        try:
            await self._session.send(
                call, "DELETE", "volume", "/volumes/{id}", None, args={"id": volume_id}, redo_ok=True
            )
        except NotFound:
            return  # deleted with its server
        except PreconditionFailed as error:
            text = f"volume {volume_id} can't be deleted yet: {error.message}"
            raise RateLimited(text, reason="STILL_BUSY", retry_after_s=2.0) from error


def _build_failed(name: str, row: ServerRow) -> QuotaExceeded | GaveUp:
    fault = row.fault.message if row.fault else "Nova told no reason"
    text = f"Nova took {name} and then failed to build it: {fault}"
    if "No valid host" in fault:
        more = "the cloud has no room for its flavor in this zone; use another flavor or zone, or ask its operator"
        return QuotaExceeded(f"{text}; {more}", reason="NO_VALID_HOST", resource=name)
    return GaveUp(text, reason="SERVER_ERROR", resource=name)
