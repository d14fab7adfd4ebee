"""Key pairs: a name is a key."""

from __future__ import annotations

import pytest
from adapters.memory.tests.steps import MAIN, changed

from cloudspan.client import AsyncClient
from cloudspan.client import errors as client_errors
from cloudspan.v1 import key_pair_pb2


async def test_a_key_pairs_name_is_its_key(client: AsyncClient) -> None:
    """The same key again is the same; another key under the name is refused."""
    key = {"display_name": "me", "public_key": "ssh-ed25519 AAAA"}
    create = key_pair_pb2.CreateKeyPairRequest(parent=MAIN, key_pair=key)
    made = await changed(client.key_pairs.CreateKeyPair(create))
    assert await changed(client.key_pairs.CreateKeyPair(create)) == made
    create.key_pair.public_key = "ssh-ed25519 BBBB"
    with pytest.raises(client_errors.AlreadyExists, match="another"):
        await changed(client.key_pairs.CreateKeyPair(create))
    await changed(client.key_pairs.DeleteKeyPair(key_pair_pb2.DeleteKeyPairRequest(name=made.name)))
