"""Limiters by host, breakers by service: clusters that share an endpoint share them."""

from __future__ import annotations

from cloudspan_common.testing import FakeClock
from cloudspan_kit import Guards


def test_services_behind_one_port_share_the_limiter_and_fail_one_by_one() -> None:
    guards = Guards(FakeClock())
    compute, compute_breaker = guards.of("http://cloud:80/compute/v2.1")
    volume, volume_breaker = guards.of("http://cloud:80/volume/v3")
    assert compute is volume
    assert compute_breaker is not volume_breaker


def test_two_clusters_of_one_endpoint_share_both() -> None:
    """Whatever project their paths end with."""
    guards = Guards(FakeClock())
    assert guards.of("http://cloud:80/volume/v3/one") == guards.of("http://cloud:80/volume/v3/two")
    assert guards.of("http://cloud:80/volume") == guards.of("http://cloud:80/volume/v3/one")


def test_another_port_is_another_endpoint() -> None:
    guards = Guards(FakeClock())
    assert guards.of("http://cloud:80/volume")[0] is not guards.of("http://cloud:81/volume")[0]
