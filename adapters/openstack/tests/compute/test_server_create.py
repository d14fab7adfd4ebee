"""Creating servers: what is asked of Nova, exactly once, and what is left when it fails."""

from __future__ import annotations

import base64

import pytest

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import InvalidRequest, Unsupported
from cloudspan_common.names import ClusterRef
from cloudspan_kit.serve.options import read_options
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.session import PINNED
from cloudspan_openstack.compute.server_create import CreateServerOptions, Parts, plan_of

Server, Request = server_pb2.Server, server_pb2.CreateServerRequest
Boot = Request.BootVolume
REF = ClusterRef("openstack", "east")
IMAGE, FLAVOR, VOLUME = f"{REF}/images/i1", f"{REF}/flavors/1", f"{REF}/volumes/v1"
NEWEST = Microversion(2, 93)
GIB = 1 << 30


def wanted(beside=None, **more) -> Request:
    """A request for a server of these fields; `beside` are the fields that stand beside the server."""
    server = Server(**({"display_name": "web", "flavor": FLAVOR, "image": IMAGE} | more))
    return Request(parent=str(REF), server=server, **(beside or {}))


def document(request: Request, version: Microversion = NEWEST, **options):
    request.options.update(options)
    plan = plan_of(request, read_options(request.options, CreateServerOptions), REF)
    plan.check(version)
    return plan.document(version, Parts(plan.volume_id, (), [one.port_id for one in plan.interfaces]))


def test_a_request_becomes_novas_words():
    """Nothing is sent that was not asked for."""
    told = wanted(
        {
            "user_data": b"\xff#!x", "admin_password": "p",
            "network_interfaces": [
                Request.NetworkInterface(network=f"{REF}/networks/n1", ip_addresses=["10.0.0.9"]),
                Request.NetworkInterface(port=f"{REF}/ports/p1"),
            ],
        },
        labels={"a": "b"}, key_pair=f"{REF}/keyPairs/k", zone=f"{REF}/zones/z", config_drive=True, description="d",
        hostname="h", tags=["gold"], security_groups=[f"{REF}/securityGroups/g1"],
    )  # fmt: skip
    hints = {"group": "g"}
    assert document(told, scheduler_hints=hints) == {
        "server": {
            "name": "web", "flavorRef": "1", "imageRef": "i1", "key_name": "k", "availability_zone": "z",
            "adminPass": "p", "user_data": base64.b64encode(b"\xff#!x").decode(), "config_drive": True,
            "description": "d", "hostname": "h", "tags": ["gold"],
            "security_groups": [{"name": "g1"}], "metadata": {"a": "b"},
            "networks": [{"uuid": "n1", "fixed_ip": "10.0.0.9"}, {"port": "p1"}],
        },
        "os:scheduler_hints": {"group": "g"},
    }  # fmt: skip


def test_without_networks_the_platforms_default_applies():
    """`auto` since 2.37; before, Nova takes the only network by itself."""
    assert document(wanted())["server"]["networks"] == "auto"
    assert document(wanted(), network_mode="none")["server"]["networks"] == "none"
    assert "networks" not in document(wanted(), Microversion(2, 36))["server"]


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("server.display_name", wanted(display_name="")),
        ("server.flavor", wanted(flavor="")),
        ("server.image", wanted(image="")),
        ("server.image", wanted({"boot_volume": Boot(volume=VOLUME)})),
        ("boot_volume", wanted({"boot_volume": Boot(volume=VOLUME, size_bytes=GIB)}, image="")),
        ("boot_volume.size_bytes", wanted({"boot_volume": Boot(delete_with_server=True)})),
        ("boot_volume.size_bytes", wanted({"boot_volume": Boot(size_bytes=GIB + 1)})),
        ("user_data", wanted({"user_data": b"x" * 50_000})),
        ("server.description", wanted(description="x" * 256)),
        ("server.tags[1]", wanted(tags=["a", "b,c"])),
        ("server.tags[0]", wanted(tags=["cs-mine"])),
        ("server.tags", wanted(tags=[str(i) for i in range(50)])),
        ("server.security_groups[0]", wanted(security_groups=["web"])),
        ("server.labels", wanted(labels={"cloudspan-marker": "x"})),
        ("network_interfaces[0]", wanted({"network_interfaces": [Request.NetworkInterface()]})),
        ("server.image", wanted(image="platforms/openstack/clusters/west/images/i1")),
    ],
)
def test_a_wrong_request_names_its_field(field, request_):
    """Before anything is made."""
    with pytest.raises(InvalidRequest) as caught:
        document(request_)
    assert [violation.field for violation in caught.value.violations] == [field]


def test_a_field_or_option_that_the_cloud_is_too_old_for_is_unsupported():
    """With the microversion that it needs."""
    with pytest.raises(Unsupported, match=r"server.hostname needs Nova 2.90; this cluster speaks 2.60"):
        document(wanted(hostname="h"), Microversion(2, 60))
    with pytest.raises(Unsupported, match=r"options.host needs Nova 2.74; this cluster speaks 2.60"):
        document(wanted(), Microversion(2, 60), host="h")


@pytest.fixture
async def told(bench):
    """A request that the fake cloud can fulfil."""
    names = await bench.ids()

    def make(beside=None, **more) -> Request:
        return wanted(beside, image=names["image"], flavor=names["flavor"], **more)

    return make


async def test_a_server_is_created_and_awaited(bench, told):
    """The answer is the running server, its marker out of sight."""
    server = await bench.done("create_server", told(labels={"a": "b"}, tags=["gold"]), Server)
    assert (server.state, dict(server.labels), list(server.tags)) == (Server.STATE_RUNNING, {"a": "b"}, ["gold"])
    server.ClearField("generated_password")
    assert server == await bench.read("get_server", server.name)


