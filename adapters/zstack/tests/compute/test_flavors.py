"""Flavors are instance offerings."""

from __future__ import annotations

import pytest

from cloudspan.v1 import flavor_pb2
from cloudspan_common.errors import NotFound
from cloudspan_zstack.cloud.jobs import Change

from .conftest import REF


async def test_flavors_are_offerings_for_guests(bench):
    """Those of routers are left out."""
    flavors = await bench.everything("list_flavors", flavor_pb2.Flavor)
    told = {flavor.display_name: (flavor.vcpus, flavor.memory_mib, flavor.disabled) for flavor in flavors}
    assert told == {"small": (1, 1024, False), "medium": (2, 4096, False), "large": (4, 8192, False)}
    assert not any(flavors[0].HasField(field) for field in ("disk_bytes", "ephemeral_bytes", "swap_bytes"))
    one = await bench.read("get_flavor", flavors[0].name, full=True)
    assert (one.name, one.native["name"]) == (flavors[0].name, flavors[0].display_name)


async def test_a_flavor_has_description_and_labels(make_bench):
    """The offering's own text, and its user tags."""
    admin = make_bench("admin")
    uuid = await admin.named("/instance-offerings", "small")
    admin.cloud.store.instance_offerings.present(uuid)["description"] = "for tests"
    change = Change(
        "POST", "/user-tags", params={"resourceType": "InstanceOfferingVO", "resourceUuid": uuid, "tag": "tier::low"}
    )
    await admin.session.act(admin.call(), change, job="tag")
    found = await admin.read("get_flavor", f"{REF}/flavors/{uuid}")
    assert (found.description, dict(found.labels)) == ("for tests", {"tier": "low"})


async def test_an_offering_for_routers_is_no_flavor(bench):
    """Not in lists, and not by its uuid."""
    (small, *_) = bench.cloud.store.instance_offerings
    small["type"] = "VirtualRouter"
    names = {flavor.display_name for flavor in await bench.everything("list_flavors", flavor_pb2.Flavor)}
    assert names == {"medium", "large"}
    with pytest.raises(NotFound):
        await bench.read("get_flavor", f"{REF}/flavors/{small['uuid']}")
