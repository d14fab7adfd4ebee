"""Answers as other clouds send them: lists answer, and tell what they lack.

Each case changes the answers of the fake cloud on their way in. `shown` is what the first row shows, `said` what the
list says of what it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from cloudspan.v1 import server_pb2
from cloudspan_common.deadlines import Deadline
from cloudspan_common.names import ClusterRef
from cloudspan_kit import Call
from cloudspan_kit.testing import Changed, changed_answers, list_page_of
from cloudspan_openstack.cloud import keystone
from cloudspan_openstack.cloud.clouds import read_cloud
from cloudspan_openstack.cluster import OpenStackCluster, Shared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from cloudspan_openstack_fake import FakeCloud

    from .conftest import Bench

REF = ClusterRef("openstack", "east")
BIG = 1 << 32
FLAVORS, SERVERS, KEY_PAIRS = (
    "/compute/v2.1/flavors/detail",
    "/compute/v2.1/servers/detail",
    "/compute/v2.1/os-keypairs",
)
VOLUMES, NETWORKS, SUBNETS = "/volume/v3/[^/]+/volumes/detail", "/network/v2.0/networks", "/network/v2.0/subnets"
GROUPS, IMAGES, PROJECTS = "/network/v2.0/security-groups", "/image/v2/images", "/identity/v3/projects"


@dataclass(frozen=True, slots=True)
class Case:
    """One answer that is odd."""

    function: str
    change: Changed
    shown: Mapping[str, object] = field(default_factory=dict)
    said: str = ""


def case(function: str, path: str, put: Mapping[str, object], said: str = "", **shown: object) -> Case:
    return Case(function, Changed(path, put), shown, said)


CASES = {
    "a time that is empty": case("list_volumes", VOLUMES, {"/volumes/0/created_at": ""}, create_time=None),
    "a time that is none": case(
        "list_volumes", VOLUMES, {"/volumes/0/created_at": "soon"}, "created_at: 'soon' is not a time", create_time=None
    ),
    "a time before all times": case(
        "list_volumes", VOLUMES, {"/volumes/0/created_at": "0000-00-00T00:00:00"}, "is not a time", create_time=None
    ),
    "a time after all times": case(
        "list_volumes", VOLUMES, {"/volumes/0/created_at": 1 << 62}, "is not a time", create_time=None
    ),
    "a flavor's cores": case(
        "list_flavors", FLAVORS, {"/flavors/0/vcpus": 1 << 64}, f"vcpus: {1 << 64} is too large", vcpus=0
    ),
    "a flavor's cores that fit": case("list_flavors", FLAVORS, {"/flavors/*/vcpus": BIG}, vcpus=BIG),
    "a server's cores": case(
        "list_servers", SERVERS, {"/servers/0/flavor/vcpus": 1 << 63}, f"flavor.vcpus: {1 << 63} is too large", vcpus=0
    ),
    "a number as text": case("list_images", IMAGES, {"/images/0/min_ram": "512"}, min_memory_mib=512),
    "a number as a float": case("list_networks", NETWORKS, {"/networks/0/mtu": 1500.0}, mtu=1500),
    "a segment of GRE": case(
        "list_networks",
        NETWORKS,
        {"/networks/0/provider:segmentation_id": BIG - 1, "/networks/0/provider:network_type": "gre"},
    ),
    "links that are null": case("list_networks", NETWORKS, {"/networks_links": None}),
    "links that are none": case("list_networks", NETWORKS, {"/networks_links": 7}),
    "a network without subnets": case("list_networks", NETWORKS, {"/networks/0/subnets": None}),
    "a subnet without pools": case("list_subnets", SUBNETS, {"/subnets/0/allocation_pools": None}),
    "a server without metadata": case("list_servers", SERVERS, {"/servers/0/metadata": None}, labels={}),
    "a server without addresses": case("list_servers", SERVERS, {"/servers/0/addresses": None}),
    "a volume without attachments": case("list_volumes", VOLUMES, {"/volumes/0/attachments": None}),
    "a flavor without extra specs": case("list_flavors", FLAVORS, {"/flavors/0/extra_specs": None}, extra_specs={}),
    "a flavor without extra specs beside servers": case("list_servers", FLAVORS, {"/flavors/2/extra_specs": None}),
}


@pytest.fixture
async def cluster(cloud: FakeCloud, clouds_yaml: Path) -> AsyncIterator[OpenStackCluster]:
    """A cluster with something of every kind."""
    cloud.control.seed("demo", volumes=3, servers=3, networks=2, ports=2)
    made = OpenStackCluster(REF, read_cloud("fake", clouds_yaml), Shared())
    yield made
    await made.close()


@pytest.mark.parametrize("name", CASES)
async def test_an_odd_answer_costs_no_row(cluster: OpenStackCluster, name: str) -> None:
    """What can't be read of one is absent, and said."""
    odd = CASES[name]
    usual = await list_page_of(cluster, odd.function)
    with changed_answers(cluster._wire, odd.change) as asked:
        listed = await list_page_of(cluster, odd.function)
    assert asked
    assert [item.name for item in listed.items] == [item.name for item in usual.items]
    assert len(usual.items) > 0
    assert odd.said in "; ".join(listed.unread)
    assert bool(odd.said) == bool(listed.unread)
    for shown, value in odd.shown.items():
        assert _of(listed.items[0], shown) == value


