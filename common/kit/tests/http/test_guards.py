"""Limiters and breakers go by a cluster's service endpoints, whatever host or prefix those share."""

from __future__ import annotations

import pytest

from cloudspan_common.testing import FakeClock
from cloudspan_kit import Guards


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://cloud/compute/v2.1", "http://cloud/volume/v3/p1"),
        ("http://cloud/api/compute/v2.1", "http://cloud/api/volume/v3/p1"),
        ("http://cloud/api/region/v2.1", "http://cloud/api/region/v3/p1"),
        ("http://cloud:8774/v2.1", "http://cloud:8776/v3/p1"),
    ],
)
async def test_services_of_one_host_are_limited_and_fail_one_by_one(one: str, other: str) -> None:
    """A prefix that all of them have changes nothing."""
    guards = Guards(FakeClock())
    (limiter, breaker), (other_limiter, other_breaker) = guards.of(one), guards.of(other)
    limiter.learn(120.0)
    for _ in range(5):
        breaker.failed()
    assert (other_limiter.retry_after_s(), other_breaker.retry_after_s()) == (0.0, 0.0)
    assert guards.of(one) == (limiter, breaker)


def test_no_password_of_an_endpoint_shows() -> None:
    """Limiters and breakers name their endpoint in messages."""
    guards = Guards(FakeClock())
    limiter, breaker = guards.of("http://user:s3cret@cloud/volume/v3")
    assert "s3cret" not in f"{limiter!r} {breaker!r} {guards!r}"
    assert "http://cloud/volume/v3" in repr(limiter)
