"""What is kept of a resource beside its payload: for every kind, also of what no index takes."""

from __future__ import annotations

import pytest
from gateway.tests.inventory_samples import resources
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudspan.v1 import flavor_pb2, network_pb2, quota_pb2, router_pb2, server_pb2
from cloudspan_common import projects
from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.inventory.columns import (
    ADDRESSES,
    TOKENS,
    collections,
    columns_of,
    is_shareable,
    message_of,
    value_paths,
)
from cloudspan_gateway.storage import schema, tables

EAST = "platforms/openstack/clusters/east"
_MOST_BYTES = 2_600  # of PostgreSQL's 2704 for an entry of an index
Server = server_pb2.Server


def paths_of(values, path):
    return sorted(value for found, value in values if found == path)


def test_a_server_s_columns_and_values_are_its_own():
    server = Server(
        name=f"{EAST}/servers/1",
        display_name="Web",
        state=Server.STATE_RUNNING,
        project=f"{EAST}/projects/p",
        vcpus=2,
        memory_mib=3,
        image=f"{EAST}/images/i",
        labels={"team": "db", "": ""},
        security_groups=["a", "", "a"],
        network_interfaces=[
            {"network": "n", "mac_address": "FA:16", "fixed_ips": [{"ip_address": "10.0.0.5", "subnet": "s"}]},
            {"floating_ip_addresses": ["1.1.1.1", ""], "fixed_ips": [{"gateway_ip": "10.0.0.1"}]},
        ],
    )
    server.create_time.FromJsonString("2026-01-31T08:00:00.5Z")
    found = columns_of("servers", server)
    assert {name: value for name, value in found.fields.items() if name not in ("name", "search")} == {
        "collection": "servers",
        "cluster": EAST,
        "project": f"{EAST}/projects/p",
        "shared": False,
        "display_name": "Web",
        "state": "RUNNING",
        "zone": "",
        "flavor": "",
        "create_time": 1769846400.5,
        "vcpus": 2,
        "memory_bytes": 3 * 2**20,
        "disk_bytes": None,
    }
    assert paths_of(found.values, "labels.team") == ["db"]
    assert paths_of(found.values, "labels.") == [""]
    assert paths_of(found.values, "image") == [f"{EAST}/images/i"]
    assert paths_of(found.values, "security_groups") == ["", "a"]
    assert paths_of(found.values, "network_interfaces.fixed_ips.subnet") == ["s"]
    assert paths_of(found.values, ADDRESSES) == ["1.1.1.1", "10.0.0.1", "10.0.0.5", "FA:16"]
    assert paths_of(found.values, TOKENS) == ["1", "web"]
    assert {"\n1\n", "\nweb\n", "\nteam=db\n", "\nfa:16\n"} <= {
        f"\n{one}\n" for one in found.fields["search"].split("\n")
    }


def test_what_everybody_reads_is_shared():
    for shared in (True, False):
        assert columns_of("networks", network_pb2.Network(name=f"{EAST}/networks/1", shared=shared)).fields[
            "shared"
        ] is (shared)
    private = flavor_pb2.Flavor(name=f"{EAST}/flavors/1", visibility=flavor_pb2.Flavor.VISIBILITY_PRIVATE)
    assert not columns_of("flavors", private).fields["shared"]
    assert {one for one in collections() if is_shareable(one)} == {
        *("flavors", "images", "keyPairs", "networks", "volumeTypes", "zones")
    }


def test_projects_and_their_quotas_are_the_project_s():
    """By their names: what a platform says in the fields need not be."""
    quota = quota_pb2.Quota(name=f"{EAST}/quotas/p1", project="another")
    assert columns_of("quotas", quota).fields["project"] == f"{EAST}/projects/p1"


def test_a_message_within_itself_is_left_out():
    """Every path comes to an end."""
    assert "external_fixed_ips.subnet" in value_paths("routers")
    router = router_pb2.Router(name=f"{EAST}/routers/1", external_fixed_ips=[{"subnet": "s", "ip_address": "1.1.1.1"}])
    found = columns_of("routers", router).values
    assert paths_of(found, "external_fixed_ips.subnet") == ["s"]
    assert paths_of(found, ADDRESSES) == ["1.1.1.1"]


@pytest.mark.parametrize("collection", collections())
def test_every_kind_has_every_column(collection):
    made = message_of(collection)(name=f"{EAST}/{collection}/1")
    found = columns_of(collection, made)
    kept_by_the_store = {"id", "payload", "digest", "observe_time", "source", "deleted_time"}
    assert set(found.fields) == {column.name for column in tables.resources.columns} - kept_by_the_store
    assert found.values == {(TOKENS, "1")}


@pytest.mark.parametrize(
    "name",
    [
        "",
        "servers/1",
        f"{EAST}/servers/{'x' * 500}",
        f"{EAST}/servers/" + "\u6d4b" * 170,
        f"{EAST}/servers/a\0b",
        "platforms/A/clusters/b",
    ],
)
def test_what_has_no_name_is_refused(name):
    with pytest.raises(InvalidRequest):
        columns_of("servers", Server(name=name))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(resource=resources(collections()), text=st.text(min_size=450, max_size=600, alphabet="\U0001f600\0x"))
def test_no_resource_is_too_odd_to_be_kept(resource, text):
    """Nothing is too long for an index, too large for an integer, or has what PostgreSQL takes for no text."""
    for field in ("display_name", "project", "zone", "flavor", "description"):
        if field in resource.DESCRIPTOR.fields_by_name and not resource.DESCRIPTOR.fields_by_name[field].is_repeated:
            setattr(resource, field, text)
    if "labels" in resource.DESCRIPTOR.fields_by_name:
        resource.labels[text] = text
    found = columns_of(resource.name.split("/")[4], resource)
    for value in found.fields.values():
        assert not isinstance(value, str) or "\0" not in value
        assert not isinstance(value, int) or -(2**63) <= value < 2**63
    for path, value in found.values:
        assert "\0" not in path + value
        assert len(path.encode()) + len(value.encode()) <= _MOST_BYTES
    for _, table, columns, _ in schema._INDEXES:
        if table is tables.resources and "deleted_time" not in columns:
            assert sum(len(str(found.fields[name]).encode()) for name in columns) <= _MOST_BYTES
    bound = projects.bound(resource.DESCRIPTOR, "platforms/-/clusters/-/projects/nobodys")
    assert found.fields["shared"] == bound.sees(resource)
