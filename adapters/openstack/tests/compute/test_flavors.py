"""Flavors: listed to the end, sizes in the contract's units."""

from __future__ import annotations

from cloudspan.v1 import flavor_pb2
from cloudspan_common.names import ClusterRef

Flavor = flavor_pb2.Flavor
REF = ClusterRef("openstack", "east")


async def test_flavors_are_listed_in_pages(bench):
    """By id, with swap in bytes."""
    flavors = await bench.everything("list_flavors", Flavor, limit=2)
    assert [f.name for f in flavors] == sorted(f"{REF}/flavors/{n}" for n in range(1, len(flavors) + 1))
    assert all(f.vcpus and f.memory_mib and f.visibility == Flavor.VISIBILITY_PUBLIC for f in flavors)
