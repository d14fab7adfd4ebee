"""Servers are listed whole, with what is asked for, and deleted once; a deleted one stays recoverable."""

from __future__ import annotations

import pytest

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import NotFound
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_kit import Query
from cloudspan_kit.testing import Changed, changed_answers, list_page_of
from cloudspan_zstack_fake.store import ADMIN

from .conftest import REF, make_server

_Server = server_pb2.Server


def _id(message):
    return message.name.rsplit("/", 1)[-1]


def _ids(items):
    return [_id(item) for item in items]


async def test_a_deleted_server_stays_recoverable(bench):
    """Deleting it again, or deleting none, is done at once."""
    made = await make_server(bench)
    for _ in range(2):
        await bench.done("delete_server", server_pb2.DeleteServerRequest(name=made.name), _Server)
    assert (await bench.read("get_server", made.name)).state == _Server.STATE_SOFT_DELETED
    await bench.done("delete_server", server_pb2.DeleteServerRequest(name=f"{REF}/servers/{ADMIN}"), _Server)
    assert bench.cloud.control.count(call="DestroyVmInstance") == 1


async def test_a_cluster_may_be_told_to_purge(make_bench):
    """Then nothing is left of a deleted server, nor of one that was deleted softly before."""
    bench = make_bench(delete="purge")
    made = await make_server(bench)
    await bench.done("delete_server", server_pb2.DeleteServerRequest(name=made.name), _Server)
    assert bench.cloud.store.vms.get(_id(made)) is None


@pytest.mark.parametrize("kind", ["lost_job", "lost_reply"])
async def test_a_delete_is_judged_by_the_server_when_its_job_is_lost(bench, kind):
    """Destroyed is done."""
    made = await make_server(bench)
    bench.cloud.control.fault(kind, call="DestroyVmInstance", count=1)
    await bench.done("delete_server", server_pb2.DeleteServerRequest(name=made.name), _Server)
    assert bench.cloud.store.vms.present(_id(made))["state"] == "Destroyed"


async def test_a_destroyed_server_is_found_by_get_and_left_out_of_lists(bench):
    """SOFT_DELETED is a state of its own, not gone: `show_deleted` shows it."""
    uuids = bench.cloud.control.seed(servers=3)["servers"]
    bench.cloud.store.vms.present(uuids[0])["state"] = "Destroyed"
    got = await bench.read("get_server", f"{REF}/servers/{uuids[0]}")
    assert got.state == _Server.STATE_SOFT_DELETED
    assert set(_ids(await bench.everything("list_servers", _Server))) == set(uuids[1:])
    assert await bench.everything("list_servers", _Server, "state = SOFT_DELETED") == []
    for text, wanted in (("", uuids), ("state = SOFT_DELETED", uuids[:1]), ("state = RUNNING", uuids[1:])):
        assert set(_ids(await bench.everything("list_servers", _Server, text, show_deleted=True))) == set(wanted)


async def test_a_filter_is_asked_of_the_server_where_it_can_be(bench):
    """And a value that holds an operator is not, since the server would misread it."""
    uuids = bench.cloud.control.seed(servers=3)["servers"]
    bench.cloud.store.vms.present(uuids[0])["name"] = "a>=b"
    bench.cloud.store.vms.present(uuids[1])["name"] = "web"
    for name, wanted in (("a>=b", uuids[:1]), ("web", uuids[1:2])):
        assert _ids(await bench.everything("list_servers", _Server, f'display_name = "{name}"')) == wanted
    asked = [request.query for request in bench.cloud.control.requests(call="QueryVmInstance")]
    assert "name%3Dweb" in asked[-1] or "name=web" in asked[-1], asked[-1]
    assert "a%3E" not in asked[-2]
    assert "a>" not in asked[-2]


async def test_states_are_asked_for_in_the_platforms_words(bench):
    """Several of its states may be one of ours, and some of ours it has not."""
    uuids = bench.cloud.control.seed(servers=4)["servers"]
    for uuid, state in zip(uuids, ("Crashed", "Error", "Stopped", "Unknown"), strict=True):
        bench.cloud.control.break_server(uuid, state)
    found = {
        state: set(_ids(await bench.everything("list_servers", _Server, f"state = {state}")))
        for state in ("ERROR", "STOPPED", "UNKNOWN", "SHELVED")
    }
    assert found == {"ERROR": set(uuids[:2]), "STOPPED": {uuids[2]}, "UNKNOWN": {uuids[3]}, "SHELVED": set()}


