"""What a fake cloud starts with, and rows by the thousand for tests of lists.

`foundation` is there always; `demo` adds a handful of everything; the `bulk_*` functions add many at once.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudspan_zstack_fake.compute.server_create import Plan
from cloudspan_zstack_fake.identity.sessions import digest
from cloudspan_zstack_fake.store import ADMIN

if TYPE_CHECKING:
    from cloudspan_kit.fakes.wire import Json
    from cloudspan_zstack_fake.compute.flavors import Offerings
    from cloudspan_zstack_fake.compute.server_create import VmCreation
    from cloudspan_zstack_fake.compute.servers import Machines
    from cloudspan_zstack_fake.identity.quotas import Quotas
    from cloudspan_zstack_fake.identity.sessions import Sessions
    from cloudspan_zstack_fake.image.images import Images
    from cloudspan_zstack_fake.network.l2_networks import L2Networks
    from cloudspan_zstack_fake.network.networks import L3Networks
    from cloudspan_zstack_fake.network.security_groups import SecurityGroups
    from cloudspan_zstack_fake.network.subnets import IpRanges
    from cloudspan_zstack_fake.store import Store, Table
    from cloudspan_zstack_fake.volume.snapshots import Snapshots
    from cloudspan_zstack_fake.volume.volumes import Volumes

PASSWORD = "password"  # noqa: S105 - of a fake; every account has it
GIB = 1024**3
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2Vha2V5ZmFrZWtleWZha2VrZXlmYWtla2V5ZmFr demo@example"
_DEMO_SERVERS = ("web-1", "web-2", "db-1", "cache-1", "batch-1")
_PROVIDERS = {
    "Flat": ["DHCP", "Userdata", "Eip", "DNS", "HostRoute", "VipQos"],
    "vrouter": ["DHCP", "DNS", "SNAT", "PortForwarding", "LoadBalancer", "Eip", "IPsec", "VRouterRoute", "VipQos"],
    "SecurityGroup": ["SecurityGroup"],
}
_VERSIONS: Json = {"osDistribution": "centos", "osRelease": "Core", "osVersion": "7.9.2009"}


@dataclass(slots=True)
class Tools:
    """The parts of a cloud that know how to make rows."""

    store: Store
    sessions: Sessions
    quotas: Quotas
    machines: Machines
    creation: VmCreation
    volumes: Volumes
    snapshots: Snapshots
    images: Images
    offerings: Offerings
    l2: L2Networks
    l3: L3Networks
    ranges: IpRanges
    groups: SecurityGroups

    def fixed(self, table: Table, name: str, account: str = ADMIN, *, public: bool = True, **fields: Any) -> Json:
        """Add a row whose uuid depends on its type and name alone."""
        uuid = self.store.fixed_uuid(table.kind, name)
        row = self.store.new_row(table, account, **{"description": None, **fields, "uuid": uuid, "name": name})
        row["_public"] = public
        return row


def account_uuid(store: Store, name: str) -> str:
    """Return the uuid of an account by its name.

    Raises:
        KeyError: There is none of that name.
    """
    found = store.accounts.where(name=name)
    if not found:
        raise KeyError(name)
    return str(found[0]["uuid"])


def foundation(tools: Tools) -> None:
    """Make the hardware, accounts admin, demo and demo2, offerings, images and networks."""
    store = tools.store
    zone = _hardware(tools)
    _accounts(tools)
    for name, cpu_num, memory in (("small", 1, GIB), ("medium", 2, 4 * GIB), ("large", 4, 8 * GIB)):
        tools.fixed(store.instance_offerings, name, **tools.offerings.instance_row(cpu_num, memory))
    for name, size in (("disk-10", 10 * GIB), ("disk-100", 100 * GIB)):
        tools.fixed(store.disk_offerings, name, **tools.offerings.disk_row(size))
    for name, asked in (("ubuntu-24.04", {}), ("installer", {"mediaType": "ISO"}), ("vrouter", {"system": True})):
        row = tools.images.row({"url": f"http://192.0.2.1/{name}.qcow2", **asked}, status="Downloading")
        image = tools.fixed(store.images, name, **row)
        tools.images.fill(image, 3 * GIB)
    for kind, services in _PROVIDERS.items():
        fields: Json = {"type": kind, "networkServiceTypes": services, "attachedL2NetworkUuids": []}
        tools.fixed(store.providers, kind, "", description=f"{kind} Network Service Provider", **fields)
    public = network(tools, "public", zone, "203.0.113.0/24", category="Public")
    network(tools, "private", zone, "10.10.0.0/16", vlan=100)
    vpc = network(tools, "vpc-net", zone, "10.20.0.0/24", vlan=200, type="L3VpcNetwork")
    _router(tools, public, vpc)


def _hardware(tools: Tools) -> Json:
    store = tools.store
    zone = tools.fixed(store.zones, "zone-1", "", state="Enabled", type="zstack", isDefault=True)
    cluster = tools.fixed(
        store.clusters, "cluster-1", "", state="Enabled", hypervisorType="KVM", zoneUuid=zone["uuid"], type="zstack",
        architecture="x86_64",
    )  # fmt: skip
    for number in (1, 2):
        memory = 512 * GIB
        tools.fixed(
            store.hosts, f"host-{number}", "", zoneUuid=zone["uuid"], clusterUuid=cluster["uuid"], state="Enabled",
            managementIp=f"192.0.2.{10 + number}", hypervisorType="KVM", status="Connected", totalCpuCapacity=640,
            availableCpuCapacity=640, cpuSockets=2, totalMemoryCapacity=memory, availableMemoryCapacity=memory,
            cpuNum=64, architecture="x86_64", username="root", sshPort=22, ipmiPort=623,
            ipmiPowerStatus="UN_CONFIGURED", **_VERSIONS,
        )  # fmt: skip
    _storages(tools, zone, cluster)
    now = store.now()
    tools.fixed(store.management_nodes, "mn-1", "", hostName="192.0.2.10", joinDate=now, heartBeat=now)
    for row in store.management_nodes:
        del row["name"], row["description"], row["createDate"], row["lastOpDate"]
    return zone


def _storages(tools: Tools, zone: Json, cluster: Json) -> None:
    store = tools.store
    room: Json = {"totalCapacity": 100 << 40, "availableCapacity": 90 << 40}
    physical: Json = {"totalPhysicalCapacity": 100 << 40, "availablePhysicalCapacity": 90 << 40}
    physical["systemUsedCapacity"] = 5 << 40
    ready: Json = {"state": "Enabled", "status": "Connected"}
    tools.fixed(
        store.primary_storages, "ps-1", "", zoneUuid=zone["uuid"], url="nfs:/zstack_ps", type="NFS", mountPath="/ps",
        attachedClusterUuids=[cluster["uuid"]], **room, **physical, **ready,
    )  # fmt: skip
    tools.fixed(
        store.backup_storages, "bs-1", "", url="/zstack_bs", type="ImageStoreBackupStorage",
        attachedZoneUuids=[zone["uuid"]], **room, **ready,
    )  # fmt: skip


def _accounts(tools: Tools) -> None:
    store = tools.store
    for name in ("admin", "demo", "demo2"):
        uuid = ADMIN if name == "admin" else store.fixed_uuid("AccountVO", name)
        kind = "SystemAdmin" if name == "admin" else "Normal"
        fields: Json = {"uuid": uuid, "name": name, "description": None, "type": kind, "_password": digest(PASSWORD)}
        store.new_row(store.accounts, uuid, **fields)["_public"] = True
        tools.sessions.new_key(uuid, uuid)
        if name != "admin":
            tools.quotas.grant(uuid)
    demo = account_uuid(store, "demo")
    tools.fixed(
        store.users, "developer", demo, public=False, accountUuid=demo, _password=digest(PASSWORD)
    )  # fmt: skip


def network(tools: Tools, name: str, zone: Json, cidr: str, *, account: str = ADMIN, **asked: Any) -> Json:
    """Add an L2 network with an L3 network of one range on it, attached to every cluster; return the L3 network."""
    store = tools.store
    wire: Json = {"zoneUuid": zone["uuid"], "physicalInterface": "eth0", "vlan": asked.pop("vlan", None)}
    l2 = tools.fixed(store.l2_networks, f"l2-{name}", "", **tools.l2.row(wire))
    l2["attachedClusterUuids"] = [cluster["uuid"] for cluster in store.clusters]
    l3 = tools.fixed(store.l3_networks, name, account, public=account == ADMIN, **tools.l3.row(asked, l2))
    span = ipaddress.IPv4Network(cidr)
    row = tools.ranges.row(l3, span, span[1], span[2], span[-2])
    l3["_ranges"].append(tools.fixed(store.ip_ranges, f"{name}-range", account, **row)["uuid"])
    l3["dns"].append("192.0.2.53")
    gives = {"Flat": ["DHCP", "Userdata", "Eip"], "SecurityGroup": ["SecurityGroup"]}
    if l3["type"] == "L3VpcNetwork":
        gives = {"vrouter": ["SNAT", "DNS", "Eip"], "Flat": ["DHCP", "Userdata"], "SecurityGroup": ["SecurityGroup"]}
    for kind, services in gives.items() if l3["category"] == "Private" else ():
        for service in services:
            tools.l3.add_service(l3, store.providers.where(type=kind)[0], service)
    return l3


def _router(tools: Tools, public: Json, vpc: Json) -> None:
    """Make the VPC router, an appliance VM on the public network and the VPC's."""
    store = tools.store
    image = store.images.present(store.fixed_uuid("ImageVO", "vrouter"))
    offering = tools.fixed(
        store.instance_offerings, "vrouter", public=False,
        **{**tools.offerings.instance_row(1, GIB), "type": "VirtualRouter"},
    )  # fmt: skip
    asked = {"type": "ApplianceVm", "imageUuid": image["uuid"]}
    row = tools.creation.row(asked, _plan(1, GIB, offering["uuid"], image, []))
    vm = tools.fixed(store.vms, "vpc-router-1", ADMIN, public=False, **row)
    for place, l3 in enumerate((public, vpc)):
        tools.machines.add_nic(vm, l3).update(metaData=str(3 + place), hypervisorType=None)
    tools.machines.place(vm)
    store.touch(vm, state="Running")
    vm["_router"] = {
        "applianceVmType": "vpcvrouter", "managementNetworkUuid": public["uuid"], "publicNetworkUuid": public["uuid"],
        "defaultRouteL3NetworkUuid": public["uuid"], "status": "Connected", "agentPort": 7272, "haStatus": "NoHa",
        "dns": [], "virtualRouterVips": [], "internalId": vm["_number"],
    }  # fmt: skip


