"""The rows of the fake cloud that are more than a JSON document.

Networks, images, volumes and their like are kept as the documents that the APIs show; servers are not, since
their shape depends on the microversion and there may be a hundred thousand of them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Project:
    """A Keystone project of the domain Default."""

    id: str
    name: str
    description: str = ""


@dataclass(slots=True)
class User:
    """A Keystone user and the projects it has roles in; the first is its default project."""

    id: str
    name: str
    password: str
    project_ids: list[str]
    is_admin: bool = False
    has_default_project: bool = False


@dataclass(slots=True)
class AppCredential:
    """A Keystone application credential."""

    id: str
    name: str
    secret: str
    user_id: str
    project_id: str
    description: str | None = None
    expires_at: float | None = None
    unrestricted: bool = False


@dataclass(frozen=True, slots=True)
class Flavor:
    """A Nova flavor."""

    id: str
    name: str
    vcpus: int
    ram: int
    disk: int
    ephemeral: int = 0
    swap: int = 0
    is_public: bool = True
    description: str | None = None
    extra_specs: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Attachment:
    """A volume at a server."""

    volume_id: str
    device: str
    attachment_id: str
    bdm_id: str
    delete_on_termination: bool = False
    tag: str | None = None


@dataclass(slots=True)
class Server:
    """A Nova server. `changed` must be called after every change: rows are cached in encoded form."""

    id: str
    seq: int
    name: str
    project_id: str
    user_id: str
    flavor: Flavor
    image_id: str
    created_at: float
    updated_at: float
    vm_state: str = "building"
    task_state: str | None = "scheduling"
    power_state: int = 0
    host: str = ""
    zone: str = ""
    key_name: str | None = None
    description: str | None = None
    locked_reason: str | None = None
    locked: bool = False
    config_drive: str = ""
    launched_at: float | None = None
    terminated_at: float | None = None
    deleted: bool = False
    cell_down: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    security_groups: tuple[str, ...] = ("default",)
    port_ids: list[str] = field(default_factory=list)
    fixed_addresses: tuple[tuple[str, str, str], ...] = ()
    """(network, address, mac) of a bulk-seeded server, which has no port rows."""
    volumes: dict[str, Attachment] = field(default_factory=dict)
    fault: dict[str, Any] | None = None
    resized_from: Flavor | None = None
    before_rescue: str = "active"
    actions: list[dict[str, Any]] = field(default_factory=list)
    encoded: dict[Any, bytes] = field(default_factory=dict)

    @property
    def status(self) -> str:
        """The status that Nova derives from vm_state and task_state."""
        return status_of(self.vm_state, self.task_state)

    def changed(self, now: float | None = None) -> None:
        """Forget the encoded row; `now` also moves `updated`, which Nova does not do for every change."""
        if now is not None:
            self.updated_at = now
        self.encoded.clear()


_STATUS = {
    "building": "BUILD", "active": "ACTIVE", "stopped": "SHUTOFF", "paused": "PAUSED", "suspended": "SUSPENDED",
    "rescued": "RESCUE", "resized": "VERIFY_RESIZE", "error": "ERROR", "deleted": "DELETED",
    "soft-delete": "SOFT_DELETED", "shelved": "SHELVED", "shelved_offloaded": "SHELVED_OFFLOADED",
}  # fmt: skip
_TASK_STATUS = {
    "rebooting": "REBOOT", "rebooting_hard": "HARD_REBOOT", "resize_prep": "RESIZE", "resize_migrating": "RESIZE",
    "resize_reverting": "REVERT_RESIZE", "rebuilding": "REBUILD", "updating_password": "PASSWORD",
}  # fmt: skip


def status_of(vm_state: str, task_state: str | None) -> str:
    """Return the API's status; a task shows only where Nova has a status for it (powering-off has none)."""
    return _TASK_STATUS.get(task_state or "", _STATUS[vm_state])
