"""What operations have changed, by the contract's own references."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from cloudspan_common import contract
from cloudspan_gateway.inventory.columns import collections
from cloudspan_gateway.inventory.reads.own_changes import MOST_ENDED, OwnChanges, changed, deletes, touched

EAST = "platforms/openstack/clusters/east"
SERVICE = "cloudspan.v1.ServerService"
A, B, DISK = f"{EAST}/servers/a", f"{EAST}/servers/b", f"{EAST}/volumes/v"


@dataclass
class Ended:
    method: str
    resource: str = A
    end_time: float = 10.0
    also: tuple[str, ...] = ()
    succeeded: bool = True
    cluster: str = EAST


@pytest.mark.parametrize(
    ("method", "collection"),
    [
        ("ServerService/CreateServer", "ports"),
        ("ServerService/DeleteServer", "volumes"),
        ("ServerService/DeleteServer", "floatingIps"),
        ("ServerService/AttachVolume", "volumes"),
        ("SubnetService/CreateSubnet", "networks"),
        ("NetworkService/CreateNetwork", "subnets"),
        ("FloatingIpService/AssociateFloatingIp", "servers"),
        ("VolumeService/CreateVolume", "quotas"),
    ],
)
def test_a_mutation_touches_what_refers_to_its_resource_and_what_that_refers_to(method, collection):
    """Also what nothing refers to, such as how much of a quota is used."""
    assert collection in touched(f"cloudspan.v1.{method}")


def test_no_mutation_touches_what_only_the_platform_changes_nor_what_is_none():
    """Flavors and zones stay fresh whatever a tenant does; every collection that is named is one."""
    for method in contract.methods().values():
        if method.kind is contract.Kind.MUTATION:
            assert touched(method.full_name) <= set(collections()) - {"flavors", "zones", "projects"}
    assert touched(f"{SERVICE}/StartServer") == frozenset()


def test_a_mutation_of_another_build_may_have_changed_everything():
    """Two versions of the gateway may share a database for a while."""
    assert touched("cloudspan.v1.NewService/Change") == frozenset(collections())


def test_the_last_end_counts_and_a_deletion_only_if_nothing_came_after_it():
    """A key pair may be created again under the name that it had."""
    seen = changed(
        [
            Ended(f"{SERVICE}/DeleteServer", A, 30.0),
            Ended(f"{SERVICE}/StartServer", A, 10.0),
            Ended(f"{SERVICE}/DeleteServer", B, 10.0),
            Ended(f"{SERVICE}/StartServer", B, 30.0),
            Ended(f"{SERVICE}/AttachVolume", B, 20.0, also=(DISK,)),
        ]
    )
    assert seen.resources == {A: 30.0, B: 30.0, DISK: 20.0}
    assert seen.deleted == {A}
    assert seen.of_collection(EAST, "ports") == 30.0
    assert seen.of_collection(EAST, "flavors") == -math.inf
    assert seen.of_resource(DISK, EAST, "volumes") == 30.0
    assert seen.within(EAST, "servers", 25.0) == {A: 30.0, B: 30.0}


def test_only_a_delete_leaves_nothing_of_its_resource():
    """What else returns nothing may be anything."""
    assert deletes(f"{SERVICE}/DeleteServer")
    assert not deletes(f"{SERVICE}/StartServer")
    assert not deletes("cloudspan.v1.NewService/DeleteThing")


async def test_more_operations_than_are_gone_through_change_everything():
    """The platform answers that tenant; and clocks that differ are allowed for."""

    class Many:
        async def ended(self, tenant, since, limit):
            assert (tenant, since) == ("acme", 98.0)
            return [Ended(f"{SERVICE}/StartServer")] * limit

    seen = await OwnChanges(Many(), clocks_apart_s=2.0).since("acme", 100.0)
    assert seen.everything
    assert seen.of_collection(EAST, "zones") == math.inf
    assert seen.resources == {A: 12.0}
    assert MOST_ENDED > 1
