"""Servers: read in pages that prove what they can, started, stopped, rebooted and deleted once."""

from __future__ import annotations

import pytest

from cloudspan.v1 import flavor_pb2, server_pb2
from cloudspan_common.errors import Busy, CloudspanError, NotFound, PlatformFault
from cloudspan_common.names import ClusterRef
from cloudspan_kit.testing import Changed, changed_answers
from cloudspan_openstack.compute.servers import SERVERS, _as_regex

Server, Flavor = server_pb2.Server, flavor_pb2.Flavor
REF = ClusterRef("openstack", "east")


async def test_a_server_is_read_with_its_flavor_and_on_request_with_novas_own_document(bench):
    """From 2.47 on Nova tells a copy of the flavor without its id; a flavor is never guessed by its name."""
    [server_id] = bench.cloud.control.seed_kind("servers", 1)
    basic = await bench.read("get_server", server_id)
    full = await bench.read("get_server", server_id, full=True)
    [flavor] = [f for f in await bench.everything("list_flavors", Flavor) if f.display_name == "m1.tiny"]
    assert (basic.name, basic.state, basic.flavor) == (f"{REF}/servers/{server_id}", Server.STATE_RUNNING, "")
    assert (basic.vcpus, basic.memory_mib) == (flavor.vcpus, flavor.memory_mib)
    copied = ("display_name", "vcpus", "memory_mib", "disk_bytes", "ephemeral_bytes", "swap_bytes", "extra_specs")
    assert [getattr(basic.flavor_snapshot, name) for name in copied] == [getattr(flavor, name) for name in copied]
    assert (basic.HasField("native"), full.native["id"]) == (False, server_id)


async def test_a_server_that_is_not_there_is_not_found(bench):
    """Under the cluster's scope."""
    with pytest.raises(NotFound):
        await bench.read("get_server", "none")


async def test_thousands_of_servers_are_listed_once_each(bench):
    """With Nova cutting pages to its own limit, and no flavor asked for."""
    made = bench.cloud.control.seed_kind("servers", 2300)
    listed = await bench.everything("list_servers", Server, limit=5000)
    assert sorted(s.name for s in listed) == sorted(f"{REF}/servers/{server_id}" for server_id in made)
    assert all(server.flavor_snapshot.display_name for server in listed)
    assert bench.cloud.control.count("compute", "GET", "/flavors/detail") == 0


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
    source = SERVERS.source
    fetch = source.fetch

    async def again(call, kind, params, limit, marker):
        return await fetch(call, kind, params, limit, "")

    monkeypatch.setattr(source, "fetch", again)
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
        (f'host = "{REF}/hosts/h"', None),
    ],
)
async def test_an_equality_is_pushed_down_where_nova_does_it_right(text, query, bench):
    """A regular expression that matches the name alone; tasks, metadata and hosts stay with the kit."""
    await bench.page("list_servers", Server, text)
    [asked] = bench.cloud.control.requests("compute", "GET", "/servers/detail")
    assert asked.query == (f"{query}&limit=100" if query else "limit=100")


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


async def with_ports(bench, count=1):
    """Make servers that have ports in Neutron; return their names."""
    names = await bench.ids()
    network = server_pb2.CreateServerRequest.NetworkInterface(network=names["network"])
    server = Server(display_name="web", image=names["image"], flavor=names["flavor"])
    request = server_pb2.CreateServerRequest(parent=str(REF), server=server, network_interfaces=[network])
    made = [await bench.done("create_server", request, Server) for _ in range(count)]
    bench.cloud.control.clear_requests()
    return [server.name for server in made], names


async def test_interfaces_tell_network_port_and_subnet_with_one_call_a_page(bench):
    """In a list as in a get; the security groups come with them."""
    made, names = await with_ports(bench, 2)
    page = await bench.page("list_servers", Server)
    assert bench.cloud.control.count("network", "GET", "/ports") == 1
    for server in page.items:
        [row] = [row for row in bench.cloud.store.ports if row["device_id"] == server.name.rpartition("/")[2]]
        [interface] = server.network_interfaces
        [address] = interface.fixed_ips
        assert (interface.port, interface.network) == (f"{REF}/ports/{row['id']}", names["network"])
        assert address.subnet == f"{REF}/subnets/{row['fixed_ips'][0]['subnet_id']}"
        assert (address.ip_address, interface.network_display_name) == (row["fixed_ips"][0]["ip_address"], "private")
        assert list(server.security_groups) == [f"{REF}/securityGroups/{group}" for group in row["security_groups"]]
        assert list(server.security_group_display_names) == ["default"]
        assert await bench.read("get_server", server.name) == server
    assert sorted(server.name for server in page.items) == sorted(made)


async def test_neutron_is_not_asked_for_what_nobody_looks_at(bench):
    """Neither by a list nor by a get whose mask leaves interfaces and groups out; the etag is the same."""
    [name], _ = await with_ports(bench)
    [listed] = (await bench.page("list_servers", Server, fields="name etag")).items
    got = await bench.function("get_server")(bench.call(name, fields="name state etag"), None)
    assert bench.cloud.control.count("network") == 0
    whole = await bench.read("get_server", name)
    assert (listed.etag, got.etag) == (whole.etag, whole.etag)
    [unasked] = (await bench.page("list_servers", Server, fields="name state")).items
    assert (list(unasked.network_interfaces), unasked.HasField("flavor_snapshot")) == ([], False)
    [grouped] = (await bench.page("list_servers", Server, fields="security_groups")).items
    assert list(grouped.security_groups) == list(whole.security_groups) != []


async def test_an_etag_changes_with_the_server(bench):
    """A stop is a change."""
    [name], _ = await with_ports(bench)
    before = await bench.read("get_server", name)
    await bench.done("stop_server", server_pb2.StopServerRequest(name=name), Server)
    assert (await bench.read("get_server", name)).etag != before.etag


