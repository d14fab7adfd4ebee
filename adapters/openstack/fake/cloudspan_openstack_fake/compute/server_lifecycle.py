"""What happens to a server after the API has answered: building, power changes, attaching, deletion.

Each step is put on the timeline; a step that finds the server gone does nothing, as nova-compute would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_openstack_fake.store import micros, zulu

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.network.ports import PortDesk
    from cloudspan_openstack_fake.rows import Attachment, Server
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.volume.volume_lifecycle import VolumeLife

HOST = "compute-1"
# Servers whose name holds this word find no host: the way to an ERROR server with a fault.
DOOMED = "no-valid-host"
_NO_NETWORK = "Build of instance {} aborted: Failed to allocate the network(s), not rescheduling."


class Lifecycle:
    """Moves servers through their states."""

    def __init__(self, store: Store, ports: PortDesk, volumes: VolumeLife) -> None:
        self._store, self._ports, self._volumes = store, ports, volumes

    def build(self, row: Server, networks: list[Json], new_volumes: list[Json]) -> None:
        """Take a new server from BUILD to ACTIVE, or to ERROR."""
        whole = self._store.timing.build_s

        def spawn() -> None:
            if row.id in self._store.servers and row.task_state == "scheduling":
                row.task_state = "spawning"
                row.changed(self._store.now())

        def finish() -> None:
            if row.id in self._store.servers and row.task_state in ("scheduling", "spawning"):
                self._finish_build(row, networks, new_volumes)

        self._store.timeline.after(whole / 3, spawn)
        self._store.timeline.after(whole, finish)

    def _finish_build(self, row: Server, networks: list[Json], new_volumes: list[Json]) -> None:
        if DOOMED in row.name:
            self.fail(row, "No valid host was found. There are not enough hosts available.")
            return
        for wanted in networks:
            port_id = self._ports.plug(row, wanted)
            if port_id is None:
                self._release_network(row)
                self.fail(row, _NO_NETWORK.format(row.id))
                return
            row.port_ids.append(port_id)
        for mapping in new_volumes:
            made = self._volumes.make_for(row, mapping)
            row.volumes[made.volume_id] = made
        for attachment in row.volumes.values():
            self._volumes.attached(attachment, row)
        now = self._store.now()
        row.host, row.zone = HOST, row.zone or self._store.zones[0]
        row.launched_at = now
        self.settle(row, "active", 1)

    def fail(self, row: Server, message: str) -> None:
        """Leave the server in ERROR with a fault."""
        row.fault = {"code": 500, "created": zulu(self._store.now()), "message": message}
        self.settle(row, "error", 0)

    def settle(self, row: Server, vm_state: str, power_state: int) -> None:
        """End the running task in this state."""
        row.vm_state, row.power_state, row.task_state = vm_state, power_state, None
        row.changed(self._store.now())

    def pass_through(self, row: Server, task: str, vm_state: str, power_state: int, delay_s: float) -> None:
        """Start `task`; reach `vm_state` after `delay_s`, unless something else has taken over by then."""
        row.task_state = task
        row.changed(self._store.now())

        def finish() -> None:
            if row.id in self._store.servers and row.task_state == task:
                self.settle(row, vm_state, power_state)

        self._store.timeline.after(delay_s, finish)

    def record(self, row: Server, action: str, request_id: str, user_id: str) -> None:
        """Note an action for os-instance-actions."""
        now = micros(self._store.now())
        row.actions.append(
            {
                "action": action, "instance_uuid": row.id, "request_id": request_id, "user_id": user_id,
                "project_id": row.project_id, "start_time": now, "message": None, "updated_at": now,
            }
        )  # fmt: skip

    def delete(self, row: Server) -> None:
        """Delete; a server that is still being scheduled is gone at once, a second delete changes nothing."""
        if row.task_state == "deleting":
            return
        at_once = row.vm_state == "building" and row.task_state == "scheduling"
        row.task_state = "deleting"
        row.changed()
        self._store.timeline.after(0 if at_once else self._store.timing.delete_s, lambda: self._bury(row))
        if at_once:
            self._store.timeline.catch_up()

    def _bury(self, row: Server) -> None:
        if self._store.servers.remove(row.id) is None:
            return
        self._release_network(row)
        for attachment in list(row.volumes.values()):
            self._volumes.detached(attachment)
        row.volumes.clear()
        now = self._store.now()
        row.vm_state, row.task_state, row.power_state, row.deleted = "deleted", None, 0, True
        row.terminated_at = now
        row.changed(now)
        self._store.dead_servers[row.id] = row

    def _release_network(self, row: Server) -> None:
        for port_id in row.port_ids:
            self._ports.unplug(port_id)
        row.port_ids.clear()

    def attach_volume(self, row: Server, attachment: Attachment) -> None:
        """Attach: reserved at once, in-use after a while. Neither moves the server's `updated`."""
        row.volumes[attachment.volume_id] = attachment
        row.changed()
        self._volumes.attaching(attachment, row)

    def detach_volume(self, row: Server, attachment: Attachment) -> None:
        """Detach: the volume is detaching for a while and only then leaves the server."""

        def finish() -> None:
            if row.volumes.pop(attachment.volume_id, None) is not None:
                row.changed()
                self._volumes.detached(attachment)

        self._volumes.detaching(attachment)
        self._store.timeline.after(self._store.timing.attach_s, finish)
