"""Seeding the fake ZStack, and what it serves by its reference."""

from __future__ import annotations

import time

import pytest

from cloudspan_common.testing import FakeClock
from cloudspan_zstack_fake import FakeCloud


def test_every_handler_has_its_call_in_the_reference_and_the_other_way_round():
    """So that nothing is served unchecked and nothing is known that is not served."""
    cloud = FakeCloud()
    assert cloud.served() == sorted(cloud._building.gate._reference.calls)


def test_two_clouds_of_one_name_hold_the_same_uuids():
    """And another name other ones."""
    first, second, other = (FakeCloud(name, clock=FakeClock(), demo=True) for name in ("a", "a", "b"))
    assert [row["uuid"] for row in first.store.vms] == [row["uuid"] for row in second.store.vms]
    assert {row["uuid"] for row in first.store.vms}.isdisjoint(row["uuid"] for row in other.store.vms)


async def test_ten_thousand_vms_are_seeded_fast_and_paged_through(demo, cloud):
    """Each with a NIC and a root volume."""
    began = time.process_time()
    cloud.control.seed(servers=10_000)
    assert time.process_time() - began < 3
    seen: set[str] = set()
    for start in range(0, 11_000, 1000):
        seen |= {row["uuid"] for row in await demo.rows("/vm-instances", start=str(start), fields="uuid")}
    assert len(seen) == 10_005
    last = await demo.named("/vm-instances", "bulk-10005")
    assert (last["vmNics"][0]["ip"], len(last["allVolumes"])) == ("10.10.39.22", 1)


@pytest.mark.parametrize("kind", ["servers", "volumes", "networks", "ports", "images"])
async def test_each_kind_is_seeded_for_the_account_asked_for(cloud, demo, kind):
    """Quotas grow with them, so the account still makes its own."""
    uuids = cloud.control.seed("demo2", **{kind: 25})[kind]
    assert len(set(uuids)) == 25
    owner = cloud.store.fixed_uuid("AccountVO", "demo2")
    assert {cloud.control.row(uuid)["_account"] for uuid in uuids} == {owner}
    await demo.log_in("demo2")
    assert (await demo.new_vm())["state"] == "Running"


async def test_what_cannot_be_seeded_is_named(cloud):
    """With what can."""
    with pytest.raises(ValueError, match="servers, volumes"):
        cloud.control.seed_kind("routers", 1)
