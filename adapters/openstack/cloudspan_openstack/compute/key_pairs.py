"""Key pairs: Nova's, which are named by their users. One belongs to the cluster's user, not to its project.

Private keys are never made here: from microversion 2.92 on Nova only imports, and a key that travels twice is none.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from cloudspan.v1 import key_pair_pb2
from cloudspan_common.errors import InvalidRequest, Unsupported, Violation
from cloudspan_common.names import encode_id
from cloudspan_kit import BY_KEY, Call, Kind, KindDriver, Operation
from cloudspan_kit.drivers import KeyPairDriver
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.nova import NamedInNova
from cloudspan_openstack.cloud.source import session_of
from cloudspan_openstack.cloud.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cloudspan_common.names import ClusterRef

_TYPES_SINCE = Microversion(2, 2)
_K = key_pair_pb2.KeyPair
_TYPES = {"ssh": _K.KEY_TYPE_SSH, "x509": _K.KEY_TYPE_X509}
_WORDS = {kind: word for word, kind in _TYPES.items()}


class KeyPairRow(msgspec.Struct):
    """One key pair; time and user are told by Get only."""

    name: str
    public_key: str = ""
    fingerprint: str = ""
    type: str = "ssh"
    user_id: str = ""
    created_at: datetime | None = None


KEY_PAIRS = Kind(
    collection="keyPairs",
    message=key_pair_pb2.KeyPair,
    row=KeyPairRow,
    source=NamedInNova("/os-keypairs", "keypair", same=("public_key",), key="keypairs"),
    safety=BY_KEY,
)


class KeyPairs(KindDriver[KeyPairRow, key_pair_pb2.KeyPair], KeyPairDriver):
    """KeyPairService."""

    kind = KEY_PAIRS

    def __init__(self, ref: ClusterRef) -> None:
        super().__init__(ref)
        self._prefix = f"{ref}/keyPairs/"

    async def messages(self, call: Call, rows: Sequence[KeyPairRow]) -> Sequence[key_pair_pb2.KeyPair]:
        mine = session_of(call).user_id
        return [self._message(row, row.user_id or mine) for row in rows]

    def _message(self, row: KeyPairRow, user: str) -> key_pair_pb2.KeyPair:
        return key_pair_pb2.KeyPair(
            name=self._prefix + encode_id(row.name),
            display_name=row.name,
            create_time=timestamp(row.created_at),
            public_key=row.public_key,
            fingerprint=row.fingerprint,
            key_type=_TYPES.get(row.type, _K.KEY_TYPE_UNKNOWN),
            user=user,
            # Of what both lists and Get tell: a key pair never changes, but another may take its name.
            etag=blake2b(f"{row.type} {row.public_key}".encode(), digest_size=12).hexdigest(),
        )

    async def create_key_pair(self, op: Operation, request: key_pair_pb2.CreateKeyPairRequest) -> key_pair_pb2.KeyPair:
        wanted, version = _wanted(request), await session_of(op.call).microversion(op.call, "compute")
        if wanted.key_type == _K.KEY_TYPE_X509 and version < _TYPES_SINCE:
            raise Unsupported(f"key_pair.key_type X509 needs Nova {_TYPES_SINCE}", reason="MICROVERSION_TOO_LOW")
        body: dict[str, object] = {"name": wanted.display_name, "public_key": wanted.public_key}
        if wanted.key_type and version >= _TYPES_SINCE:
            body["type"] = _WORDS[wanted.key_type]
        made = await op.create(KEY_PAIRS, body)
        return await self.to_message(op.call, await KEY_PAIRS.source.row(op.call, KEY_PAIRS, made.id))

    async def delete_key_pair(self, op: Operation, request: key_pair_pb2.DeleteKeyPairRequest) -> None:
        await op.delete(KEY_PAIRS, op.call.id)


def _wanted(request: key_pair_pb2.CreateKeyPairRequest) -> key_pair_pb2.KeyPair:
    """Return the key pair that a request asks for, its name in `display_name`.

    Raises:
        InvalidRequest: It has no name, or two.
    """
    wanted = _K()
    wanted.CopyFrom(request.key_pair)
    field, text = "key_pair.display_name", ""
    if request.key_pair_id and wanted.display_name not in ("", request.key_pair_id):
        text = "key_pair_id and key_pair.display_name differ; Nova's key pairs have one name, which is their id"
    wanted.display_name = request.key_pair_id or wanted.display_name
    if not wanted.display_name:
        text = "Nova wants a name for a key pair"
    if wanted.key_type not in (_K.KEY_TYPE_UNSPECIFIED, *_WORDS):
        field, text = "key_pair.key_type", "Nova imports keys of type SSH and X509"
    if text:
        raise InvalidRequest(text, violations=[Violation(field, text)])
    return wanted
