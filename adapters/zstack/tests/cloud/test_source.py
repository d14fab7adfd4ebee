"""Servers and volumes on their way are looked at together, in one call however many they are."""

from __future__ import annotations

import pytest

from cloudspan.v1 import server_pb2
from cloudspan_common.listing.filter_ast import EVERYTHING
from cloudspan_kit import Query
from cloudspan_kit.serve.capabilities import Abilities

from .conftest import make_server, server_request


def _transits(bench):
    return Abilities(bench.cluster).transits


@pytest.mark.parametrize("others", [0, 150])
async def test_one_call_tells_which_servers_are_on_their_way(bench, others):
    """Of a few by their ids, of many by their states; what is gone or never was is in no transit."""
    seeded = bench.cloud.control.seed(servers=4 + others)["servers"]
    for uuid, state in zip(seeded, ("Starting", "Destroying", "Stopped"), strict=False):
        bench.cloud.control.break_server(uuid, state)
    bench.cloud.control.journal.clear()
    asked = [*seeded[:1], *seeded[2:], "0" * 32]
    assert await _transits(bench)["servers"](bench.call(), asked) == {seeded[0]}
    assert bench.cloud.control.count(call="QueryVmInstance") == 1


async def test_volumes_are_on_their_way_while_they_are_made(bench):
    """Attaching and deleting one shows in no state of its own."""
    one, two = bench.cloud.control.seed(volumes=2)["volumes"]
    bench.cloud.store.volumes.present(one)["status"] = "Creating"
    assert await _transits(bench)["volumes"](bench.call(), [one, two]) == {one}


async def test_what_an_operation_waits_for_is_told_with_its_steps(bench):
    """From the create on; a delete waits for the same server."""
    bench.cloud.control.set_timing(build_s=30.0, delete_s=30.0)
    told = []

    def note(_step, answer):
        if answer.HasField("transit"):
            told.append((answer.stage, answer.transit.collection, answer.transit.native_id))

    answer = await bench.operate("create_server", await server_request(bench), meanwhile=note)
    uuid = answer.native_ids["server"]
    assert set(told) == {("built", "servers", uuid)}
    told.clear()
    request = server_pb2.DeleteServerRequest(name=answer.resource)
    await bench.operate("delete_server", request, meanwhile=note)
    assert set(told) == {("deleted", "servers", uuid)}


async def test_a_build_that_fails_leaves_the_transit(bench):
    """Its row goes, so whoever waits for it is woken, and learns why from the job."""
    bench.cloud.control.set_timing(build_s=30.0)

    def break_hosts(_step, answer):
        if answer.HasField("transit"):
            bench.cloud.control.set_host_down(True)

    answer = await bench.operate("create_server", await server_request(bench), meanwhile=break_hosts)
    assert "NO_VALID_HOST" in str(answer.error)
    assert await _transits(bench)["servers"](bench.call(), [answer.native_ids["server"]]) == set()


async def test_a_server_that_runs_is_in_no_transit(bench):
    """So a look that comes late costs nothing more."""
    made = await make_server(bench)
    assert await _transits(bench)["servers"](bench.call(), [made.name[-32:]]) == set()


async def _changed(bench, method, since):
    page = await bench.function(method)(bench.call(), Query(EVERYTHING, 100, since=since))
    return {item.name[-32:] for item in page.items}, list(page.gone), page.changes_only


async def test_what_has_changed_of_servers_is_asked_in_the_zone_of_the_server(bench):
    """With those that were destroyed since, as gone; they can still be read."""
    store = bench.cloud.store
    renamed, destroyed, _ = bench.cloud.control.seed(servers=3)["servers"]
    await bench.clock.advance(100)
    since = store.now() - 10
    assert await _changed(bench, "list_servers", since) == (set(), [], True)
    store.touch(store.vms.present(renamed), name="renamed")
    store.touch(store.vms.present(destroyed), state="Destroyed")
    assert await _changed(bench, "list_servers", since) == ({renamed}, [destroyed], True)
    asked = bench.cloud.control.requests(call="QueryVmInstance")[-1].query
    assert f"lastOpDate>={bench.session.zone.condition(since)}" in asked


async def test_every_kind_that_has_the_time_of_its_last_change_is_asked_for_changes(bench):
    """Deleted volumes come as gone; of images and snapshots no deleted one comes, and only a whole listing tells."""
    store = bench.cloud.store
    volume, deleted = bench.cloud.control.seed(volumes=2)["volumes"]
    await bench.clock.advance(100)
    since = store.now() - 10
    store.touch(store.volumes.present(volume), name="renamed")
    store.touch(store.volumes.present(deleted), status="Deleted")
    image = next(iter(store.images))
    store.touch(image, status="Deleted")
    offering = store.touch(store.instance_offerings.where(type="UserVm")[0], name="renamed")
    assert await _changed(bench, "list_volumes", since) == ({volume}, [deleted], True)
    assert await _changed(bench, "list_images", since) == (set(), [], True)
    assert await _changed(bench, "list_flavors", since) == ({offering["uuid"]}, [], True)
    for method in ("subnets", "networks", "ports", "key_pairs", "security_groups", "floating_ips", "projects", "zones"):
        assert await _changed(bench, f"list_{method}", since) == (set(), [], True), method


async def test_a_server_whose_zone_is_not_known_is_asked_for_everything(bench):
    """A date would be hours off."""
    ids = bench.cloud.control.seed(servers=2)["servers"]
    await bench.session.login(bench.call())
    bench.session.zone.is_known = False
    assert await _changed(bench, "list_servers", bench.cloud.store.now()) == (set(ids), [], False)


async def test_quotas_have_no_time_of_their_last_change(bench):
    """They are counted."""
    assert not (await _changed(bench, "list_quotas", 1.0))[2]