def _plan(cpu_num: int, memory: int, offering: str | None, image: Json | None, l3s: list[Json]) -> Plan:
    default = l3s[0]["uuid"] if l3s else None
    return Plan(cpu_num, memory, offering, image, l3s, default, image["size"] if image else GIB, None, [])


def demo(tools: Tools) -> None:
    """Make a handful of everything in the account demo."""
    store = tools.store
    owner = account_uuid(store, "demo")
    made = [server(tools, name, owner, place) for place, name in enumerate(_DEMO_SERVERS)]
    store.touch(made[-1], state="Stopped", hostUuid=None)
    tools.fixed(store.ssh_keys, "demo-key", owner, public=False, publicKey=_KEY)
    group = tools.fixed(store.security_groups, "web", owner, public=False, ipVersion=4, **tools.groups.row())
    tools.groups.add_default_rules(group)
    for nic in store.nics.some(made[0]["_nics"]):
        tools.groups.join(nic, [group["uuid"]])
    for name in ("data-1", "data-2", "scratch"):
        _volume(tools, name, owner)


def server(tools: Tools, name: str, owner: str, place: int) -> Json:
    """Add one running VM on the private network; it weighs nothing on its host."""
    store = tools.store
    offerings = store.instance_offerings.where(type="UserVm")
    offering, image = (
        offerings[place % len(offerings)],
        store.images.present(store.fixed_uuid("ImageVO", "ubuntu-24.04")),
    )
    private = store.l3_networks.present(store.fixed_uuid("L3NetworkVO", "private"))
    plan = _plan(offering["cpuNum"], offering["memorySize"], offering["uuid"], image, [private])
    fields = tools.creation.row({"imageUuid": image["uuid"]}, plan)
    vm = store.new_row(store.vms, owner, name=name, description=None, **fields)
    tools.machines.add_nic(vm, private)
    tools.machines.add_volume(vm, "Root", image["size"], rootImageUuid=image["uuid"])
    hosts = list(store.hosts)
    host = hosts[place % len(hosts)]
    tools.machines.settle(vm, host)
    vm.update(state="Running", _weightless=True)
    return vm


