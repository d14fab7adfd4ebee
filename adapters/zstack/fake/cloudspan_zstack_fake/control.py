"""The handle on a fake cloud: faults, the log of requests, time, seeding, quotas, sessions, hosts.

Tests use it as `cloud.control`; the same is served at `/_control`.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from cloudspan_kit.fakes.control import CloudControl
from cloudspan_kit.fakes.journal import RequestLog, Seen
from cloudspan_zstack_fake import seed
from cloudspan_zstack_fake.faults import Fault
from cloudspan_zstack_fake.identity.sessions import digest

if TYPE_CHECKING:
    from cloudspan_kit.fakes.control import Command
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.api.jobs import JobDesk
    from cloudspan_zstack_fake.store import Store

_SECRET = frozenset({"password", "oldPassword", "consolePassword", "privateKey", "AccessKeySecret", "SshKey"})
_SECRET_TAG = re.compile(r"^((?:userdata|rootPassword|consolePassword|sshkey)::).*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Request(Seen):
    """One native request as it was answered, with what only this platform tells of it."""

    call: str
    job_uuid: str


class Control(CloudControl[Fault, Request]):
    """What a test or an operator may do to the cloud from outside."""

    store: Store
    _tools: seed.Tools
    bulk = seed.BULK

    def __init__(self, tools: seed.Tools, jobs: JobDesk) -> None:
        self.jobs = jobs
        super().__init__(tools.store, RequestLog(Request, _SECRET, _SECRET_TAG), Fault, tools)

    def commands(self) -> dict[str, Command]:
        def set_quota(limits: dict[str, int], project: str = "demo") -> None:
            self.set_quota(project, **limits)

        def set_installation(**settings: Any) -> Json:
            self.set_installation(**settings)
            return asdict(self.store.settings)

        more: dict[str, Command] = {
            "POST quota": set_quota, "POST installation": set_installation, "POST tokens/revoke": self.revoke_tokens,
            "POST hosts": self.set_host_down, "DELETE jobs": self.jobs.forget,
        }  # fmt: skip
        return super().commands() | more

    def counts(self) -> Json:
        return {"name": self.store.name, **{kind: len(table) for kind, table in self.store.tables.items()}}

    def logins(self) -> int:
        """Return how many sessions were asked for."""
        return self.count("auth", "PUT", "login$")

    def set_quota(self, project: str = "demo", **limits: int) -> None:
        """Set limits of an account by its name; `vm.totalNum` is given as `vm__totalNum`."""
        named = {name.replace("__", "."): value for name, value in limits.items()}
        self._tools.quotas.set(seed.account_uuid(self.store, project), named)

    def set_installation(self, **settings: Any) -> None:
        """Change what differs between installations (fields of `Settings`)."""
        self.store.settings = replace(self.store.settings, **settings)

    def set_config(self, category: str, name: str, value: str) -> None:
        """Set a global configuration."""
        self.store.configs.present(self.store.fixed_uuid("config", category, name))["value"] = value

    def set_token_ttl(self, seconds: float) -> None:
        """Set the life of sessions opened from now on."""
        self.set_config("identity", "session.timeout", str(int(seconds)))

    def set_clock_skew(self, seconds: float) -> None:
        """Put the server's own clock ahead of the injected one."""
        self.store.skew_s = seconds

    def revoke_tokens(self, user: str = "") -> None:
        """End every session, or all of one account."""
        self._tools.sessions.end(account=seed.account_uuid(self.store, user) if user else "")

    def living_sessions(self) -> int:
        """Return how many sessions have not ended."""
        return self._tools.sessions.living()

    def set_password(self, user: str, password: str) -> None:
        """Change an account's password, which ends its sessions."""
        self.store.accounts.present(seed.account_uuid(self.store, user))["_password"] = digest(password)
        self.revoke_tokens(user)

    def access_key(self, user: str = "demo") -> tuple[str, str]:
        """Return an account's access key: id and secret."""
        key = self.store.access_keys.where(accountUuid=seed.account_uuid(self.store, user))[0]
        return key["AccessKeyID"], key["AccessKeySecret"]

    def set_host_down(self, down: bool, name: str = "") -> None:
        """Disconnect a host, or all, or connect them again; VMs there are Unknown meanwhile."""
        for host in self.store.hosts:
            if name not in ("", host["name"]):
                continue
            self.store.touch(host, status="Disconnected" if down else "Connected")
            before, after = ("Running", "Unknown") if down else ("Unknown", "Running")
            for vm in self.store.vms.where(hostUuid=host["uuid"], state=before):
                self.store.touch(vm, state=after)

    def break_server(self, server_id: str, state: str = "Crashed") -> None:
        """Put a VM into a state that no call leads to: Crashed, Unknown, NoState, Error."""
        row = self.store.vms.get(server_id)
        if row is None:
            raise KeyError(server_id)
        self.store.touch(row, state=state)

    def row(self, uuid: str) -> Json | None:
        """Return the row of a resource as the cloud holds it; None when it is gone."""
        table = self.store.owner_table(uuid)
        return None if table is None else table.get(uuid)
