"""Key pairs: reads, import and deletion.

Never `GenerateSshKeyPair`: it takes no id, so a lost reply would lose a private key and leave a pair behind.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from cloudspan.v1 import key_pair_pb2
from cloudspan_common.errors import InvalidRequest, Violation
from cloudspan_kit.driver import BY_KEY, Capability
from cloudspan_zstack.cloud.beside import both
from cloudspan_zstack.cloud.conditions import text
from cloudspan_zstack.cloud.creation import Creation, Kind
from cloudspan_zstack.cloud.labels import read_labels, tags_of
from cloudspan_zstack.cloud.listings import Listing, list_page, read_one
from cloudspan_zstack.cloud.markers import marked_kind
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.session import Change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_kit.driver import Call, Operation, Page, Query
    from cloudspan_zstack.cloud.session import Session

_PATH = "/ssh-key-pair"
_SORT = {"display_name": "name", "create_time": "createDate"}
# The platform files the tags of key pairs as those of volumes.
_TAGGED_AS = ("SshKeyPairVO", "VolumeVO")
_SSH = (key_pair_pb2.KeyPair.KEY_TYPE_UNSPECIFIED, key_pair_pb2.KeyPair.KEY_TYPE_SSH)


class KeyPairRow(Row):
    """One key pair."""

    public_key: str = ""


_KEY_PAIR = Kind(_PATH, KeyPairRow, "keyPairs")


class KeyPairs:
    """KeyPairService."""

    capabilities: ClassVar[Mapping[str, Capability]] = {
        "list_key_pairs": Capability(sortable=tuple(_SORT)),
        "create_key_pair": Capability(create_safety=BY_KEY),
    }

    def __init__(self, session: Session, ref: ClusterRef) -> None:
        self._session = session
        self._ref = ref
        self._prefix = f"{ref}/keyPairs/"
        self._creation = Creation(session)
        self.marked = {"keyPairs": marked_kind(session, _KEY_PAIR, _TAGGED_AS, self._remove_marked)}
        self._key_pairs = Listing(
            _PATH, KeyPairRow, self._messages, sortable=_SORT, pushes={"display_name": text("name")}
        )

    async def get_key_pair(self, call: Call, _request: key_pair_pb2.GetKeyPairRequest) -> key_pair_pb2.KeyPair:
        return await read_one(self._session, call, self._key_pairs)

    async def list_key_pairs(self, call: Call, query: Query) -> Page[key_pair_pb2.KeyPair]:
        return await list_page(self._session, call, query, self._key_pairs)

    async def create_key_pair(self, op: Operation, request: key_pair_pb2.CreateKeyPairRequest) -> key_pair_pb2.KeyPair:
        wanted = request.key_pair
        if not wanted.display_name:
            told = "ZStack wants a name for a key pair"
            raise InvalidRequest(told, violations=[Violation("key_pair.display_name", told)])
        if request.key_pair_id:
            told = "ZStack chooses the id of a key pair itself; leave key_pair_id out and give key_pair.display_name"
            raise InvalidRequest(told, violations=[Violation("key_pair_id", told)])
        if wanted.key_type not in _SSH:
            told = "ZStack has key pairs for SSH only"
            raise InvalidRequest(told, violations=[Violation("key_pair.key_type", told)])
        labels = tags_of(wanted.labels, "key_pair.labels")

        async def change(_call: Call, uuid: str) -> Change:
            params = {"name": wanted.display_name, "publicKey": wanted.public_key.strip(), "resourceUuid": uuid}
            return Change("POST", _PATH, params=params, user_tags=labels)

        uuid = await self._creation.make(op, "key-pair", _KEY_PAIR, change)
        op.set_resource(self._prefix + uuid)
        return await read_one(self._session, replace(op.call, id=uuid), self._key_pairs)

    async def delete_key_pair(self, op: Operation, request: key_pair_pb2.DeleteKeyPairRequest) -> None:
        op.set_resource(request.name)
        # Unlike most deletes this one fails when there is none; so it is looked for first.
        await self._creation.remove(op, "delete", _KEY_PAIR, op.call.id)

    async def _remove_marked(self, call: Call, uuid: str) -> None:
        await self._creation.discard(call, _KEY_PAIR, uuid)

    async def _labels(self, call: Call, uuids: Sequence[str]) -> dict[str, dict[str, str]]:
        one, other = await both(*(read_labels(self._session, call, kind, uuids) for kind in _TAGGED_AS))
        return {uuid: one.get(uuid, {}) | other.get(uuid, {}) for uuid in uuids}

    async def _messages(self, call: Call, rows: Sequence[KeyPairRow]) -> list[key_pair_pb2.KeyPair]:
        labels = await self._labels(call, [row.uuid for row in rows])
        return [
            key_pair_pb2.KeyPair(
                name=self._prefix + row.uuid,
                display_name=row.name,
                create_time=self._session.zone.timestamp(row.create_date),
                public_key=row.public_key,
                fingerprint=_fingerprint(row.public_key),
                key_type=key_pair_pb2.KeyPair.KEY_TYPE_SSH,
                labels=labels.get(row.uuid),
            )
            for row in rows
        ]


def _fingerprint(public_key: str) -> str:
    """Return the fingerprint as `ssh-keygen -l -E md5` tells it, as other platforms do; empty for no key."""
    parts = public_key.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (IndexError, binascii.Error):
        return ""
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
