"""Filters as SQL: what the database decides alone, and what it leaves to the filter itself.

That the two come to the same is shown by `test_query`.
"""

from __future__ import annotations

import pytest

from cloudspan.v1 import inventory_pb2, quota_pb2, server_pb2, volume_pb2
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_gateway.inventory.query.sql_filter import EVERY, UNKNOWN, condition, names_field

MESSAGES = {
    "servers": server_pb2.Server,
    "volumes": volume_pb2.Volume,
    "quotas": quota_pb2.Quota,
    "": inventory_pb2.StoredResource,
}


def compiled(text, collection="servers"):
    return condition(Filter.parse(text, MESSAGES[collection].DESCRIPTOR), collection, shared=False)


@pytest.mark.parametrize(
    ("text", "collection"),
    [
        ("state = RUNNING", "servers"),
        ("state != RUNNING AND vcpus > 2", "servers"),
        ('display_name = "web" OR zone = ""', "servers"),
        ('display_name = "web*"', "servers"),
        ("memory_mib >= 8192 memory_mib < 16384", "servers"),
        ("size_bytes = 0", "volumes"),
        ("labels.team = db NOT labels:env", "servers"),
        ("labels:* labels.n < 5", "servers"),
        ('image = "i" OR image = ""', "servers"),
        ("security_groups:web security_groups:*", "servers"),
        ("network_interfaces.network:n", "servers"),
        ("create_time:*", "servers"),
        ("addresses:10.0.0.5 addresses:*", ""),
        ("collection = servers vcpus = 0", ""),
    ],
)
def test_what_is_kept_whole_is_decided_by_the_database(text, collection):
    assert compiled(text, collection).is_exact


@pytest.mark.parametrize(
    ("text", "collection"),
    [
        ("display_name : web", "servers"),
        ('display_name = "*web"', "servers"),
        ("create_time = 2026-01-31T08:00:00Z", "servers"),
        ("network_interfaces.fixed_ips.ip_address : 10.0.0.5", "servers"),
        ("state = RUNNING native_state = ACTIVE", "servers"),
        ("vcpus > 99999999999999999999", "servers"),
    ],
)
def test_what_is_kept_in_part_is_decided_by_both(text, collection):
    found = compiled(text, collection)
    assert not found.is_exact
    assert str(found.maybe) != "true"


@pytest.mark.parametrize(
    ("text", "collection"),
    [
        ("native_state = ACTIVE", "servers"),
        ("NOT locked = true", "servers"),
        ("observe_time > 2026-01-31T08:00:00Z", "servers"),
        ("flavor_snapshot.extra_specs.a = b", "servers"),
        ('project = "p"', "quotas"),
        ('image < "i"', "servers"),
        (f'display_name = "{"x" * 200}"', "servers"),
        ('display_name = "a\0b"', "servers"),
        (" ".join(["vcpus = 1"] * 101), "servers"),
    ],
)
def test_of_what_is_not_kept_the_database_says_nothing(text, collection):
    found = compiled(text, collection)
    assert str(found.maybe) == "true"
    assert str(found.surely) in ("false", str(UNKNOWN.surely))


def test_no_filter_is_every_row():
    assert compiled("") is EVERY
    assert compiled("").is_exact


@pytest.mark.parametrize("text", ["state = RUNNING", 'state:RUNNING AND labels.team = "db"', 'display_name = "web"'])
def test_an_equality_is_found_by_an_index(text):
    assert compiled(text).indexed


@pytest.mark.parametrize(
    "text", ["state != RUNNING", "state = RUNNING OR vcpus = 1", 'display_name = "web*"', "vcpus = 1"]
)
def test_nothing_else_is(text):
    """An alternative, or a negation, is true of others too."""
    assert not compiled(text).indexed


def test_a_label_an_address_and_a_reference_are_found_by_their_value():
    assert len(compiled('labels.team = "db" security_groups:web').ids) == 2
    assert compiled("network_interfaces.fixed_ips.ip_address : 10.0.0.5").ids
    for text in ("labels.team != db", "labels.team = db OR vcpus = 1", "labels:team", 'labels.team = "d*"'):
        assert not compiled(text).ids


def test_a_field_is_named_at_any_depth():
    wanted = Filter.parse("NOT (vcpus = 1 OR NOT observe_time:*)", server_pb2.Server.DESCRIPTOR)
    assert names_field(wanted, "observe_time")
    assert not names_field(wanted, "create_time")
