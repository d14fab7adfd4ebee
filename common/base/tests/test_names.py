"""Resource names: what routes by itself, ids that hold anything, and forms that are refused with the expected one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudspan_common.errors import InvalidRequest
from cloudspan_common.names import ClusterRef, is_tag, parse_cluster, parse_resource

EAST = ClusterRef("openstack", "east")


@given(st.text(min_size=1, max_size=40).filter(lambda text: text != "-"))
def test_a_resource_name_gives_back_the_platforms_id(resource_id: str) -> None:
    """Whatever a platform puts into an id: slashes, spaces, per cent signs, controls."""
    name = EAST.resource("servers", resource_id)
    assert name.count("/") == 5
    assert parse_resource(name, "servers") == (EAST, resource_id)


def test_a_parent_may_hold_wildcards_and_a_resource_name_may_not() -> None:
    """`platforms/-/clusters/-` is every cluster; there is no server of every cluster."""
    assert parse_cluster("platforms/-/clusters/-").is_wildcard
    assert parse_cluster("platforms/openstack/clusters/-").is_wildcard
    with pytest.raises(InvalidRequest):
        parse_resource("platforms/openstack/clusters/-/servers/1", "servers")


def test_the_cluster_of_a_resource_name_is_read_off_its_start() -> None:
    assert parse_cluster("platforms/openstack/clusters/east/servers/1", "name") == EAST


@pytest.mark.parametrize(
    "name",
    [
        "",
        "servers/1",
        "platforms/openstack/clusters",
        "platforms/OpenStack/clusters/east",
        "platforms/openstack/clusters/1east",
        "platforms/openstack/cluster/east",
        "platforms/openstack/clusters/" + "a" * 40,
        "platforms/openstack/clusters/east/servers/" + "1" * 600,
    ],
)
def test_a_malformed_parent_is_refused_with_the_expected_form(name: str) -> None:
    """A name of any length is shown in a message of a readable one."""
    with pytest.raises(InvalidRequest, match=r"parent is .*; expected the form platforms/\{platform\}") as refused:
        parse_cluster(name)
    assert refused.value.reason == "MALFORMED_NAME"
    assert [violation.field for violation in refused.value.violations] == ["parent"]
    assert len(refused.value.message) < 300


@pytest.mark.parametrize("name", ["volumes/1", "servers/", "servers/-", "servers/1/disks/2"])
def test_a_resource_of_another_form_is_refused_with_the_expected_one(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"/servers/\{id\}"):
        parse_resource(f"{EAST}/{name}", "servers")


def test_tags_are_lower_case_letters_digits_and_hyphens() -> None:
    assert [text for text in ("east", "e-1", "East", "1e", "", "-", "e_1", "é") if is_tag(text)] == ["east", "e-1"]
