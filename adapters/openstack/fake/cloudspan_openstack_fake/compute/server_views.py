"""How Nova shows a server, by microversion.

Listing is the hot path of the load tests, so the encoded row is kept on the server until it changes; the
microversions between two changes of shape share it.
"""

from __future__ import annotations

import bisect
import hashlib
from typing import TYPE_CHECKING

import msgspec

from cloudspan_openstack_fake.store import micros, zulu

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.rows import Flavor, Server
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.wire import Call

# Minor versions at which a server's shape changes.
_SHAPES = (1, 3, 9, 16, 19, 26, 47, 63, 71, 73, 90, 96)
_WITH_PROGRESS = ("ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE", "MIGRATING")
_WITH_FAULT = ("ERROR", "DELETED")


def links_of(call: Call, kind: str, row_id: str) -> list[Json]:
    """Return the self and bookmark links of a Nova row."""
    return [
        {"rel": "self", "href": f"{call.url}/v2.1/{kind}/{row_id}"},
        {"rel": "bookmark", "href": f"{call.url}/{kind}/{row_id}"},
    ]


def encoded_server(store: Store, call: Call, row: Server) -> bytes:
    """Return a row of `/servers/detail`, encoded."""
    admin = call.identity.is_admin
    key = (bisect.bisect_right(_SHAPES, call.version[1]), admin, call.base)
    piece = row.encoded.get(key)
    if piece is None:
        piece = row.encoded[key] = msgspec.json.encode(server(store, call, row))
    return piece


def brief_server(call: Call, row: Server) -> Json:
    """Return a row of `/servers`."""
    return {"id": row.id, "name": row.name, "links": links_of(call, "servers", row.id)}


def unknown_server(call: Call, row: Server, *, detail: bool) -> Json:
    """Return what Nova knows without the server's cell: what its own mapping tables hold."""
    known: Json = {"id": row.id, "status": "UNKNOWN", "links": links_of(call, "servers", row.id)}
    if detail:
        known |= {"tenant_id": row.project_id, "created": zulu(row.created_at)}
    return known


def server(store: Store, call: Call, row: Server) -> Json:
    """Return a server as its microversion shows it."""
    minor, status = call.version[1], row.status
    shown: Json = {
        "id": row.id,
        "name": row.name,
        "status": status,
        "tenant_id": row.project_id,
        "user_id": row.user_id,
        "metadata": row.metadata,
        "hostId": _host_id(row),
        "image": _image(call, row),
        "flavor": flavor_in_server(row.flavor) if minor >= 47 else _flavor_link(call, row.flavor),
        "created": zulu(row.created_at),
        "updated": zulu(row.updated_at),
        "addresses": addresses(store, row),
        "accessIPv4": "",
        "accessIPv6": "",
        "links": links_of(call, "servers", row.id),
        "OS-DCF:diskConfig": "MANUAL",
    }
    if status in _WITH_FAULT and row.fault:
        shown["fault"] = row.fault
    elif status in _WITH_PROGRESS:
        shown["progress"] = 0
    admins = _for_admin(row, minor) if call.identity.is_admin else {}
    return shown | _extensions(row, minor) | _newer(row, minor) | admins


def _extensions(row: Server, minor: int) -> Json:
    shown: Json = {
        "OS-EXT-AZ:availability_zone": row.zone,
        "config_drive": row.config_drive,
        "key_name": row.key_name,
        "OS-SRV-USG:launched_at": micros(row.launched_at),
        "OS-SRV-USG:terminated_at": micros(row.terminated_at),
        "OS-EXT-STS:task_state": row.task_state,
        "OS-EXT-STS:vm_state": row.vm_state,
        "OS-EXT-STS:power_state": row.power_state,
        "os-extended-volumes:volumes_attached": [
            {"id": a.volume_id, "delete_on_termination": a.delete_on_termination} if minor >= 3 else {"id": a.volume_id}
            for a in row.volumes.values()
        ],
    }
    if row.port_ids or row.fixed_addresses:
        # Read from the ports: a server without one, or not yet built, has no such field at all.
        shown["security_groups"] = [{"name": name} for name in row.security_groups]
    return shown


def _newer(row: Server, minor: int) -> Json:
    added = (
        (9, "locked", row.locked),
        (73, "locked_reason", row.locked_reason),
        (19, "description", row.description),
        (26, "tags", row.tags),
        (63, "trusted_image_certificates", None),
        (90, "OS-EXT-SRV-ATTR:hostname", hostname(row.name)),
    )
    return {key: value for since, key, value in added if minor >= since}


def _for_admin(row: Server, minor: int) -> Json:
    shown: Json = {
        "OS-EXT-SRV-ATTR:host": row.host or None,
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{row.seq:08x}",
        "OS-EXT-SRV-ATTR:hypervisor_hostname": row.host or None,
    }
    if minor >= 3:
        shown["OS-EXT-SRV-ATTR:root_device_name"] = "/dev/vda"
        shown["OS-EXT-SRV-ATTR:launch_index"] = 0
        shown["OS-EXT-SRV-ATTR:user_data"] = None
    if minor >= 16:
        shown["host_status"] = "UP" if row.host else ""
    return shown


def hostname(name: str) -> str:
    """Return the host name that Nova derives from a server's name."""
    kept = "".join(c if c.isalnum() or c in "-." else "-" for c in name.replace(" ", "-").replace("_", "-"))
    return kept.strip(".-").lower()[:63]


def _host_id(row: Server) -> str:
    return hashlib.sha224((row.project_id + row.host).encode()).hexdigest() if row.host else ""


def _image(call: Call, row: Server) -> Json | str:
    if not row.image_id:
        return ""  # booted from a volume
    return {"id": row.image_id, "links": [{"rel": "bookmark", "href": f"{call.url}/images/{row.image_id}"}]}


def _flavor_link(call: Call, flavor: Flavor) -> Json:
    return {"id": flavor.id, "links": [{"rel": "bookmark", "href": f"{call.url}/flavors/{flavor.id}"}]}


def flavor_in_server(flavor: Flavor) -> Json:
    """Return the flavor as embedded from 2.47 on: without its id."""
    return {
        "vcpus": flavor.vcpus,
        "ram": flavor.ram,
        "disk": flavor.disk,
        "ephemeral": flavor.ephemeral,
        "swap": flavor.swap,
        "original_name": flavor.name,
        "extra_specs": dict(flavor.extra_specs),
    }


def addresses(store: Store, row: Server) -> Json:
    """Return a server's addresses by network name, floating ones behind the fixed one they belong to."""
    found: dict[str, list[Json]] = {}
    for network, address, mac in row.fixed_addresses:
        found.setdefault(network, []).append(_address(address, mac, "fixed"))
    for port_id in row.port_ids:
        port = store.ports.get(port_id)
        network_row = store.networks.get(port["network_id"]) if port else None
        if port is None or network_row is None:
            continue
        here = found.setdefault(network_row["name"], [])
        for fixed in port["fixed_ips"]:
            here.append(_address(fixed["ip_address"], port["mac_address"], "fixed"))
        for floating in store.floating_ips:
            if floating["port_id"] == port_id:
                here.append(_address(floating["floating_ip_address"], port["mac_address"], "floating"))
    return found


def _address(address: str, mac: str, kind: str) -> Json:
    return {
        "version": 6 if ":" in address else 4,
        "addr": address,
        "OS-EXT-IPS:type": kind,
        "OS-EXT-IPS-MAC:mac_addr": mac,
    }
