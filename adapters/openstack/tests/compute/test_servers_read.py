"""Reading servers: states, flavors, pages, filters, and what a list can't prove."""

from __future__ import annotations

import pytest

from cloudspan.v1 import common_pb2, flavor_pb2, server_pb2
from cloudspan_common.errors import Busy, CloudspanError, NotFound, PlatformFault
from cloudspan_common.names import ClusterRef
from cloudspan_kit.values import converted
from cloudspan_openstack.compute.server_mapping import ServerMapping
from cloudspan_openstack.compute.server_rows import ServerRow
from cloudspan_openstack.compute.servers import _as_regex
from cloudspan_openstack.network.device_ports import DevicePort, PortAddress

Server, Flavor = server_pb2.Server, flavor_pb2.Flavor
REF = ClusterRef("openstack", "east")
PORTS = [
    DevicePort(
        id="p1", device_id="s1", network_id="n1", mac_address="fa:16:3e:00:00:01",
        fixed_ips=[PortAddress("10.0.0.2", "s1")], groups=["g1", "g2"],
    ),
    DevicePort(id="p2", device_id="s1", network_id="n2", mac_address="fa:16:3e:00:00:02", groups=["g1"]),
]  # fmt: skip


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
    """Interfaces by Neutron's ports, floating addresses and names by Nova, groups once, markers hidden."""
    address = {"OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01", "version": 4}
    document = {
        "id": "s1", "status": "ACTIVE", "name": "web", "tenant_id": "p1", "locked": True, "key_name": "my key",
        "metadata": {"team": "db", "cloudspan-marker": "cs-1"}, "image": {"id": "i1"},
        "created": "2026-11-22T03:40:39Z",
        "flavor": {
            "original_name": "m1", "vcpus": 2, "ram": 512, "disk": 3, "ephemeral": 1, "swap": 64,
            "extra_specs": {"hw:cpu_policy": "dedicated"},
        },
        "OS-EXT-AZ:availability_zone": "nova", "locked_reason": "audit", "user_id": "u1", "description": "front",
        "config_drive": "True", "progress": 40, "OS-EXT-STS:task_state": "rebuilding", "hostId": "h" * 4,
        "OS-EXT-SRV-ATTR:host": "node 1", "OS-EXT-SRV-ATTR:hypervisor_hostname": "node1.example",
        "OS-EXT-SRV-ATTR:hostname": "web", "OS-EXT-STS:power_state": 1, "server_groups": ["sg1"],
        "OS-SRV-USG:launched_at": "2026-11-22T03:40:41.000000", "tags": ["gold", "cs-test-1"],
        "addresses": {"private": [
            {**address, "addr": "10.0.0.2", "OS-EXT-IPS:type": "fixed"},
            {**address, "addr": "172.24.4.2", "OS-EXT-IPS:type": "floating"},
        ]},
        "security_groups": [{"name": "web"}, {"name": "web"}],
        "os-extended-volumes:volumes_attached": [{"id": "v1", "delete_on_termination": True}],
        "fault": {"code": 500, "message": "boom", "details": "trace", "created": "2026-11-22T03:40:39Z"},
    }  # fmt: skip
    message = ServerMapping(REF).message(converted(document, ServerRow), None, PORTS)
    expected = Server(
        name=f"{REF}/servers/s1", display_name="web", state="STATE_RUNNING", native_state="ACTIVE",
        project=f"{REF}/projects/p1", labels={"team": "db"}, locked=True, vcpus=2, memory_mib=512,
        image=f"{REF}/images/i1", zone=f"{REF}/zones/nova", key_pair=f"{REF}/keyPairs/my%20key",
        security_groups=[f"{REF}/securityGroups/g1", f"{REF}/securityGroups/g2"],
        security_group_display_names=["web"], locked_reason="audit", user="u1", description="front", hostname="web",
        config_drive=True, progress_percent=40, task="rebuilding", host_id="hhhh", host=f"{REF}/hosts/node%201",
        hypervisor_hostname="node1.example", power_state="POWER_STATE_RUNNING", tags=["gold"],
        server_groups=[f"{REF}/serverGroups/sg1"],
        flavor_snapshot=Server.FlavorSnapshot(
            display_name="m1", vcpus=2, memory_mib=512, disk_bytes=3 << 30, ephemeral_bytes=1 << 30,
            swap_bytes=64 << 20, extra_specs={"hw:cpu_policy": "dedicated"},
        ),
        network_interfaces=[Server.NetworkInterface(
            network_display_name="private", mac_address="fa:16:3e:00:00:01", network=f"{REF}/networks/n1",
            port=f"{REF}/ports/p1", fixed_ips=[{"ip_address": "10.0.0.2", "subnet": f"{REF}/subnets/s1"}],
            floating_ip_addresses=["172.24.4.2"],
        ), Server.NetworkInterface(
            mac_address="fa:16:3e:00:00:02", network=f"{REF}/networks/n2", port=f"{REF}/ports/p2",
        )],
        volume_attachments=[Server.VolumeAttachment(volume=f"{REF}/volumes/v1", delete_with_server=True, boot=False)],
        fault=common_pb2.Fault(code="500", message="boom", details="trace"), etag=message.etag,
    )  # fmt: skip
    expected.launch_time.FromJsonString("2026-11-22T03:40:41Z")
    expected.create_time.FromJsonString("2026-11-22T03:40:39Z")
    expected.fault.create_time.FromJsonString("2026-11-22T03:40:39Z")
    assert message == expected


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
        (f'host = "{REF}/hosts/h"', None),
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
    assert all(f.vcpus and f.memory_mib and f.visibility == Flavor.VISIBILITY_PUBLIC for f in flavors)


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


def test_a_server_without_an_image_boots_from_its_only_volume():
    """With two of them Nova doesn't say from which."""
    volumes = [{"id": "v1"}, {"id": "v2"}]
    one, two = (
        ServerMapping(REF).message(
            converted({"id": "s", "image": "", "os-extended-volumes:volumes_attached": volumes[:n]}, ServerRow), None
        )
        for n in (1, 2)
    )
    assert one.volume_attachments[0].boot
    assert [attachment.HasField("boot") for attachment in two.volume_attachments] == [False, False]
