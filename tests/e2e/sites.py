"""The real clusters that `make e2e` was given, and openstacksdk as the second opinion on what they hold."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from openstack.connection import Connection

VARIABLE = "CLOUDSPAN_E2E_CLOUDS"
PREFIX = "e2e-"
WITH_SERVER = "cloudspan:with-server"
_SERVICES = {"compute": "compute", "volume": "block-storage", "network": "network", "image": "image"}


@dataclass(frozen=True)
class Site:
    """One real cluster; its entries in clouds.yaml are NAME, NAME-admin and NAME-demo2 (with stock quotas)."""

    name: str
    entries: Mapping[str, Any]

    @property
    def ref(self) -> str:
        return f"platforms/openstack/clusters/{self.name}"

    @property
    def small(self) -> str:
        """The tag of the project with stock quotas."""
        return f"{self.name}-demo2"

    @property
    def keystone(self) -> tuple[str, int]:
        return _host(self.entries[self.name]["auth"]["auth_url"])

    def entry(self, tag: str = "", **changes: Any) -> dict[str, Any]:
        """Return an entry of clouds.yaml, its `auth` and the rest changed by name."""
        entry = copy.deepcopy(dict(self.entries[tag or self.name]))
        for key, value in changes.items():
            (entry["auth"] if key in ("auth_url", "password", "username") else entry)[key] = value
        return entry

    def connect(self, tag: str = "") -> Connection:
        """Return openstacksdk's own connection to it; blocks, so `asyncio.to_thread` it."""
        import openstack  # noqa: PLC0415 - 0.2 s that collecting these tests should not cost

        return openstack.connect(load_yaml_config=False, load_envvars=False, **self.entry(tag))

    def endpoint(self, service: str) -> str:
        """Return what the catalogue says of a service."""
        with self.connect() as sdk:
            return str(sdk.config.get_session().get_endpoint(service_type=_SERVICES[service], interface="public"))

    def host(self, service: str) -> tuple[str, int]:
        return _host(self.endpoint(service))

    def token_life_s(self) -> float:
        """Return how long this cluster's tokens live."""
        with self.connect() as sdk:
            access = sdk.session.auth.get_access(sdk.session)
            return float((access.expires - access.issued).total_seconds())


def _host(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


def sites() -> list[Site]:
    """Return the clusters of all files that the variable names."""
    files = [Path(name) for name in os.environ.get(VARIABLE, "").split(",") if name]
    entries: dict[str, Any] = {}
    for file in files:
        entries |= yaml.safe_load(file.read_text())["clouds"]
    return [Site(name, entries) for name in entries if f"{name}-admin" in entries]


def write_clouds(file: Path, entries: Mapping[str, Any]) -> Path:
    """Write a clouds.yaml, readable by its owner only."""
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump({"clouds": dict(entries)}))
    return file


def sweep(sdk: Connection) -> None:
    """Delete what carries our prefix; servers first, since they hold the rest."""
    servers = _ours(sdk.compute.servers())
    for server in servers:
        sdk.compute.delete_server(server)
    for server in servers:
        sdk.compute.wait_for_delete(server, wait=60)
    for address in sdk.network.ips(tags=WITH_SERVER):
        sdk.network.delete_ip(address)  # they have no name; what goes with a server is a test's here
    for router in _ours(sdk.network.routers()):
        for port in sdk.network.ports(device_id=router.id, device_owner="network:router_interface"):
            sdk.network.remove_interface_from_router(router, port_id=port.id)
    for rows, delete in (
        (sdk.block_storage.volumes(), sdk.block_storage.delete_volume),
        (sdk.network.routers(), sdk.network.delete_router),
        (sdk.network.ports(), sdk.network.delete_port),
        (sdk.network.networks(), sdk.network.delete_network),
        (sdk.network.security_groups(), sdk.network.delete_security_group),
        (sdk.compute.keypairs(), sdk.compute.delete_keypair),
    ):
        for row in _ours(rows):
            delete(row)


def _ours(rows: Iterable[Any]) -> list[Any]:
    return [row for row in rows if (row.name or "").startswith(PREFIX)]