def _volume(tools: Tools, name: str, owner: str) -> Json:
    store = tools.store
    row = store.new_row(store.volumes, owner, name=name, description=None, **tools.volumes.row(10 * GIB))
    storage = next(iter(store.primary_storages))["uuid"]
    row.update(status="Ready", primaryStorageUuid=storage, format="qcow2", actualSize=GIB, installPath=f"/ps/{name}")
    return row


def bulk_servers(tools: Tools, count: int, account: str) -> list[str]:
    """Add running VMs with a NIC and a root volume each; the account's quotas grow with them."""
    store = tools.store
    owner = account_uuid(store, account)
    start = len(store.vms)
    rows = [server(tools, f"bulk-{start + place}", owner, place) for place in range(count)]
    more = {"vm__totalNum": count, "vm__num": count, "vm__cpuNum": 4 * count, "vm__memorySize": 8 * GIB * count}
    tools.quotas.raise_for(owner, **more, volume__capacity=3 * GIB * count)
    return [row["uuid"] for row in rows]


def bulk_volumes(tools: Tools, count: int, account: str) -> list[str]:
    """Add Ready data volumes of 10 GiB."""
    owner = account_uuid(tools.store, account)
    tools.quotas.raise_for(owner, volume__data__num=count, volume__capacity=10 * GIB * count)
    start = len(tools.store.volumes)
    return [_volume(tools, f"bulk-volume-{start + place}", owner)["uuid"] for place in range(count)]