def _of(item: Any, name: str) -> object:
    if item.DESCRIPTOR.fields_by_name[name].message_type is not None and name.endswith("_time"):
        return getattr(item, name) if item.HasField(name) else None
    value = getattr(item, name)
    return dict(value) if hasattr(value, "items") else value


QUOTAS = {
    "ram": "/compute/v2.1/os-quota-sets/[^/]+/detail",
    "gigabytes": "/volume/v3/[^/]+/os-quota-sets/[^/]+",
    "port": "/network/v2.0/quotas/[^/]+/details.json",
}


@pytest.mark.parametrize("limit", [9_999_999_999, 1 << 31, 1 << 32, 1 << 63, 1 << 64, -1, 1e30])
@pytest.mark.parametrize("word", QUOTAS)
async def test_a_limit_beyond_its_field_is_absent_and_named(cluster: OpenStackCluster, word: str, limit: float) -> None:
    """No other limit is."""
    (usual,) = (await list_page_of(cluster, "list_quotas")).items
    key = "quota" if word == "port" else "quota_set"
    with changed_answers(cluster._wire, Changed(QUOTAS[word], {f"/{key}/{word}/limit": limit})):
        listed = await list_page_of(cluster, "list_quotas")
    (quota,) = listed.items
    others = {item.native_metric: item.limit for item in usual.items if item.native_metric != word}
    assert {item.native_metric: item.limit for item in quota.items if item.native_metric != word} == others
    unit = 1 << 30 if word == "gigabytes" else 1
    shown = [item.limit for item in quota.items if item.native_metric == word]
    if limit * unit < 1 << 63:
        assert (shown, listed.unread) == ([max(limit * unit, -1)], [])
    else:
        assert shown == []
        assert f"{word}.limit: " in listed.unread[0]


# ---------------------------------------------------------------------- lists that are cut

CUT = {
    "list_flavors": (FLAVORS, "flavors_links"),
    "list_key_pairs": (KEY_PAIRS, "keypairs_links"),
    "list_servers": (SERVERS, "servers_links"),
    "list_volumes": (VOLUMES, "volumes_links"),
    "list_snapshots": ("/snapshots/detail", "snapshots_links"),
    "list_images": (IMAGES, "next"),
    "list_networks": (NETWORKS, "networks_links"),
    "list_subnets": (SUBNETS, "subnets_links"),
    "list_ports": ("/network/v2.0/ports", "ports_links"),
    "list_routers": ("/network/v2.0/routers", "routers_links"),
    "list_floating_ips": ("/network/v2.0/floatingips", "floatingips_links"),
    "list_security_groups": (GROUPS, "security_groups_links"),
}


