"""Key pairs are imported once and deleted."""

from __future__ import annotations

import grpc
import pytest

from cloudspan.v1 import key_pair_pb2, server_pb2

from .conftest import REF, make_server

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGZha2Vha2V5ZmFrZWtleWZha2VrZXlmYWtla2V5ZmFr me@example"


@pytest.mark.parametrize("kind", ["lost_reply", "late_commit", "server_error"])
async def test_a_key_pair_is_imported_once(bench, kind):
    """And told with its fingerprint and labels; a name is not unique here."""
    bench.cloud.control.fault(kind, call="CreateSshKeyPair", count=1)
    pair = key_pair_pb2.KeyPair(display_name="me", public_key=_KEY, labels={"team": "db"})
    request = key_pair_pb2.CreateKeyPairRequest(parent=str(REF), key_pair=pair)
    made = await bench.done("create_key_pair", request, key_pair_pb2.KeyPair)
    assert (made.key_type, dict(made.labels)) == (key_pair_pb2.KeyPair.KEY_TYPE_SSH, {"team": "db"})
    assert (made.public_key, made.fingerprint.count(":"), made.HasField("create_time")) == (_KEY, 15, True)
    assert await bench.everything("list_key_pairs", key_pair_pb2.KeyPair) == [made]
    for _ in range(2):
        await bench.done("delete_key_pair", key_pair_pb2.DeleteKeyPairRequest(name=made.name), key_pair_pb2.KeyPair)
    assert await bench.everything("list_key_pairs", key_pair_pb2.KeyPair) == []


@pytest.mark.parametrize(
    ("fields", "more", "field"),
    [
        ({"display_name": ""}, {}, "key_pair.display_name"),
        ({"key_type": "KEY_TYPE_X509"}, {}, "key_pair.key_type"),
        ({}, {"key_pair_id": "me"}, "key_pair_id"),
    ],
)
async def test_a_key_pair_that_can_not_be_is_refused_before_anything_is_made(bench, fields, more, field):
    """With the field that is wrong."""
    pair = key_pair_pb2.KeyPair(**({"display_name": "me", "public_key": _KEY} | fields))
    request = key_pair_pb2.CreateKeyPairRequest(parent=str(REF), key_pair=pair, **more)
    answer = await bench.operate("create_key_pair", request)
    assert field in str(answer.error.details)
    assert bench.cloud.control.count(call="CreateSshKeyPair") == 0


async def test_a_key_pair_that_servers_use_stays_and_is_named(bench):
    """Those count that are deleted and can be recovered; the platform does not tell which they are."""
    pair = key_pair_pb2.KeyPair(display_name="me", public_key=_KEY)
    request = key_pair_pb2.CreateKeyPairRequest(parent=str(REF), key_pair=pair)
    made = await bench.done("create_key_pair", request, key_pair_pb2.KeyPair)
    server = await make_server(bench, key_pair=made.name)
    delete = key_pair_pb2.DeleteKeyPairRequest(name=made.name)
    for _ in range(2):
        answer = await bench.operate("delete_key_pair", delete)
        assert answer.error.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
        assert answer.error.message.startswith(f"{made.name} is in use by servers")
        await bench.done("delete_server", server_pb2.DeleteServerRequest(name=server.name), server_pb2.Server)
    bench.cloud.store.vms.remove(server.name[-32:])
    await bench.done("delete_key_pair", delete, key_pair_pb2.KeyPair)
