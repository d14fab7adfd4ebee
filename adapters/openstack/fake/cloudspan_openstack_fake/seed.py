"""What a fake cloud holds at its start, and the bulk rows of load tests.

`foundation` is there always: two projects, users, flavors, images, networks. `demo` adds a handful of everything.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudspan_openstack_fake.compute.server_lifecycle import HOST
from cloudspan_openstack_fake.network.networks import Networks
from cloudspan_openstack_fake.network.routers import Routers
from cloudspan_openstack_fake.network.security_groups import new_group, new_rule
from cloudspan_openstack_fake.rows import AppCredential, Flavor, Project, Server, User
from cloudspan_openstack_fake.store import micros

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_openstack_fake.image.images import Glance
    from cloudspan_openstack_fake.network.ports import PortDesk
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.volume.volume_lifecycle import VolumeLife

PASSWORD = "demo-password"  # noqa: S105 - of a fake
_FLAVORS = (
    ("1", "m1.tiny", 1, 512, 1),
    ("2", "m1.small", 1, 2048, 20),
    ("3", "m1.medium", 2, 4096, 40),
    ("4", "m1.large", 4, 8192, 80),
)
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8s1Vn5lM3l8T3xkq0yU0tHjyoN8Yt1mvjzWqCEqFbR demo@example"
_DEMO_SERVERS = ("web-1", "web-2", "web-3", "db-1", "db-2", "cache-1", "build-1", "batch-1")
_BULK_NETWORK = ipaddress.ip_network("10.64.0.0/10")
_PLENTY = {"instances": 1000, "cores": 4000, "ram": 8_000_000, "key_pairs": 500}


@dataclass(frozen=True, slots=True)
class Tools:
    """The parts of the cloud that seeding works with."""

    store: Store
    ports: PortDesk
    volumes: VolumeLife
    glance: Glance


def project_id(store: Store, name: str) -> str:
    return store.fixed_id("project", name).replace("-", "")


def user_id(store: Store, name: str) -> str:
    return store.fixed_id("user", name).replace("-", "")


def foundation(tools: Tools) -> None:
    """Make what every cloud has: projects admin, demo and demo2 with a user each, and what servers are built from."""
    store = tools.store
    for name in ("admin", "demo", "demo2"):
        _project(store, name)
    demo = project_id(store, "demo")
    app = AppCredential(
        store.fixed_id("app").replace("-", ""), "demo-app", "demo-app-secret", user_id(store, "demo"), demo
    )
    store.app_credentials[app.id] = app
    for flavor_id, name, vcpus, ram, disk in _FLAVORS:
        store.flavors[flavor_id] = Flavor(flavor_id, name, vcpus, ram, disk)
    kind = store.fixed_id("volume-type")
    store.volume_types["__DEFAULT__"] = {
        "id": kind, "name": "__DEFAULT__", "is_public": True, "description": "Default Volume Type", "extra_specs": {},
        "os-volume-type-access:is_public": True,
    }  # fmt: skip
    for name in ("tiny-linux", "cirros"):
        _image(tools, name)
    public = _network(store, "public", project_id(store, "admin"), "172.24.4.0/22", external=True)
    for place, name in enumerate(("demo", "demo2"), 1):
        owner = project_id(store, name)
        private = _network(store, "private", owner, f"10.{place}.0.0/16", external=False)
        _router(store, owner, private, public)
    store.quota("compute", demo).update(_PLENTY)
    store.quota("network", demo).update(
        {"port": 2000, "network": 200, "subnet": 200, "router": 50, "security_group": 100}
    )
    store.quota("volume", demo).update({"volumes": 100, "snapshots": 100, "gigabytes": 10_000})


def _project(store: Store, name: str) -> None:
    project = Project(project_id(store, name), name, f"{name} project")
    store.projects[project.id] = project
    admin = name == "admin"
    user = User(user_id(store, name), name, PASSWORD, [project.id], admin, has_default_project=not admin)
    if name == "demo":
        user.project_ids.append(project_id(store, "demo2"))
    store.users[user.id] = user
    group = new_group(store, _common(store, "default", project.id, "Default security group"))
    for ethertype in ("IPv4", "IPv6"):
        asked = {"direction": "ingress", "ethertype": ethertype, "remote_group_id": group["id"], "description": None}
        rule = new_rule(store, group, asked)
        store.security_group_rules.add(rule["id"], rule)
        group["security_group_rules"].append(rule)
    store.security_groups.add(group["id"], group)


def _common(store: Store, name: str, owner: str, description: str = "") -> Json:
    now = store.stamp()
    return {
        "id": store.fixed_id(owner, name), "name": name, "tenant_id": owner, "project_id": owner,
        "description": description, "tags": [], "created_at": now, "updated_at": now, "revision_number": 2,
    }  # fmt: skip


def _image(tools: Tools, name: str) -> None:
    store = tools.store
    asked = {
        "id": store.fixed_id("image", name), "name": name, "disk_format": "raw", "container_format": "bare",
        "visibility": "public", "min_disk": 1, "os_distro": name, "architecture": "x86_64",
    }  # fmt: skip
    row = tools.glance.new_row(project_id(store, "admin"), asked)
    tools.glance.keep(row)
    tools.glance.fill(row, f"{name} disk image".encode())


def _network(store: Store, name: str, owner: str, cidr: str, *, external: bool) -> Json:
    asked = {"mtu": 1500 if external else 1450, "router:external": external}
    row = _common(store, name, owner) | Networks.blank(asked)
    span = ipaddress.ip_network(cidr)
    subnet = _common(store, f"{name}-subnet", owner) | {
        "network_id": row["id"], "ip_version": 4, "subnetpool_id": None, "enable_dhcp": not external,
        "ipv6_ra_mode": None, "ipv6_address_mode": None, "gateway_ip": str(span[1]), "cidr": cidr,
        "allocation_pools": [{"start": str(span[2]), "end": str(span[-2])}], "host_routes": [], "dns_nameservers": [],
        "service_types": [], "_used": set(),
    }  # fmt: skip
    row["subnets"].append(subnet["id"])
    store.networks.add(row["id"], row)
    store.subnets.add(subnet["id"], subnet)
    return row


def _router(store: Store, owner: str, private: Json, public: Json) -> None:
    # Through the API's own code: the ports that a router needs come with it.
    routers = Routers(store, store.routers)
    row = _common(store, "router1", owner) | Routers.blank({})
    routers.keep(row)
    routers.connect(row, private["subnets"][0], public["id"])


def demo(tools: Tools) -> None:
    """Make a handful of everything in the project demo."""
    store = tools.store
    owner, user = project_id(store, "demo"), user_id(store, "demo")
    store.key_pairs[user, "demo-key"] = {
        "name": "demo-key", "public_key": _KEY, "fingerprint": "d8:09:02:77:79:69:42:9a:b5:88:8a:c5:e0:75:14:9c",
        "user_id": user, "deleted": False, "created_at": micros(store.now()), "deleted_at": None, "id": 1,
        "updated_at": None, "type": "ssh",
    }  # fmt: skip
    _web_group(store, owner)
    image, network = store.fixed_id("image", "cirros"), store.fixed_id(owner, "private")
    for place, name in enumerate(_DEMO_SERVERS):
        row = _server(store, name, owner, user, store.flavors[str(place % 3 + 1)], image)
        row.metadata, row.tags, row.key_name = {"role": name.split("-")[0]}, ["demo"], "demo-key"
        port = tools.ports.plug(row, {"network": network})
        row.port_ids = [port] if port else []
        store.servers.add(row.id, row)
    stopped = next(row for row in store.servers if row.name == "batch-1")
    stopped.vm_state, stopped.power_state = "stopped", 4
    for name in ("data-1", "data-2", "scratch"):
        volume = tools.volumes.new_row(owner, user, {"size": 10, "name": name, "metadata": {"demo": "true"}})
        tools.volumes.set_status(volume, "available")


def _web_group(store: Store, owner: str) -> None:
    group = new_group(store, _common(store, "web", owner, "ssh, http, ping"))
    for protocol, port in (("tcp", 22), ("tcp", 80), ("icmp", None)):
        asked = {"direction": "ingress", "protocol": protocol, "port_range_min": port, "port_range_max": port}
        rule = new_rule(store, group, asked | {"remote_ip_prefix": "0.0.0.0/0"})
        store.security_group_rules.add(rule["id"], rule)
        group["security_group_rules"].append(rule)
    store.security_groups.add(group["id"], group)


def _server(store: Store, name: str, owner: str, user: str, flavor: Flavor, image: str) -> Server:
    now = store.now()
    return Server(
        store.new_id(), store.next_seq(), name, owner, user, flavor, image, now, now, vm_state="active",
        task_state=None, power_state=1, host=HOST, zone=store.zones[0], launched_at=now,
    )  # fmt: skip


def bulk_servers(tools: Tools, count: int, project: str, *, with_ports: bool = False) -> list[str]:
    """Add `count` active servers at once; without ports their addresses are made up and os-interface is empty."""
    store = tools.store
    owner = project_id(store, project)
    user, flavors, image = user_id(store, project), list(store.flavors.values()), store.fixed_id("image", "cirros")
    rows: list[tuple[str, Server]] = []
    for _ in range(count):
        row = _server(store, f"bulk-{store.next_seq()}", owner, user, flavors[len(rows) % len(flavors)], image)
        row.metadata, row.tags = {"batch": "seeded", "place": str(len(rows))}, ["seeded"]
        if with_ports:
            port = tools.ports.plug(row, {"network": store.fixed_id(owner, "private")})
            row.port_ids = [port] if port else []
        else:
            row.fixed_addresses = (
                ("private", str(_BULK_NETWORK[row.seq % _BULK_NETWORK.num_addresses]), store.new_mac()),
            )
        rows.append((row.id, row))
    store.servers.add_many(rows)
    limits = store.quota("compute", owner)
    limits.update(
        {
            name: limits[name] + more
            for name, more in (("instances", count), ("cores", 4 * count), ("ram", 8192 * count))
        }
    )
    return [row_id for row_id, _ in rows]


def bulk_volumes(tools: Tools, count: int, project: str) -> list[str]:
    """Add `count` available volumes of 1 GiB."""
    store = tools.store
    owner, user = project_id(store, project), user_id(store, project)
    limits = store.quota("volume", owner)
    limits.update(volumes=limits["volumes"] + count, gigabytes=limits["gigabytes"] + count)
    rows = []
    for place in range(count):
        row = tools.volumes.new_row(owner, user, {"size": 1, "name": f"bulk-volume-{place}"})
        tools.volumes.set_status(row, "available")
        rows.append(row["id"])
    return rows


def bulk_networks(tools: Tools, count: int, project: str) -> list[str]:
    """Add `count` networks with a subnet each."""
    owner = project_id(tools.store, project)
    start = len(tools.store.networks)
    rows = [
        _network(tools.store, f"bulk-net-{start + n}", owner, f"10.200.{n % 256}.0/24", external=False)
        for n in range(count)
    ]
    return [row["id"] for row in rows]


def bulk_ports(tools: Tools, count: int, project: str) -> list[str]:
    """Add `count` unbound ports on the project's private network."""
    store = tools.store
    owner = project_id(store, project)
    spare = _server(store, "", owner, "", store.flavors["1"], "")
    made = [tools.ports.plug(spare, {"network": store.fixed_id(owner, "private")}) for _ in range(count)]
    for port_id in filter(None, made):
        port = store.ports.get(port_id) or {}
        port.update(device_id="", device_owner="", status="DOWN", name=f"bulk-port-{port_id[:8]}", _by_nova=False)
    return [port_id for port_id in made if port_id]


def bulk_images(tools: Tools, count: int, project: str) -> list[str]:
    """Add `count` active private images."""
    made = []
    for place in range(count):
        asked = {
            "name": f"bulk-image-{place}",
            "disk_format": "raw",
            "container_format": "bare",
            "visibility": "private",
        }
        row = tools.glance.new_row(project_id(tools.store, project), asked)
        tools.glance.keep(row)
        tools.glance.fill(row, b"bulk")
        made.append(row["id"])
    return made


BULK = {
    "servers": bulk_servers,
    "volumes": bulk_volumes,
    "networks": bulk_networks,
    "ports": bulk_ports,
    "images": bulk_images,
}
"""What can be seeded by its kind."""
