"""A fake cloud beside the test and the adapter that serves it: what the crash tests start, and what they count.

Platforms differ in what a request needs and in what a cloud holds afterwards; the tests are the same for both.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import yaml
from tests.faults.openstack_house import entry as openstack_entry

import cloudspan_openstack_fake as fake_openstack
import cloudspan_zstack_fake as fake_zstack

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cloudspan_common.clock import Clock


class Site(Protocol):
    """One fake cloud, seen the same way on every platform."""

    ref: str
    module: str
    cloud: Any
    flavor: str
    image: str
    network: str
    external: str
    """A network that floating IPs come from."""
    has_ports: bool
    """Whether ports are resources of their own."""
    has_routers: bool
    """Whether a network's subnets can be connected to a router that is made with it."""

    def adapter(self, directory: Path) -> tuple[str, ...]:
        """Return the arguments of the adapter's process."""
        ...

    def census(self) -> Counter[str]:
        """Count what the cloud holds."""
        ...

    def named(self, kind: str, name: str) -> int:
        """Count what there is of a kind with this name."""
        ...

    def refuse_floating_ips(self) -> None:
        """Make the cloud refuse what a server with a floating IP needs last."""
        ...

    def network_options(self, number: int) -> Mapping[str, Any]:
        """Return the options that a network needs here; no two with the same number."""
        ...


class OpenStack:
    """The OpenStack adapter and its fake."""

    ref = "platforms/openstack/clusters/east"
    module = "cloudspan_openstack"
    has_ports = has_routers = True
    tables = (
        "servers", "ports", "volumes", "networks", "subnets", "key_pairs", "snapshots", "images", "routers",
        "floating_ips", "security_groups", "security_group_rules",
    )  # fmt: skip

    def __init__(
        self, clock: Clock | None = None, settle_s: float = 3.0, port: int = 0, advertise: str = "", **timing: float
    ) -> None:
        self.cloud = fake_openstack.FakeCloud("east", clock=clock, port=port, advertise=advertise)
        self.cloud.control.set_timing(**timing)
        self.cloud.control.set_quota("network", floatingip=1000, router=1000, network=1000, subnet=1000)
        self.cloud.control.set_quota("volume", volumes=1000)
        self._settle_s = settle_s
        store = self.cloud.store
        self.flavor, self.image = f"{self.ref}/flavors/1", f"{self.ref}/images/{_id(store.images, 'cirros', 'id')}"
        self.network = f"{self.ref}/networks/{_id(store.networks, 'private', 'id')}"
        self.external = f"{self.ref}/networks/{_id(store.networks, 'public', 'id')}"

    def adapter(self, directory: Path) -> tuple[str, ...]:
        file = directory / "clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": {"east": openstack_entry(self.cloud)}}))
        return ("--clouds", str(file), "--cluster", "east", "--settle-s", str(self._settle_s))

    def census(self) -> Counter[str]:
        return Counter({name: len(getattr(self.cloud.store, name)) for name in self.tables})

    def named(self, kind: str, name: str) -> int:
        store = self.cloud.store
        if kind == "key pair":
            return [told for _, told in store.key_pairs].count(name)
        if kind == "server":
            return [row.name for row in store.servers].count(name)
        return [row["name"] for row in getattr(store, f"{kind}s")].count(name)

    def refuse_floating_ips(self) -> None:
        self.cloud.control.set_quota("network", floatingip=0)

    def network_options(self, number: int) -> Mapping[str, Any]:
        return {}


class ZStack:
    """The ZStack adapter and its fake."""

    ref = "platforms/zstack/clusters/zeta"
    module = "cloudspan_zstack"
    has_ports = has_routers = False
    # Tags are counted by no one: a resource has as many as its adapter and its platform like.
    uncounted = ("SystemTagVO", "UserTagVO")
    kinds = {  # noqa: RUF012 - never changed
        "server": "vms", "volume": "volumes", "network": "l3_networks", "subnet": "ip_ranges", "key pair": "ssh_keys",
    }  # fmt: skip

    def __init__(self, clock: Clock | None = None, settle_s: float = 3.0, **timing: float) -> None:
        self.cloud = fake_zstack.FakeCloud("zeta", clock=clock)
        self.cloud.control.set_timing(**timing)
        self._settle_s = settle_s
        store = self.cloud.store
        self.flavor = f"{self.ref}/flavors/{_id(store.instance_offerings, 'small', 'uuid')}"
        self.image = f"{self.ref}/images/{_id(store.images, 'ubuntu-24.04', 'uuid')}"
        self.network = f"{self.ref}/networks/{_id(store.l3_networks, 'private', 'uuid')}"
        self.external = f"{self.ref}/networks/{_id(store.l3_networks, 'public', 'uuid')}"

    def adapter(self, directory: Path) -> tuple[str, ...]:
        file = directory / "zstack.yaml"
        account, password = self.cloud.credentials("admin")
        told = {"endpoint": self.cloud.endpoint, "account": account, "password": password, "settle": self._settle_s}
        file.write_text(yaml.safe_dump({"clouds": {"zeta": told}}))
        return ("--clouds", str(file), "--cluster", "zeta")

    def census(self) -> Counter[str]:
        tables = self.cloud.store.tables.items()
        return Counter({kind: sum(map(_lives, table)) for kind, table in tables if kind not in self.uncounted})

    def named(self, kind: str, name: str) -> int:
        return len(getattr(self.cloud.store, self.kinds[kind]).where(name=name))

    def refuse_floating_ips(self) -> None:
        self.cloud.control.fault("failure", call="CreateEip", code="SYS.1006", message="no EIP today")

    def network_options(self, number: int) -> Mapping[str, Any]:
        return {"physical_interface": "eth0", "vlan": 300 + number}


def _lives(row: Any) -> bool:
    """Whether it is more than what the platform keeps of the deleted for a week."""
    return row.get("status") != "Deleted" and row.get("state") != "Destroyed"


def _id(table: Any, name: str, key: str) -> str:
    return str(next(row[key] for row in table if row["name"] == name))
