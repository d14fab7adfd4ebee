"""POST /servers/{id}/action: power, pause, rescue, resize and their like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_kit.fakes.wire import Reply, reply
from cloudspan_openstack_fake.compute.server_create import bad_field
from cloudspan_openstack_fake.compute.servers import find_server
from cloudspan_openstack_fake.wire import Call, Refused, empty

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.compute.server_lifecycle import Lifecycle
    from cloudspan_openstack_fake.image.images import Glance
    from cloudspan_openstack_fake.rows import Server
    from cloudspan_openstack_fake.store import Store


@dataclass(frozen=True, slots=True)
class Move:
    """A change of state: from which vm_states, by which task, to which vm_state and power_state."""

    verb: str
    allowed: tuple[str, ...]
    task: str
    vm_state: str
    power_state: int


_REBOOTABLE = ("active", "stopped", "paused", "suspended", "error")
MOVES = {
    "os-start": Move("start", ("stopped",), "powering-on", "active", 1),
    "os-stop": Move("stop", ("active", "error"), "powering-off", "stopped", 4),
    "pause": Move("pause", ("active",), "pausing", "paused", 3),
    "unpause": Move("unpause", ("paused",), "unpausing", "active", 1),
    "suspend": Move("suspend", ("active",), "suspending", "suspended", 7),
    "resume": Move("resume", ("suspended",), "resuming", "active", 1),
    "rescue": Move("rescue", ("active", "stopped", "error"), "rescuing", "rescued", 1),
    "unrescue": Move("unrescue", ("rescued",), "unrescuing", "active", 1),
    "shelve": Move("shelve", ("active", "stopped", "paused", "suspended"), "shelving", "shelved_offloaded", 4),
    "unshelve": Move("unshelve", ("shelved", "shelved_offloaded"), "spawning", "active", 1),
    "rebuild": Move("rebuild", ("active", "stopped", "error"), "rebuilding", "active", 1),
    "resize": Move("resize", ("active", "stopped"), "resize_prep", "resized", 1),
    "revertResize": Move("revertResize", ("resized",), "resize_reverting", "active", 1),
    "changePassword": Move("changePassword", ("active",), "updating_password", "active", 1),
}


class Actions:
    """The handler of `/action`."""

    def __init__(self, store: Store, lifecycle: Lifecycle, glance: Glance) -> None:
        self._store, self._lifecycle, self._glance = store, lifecycle, glance
        self._special: dict[str, Callable[[Call, Server, Json], Reply]] = {
            "reboot": self._reboot,
            "rescue": self._rescue,
            "resize": self._resize,
            "confirmResize": self._confirm,
            "revertResize": self._revert,
            "rebuild": self._rebuild,
            "lock": self._lock,
            "unlock": self._unlock,
            "createImage": self._create_image,
            "os-getConsoleOutput": self._console_output,
            "addSecurityGroup": self._add_group,
            "removeSecurityGroup": self._remove_group,
            "os-resetState": self._reset_state,
            "forceDelete": self._force_delete,
        }

    def act(self, call: Call) -> Reply:
        row = find_server(self._store, call, missing="Instance {} has no mapping to a cell.")
        document = call.document()
        if len(document) != 1:
            raise Refused(400, "Malformed request body")
        ((name, wanted),) = document.items()
        if name not in MOVES and name not in self._special:
            raise Refused(400, f"There is no such action: {name}")
        if name != "unlock" and row.locked and not call.identity.is_admin and name != "os-getConsoleOutput":
            raise Refused(409, f"Instance {row.id} is locked")
        special = self._special.get(name)
        return special(call, row, wanted or {}) if special else self._move(call, row, MOVES[name])

    def _move(self, call: Call, row: Server, move: Move) -> Reply:
        _check(row, move.verb, move.allowed)
        self._lifecycle.record(row, move.verb, call.request_id, call.identity.user.id)
        self._lifecycle.pass_through(row, move.task, move.vm_state, move.power_state, self._store.timing.power_s)
        return empty(202)

    def _reboot(self, call: Call, row: Server, wanted: Json) -> Reply:
        if "type" not in wanted:
            raise bad_field("reboot", wanted, "'type' is a required property")
        kind = wanted["type"]
        allowed = ["HARD", "Hard", "hard", "SOFT", "Soft", "soft"]
        if kind not in allowed:
            raise bad_field("type", kind, f"{kind!r} is not one of {allowed}")
        hard = kind.upper() == "HARD"
        task = "rebooting_hard" if hard else "rebooting"
        if hard and row.task_state == "rebooting":
            row.task_state = None  # a hard reboot is how one gets out of a soft one that hangs
        return self._move(call, row, Move("reboot", _REBOOTABLE if hard else ("active",), task, "active", 1))

    def _rescue(self, call: Call, row: Server, wanted: Json) -> Reply:
        self._move(call, row, MOVES["rescue"])
        return reply({"adminPass": wanted.get("adminPass", "rescue-password")})

    def _resize(self, call: Call, row: Server, wanted: Json) -> Reply:
        flavor = self._store.flavors.get(str(wanted.get("flavorRef")))
        if flavor is None:
            raise Refused(400, f"Flavor {wanted.get('flavorRef')} could not be found.")
        if flavor == row.flavor:
            raise Refused(400, "When resizing, instances must change flavor!")
        answer = self._move(call, row, MOVES["resize"])
        row.resized_from, row.flavor = row.flavor, flavor
        return answer

    def _confirm(self, call: Call, row: Server, wanted: Json) -> Reply:
        _check(row, "confirmResize", ("resized",))
        row.resized_from = None
        # Confirming shows no task and VERIFY_RESIZE until it is done; the answer is 204, not 202.
        self._store.timeline.after(self._store.timing.power_s, lambda: self._lifecycle.settle(row, "active", 1))
        return empty(204)

    def _revert(self, call: Call, row: Server, wanted: Json) -> Reply:
        answer = self._move(call, row, MOVES["revertResize"])
        row.flavor = row.resized_from or row.flavor
        row.resized_from = None
        return answer

    def _rebuild(self, call: Call, row: Server, wanted: Json) -> Reply:
        image = str(wanted.get("imageRef", ""))
        if image not in self._store.images:
            raise Refused(400, "Can not find requested image")
        answer = self._move(call, row, MOVES["rebuild"])
        row.image_id, row.name = image, wanted.get("name", row.name)
        answer.headers["Location"] = f"{call.url}/v2.1/servers/{row.id}"
        return answer

    def _lock(self, call: Call, row: Server, wanted: Json) -> Reply:
        row.locked, row.locked_reason = True, wanted.get("locked_reason")
        row.changed(self._store.now())
        return empty(202)

    def _unlock(self, call: Call, row: Server, wanted: Json) -> Reply:
        row.locked, row.locked_reason = False, None
        row.changed(self._store.now())
        return empty(202)

    def _create_image(self, call: Call, row: Server, wanted: Json) -> Reply:
        _check(row, "createImage", ("active", "stopped", "paused", "suspended"))
        image = self._glance.from_server(row, wanted["name"], wanted.get("metadata") or {})
        delay = self._store.timing.image_s
        self._lifecycle.pass_through(row, "image_snapshot_pending", row.vm_state, row.power_state, delay)
        if call.version >= (2, 45):
            return reply({"image_id": image["id"]}, 202)
        return empty(202, Location=f"{call.base}/image/v2/images/{image['id']}")

    def _console_output(self, call: Call, row: Server, wanted: Json) -> Reply:
        lines = [f"[    {place}.000000] {row.name}: boot message {place}" for place in range(20)]
        length = wanted.get("length")
        return reply({"output": "\n".join(lines[-int(length) :] if length else lines)})

    def _add_group(self, call: Call, row: Server, wanted: Json) -> Reply:
        row.security_groups = (*row.security_groups, str(wanted.get("name")))
        row.changed()
        return empty(202)

    def _remove_group(self, call: Call, row: Server, wanted: Json) -> Reply:
        row.security_groups = tuple(name for name in row.security_groups if name != wanted.get("name"))
        row.changed()
        return empty(202)

    def _reset_state(self, call: Call, row: Server, wanted: Json) -> Reply:
        if not call.identity.is_admin:
            raise Refused(403, "Policy doesn't allow os_compute_api:os-admin-actions:reset_state to be performed.")
        self._lifecycle.settle(row, wanted.get("state", "error"), row.power_state)
        return empty(202)

    def _force_delete(self, call: Call, row: Server, wanted: Json) -> Reply:
        self._lifecycle.delete(row)
        return empty(202)


def _check(row: Server, verb: str, allowed: tuple[str, ...]) -> None:
    """Refuse an action that the server's state or running task does not allow."""
    if row.vm_state == "building" and verb == "stop":
        raise Refused(409, f"Instance {row.id} is not ready")
    if row.vm_state not in allowed:
        raise Refused(409, f"Cannot '{verb}' instance {row.id} while it is in vm_state {row.vm_state}")
    if row.task_state is not None:
        raise Refused(409, f"Cannot '{verb}' instance {row.id} while it is in task_state {row.task_state}")