@pytest.mark.parametrize("function", CUT)
async def test_a_list_that_is_cut_in_silence_is_read_to_its_end(cluster: OpenStackCluster, function: str) -> None:
    """A row a page whatever was asked for, and no links."""
    await _some_of_each(cluster)
    path, links = CUT[function]
    usual = await list_page_of(cluster, function)
    cut = Changed(path, {f"/{links}": None if links == "next" else []}, params={"limit": "1"})
    with changed_answers(cluster._wire, cut):
        listed = await list_page_of(cluster, function)
    assert len(usual.items) > 1
    assert [item.name for item in listed.items] == [item.name for item in usual.items]
    assert (listed.partial, listed.next_page_token) == ("", "")


async def test_volume_types_that_are_cut_in_silence_are_read_to_their_end(cluster: OpenStackCluster) -> None:
    """Cinder's are read whole at once."""

    def one_at_a_time(document: Any, query: Mapping[str, str]) -> None:
        ids = [number for number in ("1", "2", "3") if number > query.get("marker", "")]
        document["volume_types"] = [{"id": number, "name": number} for number in ids[:1]]

    with changed_answers(cluster._wire, Changed("/types", edit=one_at_a_time)):
        listed = await list_page_of(cluster, "list_volume_types")
    assert [item.display_name for item in listed.items] == ["1", "2", "3"]


async def test_servers_keep_what_is_read_beside_them_when_that_is_cut(bench: Bench) -> None:
    """Their ports, a row a page and no links."""
    names = await bench.ids()
    for name in ("a", "b", "c"):
        wanted = server_pb2.Server(display_name=name, image=names["image"], flavor=names["flavor"])
        request = server_pb2.CreateServerRequest(parent=str(REF), server=wanted)
        await bench.done("create_server", request, server_pb2.Server)
    cut = Changed("/network/v2.0/ports", {"/ports_links": []}, params={"limit": "1"})
    with changed_answers(bench.cluster._wire, cut):
        listed = await list_page_of(bench.cluster, "list_servers")
    assert [bool(server.network_interfaces[0].port) for server in listed.items] == [True] * 3


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        ("list_flavors", 2), ("list_key_pairs", 2), ("list_servers", 4), ("list_volumes", 2), ("list_volume_types", 3),
        ("list_images", 2), ("list_networks", 2), ("list_ports", 2), ("list_zones", 3), ("list_projects", 1),
    ],
)  # fmt: skip
async def test_proof_that_a_list_is_whole_costs_one_small_call(
    cluster: OpenStackCluster, function: str, calls: int
) -> None:
    """Servers are read with their ports and a look at Nova's cells, types with the default one."""
    await _some_of_each(cluster)
    await list_page_of(cluster, function)
    with changed_answers(cluster._wire) as asked:
        await list_page_of(cluster, function)
    assert len(asked) <= calls, asked


async def _some_of_each(cluster: OpenStackCluster) -> None:
    call = Call(REF, Deadline.after(20), cloud=cluster.cloud)

    async def post(service: str, path: str, body: object) -> Any:
        return await cluster.session.send(call, "POST", service, path, dict, json=body)

    external = await cluster.session.get(call, "network", "/networks", dict, params={"router:external": "True"})
    volume = (await cluster.session.get(call, "volume", "/volumes", dict))["volumes"][0]["id"]
    for name in ("a", "b", "c"):
        await post("compute", "/os-keypairs", {"keypair": {"name": name, "public_key": "ssh-ed25519 AAAA me"}})
        await post("volume", "/snapshots", {"snapshot": {"volume_id": volume, "name": name}})
        await post("network", "/routers", {"router": {"name": name}})
        await post("network", "/security-groups", {"security_group": {"name": name}})
        address = {"floating_network_id": external["networks"][0]["id"]}
        await post("network", "/floatingips", {"floatingip": address})


