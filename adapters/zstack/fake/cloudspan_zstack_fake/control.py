"""The handle on a fake cloud: faults, the log of requests, time, seeding, quotas, sessions, hosts.

Tests use it as `cloud.control`; the same is served at `/_control` (see `control_api`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cloudspan_kit.fakes.control import CloudControl
from cloudspan_zstack_fake import seed
from cloudspan_zstack_fake.faults import Fault
from cloudspan_zstack_fake.identity.sessions import digest
from cloudspan_zstack_fake.journal import Journal, Request

if TYPE_CHECKING:
    from cloudspan_zstack_fake.api.jobs import JobDesk
    from cloudspan_zstack_fake.store import Store
    from cloudspan_zstack_fake.wire import Json

_BULK = {
    "servers": seed.bulk_servers,
    "volumes": seed.bulk_volumes,
    "networks": seed.bulk_networks,
    "ports": seed.bulk_ports,
    "images": seed.bulk_images,
}


class Control(CloudControl[Fault, Request]):
    """What a test or an operator may do to the cloud from outside."""

    store: Store
    journal: Journal

    def __init__(self, tools: seed.Tools, jobs: JobDesk) -> None:
        self._tools, self.jobs = tools, jobs
        super().__init__(tools.store, Journal(), Fault)

    def requests(self, service: str = "", method: str = "", path: str = "", call: str = "") -> list[Request]:
        """Return the requests so far: of a service (vm, volume, l3, auth, job, ...), method, path regex, call name."""
        return self.journal.requests(service, method, path, call)

    def count(self, service: str = "", method: str = "", path: str = "", call: str = "") -> int:
        return len(self.requests(service, method, path, call))

    def logins(self) -> int:
        """Return how many sessions were asked for."""
        return self.count("auth", "PUT", "login$")

    def seed(self, project: str = "demo", **counts: int) -> dict[str, list[str]]:
        """Add servers (VMs), volumes, networks (L3), ports (NICs), images to an account; return their uuids by kind."""
        return {kind: self.seed_kind(kind, count, project) for kind, count in counts.items()}

    def seed_kind(self, kind: str, count: int, project: str = "demo") -> list[str]:
        """Add rows of one kind; return their uuids."""
        if kind not in _BULK:
            raise ValueError(f"cannot seed {kind!r}; {', '.join(_BULK)} can be")
        return _BULK[kind](self._tools, count, project)

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
