"""Key pairs: imported once, read, deleted, with and without replies."""

from __future__ import annotations

import pytest

from cloudspan.v1 import key_pair_pb2, server_pb2
from cloudspan_common.names import ClusterRef

Server, KeyPair = server_pb2.Server, key_pair_pb2.KeyPair
REF = ClusterRef("openstack", "east")
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl someone"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIUDYQB4eKm9JYTLiUO7Kh7wUz2lVYdRtqEwCGtVl3q5 someone"


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
