"""Which clusters a pool has."""

from __future__ import annotations

import pytest
from gateway.tests.known_callers import EAST, pool

from cloudspan_common.names import ClusterRef
from cloudspan_gateway.access.pools import PoolClusters


@pytest.mark.parametrize(
    ("pattern", "has"),
    [
        ("platforms/x/clusters/one", {"x/one"}),
        ("platforms/x/clusters/-", {"x/one", "x/two"}),
        ("platforms/-/clusters/one", {"x/one", "y/one"}),
        ("platforms/-/clusters/-", {"x/one", "x/two", "y/one"}),
    ],
)
def test_a_pattern_stands_for_all_there_are(pattern: str, has: set[str]) -> None:
    """`-` in place of either part."""
    clusters = PoolClusters(pool("acme", "prod", pattern))
    known = [ClusterRef("x", "one"), ClusterRef("x", "two"), ClusterRef("y", "one")]
    assert {f"{ref.platform}/{ref.cluster}" for ref in known if clusters.project(ref) is not None} == has
    assert clusters.names_platform("x")
    assert clusters.names_platform("y") == ("y/one" in has)


def test_a_pool_shows_its_clusters() -> None:
    """By its repr."""
    assert repr(PoolClusters(pool("acme", "prod", EAST))) == f"<PoolClusters tenants/acme/pools/prod: {EAST}>"


def test_a_name_with_wildcards_meets_what_it_can_mean() -> None:
    """On either side."""
    clusters = PoolClusters(pool("acme", "prod", EAST))
    assert clusters.meets(ClusterRef("-", "-"))
    assert clusters.meets(ClusterRef("-", "east"))
    assert clusters.meets(ClusterRef("openstack", "-"))
    assert not clusters.meets(ClusterRef("openstack", "west"))
    assert not clusters.meets(ClusterRef("zstack", "-"))
