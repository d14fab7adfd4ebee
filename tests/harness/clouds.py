"""Clouds beside the test and what serves them: fakes of OpenStack and ZStack, and the cluster in memory.

Platforms differ in what a request needs and in what a cloud holds afterwards; a `Site` is where they differ, so that
the tests are the same for all. `cluster` serves one in the test's process, `adapter` starts a program for it.
"""

from __future__ import annotations

import warnings
from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Protocol

import yaml

import cloudspan_openstack_fake as fake_openstack
import cloudspan_zstack_fake as fake_zstack
from cloudspan.v1 import server_pb2
from cloudspan_common.names import ClusterRef
from cloudspan_memory.cluster import MemoryCluster
from cloudspan_openstack.cloud.clouds import read_cloud as read_openstack
from cloudspan_openstack.cluster import OpenStackCluster
from cloudspan_openstack.cluster import Shared as SharedByOpenStack
from cloudspan_zstack.cloud.clouds import read_cloud as read_zstack
from cloudspan_zstack.cluster import Shared as SharedByZStack
from cloudspan_zstack.cluster import ZStackCluster

MAIN = "platforms/memory/clusters/main"

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from prometheus_client import CollectorRegistry

    from cloudspan_common.clock import Clock
    from cloudspan_kit import Cluster


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

    def cluster(self, directory: Path) -> Cluster:
        """Return what serves it in this process."""
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
        self,
        clock: Clock | None = None,
        settle_s: float = 3.0,
        port: int = 0,
        advertise: str = "",
        *,
        demo: bool = False,
        **timing: float,
    ) -> None:
        self.cloud = fake_openstack.FakeCloud("east", clock=clock, port=port, advertise=advertise, demo=demo)
        self.cloud.control.set_timing(**timing)
        self.cloud.control.set_quota(
            "network", floatingip=1000, router=1000, network=1000, subnet=1000, security_group=1000
        )
        self.cloud.control.set_quota("volume", volumes=10_000)
        self._settle_s = settle_s
        store = self.cloud.store
        self.flavor, self.image = f"{self.ref}/flavors/1", f"{self.ref}/images/{_id(store.images, 'cirros', 'id')}"
        self.network = f"{self.ref}/networks/{_id(store.networks, 'private', 'id')}"
        self.external = f"{self.ref}/networks/{_id(store.networks, 'public', 'id')}"

    def adapter(self, directory: Path) -> tuple[str, ...]:
        file = directory / "clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": {"east": openstack_entry(self.cloud)}}))
        return ("--clouds", str(file), "--cluster", "east", "--settle", str(self._settle_s))

    def cluster(self, directory: Path) -> Cluster:
        [made] = openstack_clusters({"east": openstack_entry(self.cloud)}, directory, settle_s=self._settle_s)
        return made

    def census(self) -> Counter[str]:
        return Counter({name: len(getattr(self.cloud.store, name)) for name in self.tables})

    def named(self, kind: str, name: str) -> int:
        store = self.cloud.store
        if kind == "key pair":
            return [told for _, told in store.key_pairs].count(name)
        if kind == "server":
            return [row.name for row in store.servers].count(name)
        if kind == "floating IP":
            return [row["description"] for row in store.floating_ips].count(name)
        return [row["name"] for row in getattr(store, f"{kind.replace(' ', '_')}s")].count(name)

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
        "security group": "security_groups", "floating IP": "eips",
    }  # fmt: skip

    def __init__(
        self, clock: Clock | None = None, settle_s: float = 3.0, *, demo: bool = False, **timing: float
    ) -> None:
        self.cloud = fake_zstack.FakeCloud("zeta", clock=clock, demo=demo)
        self.cloud.control.set_timing(**timing)
        self._settle_s = settle_s
        store = self.cloud.store
        self.flavor = f"{self.ref}/flavors/{_id(store.instance_offerings, 'small', 'uuid')}"
        self.image = f"{self.ref}/images/{_id(store.images, 'ubuntu-24.04', 'uuid')}"
        self.network = f"{self.ref}/networks/{_id(store.l3_networks, 'private', 'uuid')}"
        self.external = f"{self.ref}/networks/{_id(store.l3_networks, 'public', 'uuid')}"

    def adapter(self, directory: Path) -> tuple[str, ...]:
        return ("--clouds", str(self._clouds(directory)), "--cluster", "zeta")

    def cluster(self, directory: Path) -> Cluster:
        return ZStackCluster(
            ClusterRef("zstack", "zeta"), read_zstack("zeta", self._clouds(directory)), SharedByZStack()
        )

    def _clouds(self, directory: Path) -> Path:
        file = directory / "zstack.yaml"
        account, password = self.cloud.credentials("admin")
        told = {"endpoint": self.cloud.endpoint, "account": account, "password": password, "settle": self._settle_s}
        file.write_text(yaml.safe_dump({"clouds": {"zeta": told}}))
        return file

    def census(self) -> Counter[str]:
        tables = self.cloud.store.tables.items()
        return Counter({kind: sum(map(_lives, table)) for kind, table in tables if kind not in self.uncounted})

    def named(self, kind: str, name: str) -> int:
        field = "description" if kind == "floating IP" else "name"
        return len(getattr(self.cloud.store, self.kinds[kind]).where(**{field: name}))

    def refuse_floating_ips(self) -> None:
        self.cloud.control.fault("failure", call="CreateEip", code="SYS.1006", message="no EIP today")

    def network_options(self, number: int) -> Mapping[str, Any]:
        return {"physical_interface": "eth0", "vlan": 300 + number}


