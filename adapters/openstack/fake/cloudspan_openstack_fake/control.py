"""The handle on a fake cloud: faults, the log of requests, time, seeding, quotas, revocation.

Tests use it as `cloud.control`; the same is served at `/_control`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_kit.fakes.control import CloudControl
from cloudspan_kit.fakes.journal import RequestLog, Seen
from cloudspan_openstack_fake import seed
from cloudspan_openstack_fake.faults import Fault

if TYPE_CHECKING:
    from cloudspan_kit.fakes.control import Command
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.identity.tokens import TokenMint
    from cloudspan_openstack_fake.store import Store

_SECRET = frozenset(
    {"password", "original_password", "secret", "adminPass", "private_key", "user_data", "passcode", "token.id"}
)
_COUNTED = (
    "servers", "images", "networks", "subnets", "ports", "routers", "floating_ips", "volumes", "snapshots",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request(Seen):
    """One native request as it was answered, with what only this platform tells of it."""

    microversion: str
    request_id: str


class Control(CloudControl[Fault, Request]):
    """What a test or an operator may do to the cloud from outside.

    A `service` of `requests` and `count` is identity, compute, image, network or volume.
    """

    store: Store
    _tools: seed.Tools
    bulk = seed.BULK

    def __init__(self, tools: seed.Tools, mint: TokenMint) -> None:
        self._mint = mint
        super().__init__(tools.store, RequestLog(Request, _SECRET), Fault, tools)

    def commands(self) -> dict[str, Command]:
        def set_quota(service: str, limits: dict[str, int], project: str = "demo") -> None:
            self.set_quota(service, project, **limits)

        more: dict[str, Command] = {
            "POST quota": set_quota, "POST tokens/revoke": self.revoke_tokens, "POST cell": self.set_cell_down,
        }  # fmt: skip
        return super().commands() | more

    def counts(self) -> Json:
        return {"name": self.store.name, **{name: len(getattr(self.store, name)) for name in _COUNTED}}

    def logins(self) -> int:
        """Return how many tokens were asked for."""
        return self.count("identity", "POST", "^/v3/auth/tokens$")

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
