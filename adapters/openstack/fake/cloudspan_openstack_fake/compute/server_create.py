"""POST /servers: what Nova checks before it answers 202, in its own words."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Any

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.compute import server_views as views
from cloudspan_openstack_fake.rows import Attachment, Server
from cloudspan_openstack_fake.wire import Call, Refused, python_repr

if TYPE_CHECKING:
    from cloudspan_openstack_fake.compute.server_lifecycle import Lifecycle
    from cloudspan_openstack_fake.rows import Flavor
    from cloudspan_openstack_fake.store import Store

UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_ALWAYS = {
    "name", "imageRef", "flavorRef", "metadata", "networks", "security_groups", "availability_zone", "key_name",
    "user_data", "block_device_mapping", "block_device_mapping_v2", "config_drive", "min_count", "max_count",
    "return_reservation_id", "adminPass", "OS-DCF:diskConfig", "accessIPv4", "accessIPv6",
}  # fmt: skip
_SINCE = {
    "description": 19,
    "tags": 52,
    "trusted_image_certificates": 63,
    "host": 74,
    "hypervisor_hostname": 74,
    "hostname": 90,
}


def bad_field(field: str, value: Any, why: str) -> Refused:
    """Return Nova's (and Cinder's) refusal of a field by its schema."""
    return Refused(400, f"Invalid input for field/attribute {field}. Value: {python_repr(value)}. {why}")


class Creation:
    """The handler of POST /servers."""

    def __init__(self, store: Store, lifecycle: Lifecycle) -> None:
        self._store, self._lifecycle = store, lifecycle

    def create(self, call: Call) -> Reply:
        asked = self._checked(call)
        flavor = self._flavor(asked)
        networks = self._networks(call, asked)
        groups = self._groups(call, asked)
        self._check_key_and_zone(call, asked)
        mappings = asked.get("block_device_mapping_v2") or []
        image_id = self._boot_source(call, asked, mappings)
        count = int(asked.get("min_count") or 1)
        self._check_quota(call.project_id, flavor, count, len(asked.get("metadata") or {}))
        rows = [self._row(call, asked, flavor, image_id, groups, place) for place in range(count)]
        for row in rows:
            self._start(call, row, networks, mappings)
        password = base64.b32encode(self._store.random.randbytes(8)).decode()[:12]
        shown = {
            "id": rows[0].id,
            "links": views.links_of(call, "servers", rows[0].id),
            "OS-DCF:diskConfig": "MANUAL",
            "security_groups": [{"name": name} for name in groups],
            "adminPass": asked.get("adminPass", password),
        }
        return reply({"server": shown}, 202, Location=f"{call.url}/v2.1/servers/{rows[0].id}")

    def _start(self, call: Call, row: Server, networks: list[Json], mappings: list[Json]) -> None:
        self._store.servers.add(row.id, row)
        self._lifecycle.record(row, "create", call.request_id, row.user_id)
        for mapping in mappings:
            if mapping.get("source_type") == "volume":
                attachment = new_attachment(
                    self._store, row, mapping["uuid"], bool(mapping.get("delete_on_termination"))
                )
                row.volumes[attachment.volume_id] = attachment
                self._store.volumes_row(attachment.volume_id)["status"] = "reserved"
        new = [m for m in mappings if m.get("source_type") == "image" and m.get("destination_type") == "volume"]
        self._lifecycle.build(row, networks, new)

    def _checked(self, call: Call) -> Json:
        document = call.document()
        if "server" not in document:
            raise Refused(400, "'server' is a required property")
        asked: Json = document["server"]
        minor = call.version[1]
        known = (
            _ALWAYS
            | {name for name, since in _SINCE.items() if minor >= since}
            | ({"personality"} if minor < 57 else set())
        )
        required = ("flavorRef", "name", *(("networks",) if minor >= 37 else ()))
        for name in required:
            if name not in asked:
                raise bad_field("server", asked, f"'{name}' is a required property")
        if extra := [name for name in asked if name not in known]:
            names = ", ".join(repr(name) for name in extra)
            verb = "was" if len(extra) == 1 else "were"
            raise bad_field("server", asked, f"Additional properties are not allowed ({names} {verb} unexpected)")
        _check_texts(asked)
        return asked

    def _flavor(self, asked: Json) -> Flavor:
        wanted = str(asked["flavorRef"]).rsplit("/", 1)[-1]
        if wanted not in self._store.flavors:
            raise Refused(400, f"Flavor {wanted} could not be found.")
        return self._store.flavors[wanted]

    def _networks(self, call: Call, asked: Json) -> list[Json]:
        """Return one wish per interface: a port or a network."""
        wanted = asked.get("networks")
        if isinstance(wanted, str):
            if call.version < (2, 37):
                raise bad_field("networks", wanted, f"'{wanted}' is not of type 'array'")
            if wanted not in ("auto", "none"):
                raise bad_field("networks", wanted, f"'{wanted}' is not valid under any of the given schemas")
            return [] if wanted == "none" else self._only_network(call)
        if wanted is None:
            return self._only_network(call)
        return [self._network(call, wanted, one) for one in wanted]

    def _network(self, call: Call, all_wanted: list[Json], one: Json) -> Json:
        if port_id := one.get("port"):
            port = self._store.ports.get(port_id)
            if port is None or port["project_id"] != call.project_id:
                raise Refused(400, f"Port id {port_id} could not be found.")
            if port["device_id"]:
                raise Refused(409, f"Port {port_id} is still in use.")
            return {"port": port_id}
        wanted = one.get("uuid", "")
        if not UUID.fullmatch(str(wanted)):
            raise bad_field("networks", all_wanted, f"{all_wanted} is not valid under any of the given schemas")
        if wanted not in {network["id"] for network in self._usable_networks(call)}:
            raise Refused(400, f"Network {wanted} could not be found.")
        if not self._store.networks_row(wanted)["subnets"]:
            raise Refused(400, f"Network {wanted} requires a subnet in order to boot instances on.")
        return {"network": wanted, "address": one.get("fixed_ip")}

    def _usable_networks(self, call: Call) -> list[Json]:
        rows = self._store.networks
        return [n for n in rows if n["project_id"] == call.project_id or n["shared"] or n["router:external"]]

    def _only_network(self, call: Call) -> list[Json]:
        own = [n for n in self._store.networks if n["project_id"] == call.project_id and n["subnets"]]
        if len(own) > 1:
            raise Refused(409, "Multiple possible networks found, use a Network ID to be more specific.")
        return [{"network": own[0]["id"], "address": None}] if own else []

    def _groups(self, call: Call, asked: Json) -> tuple[str, ...]:
        mine = [g for g in self._store.security_groups if g["project_id"] == call.project_id]
        names: list[str] = []
        for wanted in asked.get("security_groups") or [{"name": "default"}]:
            found = next((g["name"] for g in mine if wanted.get("name") in (g["name"], g["id"])), None)
            if found is None and wanted.get("name") != "default":
                raise Refused(400, f"Unable to find security_group with name or id '{wanted.get('name')}'")
            names.append(found or "default")
        return tuple(names)

    def _check_key_and_zone(self, call: Call, asked: Json) -> None:
        key = asked.get("key_name")
        if key is not None and (call.identity.user.id, key) not in self._store.key_pairs:
            raise Refused(400, "Invalid key_name provided.")
        zone = asked.get("availability_zone")
        if zone is not None and zone not in self._store.zones:
            raise Refused(400, "The requested availability zone is not available")

    def _boot_source(self, call: Call, asked: Json, mappings: list[Json]) -> str:
        for mapping in mappings:
            self._check_mapping(call, mapping)
        image_id = str(asked.get("imageRef") or "")
        if image_id and not UUID.fullmatch(image_id):
            raise bad_field("imageRef", image_id, f"'{image_id}' is not valid under any of the given schemas")
        if image_id and image_id not in self._store.images:
            raise Refused(400, "Can not find requested image")
        has_root = any(str(mapping.get("boot_index")) == "0" for mapping in mappings)
        if not image_id and not has_root:
            raise Refused(400, "Missing imageRef attribute")
        if mappings and not has_root:
            text = "Boot sequence for the instance and image/block device mapping combination is not valid."
            raise Refused(400, f"Block Device Mapping is Invalid: {text}")
        return image_id

    def _check_mapping(self, call: Call, mapping: Json) -> None:
        wanted, source = str(mapping.get("uuid")), mapping.get("source_type")
        if source == "volume":
            volume = self._store.volumes.get(wanted)
            if volume is None or volume["_project"] != call.project_id:
                raise Refused(400, f"Block Device Mapping is Invalid: failed to get volume {wanted}.")
            if str(mapping.get("boot_index")) == "0" and volume["bootable"] != "true":
                raise Refused(400, f"Block Device {wanted} is not bootable.")
            if volume["status"] != "available":
                inner = f"Volume {wanted} status must be available or downloading to reserve, but the current status is"
                tail = f"{volume['status']}. (HTTP 400) (Request-ID: {call.request_id})"
                raise Refused(400, f"Invalid volume: Invalid input received: Invalid volume: {inner} {tail}")
        elif source == "image":
            if wanted not in self._store.images:
                raise Refused(400, f"Block Device Mapping is Invalid: failed to get image {wanted}.")
            if mapping.get("destination_type") == "volume" and not mapping.get("volume_size"):
                raise Refused(400, "Images with destination_type 'volume' need to have a non-zero size specified")

    def _check_quota(self, project_id: str, flavor: Flavor, count: int, metadata_items: int) -> None:
        limits = self._store.quota("compute", project_id)
        if metadata_items > limits["metadata_items"] >= 0:
            raise Refused(403, f"Maximum number of metadata items exceeds {limits['metadata_items']}")
        used = usage(self._store, project_id)
        wanted = {"cores": count * flavor.vcpus, "instances": count, "ram": count * flavor.ram}
        over = [name for name, more in wanted.items() if used[name] + more > limits[name] >= 0]
        if over:
            names, more = ", ".join(over), ", ".join(str(wanted[name]) for name in over)
            was, limit = ", ".join(str(used[name]) for name in over), ", ".join(str(limits[name]) for name in over)
            text = f"Requested {more}, but already used {was} of {limit} {names}"
            raise Refused(403, f"Quota exceeded for {names}: {text}")

    def _row(
        self, call: Call, asked: Json, flavor: Flavor, image_id: str, groups: tuple[str, ...], place: int
    ) -> Server:
        now = self._store.now()
        several = int(asked.get("min_count") or 1) > 1
        row = Server(
            id=self._store.new_id(),
            seq=self._store.next_seq(),
            name=f"{asked['name']}-{place + 1}" if several else asked["name"],
            project_id=call.project_id,
            user_id=call.identity.user.id,
            flavor=flavor,
            image_id=image_id,
            created_at=now,
            updated_at=now,
            key_name=asked.get("key_name"),
            description=asked.get("description"),
            metadata=dict(asked.get("metadata") or {}),
            tags=sorted(set(asked.get("tags") or [])),
            security_groups=groups,
        )
        row.config_drive = "True" if asked.get("config_drive") else ""
        return row


def _check_texts(asked: Json) -> None:
    name = asked["name"]
    if not name or len(name) > 255:
        raise bad_field("name", name, f"'{name}' is too {'long' if name else 'short'}")
    for place, tag in enumerate(asked.get("tags") or []):
        if not re.fullmatch(r"[^,/]*", tag):
            raise bad_field(str(place), tag, f"'{tag}' does not match '^[^,/]*$'")
        if not 1 <= len(tag) <= 60:
            raise bad_field(str(place), tag, f"'{tag}' is too {'long' if tag else 'short'}")
    for key, value in (asked.get("metadata") or {}).items():
        if not isinstance(value, str):
            raise bad_field(key, value, f"{value!r} is not of type 'string'")
        if not re.fullmatch(r"[a-zA-Z0-9-_:. ]{1,255}", key):
            why = f"{key!r} does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{{1,255}}$'"
            raise bad_field("metadata", asked["metadata"], why)


def usage(store: Store, project_id: str) -> dict[str, int]:
    """Return what a project's servers use of its quota."""
    instances = cores = ram = 0
    for row in store.servers:
        if row.project_id == project_id:
            instances, cores, ram = instances + 1, cores + row.flavor.vcpus, ram + row.flavor.ram
    keys = 0  # key pairs belong to the user: a project's usage of them is always 0
    return {"instances": instances, "cores": cores, "ram": ram, "key_pairs": keys}


def new_attachment(
    store: Store, row: Server, volume_id: str, delete_on_termination: bool, tag: str | None = None
) -> Attachment:
    """Return an attachment at the server's next free device."""
    first = "a" if not row.image_id else "b"
    device = f"/dev/sd{chr(ord(first) + len(row.volumes))}"
    return Attachment(volume_id, device, store.new_id(), store.new_id(), delete_on_termination, tag)