class Memory:
    """The cluster that is nothing but its adapter; it lives in one process only."""

    ref = MAIN
    has_ports = has_routers = False
    module = "cloudspan_memory"

    def __init__(self, delay_s: float = 0.02) -> None:
        self._cluster = memory_cluster(delay_s=delay_s)
        self.cloud = nullcontext(self._cluster)
        self.flavor, self.image = f"{self.ref}/flavors/small", f"{self.ref}/images/linux"
        self.network, self.external = f"{self.ref}/networks/private", f"{self.ref}/networks/public"

    def adapter(self, directory: Path) -> tuple[str, ...]:
        return ("--cluster", "main")

    def cluster(self, directory: Path) -> Cluster:
        return self._cluster

    def census(self) -> Counter[str]:
        return Counter({name: len(kept.rows) for name, kept in self._cluster.store._collections.items()})

    def named(self, kind: str, name: str) -> int:
        first, *more = kind.split()
        collection = f"{first}{''.join(word.capitalize() for word in more)}s"
        return [row.display_name for row in self._cluster.store.all(collection)].count(name)

    def refuse_floating_ips(self) -> None:
        raise NotImplementedError("the cluster in memory refuses nothing")

    def network_options(self, number: int) -> Mapping[str, Any]:
        return {}


def memory_cluster(tag: str = "main", *, platform: str = "memory", delay_s: float = 0.02) -> MemoryCluster:
    """Return a cluster in memory whose changes take that long."""
    return MemoryCluster(ClusterRef(platform, tag), delay_s=delay_s)


def create_request(name: str = "web", parent: str = MAIN, **fields: Any) -> server_pb2.CreateServerRequest:
    """Return what creates a server in memory."""
    server = server_pb2.Server(display_name=name, flavor=f"{parent}/flavors/small")
    return server_pb2.CreateServerRequest(**{"parent": parent, "server": server} | fields)


def openstack_entry(cloud: fake_openstack.FakeCloud, tag: str = "", **changes: Any) -> dict[str, Any]:
    """Return the entry of a fake cloud's clouds.yaml, its `auth` and the rest changed by name."""
    found: dict[str, Any] = cloud.clouds()["clouds"][tag or cloud.name]
    for key, value in changes.items():
        (found["auth"] if key in ("auth_url", "password") else found)[key] = value
    return found


def openstack_clusters(
    entries: Mapping[str, Any], directory: Path, *, settle_s: float, metrics: CollectorRegistry | None = None
) -> Sequence[OpenStackCluster]:
    """Return what serves the entries of a clouds.yaml in this process."""
    file = directory / "clouds.yaml"
    file.write_text(yaml.safe_dump({"clouds": dict(entries)}))
    shared = SharedByOpenStack(metrics)
    with warnings.catch_warnings():
        # openstacksdk warns of its own InfluxDB defaults while it reads a clouds.yaml that has none.
        warnings.filterwarnings("ignore", message="Support for InfluxDB")
        return [
            OpenStackCluster(ClusterRef("openstack", tag), read_openstack(tag, file), shared, settle_s=settle_s)
            for tag in entries
        ]


def zstack_cluster(cloud: fake_zstack.FakeCloud, who: str, directory: Path, *, settle_s: float = 1.0) -> ZStackCluster:
    """Return what serves a fake cloud in this process for one of its accounts, tagged by that name."""
    file = directory / f"zstack-{who}.yaml"
    account, password = cloud.credentials(who)
    entry = {"endpoint": cloud.endpoint, "account": account, "password": password, "settle": settle_s}
    file.write_text(yaml.safe_dump({"clouds": {who: entry}}))
    return ZStackCluster(ClusterRef("zstack", who), read_zstack(who, file), SharedByZStack())


def _lives(row: Any) -> bool:
    """Whether it is more than what the platform keeps of the deleted for a week."""
    return row.get("status") != "Deleted" and row.get("state") != "Destroyed"


def _id(table: Any, name: str, key: str) -> str:
    return str(next(row[key] for row in table if row["name"] == name))
