"""CreateServer: from the contract's request to a running server with all of its parts, exactly once.

One marker travels in Nova's create: as a tag from microversion 2.52 on, as metadata below. What else is made is in
`server_parts`. Two choices:

* A volume is made as a step of its own, with a marker of its own: a volume that Nova makes can't be found again, and
  stays behind when its server is removed.
* A port is left to Nova unless a `new_port` is asked for. A port that Nova makes belongs to its server and goes with
  it, however the server ends; a port of ours outlives a server that is deleted by other tools, and a create sent twice
  with one port breaks the winner: the loser goes to ERROR and takes the port's binding along. So the ports are looked
  at once more at the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cloudspan_common.errors import (
    AlreadyExists,
    GaveUp,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    QuotaExceeded,
    RateLimited,
)
from cloudspan_kit import BY_MARKER, EMULATED, Capability, Made, Watch, read_options
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.cinder import MARKER_KEY
from cloudspan_openstack.compute.server_parts import ServerParts, show_floating_ips
from cloudspan_openstack.compute.server_request import CreateServerOptions, plan_of
from cloudspan_openstack.compute.server_rows import ServerPage, ServerRow, markers_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan.v1 import server_pb2
    from cloudspan_kit import Call, Operation
    from cloudspan_openstack.compute.compute import Compute
    from cloudspan_openstack.compute.server_request import Parts, ServerPlan

_TAGS_AT_CREATE = Microversion(2, 52)
_PAGE = 1000
_PASSWORD = "password"  # noqa: S105 - the key of what later steps need, no password
_FIELDS = {
    "new_volumes": (EMULATED, "made in Cinder before the server"),
    "network_interfaces.new_port": (EMULATED, "made in Neutron before the server, deleted after it"),
    "network_interfaces.floating_network": (EMULATED, "taken once the server runs, released after it"),
}


class ServerCreation:
    """CreateServer."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "create_server": Capability(create_safety=BY_MARKER, options=CreateServerOptions, fields=_FIELDS)
    }

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._session = compute.session
        self._parts = ServerParts(compute.session, compute.ref)

    async def create_server(self, op: Operation, request: server_pb2.CreateServerRequest) -> server_pb2.Server:
        plan = plan_of(request, read_options(request.options, CreateServerOptions), self._compute.ref)
        plan.check(await self._compute.version(op.call))
        parts = await self._parts.make(op, plan)
        made = await op.create_step(
            "server",
            send=lambda marker: self._send(op.call, plan, parts, marker),
            find=lambda marker: self._find(op.call, marker),
            undo=lambda server_id: self.undo(op.call, server_id),
            collection="servers",
        )
        op.set_resource(self._compute.ref.resource("servers", made.id))
        watch = Watch("servers", made.id)
        server: server_pb2.Server = await op.wait_until(
            "active", lambda: self._built(op.call, made.id), percent=60, watch=watch
        )
        floating_ips = await self._parts.floating_ips(op, plan, parts, made.id)
        await self._parts.check_ports(op.call, parts, made.id)
        show_floating_ips(server, floating_ips)
        if not request.admin_password:
            server.generated_password = made.data.get(_PASSWORD, "")
        return server

    async def _send(self, call: Call, plan: ServerPlan, parts: Parts, marker: str) -> Made[object]:
        version = await self._compute.version(call)
        document = plan.document(version, parts)
        server = document["server"]
        if version >= _TAGS_AT_CREATE:
            server["tags"] = [marker, *server.get("tags", ())]
        else:
            server["metadata"] = server["metadata"] | {MARKER_KEY: marker}
        try:
            answer = await self._session.send(call, "POST", "compute", "/servers", dict[str, Any], json=document)
        except (PreconditionFailed, AlreadyExists, InvalidRequest):
            # A port, address or volume in use may be so by a server of ours that came late.
            found = await self._find(call, marker) if plan.exclusive else []
            if found:
                return found[0]
            raise
        # Told once, and not again: a server whose create had no reply keeps its password to itself.
        password = answer["server"].get("adminPass")
        return Made(str(answer["server"]["id"]), {_PASSWORD: password} if password else {})

    async def _find(self, call: Call, marker: str) -> list[Made[object]]:
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

    async def _built(self, call: Call, server_id: str) -> server_pb2.Server | None:
        name = self._compute.ref.resource("servers", server_id)
        try:
            row = await self._compute.row(call, server_id)
        except NotFound as error:
            text = f"{name} was deleted by someone else while it was being built"
            raise PreconditionFailed(text, reason="DELETED_MEANWHILE", resource=name) from error
        if row.status == "ERROR":
            raise _build_failed(name, row)
        return None if row.status in ("BUILD", "UNKNOWN") else await self._compute.message(call, row)

    async def undo(self, call: Call, server_id: str) -> None:
        """Delete a server, and be done only when it is gone: what it was made with can be removed only then."""
        row = await self._compute.gone(call, server_id)
        if isinstance(row, ServerRow) and row.task != "deleting":
            await self._compute.delete(call, server_id)
            row = await self._compute.gone(call, server_id)
        if row is not True:
            # As after any "slow down", an undo is asked again.
            raise RateLimited(f"server {server_id} is being deleted", reason="STILL_BUSY", retry_after_s=1.0)


def _build_failed(name: str, row: ServerRow) -> QuotaExceeded | GaveUp:
    fault = row.fault.message if row.fault else "Nova told no reason"
    text = f"Nova took {name} and then failed to build it: {fault}"
    if "No valid host" in fault:
        more = "the cloud has no room for its flavor in this zone; use another flavor or zone, or ask its operator"
        return QuotaExceeded(f"{text}; {more}", reason="NO_VALID_HOST", resource=name)
    return GaveUp(text, reason="SERVER_ERROR", resource=name)