async def test_ports_of_many_servers_are_asked_for_in_parts(bench):
    """More ids than fit into an address that web servers take."""
    bench.cloud.control.seed_kind("servers", 151)
    page = await bench.page("list_servers", Server, limit=200)
    assert (len(page.items), bench.cloud.control.count("network", "GET", "/ports")) == (151, 2)


async def test_a_list_without_neutron_says_what_it_lacks(bench):
    """The servers are there, as Nova tells them; a get, which can't say so, fails."""
    [name], _ = await with_ports(bench)
    bench.cloud.control.fault("server_error", service="network", path="/ports", status=503)
    page = await bench.page("list_servers", Server)
    [server] = page.items
    assert ("interfaces lack their ports" in page.partial, [i.port for i in server.network_interfaces]) == (True, [""])
    with pytest.raises(CloudspanError):
        await bench.read("get_server", name)
    assert (await bench.function("get_server")(bench.call(name, fields="state"), None)).state == Server.STATE_RUNNING


async def test_servers_are_found_by_their_flavor_although_nova_does_not_tell_it(bench):
    """Nova filters by the flavor's id, so what it answers has that flavor."""
    await with_ports(bench)
    found = await bench.everything("list_servers", Server, f'flavor = "{REF}/flavors/1"')
    assert [server.flavor for server in found] == [f"{REF}/flavors/1"]
    assert await bench.everything("list_servers", Server, f'flavor = "{REF}/flavors/2"') == []


async def test_what_is_not_a_copy_of_the_flavor_that_was_asked_for_is_not_shown_as_it(bench):
    """A proxy that drops the filter, or a flavor that got the name of a deleted one."""
    [name], _ = await with_ports(bench)
    others = {"vcpus": 3, "ram": 3072, "disk": 5, "original_name": "gone.large"}
    [tiny] = [f for f in await bench.everything("list_flavors", Flavor) if f.display_name == "m1.tiny"]
    for other in (others, others | {"original_name": "m1.tiny"}):
        flavor = {"ephemeral": 0, "swap": 0, "extra_specs": {}} | other
        with changed_answers(bench.cluster._wire, Changed("/servers/detail", {"/servers/*/flavor": flavor})):
            assert await bench.everything("list_servers", Server, f'flavor = "{tiny.name}"') == []
            [server] = await bench.everything("list_servers", Server)
        told = server.flavor_snapshot
        assert (server.name, server.flavor, server.vcpus, server.memory_mib) == (name, "", 3, 3072)
        assert (told.display_name, told.disk_bytes) == (other["original_name"], 5 << 30)


def actions(bench) -> int:
    return bench.cloud.control.count("compute", "POST", "/action$")


async def test_a_server_stops_and_starts_and_does_neither_twice(bench, server):
    """There already means done at once, without asking Nova to do anything."""
    states = []
    for method, request in (
        ("stop_server", server_pb2.StopServerRequest),
        ("stop_server", server_pb2.StopServerRequest),
        ("start_server", server_pb2.StartServerRequest),
        ("start_server", server_pb2.StartServerRequest),
    ):
        states.append((await bench.done(method, request(name=server), Server)).state)
    assert states == [Server.STATE_STOPPED, Server.STATE_STOPPED, Server.STATE_RUNNING, Server.STATE_RUNNING]
    assert actions(bench) == 2


async def test_a_stop_without_reply_is_looked_at_not_repeated(bench, server):
    """It was carried out; the state says so."""
    bench.cloud.control.fault("lost_reply", service="compute", path="/action$", count=1)
    stopped = await bench.done("stop_server", server_pb2.StopServerRequest(name=server), Server)
    assert (stopped.state, actions(bench)) == (Server.STATE_STOPPED, 1)


@pytest.mark.parametrize(("kind", "sent"), [("lost_reply", 1), ("late_commit", 1), ("close", 2)])
async def test_a_reboot_without_reply_reboots_once(bench, server, kind, sent):
    """Nova's record of actions tells whether it came through, however late."""
    bench.cloud.control.fault(kind, service="compute", path="/action$", count=1, seconds=10)
    rebooted = await bench.done("reboot_server", server_pb2.RebootServerRequest(name=server), Server)
    path = f"/servers/{server.rsplit('/', 1)[-1]}/os-instance-actions"
    done = (await bench.session.get(bench.call(), "compute", path, dict))["instanceActions"]
    assert [action["action"] for action in done].count("reboot") == 1
    assert (rebooted.state, actions(bench)) == (Server.STATE_RUNNING, sent)


async def test_a_soft_reboot_of_a_stopped_server_is_refused_with_the_reason(bench, server):
    """FAILED_PRECONDITION in Nova's words."""
    await bench.done("stop_server", server_pb2.StopServerRequest(name=server), Server)
    answer = await bench.operate("reboot_server", server_pb2.RebootServerRequest(name=server))
    assert (answer.error.code, "Cannot 'reboot'" in answer.error.message) == (9, True)


async def test_a_deletion_is_done_when_the_server_is_gone(bench, server):
    """Twice is as good as once, and without a reply too."""
    bench.cloud.control.fault("lost_reply", service="compute", method="DELETE", count=1)
    for _ in range(2):
        answer = await bench.operate("delete_server", server_pb2.DeleteServerRequest(name=server))
        assert (answer.done, answer.HasField("error")) == (True, False)
    assert await bench.everything("list_servers", Server) == []


async def test_a_start_of_a_server_that_is_not_there_is_not_found(bench):
    """And nothing is waited for."""
    answer = await bench.operate("start_server", server_pb2.StartServerRequest(name=f"{REF}/servers/none"))
    assert answer.error.code == 5