async def test_the_whole_document_comes_under_view_full(bench):
    """As the platform tells it."""
    (uuid,) = bench.cloud.control.seed(servers=1)["servers"]
    got = await bench.read("get_server", f"{REF}/servers/{uuid}", full=True)
    query = Query(Filter.parse("", _Server.DESCRIPTOR), limit=10)
    page = await bench.function("list_servers")(bench.call(full=True), query)
    assert got.native["uuid"] == page.items[0].native["uuid"] == uuid


async def test_another_accounts_server_is_not_there(make_bench):
    """Not-found is under the cluster's own account; an administrator sees it, and whose it is."""
    mine, admin = make_bench("demo"), make_bench("admin")
    (uuid,) = mine.cloud.control.seed("demo2", servers=1)["servers"]
    with pytest.raises(NotFound):
        await mine.read("get_server", f"{REF}/servers/{uuid}")
    seen = await admin.read("get_server", f"{REF}/servers/{uuid}")
    owner = await admin.named("/accounts", "demo2")
    assert seen.project == f"{REF}/projects/{owner}"


@pytest.mark.parametrize(
    ("method", "request_of"),
    [
        ("start_server", server_pb2.StartServerRequest),
        ("stop_server", server_pb2.StopServerRequest),
        ("reboot_server", server_pb2.RebootServerRequest),
        ("attach_volume", server_pb2.AttachVolumeRequest),
        ("detach_volume", server_pb2.DetachVolumeRequest),
        ("delete_server", server_pb2.DeleteServerRequest),
    ],
)
async def test_a_router_is_no_server_by_its_uuid_either(make_bench, method, request_of):
    """Lists hide the VMs of routers; so nothing reads, stops or deletes one as a server."""
    admin = make_bench("admin")
    (router,) = admin.cloud.store.vms.where(type="ApplianceVm")
    (volume,) = admin.cloud.control.seed(volumes=1)["volumes"]
    name = f"{REF}/servers/{router['uuid']}"
    with pytest.raises(NotFound):
        await admin.read("get_server", name)
    request = request_of(name=name)
    if hasattr(request, "volume"):
        request.volume = f"{REF}/volumes/{volume}"
    admin.cloud.control.clear_requests()
    answer = await admin.operate(method, request)
    assert answer.HasField("error") is (method != "delete_server")
    assert [request for request in admin.cloud.control.requests() if request.method != "GET"] == []


async def test_a_server_that_a_policy_never_deletes_ends_deleted_all_the_same(bench):
    """It is Destroyed with each policy; with this one it stays so for ever."""
    made = await make_server(bench, display_name="  spaced  ")
    assert made.display_name == "spaced"
    bench.cloud.control.set_config("vm", "deletionPolicy", "Never")
    await bench.done("delete_server", server_pb2.DeleteServerRequest(name=made.name), _Server)
    await bench.clock.advance(30 * 86400)
    assert (await bench.read("get_server", made.name)).state == _Server.STATE_SOFT_DELETED


async def test_a_server_whose_zone_is_null_is_listed_without_one(bench):
    """As is one that it leaves out."""
    bench.cloud.control.seed_kind("servers", 2)
    with changed_answers(bench.cluster._wire, Changed("/zstack/v1/vm-instances", {"/inventories/0/zoneUuid": None})):
        listed = await list_page_of(bench.cluster, "list_servers", page_size=2)
    assert [bool(server.zone) for server in listed.items] == [False, True]


async def test_a_list_without_a_total_is_read_until_nothing_follows(bench):
    """Two rows a page whatever was asked for, and nothing that says how many there are."""
    bench.cloud.control.seed_kind("servers", 5)

    def cut(document, _query):
        document.pop("total", None)
        document["inventories"] = document["inventories"][:2]

    usual = await list_page_of(bench.cluster, "list_servers")
    with changed_answers(bench.cluster._wire, Changed("/zstack/v1/vm-instances", edit=cut)):
        listed = await list_page_of(bench.cluster, "list_servers")
    assert len(usual.items) >= 5
    assert [item.name for item in listed.items] == [item.name for item in usual.items]
    assert listed.next_page_token == ""