def bulk_networks(tools: Tools, count: int, account: str) -> list[str]:
    """Add private L3 networks with a range each, every one on an L2 network of its own."""
    store, owner = tools.store, account_uuid(tools.store, account)
    zone, start = next(iter(store.zones)), len(store.l3_networks)
    tools.quotas.raise_for(owner, l3__num=count)
    made = []
    for n in range(count):
        cidr, vlan = f"10.200.{n % 256}.0/24", 1000 + n % 3000
        made.append(network(tools, f"bulk-net-{start + n}", zone, cidr, account=owner, vlan=vlan)["uuid"])
    return made


def bulk_ports(tools: Tools, count: int, account: str) -> list[str]:
    """Add NICs of no VM on the private network."""
    store, owner = tools.store, account_uuid(tools.store, account)
    private = store.l3_networks.present(store.fixed_uuid("L3NetworkVO", "private"))
    return [tools.machines.new_nic(owner, private)["uuid"] for _ in range(count)]


def bulk_images(tools: Tools, count: int, account: str) -> list[str]:
    """Add Ready images."""
    store, owner = tools.store, account_uuid(tools.store, account)
    tools.quotas.raise_for(owner, image__num=count, image__size=GIB * count)
    made = []
    for place in range(count):
        fields = tools.images.row({"url": "http://192.0.2.1/bulk.qcow2"}, status="Downloading")
        row = store.new_row(store.images, owner, name=f"bulk-image-{place}", description=None, **fields)
        tools.images.fill(row, GIB)
        made.append(row["uuid"])
    return made


BULK = {
    "servers": bulk_servers,
    "volumes": bulk_volumes,
    "networks": bulk_networks,
    "ports": bulk_ports,
    "images": bulk_images,
}
"""What can be seeded by its kind."""
