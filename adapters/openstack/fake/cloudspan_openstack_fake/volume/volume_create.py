"""What Cinder checks before it creates: the body's schema and the project's quota."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_openstack_fake.compute.server_create import bad_field
from cloudspan_openstack_fake.wire import Call, Refused

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.store import Store

_KNOWN = {
    "name", "description", "display_name", "display_description", "size", "volume_type", "metadata", "snapshot_id",
    "source_volid", "consistencygroup_id", "multiattach", "availability_zone", "imageRef", "image_id", "group_id",
    "backup_id", "scheduler_hints",
}  # fmt: skip


def check_volume(store: Store, call: Call) -> Json:
    """Return what a POST of a volume asks for, with its size settled."""
    document = call.document()
    if "volume" not in document:
        raise Refused(400, "'volume' is a required property")
    asked: Json = dict(document["volume"])
    if extra := [name for name in asked if name not in _KNOWN]:
        names = ", ".join(repr(name) for name in extra)
        why = f"Additional properties are not allowed ({names} {'was' if len(extra) == 1 else 'were'} unexpected)"
        raise bad_field("volume", asked, why)
    for key, value in (asked.get("metadata") or {}).items():
        if not isinstance(value, str):
            raise bad_field(key, value, f"{value!r} is not of type 'string'")
    _check_sources(store, call, asked)
    _check_size(asked)
    if len(name := str(asked.get("name") or "")) > 255:
        raise Refused(400, f"Invalid input received: name has {len(name)} characters, more than 255.")
    _check_places(store, asked)
    return asked


def _check_size(asked: Json) -> None:
    size = asked.get("size")
    if size is None:
        text = "The server could not comply with the request since it is either malformed or otherwise incorrect."
        raise Refused(400, text)
    if isinstance(size, str) and not size.isdigit():
        raise bad_field("size", size, f"'{size}' does not match '^[0-9]+$'")
    if int(size) < 1:
        raise bad_field("size", size, f"{size} is less than the minimum of 1")


def _check_sources(store: Store, call: Call, asked: Json) -> None:
    asked["imageRef"] = asked.get("imageRef") or asked.get("image_id")
    if asked["imageRef"] and asked["imageRef"] not in store.images:
        raise Refused(400, "Invalid image identifier or unable to access requested image.")
    for name, what, table in (("snapshot_id", "Snapshot", store.snapshots), ("source_volid", "Volume", store.volumes)):
        wanted = asked.get(name)
        if not wanted:
            continue
        source = table.get(wanted)
        if source is None or source["_project"] != call.project_id:
            raise Refused(404, f"{what} {wanted} could not be found.")
        asked["size"] = asked.get("size") or source["size"]


def _check_places(store: Store, asked: Json) -> None:
    kind = asked.get("volume_type")
    if kind:
        found = next((row["name"] for row in store.volume_types.values() if kind in (row["name"], row["id"])), None)
        if found is None:
            raise Refused(404, f"Volume type with name {kind} could not be found.")
        asked["volume_type"] = found
    zone = asked.get("availability_zone")
    if zone and zone not in store.zones:
        raise Refused(400, f"Availability zone '{zone}' is invalid.")


def usage(store: Store, project_id: str) -> dict[str, int]:
    """Return what a project uses; snapshots count as gigabytes too."""
    volumes = [row for row in store.volumes if row["_project"] == project_id]
    snapshots = [row for row in store.snapshots if row["_project"] == project_id]
    gigabytes = sum(row["size"] for row in (*volumes, *snapshots))
    return {"volumes": len(volumes), "snapshots": len(snapshots), "gigabytes": gigabytes}


def check_quota(store: Store, project_id: str, *, volumes: int = 0, snapshots: int = 0, gigabytes: int = 0) -> None:
    """Refuse what exceeds the project's quota: with 413, where Nova has 403 and Neutron 409."""
    limits, used = store.quota("volume", project_id), usage(store, project_id)
    if used["gigabytes"] + gigabytes > limits["gigabytes"] >= 0:
        text = (
            "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested "
            f"{gigabytes}G, quota is {limits['gigabytes']}G and {used['gigabytes']}G has been consumed."
        )
        raise Refused(413, text)
    for name, more in (("volumes", volumes), ("snapshots", snapshots)):
        if more and used[name] + more > limits[name] >= 0:
            kind = "VolumeLimitExceeded" if name == "volumes" else "SnapshotLimitExceeded"
            text = f"{kind}: Maximum number of {name} allowed ({limits[name]}) exceeded for quota '{name}'."
            raise Refused(413, text)


def with_types(store: Store, limits: dict[str, int]) -> dict[str, int]:
    """Return limits with those that Cinder has per volume type, all unlimited."""
    whats = ("volumes", "gigabytes", "snapshots")
    return limits | {f"{what}_{kind}": -1 for kind in store.volume_types for what in whats}


def quota_shown(store: Store, project_id: str, *, with_usage: bool) -> Json:
    """Return a project's quota set, with a limit of its own per volume type."""
    limits = with_types(store, store.quota("volume", project_id))
    if not with_usage:
        return {**limits, "id": project_id}
    used = usage(store, project_id)
    rows = {name: {"limit": limit, "in_use": used.get(name, 0), "reserved": 0} for name, limit in limits.items()}
    return {**rows, "id": project_id}
