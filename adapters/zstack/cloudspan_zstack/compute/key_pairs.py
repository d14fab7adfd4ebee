"""Key pairs: reads, import and deletion.

Never `GenerateSshKeyPair`: it takes no id, so a lost reply would lose a private key and leave a pair behind.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, Any

from cloudspan.v1 import key_pair_pb2
from cloudspan_common.errors import CloudspanError, InvalidRequest, PreconditionFailed, Violation
from cloudspan_kit import BY_KEY, Call, Kind, KindDriver, Operation, push
from cloudspan_kit.drivers import KeyPairDriver
from cloudspan_zstack.cloud.beside import both, read_marks
from cloudspan_zstack.cloud.jobs import Change
from cloudspan_zstack.cloud.labels import read_labels, tags_of
from cloudspan_zstack.cloud.rows import Row
from cloudspan_zstack.cloud.source import UserTags, ZStackSource, session_of
from cloudspan_zstack.cloud.texts import check_texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cloudspan_common.names import ClusterRef
    from cloudspan_zstack.cloud.beside import Marks
    from cloudspan_zstack.cloud.dates import ServerZone

_PATH = "/ssh-key-pair"
# The platform files the tags of key pairs as those of volumes.
_TAGGED_AS = ("SshKeyPairVO", "VolumeVO")
_SSH = (key_pair_pb2.KeyPair.KEY_TYPE_UNSPECIFIED, key_pair_pb2.KeyPair.KEY_TYPE_SSH)


class KeyPairRow(Row):
    """One key pair."""

    public_key: str = ""


KEY_PAIRS = Kind(
    collection="keyPairs",
    message=key_pair_pb2.KeyPair,
    row=KeyPairRow,
    source=ZStackSource(_PATH),
    sort={"display_name": "name", "create_time": "createDate"},
    changes_since="lastOpDate",
    push={"display_name": push.text("name")},
    safety=BY_KEY,
    marker=UserTags(*_TAGGED_AS),
)


class KeyPairs(KindDriver[KeyPairRow, key_pair_pb2.KeyPair], KeyPairDriver):
    """KeyPairService."""

    kind = KEY_PAIRS

    def __init__(self, ref: ClusterRef, zone: ServerZone) -> None:
        super().__init__(ref)
        self._prefix, self._time = f"{ref}/keyPairs/", zone.timestamp

    async def messages(self, call: Call, rows: Sequence[KeyPairRow]) -> Sequence[key_pair_pb2.KeyPair]:
        session, (own, other) = session_of(call), _TAGGED_AS
        uuids = [row.uuid for row in rows]
        marks, labels = await both(
            read_marks(session, call, self._ref, own, rows), read_labels(session, call, other, uuids)
        )
        return [self._message(row, marks, labels.get(row.uuid, {})) for row in rows]

    def _message(self, row: KeyPairRow, marks: Marks, labels: Mapping[str, str]) -> key_pair_pb2.KeyPair:
        return key_pair_pb2.KeyPair(
            name=self._prefix + row.uuid,
            display_name=row.name,
            project=marks.project(row.uuid),
            create_time=self._time(row.create_date),
            public_key=row.public_key,
            fingerprint=_fingerprint(row.public_key),
            key_type=key_pair_pb2.KeyPair.KEY_TYPE_SSH,
            labels={**(marks.labels(row.uuid) or {}), **labels},
        )

    async def create_key_pair(self, op: Operation, request: key_pair_pb2.CreateKeyPairRequest) -> key_pair_pb2.KeyPair:
        check_texts(request)
        wanted = request.key_pair
        if not wanted.display_name:
            text = "ZStack wants a name for a key pair"
            raise InvalidRequest(text, violations=[Violation("key_pair.display_name", text)])
        if request.key_pair_id:
            text = "ZStack chooses the id of a key pair itself; leave key_pair_id out and give key_pair.display_name"
            raise InvalidRequest(text, violations=[Violation("key_pair_id", text)])
        if wanted.key_type not in _SSH:
            text = "ZStack has key pairs for SSH only"
            raise InvalidRequest(text, violations=[Violation("key_pair.key_type", text)])
        labels = tags_of(wanted.labels, "key_pair.labels")
        params: dict[str, Any] = {"name": wanted.display_name, "publicKey": wanted.public_key.strip()}

        def change(uuid: str) -> Change:
            return Change("POST", _PATH, params={**params, "resourceUuid": uuid}, user_tags=labels)

        made = await op.create(KEY_PAIRS, change)
        return await self.to_message(op.call, await KEY_PAIRS.source.row(op.call, KEY_PAIRS, made.id))

    async def delete_key_pair(self, op: Operation, request: key_pair_pb2.DeleteKeyPairRequest) -> None:
        # Unlike most deletes this one fails when there is none; so its source looks first.
        await op.delete(KEY_PAIRS, op.call.id, refused=self._name_users)

    async def _name_users(self, _call: Call, native_id: str, error: PreconditionFailed) -> CloudspanError | None:
        """Say of which pair it is that servers use it: by which, the platform does not tell."""
        if error.reason != "IN_USE":
            return None
        name = self._prefix + native_id
        text = (
            f"{name} is in use by servers that were created with it; those that are deleted and can still be recovered "
            "count too. ZStack does not tell which: delete and expunge them, or detach the pair from them there"
        )
        return PreconditionFailed(text, reason="IN_USE", metadata=error.metadata, resource=name)


def _fingerprint(public_key: str) -> str:
    """Return the fingerprint as `ssh-keygen -l -E md5` tells it, as other platforms do; empty for no key."""
    parts = public_key.split()
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except (IndexError, binascii.Error):
        return ""
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
