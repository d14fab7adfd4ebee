"""Which servers a list shows: Nova's filters with their quirks, and its order.

The quirks are what clients trip over: a member's `metadata=`, `host=` or `uuid=` is ignored and gives 200 with
everything; an unknown parameter is ignored below 2.75 and refused from there on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudspan_openstack_fake.store import parse_time
from cloudspan_openstack_fake.wire import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_openstack_fake.rows import Server
    from cloudspan_openstack_fake.wire import Call

    Test = Callable[[Server], bool]

_SORT_KEYS_TEXT = (
    "access_ip_v4 access_ip_v6 auto_disk_config availability_zone config_drive created_at display_description "
    "display_name host hostname image_ref instance_type_id kernel_id key_name launch_index launched_at locked_by node "
    "power_state progress project_id ramdisk_id root_device_name task_state terminated_at updated_at user_id uuid "
    "vm_state architecture cell_name cleaned default_ephemeral_device default_swap_device deleted deleted_at "
    "disable_terminate ephemeral_gb ephemeral_key_uuid id key_data launched_on locked memory_mb os_type "
    "reservation_id root_gb shutdown_terminate user_data vcpus vm_mode"
)
SORT_KEYS = _SORT_KEYS_TEXT.split()
_KNOWN = {
    *SORT_KEYS, "all_tenants", "block_device_mapping", "changes-since", "changes-before", "description", "flavor",
    "image", "ip", "ip6", "limit", "locked", "marker", "metadata", "name", "not-tags", "not-tags-any",
    "security_groups", "services", "sort_dir", "sort_key", "soft_deleted", "status", "system_metadata", "tags",
    "tags-any", "tenant_id", "instance_name",
}  # fmt: skip
_ATTRIBUTE = {
    "display_name": "name", "created_at": "created_at", "updated_at": "updated_at", "uuid": "id", "id": "seq",
    "vm_state": "vm_state", "task_state": "task_state", "power_state": "power_state", "host": "host",
    "key_name": "key_name", "launched_at": "launched_at", "image_ref": "image_id", "availability_zone": "zone",
    "project_id": "project_id", "user_id": "user_id", "locked": "locked",
}  # fmt: skip
# Which equalities a member may use, and since which minor version; an admin may use them and more at any.
_EQUAL = {
    "vm_state": 83, "task_state": 83, "availability_zone": 83, "key_name": 83, "user_id": 83, "config_drive": 83,
    "power_state": 83, "created_at": 83, "launched_at": 83, "host": 999, "uuid": 999, "project_id": 999,
}  # fmt: skip


def check_query(call: Call) -> None:
    """Refuse what Nova's schema refuses."""
    for name, value in call.query:
        if name == "limit" and not re.fullmatch(r"[0-9]*", value):
            raise Refused(
                400, f"Invalid input for query parameters limit. Value: {value}. '{value}' does not match '^[0-9]*$'"
            )
        if name == "sort_key" and value not in SORT_KEYS:
            text = f"Invalid input for query parameters sort_key. Value: {value}. '{value}' is not one of {SORT_KEYS}"
            raise Refused(400, text)
        if name == "sort_dir" and value not in ("asc", "desc"):
            raise Refused(400, "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
        if name in ("changes-since", "changes-before") and parse_time(value) is None:
            raise Refused(
                400, f"Invalid input for query parameters {name}. Value: {value}. '{value}' is not a 'date-time'"
            )
        if call.version >= (2, 75) and name not in _KNOWN and not name.startswith("_"):
            raise Refused(400, f"'{name}' does not match any of the regexes: '^_'")


def is_bare(call: Call) -> bool:
    """Whether nothing is filtered or paged: only then Nova lists servers of a cell that is down."""
    return all(name == "all_tenants" for name, _ in call.query)


def tests(call: Call) -> list[Test]:
    """Return the conditions that a listed server meets."""
    return [*_scope(call), *_texts(call), *_tags(call), *_equalities(call), *_times(call)]


def _scope(call: Call) -> list[Test]:
    who = call.identity
    wants_all = call.one("all_tenants", "0").lower() in ("", "1", "true", "yes", "on")
    if wants_all and not who.is_admin:
        where = "detail" if call.path.endswith("/detail") else "index"
        raise Refused(403, f"Policy doesn't allow os_compute_api:servers:{where}:get_all_tenants to be performed.")
    if not wants_all:
        return [lambda row: row.project_id == who.project_id]
    wanted = call.one("project_id") or call.one("tenant_id")
    return [lambda row: row.project_id == wanted] if wanted else []


def _texts(call: Call) -> list[Test]:
    found: list[Test] = []
    if name := call.one("name"):
        pattern = _pattern(name)
        found.append(lambda row: pattern.search(row.name) is not None)
    if statuses := {value.upper() for value in call.many("status")}:
        if statuses & {"DELETED", "SOFT_DELETED"} and not call.identity.is_admin:
            raise Refused(403, "Only administrators may list deleted instances")
        found.append(lambda row: row.status in statuses)
    if flavor := call.one("flavor"):
        found.append(lambda row: row.flavor.id == flavor)
    if image := call.one("image"):
        found.append(lambda row: row.image_id == image)
    if call.one("metadata") and call.identity.is_admin:
        raise Refused(400, "Invalid filters: metadata")
    return found


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error:
        raise Refused(400, f"Invalid input received: {text}") from None


def _tags(call: Call) -> list[Test]:
    found: list[Test] = []
    if call.version < (2, 26):
        return found
    asked = {
        name: set(call.one(name).split(","))
        for name in ("tags", "tags-any", "not-tags", "not-tags-any")
        if call.one(name)
    }
    if wanted := asked.get("tags"):
        found.append(lambda row: wanted <= set(row.tags))
    if any_of := asked.get("tags-any"):
        found.append(lambda row: bool(any_of & set(row.tags)))
    if without := asked.get("not-tags"):
        found.append(lambda row: not without <= set(row.tags))
    if none_of := asked.get("not-tags-any"):
        found.append(lambda row: not none_of & set(row.tags))
    return found


def _equalities(call: Call) -> list[Test]:
    found: list[Test] = []
    for name, since in _EQUAL.items():
        wanted = call.one(name)
        if wanted and (call.identity.is_admin or call.version[1] >= since):
            found.append(_equal(_ATTRIBUTE.get(name, name), wanted))
    if call.version >= (2, 73) and (locked := call.one("locked")):
        found.append(lambda row: row.locked == (locked.lower() in ("1", "true", "yes", "on")))
    return found


def _equal(attribute: str, wanted: str) -> Test:
    return lambda row: str(getattr(row, attribute) or "") == wanted


def _times(call: Call) -> list[Test]:
    found: list[Test] = []
    if (since := parse_time(call.one("changes-since"))) is not None:
        found.append(lambda row: int(row.updated_at) >= since)
    if call.version >= (2, 66) and (before := parse_time(call.one("changes-before"))) is not None:
        found.append(lambda row: int(row.updated_at) <= before)
    if call.one("changes-since") == "":
        found.append(lambda row: not row.deleted)
    return found


def in_order(rows: list[Server], keys: list[str], directions: list[str]) -> list[Server]:
    """Return rows by Nova's sort keys; descending unless said otherwise, the newest first among equals."""
    ordered = sorted(rows, key=lambda row: -row.seq)
    for place in reversed(range(len(keys))):
        attribute = _ATTRIBUTE.get(keys[place], "seq")
        direction = directions[place] if place < len(directions) else "desc"
        ordered.sort(key=lambda row: _sortable(getattr(row, attribute)), reverse=direction == "desc")
    return ordered


def _sortable(value: object) -> tuple[bool, object]:
    return (value is not None, value if value is not None else 0)
