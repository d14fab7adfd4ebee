"""Changing servers: power, reboot, deletion, volumes and key pairs, with and without replies."""

from __future__ import annotations

import pytest

from cloudspan.v1 import key_pair_pb2, server_pb2
from cloudspan_common.names import ClusterRef

Server, KeyPair = server_pb2.Server, key_pair_pb2.KeyPair
REF = ClusterRef("openstack", "east")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl someone"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIUDYQB4eKm9JYTLiUO7Kh7wUz2lVYdRtqEwCGtVl3q5 someone"


@pytest.fixture
async def server(bench) -> str:
    """A running server's name."""
    names = await bench.ids()
    told = Server(display_name="web", image=names["image"], flavor=names["flavor"])
    made = await bench.done("create_server", server_pb2.CreateServerRequest(parent=str(REF), server=told), Server)
    return made.name


@pytest.fixture
async def volume(bench) -> str:
    """An available volume's name."""
    answer = await bench.session.send(
        bench.call(), "POST", "volume", "/volumes", dict, json={"volume": {"size": 1, "name": "data"}}
    )
    await bench.clock.advance(1)
    return f"{REF}/volumes/{answer['volume']['id']}"


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


async def test_a_volume_is_attached_and_detached_once(bench, server, volume):
    """Both may be asked again; the second time finds it done."""
    attach = server_pb2.AttachVolumeRequest(name=server, volume=volume)
    detach = server_pb2.DetachVolumeRequest(name=server, volume=volume)
    attached = [await bench.done("attach_volume", attach, Server) for _ in range(2)]
    detached = [await bench.done("detach_volume", detach, Server) for _ in range(2)]
    assert [[a.volume for a in s.volume_attachments] for s in attached + detached] == [[volume], [volume], [], []]
    assert bench.cloud.control.count("compute", "POST", "/os-volume_attachments$") == 1
    assert bench.cloud.control.count("compute", "DELETE", "/os-volume_attachments/") == 1


async def test_attaching_without_a_reply_ends_attached(bench, server, volume):
    """And so does detaching."""
    bench.cloud.control.fault("lost_reply", service="compute", path="/os-volume_attachments", method="POST", count=1)
    attach = server_pb2.AttachVolumeRequest(name=server, volume=volume)
    attached = await bench.done("attach_volume", attach, Server)
    bench.cloud.control.fault("lost_reply", service="compute", path="/os-volume_attachments", method="DELETE", count=1)
    detach = server_pb2.DetachVolumeRequest(name=server, volume=volume)
    detached = await bench.done("detach_volume", detach, Server)
    assert ([a.volume for a in attached.volume_attachments], list(detached.volume_attachments)) == ([volume], [])


async def test_a_volume_of_another_server_is_refused_with_that_servers_name(bench, server, volume):
    """FAILED_PRECONDITION that says where to detach it."""
    await bench.done("attach_volume", server_pb2.AttachVolumeRequest(name=server, volume=volume), Server)
    [other] = bench.cloud.control.seed_kind("servers", 1, with_ports=True)
    request = server_pb2.AttachVolumeRequest(name=f"{REF}/servers/{other}", volume=volume)
    answer = await bench.operate("attach_volume", request)
    assert (answer.error.code, server in answer.error.message) == (9, True)


def key_request(key: str) -> key_pair_pb2.CreateKeyPairRequest:
    return key_pair_pb2.CreateKeyPairRequest(parent=str(REF), key_pair=KeyPair(display_name="my key", public_key=key))


async def test_a_key_pair_is_imported_read_listed_and_deleted(bench):
    """Its name is its id."""
    made = await bench.done("create_key_pair", key_request(KEY), KeyPair)
    assert (made.name, made.public_key, made.key_type) == (f"{REF}/keyPairs/my%20key", KEY, KeyPair.KEY_TYPE_SSH)
    assert made == await bench.function("get_key_pair")(bench.call("my key"), None)
    assert [k.name for k in await bench.everything("list_key_pairs", KeyPair, limit=1)] == [made.name]
    for _ in range(2):
        call = key_pair_pb2.DeleteKeyPairRequest(name="my key")
        assert not (await bench.operate("delete_key_pair", call)).HasField("error")
    assert await bench.everything("list_key_pairs", KeyPair) == []


async def test_a_key_pair_without_reply_is_found_by_its_key(bench):
    """Once imported, it is not imported again."""
    bench.cloud.control.fault("lost_reply", service="compute", method="POST", path="/os-keypairs$", count=1)
    made = await bench.done("create_key_pair", key_request(KEY), KeyPair)
    assert (made.public_key, bench.cloud.control.count("compute", "POST", "/os-keypairs$")) == (KEY, 1)


@pytest.mark.parametrize("steps", range(4))
async def test_a_key_pair_that_was_there_outlives_a_cancelled_import_of_the_same(bench, steps):
    """The operation did not make it, so it does not unmake it."""
    await bench.done("create_key_pair", key_request(KEY), KeyPair)
    await bench.operate("create_key_pair", key_request(KEY), cancel_after=steps)
    assert len(await bench.everything("list_key_pairs", KeyPair)) == 1


@pytest.mark.parametrize("steps", range(1, 3))
async def test_a_cancelled_import_leaves_no_key_pair(bench, steps):
    """Made by the operation, it is unmade with it."""
    await bench.operate("create_key_pair", key_request(KEY), cancel_after=steps)
    assert await bench.everything("list_key_pairs", KeyPair) == []


async def test_a_key_pair_of_that_name_with_another_key_is_somebody_elses(bench):
    """ALREADY_EXISTS, and it stays as it was."""
    await bench.done("create_key_pair", key_request(KEY), KeyPair)
    answer = await bench.operate("create_key_pair", key_request(OTHER_KEY))
    kept = await bench.function("get_key_pair")(bench.call("my key"), None)
    assert (answer.error.code, kept.public_key) == (6, KEY)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("key_pair.display_name", {"key_pair": KeyPair(public_key=KEY)}),
        ("key_pair.display_name", {"key_pair": KeyPair(display_name="a", public_key=KEY), "key_pair_id": "b"}),
        ("key_pair.key_type", {"key_pair": KeyPair(public_key=KEY, key_type="KEY_TYPE_UNKNOWN"), "key_pair_id": "b"}),
    ],
)
async def test_a_key_pair_that_nova_could_not_keep_names_its_field(bench, field, fields):
    """Before Nova is asked."""
    answer = await bench.operate("create_key_pair", key_pair_pb2.CreateKeyPairRequest(parent=str(REF), **fields))
    assert (answer.error.code, bench.cloud.control.count("compute", "POST")) == (3, 0)
    assert field.encode() in answer.error.SerializeToString()


async def test_a_key_pair_gets_the_id_asked_for_and_is_the_same_in_lists_but_for_its_time(bench):
    """Nova tells the time in a get only; the etag does not depend on it."""
    key_pair = KeyPair(public_key=KEY, key_type="KEY_TYPE_SSH")
    request = key_pair_pb2.CreateKeyPairRequest(parent=str(REF), key_pair=key_pair, key_pair_id="k1")
    made = await bench.done("create_key_pair", request, KeyPair)
    [listed] = await bench.everything("list_key_pairs", KeyPair)
    assert (made.name, made.display_name, made.user) == (f"{REF}/keyPairs/k1", "k1", bench.session.user_id)
    made.ClearField("create_time")
    assert (made, bool(made.etag)) == (listed, True)
