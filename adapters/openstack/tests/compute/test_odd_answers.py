"""Answers as other clouds send them: lists answer, and tell what they lack.

Each case changes the answers of the fake cloud on their way in. `shown` is what the first row shows, `said` what the
list says of what it lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from cloudspan_common.names import ClusterRef
from cloudspan_kit.testing import Changed, changed_answers, list_page_of
from cloudspan_openstack.cloud.clouds import read_cloud
from cloudspan_openstack.cluster import OpenStackCluster, Shared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from cloudspan_openstack_fake import FakeCloud

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
    cloud.control.seed("demo", volumes=3, servers=3, networks=2)
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
