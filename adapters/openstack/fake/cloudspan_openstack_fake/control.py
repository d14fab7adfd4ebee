"""The handle on a fake cloud: faults, the log of requests, time, seeding, quotas, revocation.

Tests use it as `cloud.control`; the same is served at `/_control` (see `control_api`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudspan_kit.fakes.control import CloudControl
from cloudspan_openstack_fake import seed
from cloudspan_openstack_fake.faults import Fault
from cloudspan_openstack_fake.journal import Journal, Request

if TYPE_CHECKING:
    from cloudspan_openstack_fake.identity.tokens import TokenMint
    from cloudspan_openstack_fake.store import Store

_BULK = {
    "volumes": seed.bulk_volumes,
    "networks": seed.bulk_networks,
    "ports": seed.bulk_ports,
    "images": seed.bulk_images,
}


class Control(CloudControl[Fault, Request]):
    """What a test or an operator may do to the cloud from outside.

    A `service` of `requests` and `count` is identity, compute, image, network or volume.
    """

    store: Store
    journal: Journal

    def __init__(self, tools: seed.Tools, mint: TokenMint) -> None:
        self._tools, self._mint = tools, mint
        super().__init__(tools.store, Journal(), Fault)

    def logins(self) -> int:
        """Return how many tokens were asked for."""
        return self.count("identity", "POST", "^/v3/auth/tokens$")

    def seed(self, project: str = "demo", *, with_ports: bool = False, **counts: int) -> dict[str, list[str]]:
        """Add servers, volumes, networks, ports, images; return their ids by kind."""
        return {kind: self.seed_kind(kind, count, project, with_ports=with_ports) for kind, count in counts.items()}

    def seed_kind(self, kind: str, count: int, project: str = "demo", *, with_ports: bool = False) -> list[str]:
        """Add rows of one kind; return their ids."""
        if kind == "servers":
            return seed.bulk_servers(self._tools, count, project, with_ports=with_ports)
        if kind not in _BULK:
            raise ValueError(f"cannot seed {kind!r}; servers, {', '.join(_BULK)} can be")
        return _BULK[kind](self._tools, count, project)

    def set_quota(self, service: str, project: str = "demo", **limits: int) -> None:
        """Set limits of a project by its name, in service compute, network or volume."""
        self.store.quota(service, seed.project_id(self.store, project)).update(limits)

    def set_token_ttl(self, seconds: float) -> None:
        """Set the life of tokens issued from now on."""
        self._mint.ttl_s = seconds

    def revoke_tokens(self, user: str = "") -> None:
        """Revoke every token, or all of one user; those issued in the current second die too."""
        if user:
            self._mint.revoke_user(seed.user_id(self.store, user))
        else:
            self._mint.revoke_all()

    def set_password(self, user: str, password: str) -> None:
        """Change a password, which kills the user's tokens."""
        self.store.users[seed.user_id(self.store, user)].password = password
        self.revoke_tokens(user)

    def set_cell_down(self, down: bool, every: int = 1) -> None:
        """Take Nova's cell with every `every`-th server down or up; its servers are UNKNOWN, or missing from lists."""
        for row in self.store.servers:
            row.cell_down = down and row.seq % every == 0

    def break_server(self, server_id: str, message: str = "No valid host was found.") -> None:
        """Put a server into ERROR with a fault."""
        row = self.store.servers.get(server_id)
        if row is None:
            raise KeyError(server_id)
        row.vm_state, row.task_state = "error", None
        row.fault = {"code": 500, "created": self.store.stamp(), "message": message}
        row.changed(self.store.now())
