"""Key pairs: their names are their ids, so the same key under the same name again is the same key pair."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cloudspan.v1 import key_pair_pb2
from cloudspan_common.errors import AlreadyExists, InvalidRequest, Violation
from cloudspan_kit import BY_KEY, Kind, Made
from cloudspan_kit.drivers import KeyPairDriver
from cloudspan_memory.cloud.source import MemoryDriver, MemorySource
from cloudspan_memory.cloud.store import copied

if TYPE_CHECKING:
    from cloudspan_kit import Operation

KeyPair = key_pair_pb2.KeyPair

KEY_PAIRS = Kind(
    collection="keyPairs",
    message=KeyPair,
    row=KeyPair,
    source=MemorySource(),
    changes_since="update_time",
    safety=BY_KEY,
)


class KeyPairs(MemoryDriver[KeyPair], KeyPairDriver):
    """KeyPairService."""

    kind = KEY_PAIRS

    async def create_key_pair(self, op: Operation, request: key_pair_pb2.CreateKeyPairRequest) -> KeyPair:
        """Create one by a step of its own: its id comes from the request, not from a marker."""
        name, wanted = request.key_pair_id or request.key_pair.display_name, request.key_pair
        if not name:
            text = "key_pair_id and key_pair.display_name are empty; here a key pair's name is its id"
            raise InvalidRequest(text, violations=[Violation("key_pair_id", text)])

        async def send(_: str) -> Made[KeyPair]:
            there = self._store.find("keyPairs", name)
            if there is not None and there.public_key != wanted.public_key:
                raise AlreadyExists(f"{there.name} exists with another key; choose another name", resource=there.name)
            if there is None:
                self._store.put("keyPairs", name, _built(name, wanted))
            return Made(name)

        async def find(_: str) -> list[Made[KeyPair]]:
            there = self._store.find("keyPairs", name)
            return [Made(name)] if there is not None and there.public_key == wanted.public_key else []

        # Without an undo: it may have been there before.
        made = await op.create_step("key", send=send, find=find, safety=BY_KEY, collection="keyPairs")
        op.set_resource(self._store.name("keyPairs", made.id))
        return self.message(self._store.get("keyPairs", made.id))

    async def delete_key_pair(self, op: Operation, request: key_pair_pb2.DeleteKeyPairRequest) -> None:
        await op.delete(KEY_PAIRS, op.call.id)


def _built(name: str, wanted: KeyPair) -> KeyPair:
    key_pair = copied(wanted)
    key_pair.ClearField("project")  # the store knows it
    key_pair.ClearField("user")
    key_pair.display_name, key_pair.key_type = name, KeyPair.KEY_TYPE_SSH
    key_pair.fingerprint = hashlib.sha256(wanted.public_key.encode()).hexdigest()[:32]
    return key_pair
