"""Usage of tenants and pools, without a gateway."""

from __future__ import annotations

import asyncio

import pytest

from cloudspan.v1.tenant_pb2 import Limits
from cloudspan_common.errors import NotFound
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.access import limits as module
from cloudspan_gateway.access.limits import CallUsage, Counters, TenantLimit

ACME = "tenants/acme"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def counters(clock):
    return Counters(clock)


def created(counters, most, of=ACME):
    with counters.create([(of, Limits(creates_per_minute=most))]):
        pass


async def test_a_bucket_of_creates_is_full_at_first_and_fills_within_a_minute(counters, clock):
    """However the limit is changed meanwhile."""
    for _ in range(6):
        created(counters, 6)
    for after_s, wait_s in ((0.0, 10.0), (9.5, 0.5)):
        await clock.advance(after_s)
        with pytest.raises(TenantLimit) as caught:
            created(counters, 6)
        assert caught.value.retry_after_s == pytest.approx(wait_s)
    await clock.advance(0.5)
    created(counters, 6)
    with pytest.raises(TenantLimit) as caught:
        created(counters, 60)
    assert caught.value.retry_after_s == pytest.approx(1.0)
    await clock.advance(120.0)
    for _ in range(6):
        created(counters, 6)
    with pytest.raises(TenantLimit):
        created(counters, 6)


def test_a_create_that_was_not_accepted_is_not_counted(counters):
    """Nor for the tenant, where the pool's bucket is the empty one."""
    for _ in range(5):
        with pytest.raises(NotFound), counters.create([(ACME, Limits(creates_per_minute=1))]):
            raise NotFound("no such image")
    created(counters, 1, f"{ACME}/pools/prod")
    both = [(ACME, Limits(creates_per_minute=1)), (f"{ACME}/pools/prod", Limits(creates_per_minute=1))]
    with pytest.raises(TenantLimit, match="tenants/acme/pools/prod"), counters.create(both):
        pass
    created(counters, 1)


async def test_a_create_whose_caller_left_stays_counted(counters):
    """It may have been accepted."""
    with pytest.raises(asyncio.CancelledError), counters.create([(ACME, Limits(creates_per_minute=1))]):
        raise asyncio.CancelledError
    with pytest.raises(TenantLimit):
        created(counters, 1)


def test_a_call_that_does_not_fit_its_pool_leaves_nothing_behind(counters):
    """What it counted for its tenant goes when it ends; it counts once for each however often it is begun."""
    first, second = CallUsage(counters, b"12345"), CallUsage(counters, b"123")
    for _ in range(2):
        first.begin(ACME, Limits(calls=9))
        first.begin(f"{ACME}/pools/prod", Limits(calls=1))
    second.begin(ACME, Limits(calls=9))
    assert repr(counters.of(ACME)) == "<Usage of tenants/acme: 2 calls, 0 streams, 8 bytes>"
    with pytest.raises(TenantLimit):
        second.begin(f"{ACME}/pools/prod", Limits(calls=1))
    second.end()
    assert repr(first) == "<CallUsage of tenants/acme, tenants/acme/pools/prod: 5 bytes>"
    assert repr(counters) == "<Counters of 2: 2 calls>"
    first.end()
    first.end()
    assert repr(counters) == "<Counters of 2: 0 calls>"


def test_a_limit_lowered_below_what_is_used_says_both(counters):
    """What runs goes on; nothing more begins."""
    for _ in range(3):
        CallUsage(counters, b"").begin(ACME, Limits(calls=3))
    with pytest.raises(TenantLimit, match="may have 1 call at the same time and has 3;"):
        CallUsage(counters, b"").begin(ACME, Limits(calls=1))


async def test_tenants_that_are_gone_are_forgotten(counters, clock, monkeypatch):
    """Those that use nothing and whose buckets are full, once there are many."""
    monkeypatch.setattr(module, "_MOST_KEPT", 3)
    busy = CallUsage(counters, b"")
    busy.begin("tenants/busy", None)
    created(counters, 1, "tenants/creates")
    counters.of("tenants/idle")
    counters.of("tenants/new")
    assert [usage.name for usage in counters.all()] == ["tenants/busy", "tenants/creates", "tenants/new"]
    await clock.advance(61.0)
    counters.of("tenants/newer")
    assert [usage.name for usage in counters.all()] == ["tenants/busy", "tenants/newer"]
