"""Volumes and interfaces of a server: os-volume_attachments and os-interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.compute.server_create import UUID, bad_field, new_attachment
from cloudspan_openstack_fake.compute.servers import find_server
from cloudspan_openstack_fake.wire import Call, Refused, empty

if TYPE_CHECKING:
    from cloudspan_openstack_fake.compute.server_lifecycle import Lifecycle
    from cloudspan_openstack_fake.network.ports import PortDesk
    from cloudspan_openstack_fake.rows import Attachment, Server
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.wire import Handler


class Attaching:
    """Handlers below `/servers/{id}` for volumes and ports."""

    def __init__(self, store: Store, lifecycle: Lifecycle, ports: PortDesk) -> None:
        self._store, self._lifecycle, self._ports = store, lifecycle, ports

    def table(self) -> dict[str, Handler]:
        one = "/v2.1/servers/{id}"
        return {
            f"GET {one}/os-volume_attachments": self._list_volumes,
            f"POST {one}/os-volume_attachments": self._attach_volume,
            f"GET {one}/os-volume_attachments/{{volume}}": self._get_volume,
            f"DELETE {one}/os-volume_attachments/{{volume}}": self._detach_volume,
            f"GET {one}/os-interface": self._list_ports,
            f"POST {one}/os-interface": self._attach_port,
            f"GET {one}/os-interface/{{port}}": self._get_port,
            f"DELETE {one}/os-interface/{{port}}": self._detach_port,
        }

    def _list_volumes(self, call: Call) -> Reply:
        row = find_server(self._store, call)
        return reply({"volumeAttachments": [_attachment(call, row, a) for a in row.volumes.values()]})

    def _attached(self, call: Call) -> tuple[Server, Attachment]:
        row, wanted = find_server(self._store, call), call.params["volume"]
        if wanted not in row.volumes:
            raise Refused(404, f"Instance {row.id} is not attached to volume {wanted}")
        return row, row.volumes[wanted]

    def _get_volume(self, call: Call) -> Reply:
        row, attachment = self._attached(call)
        return reply({"volumeAttachment": _attachment(call, row, attachment)})

    def _attach_volume(self, call: Call) -> Reply:
        asked = call.document().get("volumeAttachment") or {}
        wanted = str(asked.get("volumeId"))
        if not UUID.fullmatch(wanted):
            raise bad_field("volumeId", wanted, f"'{wanted}' is not a 'uuid'")
        row = find_server(self._store, call)
        volume = self._store.volumes.get(wanted)
        if volume is None or volume["_project"] != call.project_id:
            raise Refused(404, f"Volume {wanted} could not be found.")
        if volume["attachments"]:
            holders = ", ".join(str(a["server_id"]) for a in volume["attachments"])
            raise Refused(400, f"Invalid volume: volume {wanted} is already attached to instances: {holders}")
        if volume["status"] != "available":
            text = f"volume '{wanted}' status must be 'available'. Currently in '{volume['status']}'"
            raise Refused(400, f"Invalid volume: {text}")
        _check_state(row, "attach_volume")
        dies = bool(asked.get("delete_on_termination")) and call.version >= (2, 79)
        attachment = new_attachment(self._store, row, wanted, dies, asked.get("tag"))
        self._lifecycle.attach_volume(row, attachment)
        shown = _attachment(call, row, attachment)
        new = {"id": wanted, "serverId": row.id, "volumeId": wanted, "device": attachment.device}
        kept = {key: shown[key] for key in ("tag", "delete_on_termination") if key in shown}
        return reply({"volumeAttachment": new | kept})

    def _detach_volume(self, call: Call) -> Reply:
        row, attachment = self._attached(call)
        if not row.image_id and next(iter(row.volumes)) == attachment.volume_id:
            raise Refused(400, "Cannot detach a root device volume")
        _check_state(row, "detach_volume")
        if self._store.volumes_row(attachment.volume_id)["status"] != "in-use":
            status = self._store.volumes_row(attachment.volume_id)["status"]
            text = f"Unable to detach volume. Volume status must be 'in-use', but it is '{status}'"
            raise Refused(400, f"Invalid volume: Invalid input received: Invalid volume: {text}")
        self._lifecycle.detach_volume(row, attachment)
        return empty(202)

    def _list_ports(self, call: Call) -> Reply:
        row = find_server(self._store, call)
        ports = [port for port_id in row.port_ids if (port := self._store.ports.get(port_id))]
        return reply({"interfaceAttachments": [_interface(call, port) for port in ports]})

    def _get_port(self, call: Call) -> Reply:
        row, wanted = find_server(self._store, call), call.params["port"]
        port = self._store.ports.get(wanted)
        if port is None or wanted not in row.port_ids:
            raise Refused(404, f"Instance {row.id} does not have a port with id {wanted}")
        return reply({"interfaceAttachment": _interface(call, port)})

    def _attach_port(self, call: Call) -> Reply:
        asked = call.document().get("interfaceAttachment") or {}
        row = find_server(self._store, call)
        _check_state(row, "attach_interface")
        port_id = self._ports.plug(row, self._wish(call, asked))
        if port_id is None:
            raise Refused(409, f"Port {asked.get('port_id')} is still in use.")
        row.port_ids.append(port_id)
        row.changed()
        port = self._store.ports.get(port_id)
        return reply({"interfaceAttachment": _interface(call, port or {})})

    def _wish(self, call: Call, asked: Json) -> Json:
        if port_id := asked.get("port_id"):
            port = self._store.ports.get(port_id)
            if port is None or port["project_id"] != call.project_id:
                raise Refused(404, f"Port id {port_id} could not be found.")
            if port["device_id"]:
                raise Refused(409, f"Port {port_id} is still in use.")
            return {"port": port_id}
        network = str(asked.get("net_id"))
        if network not in self._store.networks:
            raise Refused(404, f"Network {network} could not be found.")
        fixed = (asked.get("fixed_ips") or [{}])[0]
        return {"network": network, "address": fixed.get("ip_address")}

    def _detach_port(self, call: Call) -> Reply:
        row, wanted = find_server(self._store, call), call.params["port"]
        _check_state(row, "detach_interface")
        # Accepted whatever the port: whether it was attached shows only later.
        self._store.timeline.after(self._store.timing.attach_s, lambda: self._unplug(row, wanted))
        return empty(202)

    def _unplug(self, row: Server, port_id: str) -> None:
        if port_id in row.port_ids:
            row.port_ids.remove(port_id)
            self._ports.unplug(port_id)
            row.changed()


def _check_state(row: Server, verb: str) -> None:
    if row.vm_state not in ("active", "stopped", "paused", "suspended"):
        raise Refused(409, f"Cannot '{verb}' instance {row.id} while it is in vm_state {row.vm_state}")


def _attachment(call: Call, row: Server, attachment: Attachment) -> Json:
    minor = call.version[1]
    shown: Json = {} if minor >= 89 else {"id": attachment.volume_id}
    shown |= {"volumeId": attachment.volume_id, "serverId": row.id, "device": attachment.device}
    if minor >= 70:
        shown["tag"] = attachment.tag
    if minor >= 79:
        shown["delete_on_termination"] = attachment.delete_on_termination
    if minor >= 89:
        shown |= {"attachment_id": attachment.attachment_id, "bdm_uuid": attachment.bdm_id}
    return shown


def _interface(call: Call, port: Json) -> Json:
    shown = {
        "net_id": port["network_id"],
        "port_id": port["id"],
        "mac_addr": port["mac_address"],
        "port_state": port["status"],
        "fixed_ips": port["fixed_ips"],
    }
    return {**shown, "tag": None} if call.version >= (2, 70) else shown
