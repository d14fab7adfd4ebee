"""Reading servers: states, flavors, pages, filters, and what a list can't prove."""

from __future__ import annotations

import pytest

from cloudspan.v1 import flavor_pb2, server_pb2
from cloudspan_common.errors import Busy, NotFound, PlatformFault
from cloudspan_common.names import ClusterRef
from cloudspan_kit.values import converted
from cloudspan_openstack.compute.flavor_rows import Flavor
from cloudspan_openstack.compute.server_rows import ServerMapping, ServerRow
from cloudspan_openstack.compute.servers import _as_regex

Server = server_pb2.Server
REF = ClusterRef("openstack", "east")


@pytest.mark.parametrize(
    ("status", "task", "state"),
    [
        ("BUILD", "spawning", Server.STATE_BUILDING),
        ("ACTIVE", None, Server.STATE_RUNNING),
        ("PASSWORD", None, Server.STATE_RUNNING),
        ("SHUTOFF", "powering-on", Server.STATE_STARTING),
        ("ACTIVE", "powering-off", Server.STATE_STOPPING),
        ("SHUTOFF", None, Server.STATE_STOPPED),
        ("HARD_REBOOT", "rebooting_hard", Server.STATE_REBOOTING),
        ("SHELVED_OFFLOADED", None, Server.STATE_SHELVED),
        ("RESCUE", None, Server.STATE_RESCUED),
        ("VERIFY_RESIZE", None, Server.STATE_AWAITING_CONFIRM),
        ("ACTIVE", "deleting", Server.STATE_DELETING),
        ("SOFT_DELETED", None, Server.STATE_SOFT_DELETED),
        ("ERROR", None, Server.STATE_ERROR),
        ("FROM_THE_FUTURE", None, Server.STATE_UNKNOWN),
    ],
)
def test_novas_status_and_task_become_one_state(status, task, state):
    """What it does to a server says more than the state it does it in."""
    assert converted({"id": "1", "status": status, "OS-EXT-STS:task_state": task}, ServerRow).state == state


def test_a_row_of_a_cell_that_is_down_is_a_server_all_the_same():
    """It has little more than an id."""
    row = converted({"id": "1", "status": "UNKNOWN", "tenant_id": "p", "links": []}, ServerRow)
    message = ServerMapping(REF).message(row, None)
    assert (message.state, message.display_name, message.flavor) == (Server.STATE_UNKNOWN, "", "")


def test_a_row_becomes_a_message_field_by_field():
    """Addresses by network and MAC, groups once, markers hidden."""
    address = {"OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01", "version": 4}
    document = {
        "id": "s1", "status": "ACTIVE", "name": "web", "tenant_id": "p1", "locked": True, "key_name": "my key",
        "metadata": {"team": "db", "cloudspan-marker": "cs-1"}, "image": {"id": "i1"},
        "created": "2026-11-22T03:40:39Z",
        "flavor": {"original_name": "m1", "vcpus": 2, "ram": 512}, "OS-EXT-AZ:availability_zone": "nova",
        "addresses": {"private": [
            {**address, "addr": "10.0.0.2", "OS-EXT-IPS:type": "fixed"},
            {**address, "addr": "172.24.4.2", "OS-EXT-IPS:type": "floating"},
        ]},
        "security_groups": [{"name": "web"}, {"name": "web"}],
        "os-extended-volumes:volumes_attached": [{"id": "v1", "delete_on_termination": True}],
        "fault": {"code": 500, "message": "boom", "created": "2026-11-22T03:40:39Z"},
    }  # fmt: skip
    message = ServerMapping(REF).message(converted(document, ServerRow), Flavor("7"))
    expected = Server(
        name=f"{REF}/servers/s1", display_name="web", state="STATE_RUNNING", native_state="ACTIVE",
        project=f"{REF}/projects/p1", labels={"team": "db"}, locked=True, flavor=f"{REF}/flavors/7", vcpus=2,
        memory_mib=512, image=f"{REF}/images/i1", zone=f"{REF}/zones/nova", key_pair=f"{REF}/keyPairs/my%20key",
        security_groups=["web"],
        network_interfaces=[Server.NetworkInterface(
            network_display_name="private", mac_address="fa:16:3e:00:00:01", ip_addresses=["10.0.0.2"],
            floating_ip_addresses=["172.24.4.2"],
        )],
        volume_attachments=[Server.VolumeAttachment(volume=f"{REF}/volumes/v1", delete_with_server=True)],
        fault=Server.Fault(code=500, message="boom"),
    )  # fmt: skip
    expected.create_time.FromJsonString("2026-11-22T03:40:39Z")
    expected.fault.create_time.FromJsonString("2026-11-22T03:40:39Z")
    assert message == expected


async def test_a_server_is_read_with_its_flavor_and_on_request_with_novas_own_document(bench):
    """From 2.47 on Nova tells the flavor's name only; the id is looked up."""
    [server_id] = bench.cloud.control.seed_kind("servers", 1)
    basic = await bench.read("get_server", server_id)
    full = await bench.read("get_server", server_id, full=True)
    flavor = await bench.read("get_flavor", basic.flavor)
    assert (basic.name, basic.state) == (f"{REF}/servers/{server_id}", Server.STATE_RUNNING)
    assert (basic.vcpus, basic.memory_mib) == (flavor.vcpus, flavor.memory_mib)
    assert (basic.HasField("native"), full.native["id"]) == (False, server_id)


async def test_a_server_that_is_not_there_is_not_found(bench):
    """Under the cluster's scope."""
    with pytest.raises(NotFound):
        await bench.read("get_server", "none")