async def test_a_password_that_nova_generates_is_told_once(bench, told):
    """In the create's result, when none was given; no read shows it."""
    server = await bench.done("create_server", told(), Server)
    given = await bench.done("create_server", told({"admin_password": "mine"}), Server)
    assert (len(server.generated_password), given.generated_password) == (12, "")
    assert (await bench.read("get_server", server.name)).generated_password == ""


async def test_a_create_without_reply_succeeds_without_the_password_that_nobody_heard(bench, told):
    """Nova tells it in that reply only."""
    bench.cloud.control.fault("lost_reply", service="compute", method="POST", path="/servers$", count=1)
    assert (await bench.done("create_server", told(), Server)).generated_password == ""


@pytest.mark.parametrize("kind", ["lost_reply", "late_commit", "close"])
async def test_a_create_without_reply_leaves_exactly_one_server(bench, told, kind):
    """Found by its marker when it was carried out, at once or late; sent again after settling when it was not."""
    bench.cloud.control.fault(kind, service="compute", method="POST", path="/servers$", count=1, seconds=10)
    server = await bench.done("create_server", told(), Server)
    listed = await bench.everything("list_servers", Server)
    assert [s.name for s in listed] == [server.name]


async def test_a_create_that_lands_after_settling_is_found_and_removed(bench, told):
    """Two were made, one stays; the other is listed as removed."""
    bench.cloud.control.fault("late_commit", service="compute", method="POST", path="/servers$", count=1, seconds=40)
    bench.cloud.control.set_timing(build_s=20)
    answer = await bench.operate("create_server", told())
    listed = await bench.everything("list_servers", Server)
    assert (len(listed), [left.removed for left in answer.left_overs]) == (1, [True])
    assert answer.resource == listed[0].name


async def test_an_old_nova_finds_a_lost_server_by_its_metadata(bench, told, monkeypatch):
    """Before 2.52 no tag travels in a create; the marker is no label all the same."""
    monkeypatch.setitem(PINNED, "compute", Microversion(2, 1))
    bench.cloud.control.fault("lost_reply", service="compute", method="POST", path="/servers$", count=1)
    server = await bench.done("create_server", told(labels={"a": "b"}), Server)
    page = await bench.page("list_servers", Server)
    assert [s.name for s in page.items] == [server.name]
    assert (dict(server.labels), server.flavor, server.vcpus > 0) == ({"a": "b"}, f"{REF}/flavors/1", True)
    assert "before 2.69" in page.partial


async def test_a_boot_volume_is_made_first_and_attached(bench, told):
    """It is a volume of our own making, deleted with the server when asked to."""
    boot = Boot(size_bytes=2 * GIB, delete_with_server=True)
    server = await bench.done("create_server", told({"boot_volume": boot}), Server)
    [attachment] = server.volume_attachments
    volume = (
        await bench.session.get(
            bench.call(), "volume", "/volumes/{id}", dict, args={"id": attachment.volume.rsplit("/", 1)[-1]}
        )
    )["volume"]
    assert (volume["size"], volume["status"], attachment.delete_with_server) == (2, "in-use", True)


async def test_a_lost_boot_volume_is_found_again(bench, told):
    """One volume, one server."""
    bench.cloud.control.fault("lost_reply", service="volume", method="POST", path="/volumes$", count=1)
    await bench.done("create_server", told({"boot_volume": Boot(size_bytes=GIB)}), Server)
    volumes = (await bench.session.get(bench.call(), "volume", "/volumes", dict))["volumes"]
    assert len(volumes) == 1


async def test_a_refused_server_takes_its_boot_volume_along(bench, told):
    """What was made before the refusal is undone."""
    request = told({"boot_volume": Boot(size_bytes=GIB)}, security_groups=[f"{REF}/securityGroups/none"])
    answer = await bench.operate("create_server", request)
    await bench.clock.advance(1)
    volumes = (await bench.session.get(bench.call(), "volume", "/volumes", dict))["volumes"]
    assert ("none" in answer.error.message, [left.removed for left in answer.left_overs], volumes) == (True, [True], [])


async def test_a_server_that_ends_in_error_is_removed_and_the_fault_told(bench, told):
    """With the cloud's own reason and what to do."""
    bench.cloud.control.set_timing(build_s=60)
    original = bench.session.send

    async def send(*args, **kwargs):
        answer = await original(*args, **kwargs)
        if args[1:4] == ("POST", "compute", "/servers"):
            bench.cloud.control.break_server(answer["server"]["id"])
        return answer

    bench.session.send = send
    answer = await bench.operate("create_server", told())
    assert "No valid host was found" in answer.error.message
    assert "use another flavor or zone" in answer.error.message
    assert (await bench.everything("list_servers", Server), [left.removed for left in answer.left_overs]) == (
        [],
        [True],
    )


async def test_a_quota_is_told_as_one(bench, told):
    """RESOURCE_EXHAUSTED, nothing left behind."""
    bench.cloud.control.set_quota("compute", instances=0)
    answer = await bench.operate("create_server", told())
    assert (answer.error.code, "Quota exceeded" in answer.error.message) == (8, True)


async def test_a_flavor_that_does_not_exist_is_a_wrong_request(bench, told):
    """Not a missing resource of this call."""
    request = told()
    request.server.flavor = f"{REF}/flavors/99"
    answer = await bench.operate("create_server", request)
    assert (answer.error.code, "Flavor 99 could not be found" in answer.error.message) == (3, True)
