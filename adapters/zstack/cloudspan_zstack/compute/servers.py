"""Servers: VM instances, and what is done to them: look first, ask once, follow the job, end on the state that is seen.

A destroyed server lingers for days and is found by Get as SOFT_DELETED; lists leave it out unless `show_deleted` asks
for it. Appliances (routers) lie among the servers and are left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import AlreadyExists, GaveUp, PreconditionFailed, RateLimited
from cloudspan_kit import (
    ABSENT,
    BY_KEY,
    EMULATED,
    Call,
    Capability,
    Kind,
    KindDriver,
    Made,
    Operation,
    each,
    native_id,
    push,
    read_options,
    watch_of,
)
from cloudspan_kit.drivers import ServerDriver
from cloudspan_zstack.cloud.jobs import Change, Job, job_uuid, marked, resource_uuid
from cloudspan_zstack.cloud.queries import one_of
from cloudspan_zstack.cloud.source import AnyKind, Create, M, R, UserTags, ZStackSource, session_of
from cloudspan_zstack.cloud.texts import check_texts
from cloudspan_zstack.compute.server_create import GONE, NO_NEW_PORT, CreateServerOptions, built, plan_of
from cloudspan_zstack.compute.server_parts import (
    along_of,
    attach,
    check_parts,
    detach,
    join,
    make_addresses,
    make_volumes,
    remove_along,
)
from cloudspan_zstack.compute.server_power import RUNNING, STOPPED, check, ended, look, power, rebooted, settled
from cloudspan_zstack.compute.server_rows import (
    LEAVING,
    PASSING,
    STATES,
    USER_VM,
    ServerMapping,
    ServerRow,
    read_beside,
    row_or_none,
    server_row,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.dates import ServerZone

_S = server_pb2.Server
_HARD = server_pb2.RebootServerRequest.MODE_HARD
_COLD = {"type": "cold"}
_UNTOLD = (ABSENT, "the platform does not tell it")
_FIELDS = {
    "key_pair": (ABSENT, "ZStack does not tell which keys a server was given"),
    "flavor_snapshot": (ABSENT, "ZStack keeps no copy of the offering; vcpus and memory_mib are the server's own"),
    "power_state": (ABSENT, "ZStack has one state for what it does and what the hypervisor does"),
    "fault": (ABSENT, "ZStack tells why something failed to the one who asked for it, and keeps no fault"),
    "launch_time": _UNTOLD,
    "user": _UNTOLD,
    "progress_percent": _UNTOLD,
    "hypervisor_hostname": (ABSENT, "a host's name stands with the host"),
    "tags": (ABSENT, "a tag without a value is a label without one"),
    "config_drive": _UNTOLD,
    "locked": (ABSENT, "ZStack has no locks on servers"),
    "server_groups": (ABSENT, "ZStack has no server groups"),
    "network_interfaces.network_display_name": (ABSENT, "ZStack tells a network's name with the network"),
    "volume_attachments.device": (ABSENT, "ZStack does not tell the guest's device path"),
}


def _state_conditions() -> dict[str, Sequence[str]]:
    """The native states of each of ours; a state that ZStack has not is that of no server."""
    found: dict[str, Sequence[str]] = {}
    for name, ours in _S.State.items():
        native = [native for native, state in STATES.items() if state == ours] or ["none"]
        found[name.removeprefix("STATE_")] = one_of("state", native)
    del found["UNKNOWN"]  # that may be any that we don't know
    return found | {"BUILDING": ("state=Starting",)}


class VmInstances(ZStackSource):
    """VM instances, which are removed in two steps, and whose job alone tells why a create failed."""

    async def create(self, op: Operation, kind: AnyKind[R, M], body: Create, step: str, *, part: bool) -> Made[R]:
        """Create one; the caller waits for it.

        A create that is sent twice is refused by the uuids of the server and of the job, both made of the marker.
        """

        async def send(marker: str) -> Made[R]:
            change = body(resource_uuid(marker))
            try:
                job = await session_of(op.call).send(op.call, marked(change, marker), job=marker)
            except AlreadyExists:
                if found := await find(marker):
                    return found[0]
                raise
            return Made(resource_uuid(marker), job.kept())

        async def find(marker: str) -> list[Made[R]]:
            # The uuid is ours alone, so whatever has it was made by this step, a destroyed server too.
            row = await row_or_none(op.call, resource_uuid(marker))
            job = Job(job_uuid(marker), "POST", body(resource_uuid(marker)).template)
            return [Made(row.uuid, job.kept())] if row else []

        made: Made[R] = await op.create_step(
            step,
            send=send,
            find=find,
            undo=lambda uuid: _undo(op, uuid, step),
            safety=kind.safety,
            collection=kind.collection,
        )
        op.set_resource(op.call.cluster.resource(kind.collection, made.id))
        return made

    async def discard(self, call: Call, kind: AnyKind[R, M], native_id: str) -> None:
        # Of one key the platform does a job once, even if it failed: asked again later, it is another one.
        key = f"{native_id} {call.request_id}"
        await _erase(call, native_id, (f"{key} undo", f"{key} expunge"))


SERVERS = Kind(
    collection="servers",
    message=server_pb2.Server,
    row=ServerRow,
    source=VmInstances(
        "/vm-instances",
        only={"type": (USER_VM,)},
        unless_asked="state!=Destroyed",
        moving=one_of("state", sorted(PASSING))[0],
    ),
    sort={"display_name": "name", "create_time": "createDate", "update_time": "lastOpDate"},
    changes_since="lastOpDate",
    push={
        "state": push.words(_state_conditions()),
        "display_name": push.text("name"),
        "image": push.ref("imageUuid", "images"),
        "flavor": push.ref("instanceOfferingUuid", "flavors"),
        "zone": push.ref("zoneUuid", "zones"),
        "host": push.ref("hostUuid", "hosts"),
        "host_id": push.text("hostUuid"),
    },
    settled=lambda row: row.state not in PASSING,
    gone=lambda row: row.state == "Destroyed",
    safety=BY_KEY,
    marker=UserTags("VmInstanceVO"),
)


class Servers(KindDriver[ServerRow, server_pb2.Server], ServerDriver):
    """ServerService."""

    kind = SERVERS
    capabilities: ClassVar[Mapping[str, Capability]] = {
        "get_server": Capability(fields=_FIELDS),
        "list_servers": Capability(fields=_FIELDS),
        "create_server": Capability(
            options=CreateServerOptions,
            fields={
                "network_interfaces.port": (ABSENT, "ZStack makes the NICs of a new server itself"),
                "network_interfaces.new_port": (ABSENT, NO_NEW_PORT),
                "network_interfaces.floating_network": (EMULATED, "a VIP and an EIP; DeleteServer removes them"),
                "boot_volume.delete_with_server": (EMULATED, "a boot volume always goes with its server"),
                "new_volumes": (EMULATED, "made before the server and attached to it when it is there"),
                "new_volumes.delete_with_server": (EMULATED, "DeleteServer deletes them, ZStack's own UI does not"),
                "server.tags": (ABSENT, "on ZStack a tag without a value is a label without one"),
                "server.config_drive": (ABSENT, "ZStack gives guests their metadata by the network only"),
            },
        ),
        "reboot_server": Capability(fields={"mode": (EMULATED, "MODE_HARD powers the server off and starts it")}),
        "attach_volume": Capability(fields={"device": (ABSENT, "ZStack chooses the device itself")}),
    }

    def __init__(self, ref: ClusterRef, zone: ServerZone, *, purge: bool = False) -> None:
        super().__init__(ref)
        self._mapping, self._purge = ServerMapping(ref, zone), purge

    async def messages(self, call: Call, rows: Sequence[ServerRow]) -> Sequence[server_pb2.Server]:
        beside = await read_beside(call, self._ref, rows)
        return await each(call, rows, lambda row: self._mapping.message(row, beside))

    async def _server(self, call: Call, uuid: str) -> server_pb2.Server:
        return await self.to_message(call, await server_row(call, uuid))

    # ------------------------------------------------------------------ create and delete

    async def create_server(self, op: Operation, request: server_pb2.CreateServerRequest) -> server_pb2.Server:
        check_texts(request)
        plan = plan_of(request, read_options(request.options, CreateServerOptions), self._ref)
        await op.read_once("check", lambda: check_parts(op.call, plan))
        uuid = resource_uuid(op.marker("server"))
        volumes = await make_volumes(op, plan, uuid)
        addresses = await make_addresses(op, plan, uuid)
        made = await op.create(SERVERS, plan.change)
        # A create that takes longer than a refusal would has its row by now, which passes until it is over.
        watch = watch_of(SERVERS, made.id)
        state = await op.wait_until("built", lambda: built(op.call, made, plan), percent=50, watch=watch)
        self._check_built(made.id, state)
        await join(op, plan, made.id, volumes, addresses)
        return await self._server(op.call, made.id)

    def _check_built(self, uuid: str, state: str) -> None:
        name = self._ref.resource("servers", uuid)
        if state in LEAVING | {GONE}:
            text = f"{name} was deleted by someone else while it was being built"
            raise PreconditionFailed(text, reason="DELETED_MEANWHILE", resource=name)
        if state in ("Error", "Crashed"):
            text = f"ZStack built {name} and it ended in state {state}"
            raise GaveUp(text, reason="SERVER_ERROR", resource=name)

    async def delete_server(self, op: Operation, request: server_pb2.DeleteServerRequest) -> None:
        """Destroy a server; it stays recoverable unless the cluster is configured to purge."""
        op.set_resource(request.name)
        uuid, name, watch = op.call.id, request.name, watch_of(SERVERS, op.call.id)
        along = await op.read_once("along", lambda: along_of(op.call, uuid))
        kept = await op.change("delete", lambda: _leave(op, _destroying(uuid), "delete", LEAVING))
        state = await op.wait_until("deleted", lambda: _destroyed(op.call, kept, name), percent=50, watch=watch)
        if self._purge and state != GONE:
            kept = await op.change("expunge", lambda: _leave(op, _expunging(uuid), "expunge", {"Expunging"}))
            await op.wait_until("expunged", lambda: _expunged(op.call, kept, name), percent=75, watch=watch)
        await remove_along(op, along, purge=self._purge)

    # ------------------------------------------------------------------ power

    async def start_server(self, op: Operation, request: server_pb2.StartServerRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        await op.read_once("check", lambda: check(op.call, "startVmInstance"))
        await self._start(op, request.name)
        return await self._server(op.call, op.call.id)

    async def stop_server(self, op: Operation, request: server_pb2.StopServerRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        await op.read_once("check", lambda: check(op.call, "stopVmInstance"))
        kept = await op.change("stop", lambda: power(op, "stopVmInstance", "stop", STOPPED | {"Stopping"}))
        await self._wait(op, "stopped", kept, STOPPED, request.name, percent=50)
        return await self._server(op.call, op.call.id)

    async def reboot_server(self, op: Operation, request: server_pb2.RebootServerRequest) -> server_pb2.Server:
        """Reboot once: the job's uuid is the operation's, so the same reboot asked twice is one."""
        op.set_resource(request.name)
        if request.mode == _HARD:
            await op.read_once("check", lambda: check(op.call, "stopVmInstance"))
            kept = await op.change("power-off", lambda: power(op, "stopVmInstance", "power-off", STOPPED, _COLD))
            await self._wait(op, "off", kept, STOPPED, request.name, percent=30)
            await self._start(op, request.name)
        else:
            before = await op.read_once("look", lambda: look(op.call))
            kept = await op.change("reboot", lambda: power(op, "rebootVmInstance", "reboot", frozenset()))
            watch = watch_of(SERVERS, op.call.id)
            await op.wait_until(
                "rebooted", lambda: rebooted(op.call, kept, before, request.name), percent=50, watch=watch
            )
        return await self._server(op.call, op.call.id)

    async def _start(self, op: Operation, name: str) -> None:
        kept = await op.change("start", lambda: power(op, "startVmInstance", "start", RUNNING | {"Starting"}))
        await self._wait(op, "running", kept, RUNNING, name, percent=60)

    async def _wait(
        self, op: Operation, step: str, kept: Mapping[str, Any], wanted: frozenset[str], name: str, *, percent: int
    ) -> None:
        watch = watch_of(SERVERS, op.call.id)
        await op.wait_until(step, lambda: settled(op.call, kept, wanted, name), percent=percent, watch=watch)

    # ------------------------------------------------------------------ volumes

    async def attach_volume(self, op: Operation, request: server_pb2.AttachVolumeRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        await attach(op, request, native_id(self._ref, "volumes", request.volume, "volume"))
        return await self._server(op.call, op.call.id)

    async def detach_volume(self, op: Operation, request: server_pb2.DetachVolumeRequest) -> server_pb2.Server:
        op.set_resource(request.name)
        await detach(op, native_id(self._ref, "volumes", request.volume, "volume"))
        return await self._server(op.call, op.call.id)


def _destroying(uuid: str) -> Change:
    return Change("DELETE", "/vm-instances/{uuid}", {"uuid": uuid})


def _expunging(uuid: str) -> Change:
    return Change("PUT", "/vm-instances/{uuid}/actions", {"uuid": uuid}, action="expungeVmInstance")


async def _leave(op: Operation, change: Change, step: str, left: frozenset[str] | set[str]) -> dict[str, Any]:
    row = await row_or_none(op.call, op.call.id)
    if row is None or row.state in left:
        return {}
    return (await session_of(op.call).send(op.call, change, job=op.marker(step))).kept()


async def _destroyed(call: Call, kept: Mapping[str, Any], name: str) -> str | None:
    row = await row_or_none(call, call.id)
    if row is None:
        return GONE
    if row.state == "Destroyed":
        return row.state
    done = await ended(call, kept, row, name)
    # With each deletion policy, `Never` too, it ends in Destroyed or is gone.
    if done and row.state not in PASSING and (await server_row(call, call.id)).state not in LEAVING:
        text = f"ZStack says that {name} is deleted, and it is {row.state}: look at its deletion policy"
        raise GaveUp(text, reason="NOT_DELETED", resource=name)
    return None


async def _expunged(call: Call, kept: Mapping[str, Any], name: str) -> str | None:
    row = await row_or_none(call, call.id)
    if row is None:
        return GONE
    await ended(call, kept, row, name)
    return None


async def _undo(op: Operation, uuid: str, step: str) -> None:
    """Undo the create of `step`: nothing is left, not even what could be recovered.

    A delete that overtook the create's job would find nothing, and leave what the job makes after it.
    """
    row = await row_or_none(op.call, uuid)
    if row is None and not await session_of(op.call).is_over(op.call, op.marker(step)):
        raise RateLimited(f"server {uuid} is still being made", reason="STILL_BUSY", retry_after_s=1.0)
    await _erase(op.call, uuid, (op.marker("undo-server"), op.marker("undo-expunge")))


async def _erase(call: Call, uuid: str, jobs: tuple[str, str]) -> None:
    """Destroy and expunge a server within the call; `jobs` are the keys of the two changes.

    Raises:
        RateLimited: It is on its way; ask again.
    """
    session, row = session_of(call), await row_or_none(call, uuid)
    if row is not None and row.state not in LEAVING:
        await session.act(call, _destroying(uuid), job=jobs[0])
        row = await row_or_none(call, uuid)
    if row is not None and row.state == "Destroyed":
        await session.act(call, _expunging(uuid), job=jobs[1])
        row = await row_or_none(call, uuid)
    if row is not None:
        # As after any "slow down", an undo is asked again.
        raise RateLimited(f"server {uuid} is being deleted", reason="STILL_BUSY", retry_after_s=1.0)