async def test_thousands_of_servers_are_listed_once_each(bench):
    """With Nova cutting pages to its own limit, and the flavors asked for once."""
    made = bench.cloud.control.seed_kind("servers", 2300)
    listed = await bench.everything("list_servers", Server, limit=5000)
    assert sorted(s.name for s in listed) == sorted(f"{REF}/servers/{server_id}" for server_id in made)
    assert all(server.flavor for server in listed)
    assert bench.cloud.control.count("compute", "GET", "/flavors/detail") == 1


@pytest.mark.parametrize("fault", ["half_page", "missing_next"])
async def test_a_page_that_hides_the_next_one_is_seen_through(bench, fault):
    """The end of a list is asked for, not assumed."""
    made = bench.cloud.control.seed_kind("servers", 9)
    bench.cloud.control.fault(fault, service="compute", path="/servers/detail", count=2)
    listed = await bench.everything("list_servers", Server, limit=4)
    assert sorted(s.name for s in listed) == sorted(f"{REF}/servers/{server_id}" for server_id in made)


async def test_pages_ended_by_the_caller_go_on_at_any_item(bench):
    """The position after an item is its id."""
    bench.cloud.control.seed(servers=6)
    page = await bench.page("list_servers", Server, limit=4)
    rest = await bench.page("list_servers", Server, limit=10, cursor=page.position(1))
    assert [s.name for s in rest.items][:2] == [s.name for s in page.items][2:4]
    assert (page.more, rest.more, len(rest.items)) == (True, False, 4)


async def test_a_cell_that_is_down_makes_a_list_partial(bench):
    """Pages leave its servers out without a word; the bare list shows them."""
    bench.cloud.control.seed(servers=6)
    bench.cloud.control.set_cell_down(True, every=2)
    page = await bench.page("list_servers", Server, limit=100)
    assert ("a Nova cell is down" in page.partial, len(page.items) < 6) == (True, True)


async def test_a_list_that_fails_fails_with_the_clouds_own_error(bench):
    """Although the page and the look at the cells are asked for together."""
    bench.cloud.control.fault("html_200", service="compute", path="/servers")
    with pytest.raises(PlatformFault) as caught:
        await bench.page("list_servers", Server)
    assert caught.value.reason == "NOT_JSON"


async def test_a_healthy_cell_makes_no_doubt(bench):
    """And one look at the cells serves the lists of the next seconds."""
    bench.cloud.control.seed(servers=3)
    pages = [await bench.page("list_servers", Server) for _ in range(3)]
    assert [page.partial for page in pages] == ["", "", ""]
    looks = [r for r in bench.cloud.control.requests("compute", "GET", "/servers$") if not r.query]
    assert len(looks) == 1


async def test_a_marker_that_is_gone_for_good_asks_to_start_again(bench):
    """Nova's 400 says nothing that a caller could act on."""
    with pytest.raises(Busy) as caught:
        await bench.page("list_servers", Server, cursor="11111111-1111-1111-1111-111111111111")
    assert caught.value.reason == "LISTING_CHANGED"


async def test_a_page_that_repeats_its_marker_is_the_platforms_fault(bench, monkeypatch):
    """Rather than an endless list."""
    [server_id] = bench.cloud.control.seed_kind("servers", 1)
    servers = bench.function("list_servers").__self__
    read = servers._read

    async def again(call, params):
        return await read(call, [(key, value) for key, value in params if key != "marker"])

    monkeypatch.setattr(servers, "_read", again)
    with pytest.raises(PlatformFault) as caught:
        await bench.page("list_servers", Server, cursor=server_id)
    assert caught.value.reason == "PAGING_LOOP"


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ('display_name = "a.b c"', "name=^a[.]b c$"),
        ("state = RUNNING", "status=ACTIVE&status=PASSWORD"),
        ("state = STOPPING", None),
        (f'image = "{REF}/images/i1"', "image=i1"),
        (f'flavor = "{REF}/flavors/1"', "flavor=1"),
        ('labels.team = "db"', None),
        ('host = "h"', None),
    ],
)
async def test_an_equality_is_pushed_down_where_nova_does_it_right(text, query, bench):
    """A regular expression that matches the name alone; tasks, metadata and hosts stay with the kit."""
    await bench.page("list_servers", Server, text)
    [asked] = bench.cloud.control.requests("compute", "GET", "/servers/detail")
    assert asked.query == f"limit=100&{query}" if query else asked.query == "limit=100"


def test_a_name_that_is_no_plain_text_in_every_database_is_not_pushed_down():
    """Brackets and backslashes escape differently everywhere."""
    assert [_as_regex(name) for name in ("web-1", "a(b)", "a[b", "a^b", "a\\b", "ü")] == [
        "^web-1$", "^a[(]b[)]$", "", "", "", "",
    ]  # fmt: skip


async def test_servers_are_sorted_by_name(bench):
    """As far as Nova sorts."""
    bench.cloud.control.seed(servers=4)
    page = await bench.page("list_servers", Server, order_by=(("display_name", True),))
    names = [server.display_name for server in page.items]
    assert names == sorted(names, reverse=True)


async def test_flavors_are_listed_in_pages(bench):
    """By id, with swap in bytes."""
    flavors = await bench.everything("list_flavors", flavor_pb2.Flavor, limit=2)
    assert [f.name for f in flavors] == sorted(f"{REF}/flavors/{n}" for n in range(1, len(flavors) + 1))
    assert all(f.vcpus and f.memory_mib and f.public for f in flavors)