OWNERS = {
    "list_volumes": (VOLUMES, "volumes", "os-vol-tenant-attr:tenant_id"),
    "list_snapshots": ("/snapshots/detail", "snapshots", "os-extended-snapshot-attributes:project_id"),
    "list_networks": (NETWORKS, "networks", "project_id"),
    "list_subnets": (SUBNETS, "subnets", "project_id"),
    "list_ports": ("/network/v2.0/ports", "ports", "project_id"),
    "list_routers": ("/network/v2.0/routers", "routers", "project_id"),
    "list_floating_ips": ("/network/v2.0/floatingips", "floatingips", "project_id"),
    "list_security_groups": (GROUPS, "security_groups", "project_id"),
    "list_servers": (SERVERS, "servers", ""),
}


@pytest.mark.parametrize("function", OWNERS)
async def test_an_owner_that_is_called_tenant_alone_is_its_project(cluster: OpenStackCluster, function: str) -> None:
    """As older services say."""
    await _some_of_each(cluster)
    path, key, field = OWNERS[function]

    def old(document: Any, _query: Mapping[str, str]) -> None:
        for row in document[key]:
            row.pop(field, None)
            row["tenant_id"] = "t1"

    with changed_answers(cluster._wire, Changed(path, edit=old)):
        listed = await list_page_of(cluster, function)
    assert {item.project for item in listed.items} == {f"{REF}/projects/t1"}


# ---------------------------------------------------------------------- Keystone


@pytest.fixture
async def admin(cloud: FakeCloud, clouds_yaml: Path) -> AsyncIterator[OpenStackCluster]:
    """A cluster of a user who sees all projects, of which there are three."""
    made = OpenStackCluster(REF, read_cloud("fake-admin", clouds_yaml), Shared())
    yield made
    await made.close()


def _paged(limit: int, *, link: bool) -> Callable[[Any, Mapping[str, str]], None]:
    def edit(document: Any, query: Mapping[str, str]) -> None:
        rows = sorted(document["projects"], key=lambda row: row["id"])
        behind = [row for row in rows if row["id"] > query.get("marker", "")]
        document["projects"] = behind[:limit]
        document["links"]["next"] = "http://x/v3/projects?marker=y" if link and len(behind) > limit else None

    return edit


@pytest.mark.parametrize("link", [True, False])
@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_of_projects_are_read_to_the_last(admin: OpenStackCluster, limit: int, link: bool) -> None:
    """With links to the next one, or without."""
    usual = await list_page_of(admin, "list_projects")
    assert len(usual.items) == 3
    with changed_answers(admin._wire, Changed(PROJECTS, edit=_paged(limit, link=link))):
        admin.session.own(keystone._Paging).ignores_markers = link  # what links say is followed in any case
        listed = await list_page_of(admin, "list_projects", page_size=50)
    assert [item.name for item in listed.items] == [item.name for item in usual.items]
    assert listed.partial == ""


def _many(count: int) -> Callable[[Any, Mapping[str, str]], None]:
    def edit(document: Any, _query: Mapping[str, str]) -> None:
        row = document["projects"][0]
        document["projects"] = [row | {"id": f"{number:032}", "name": f"p{number}"} for number in range(count)]

    return edit


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (Changed(PROJECTS, {"/links/next": "http://x/v3/projects?limit=1000&marker=x"}), "brings none"),
        (Changed(PROJECTS, {"/truncated": True}), "cut the list at its list_limit"),
        (Changed(PROJECTS, edit=_many(1000)), "told 1000 projects at once, which may be a limit"),
        (Changed(PROJECTS, edit=_many(999)), ""),
    ],
)
async def test_projects_that_are_not_proven_to_be_all_are_said_to_be_partial(
    admin: OpenStackCluster, change: Changed, said: str
) -> None:
    """By a Keystone that ignores markers."""
    with changed_answers(admin._wire, change):
        for _ in range(2):
            listed = await list_page_of(admin, "list_projects", page_size=50)
            assert listed.partial == said or (said and said in listed.partial)
