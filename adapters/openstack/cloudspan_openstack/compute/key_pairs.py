"""Key pairs: reads, import and deletion. A key pair belongs to the cluster's user, not to its project.

Private keys are never made here: from microversion 2.92 on Nova only imports, and a key that travels twice is none.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from cloudspan.v1 import key_pair_pb2
from cloudspan_common.errors import AlreadyExists, InvalidRequest, NotFound, Unsupported, Violation
from cloudspan_common.names import encode_id
from cloudspan_kit.driver import BY_KEY, Capability, Made, Page
from cloudspan_kit.values import converted
from cloudspan_openstack.cloud.catalogue import Microversion
from cloudspan_openstack.cloud.values import timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_kit.driver import Call, Operation, Query
    from cloudspan_openstack.compute.compute import Compute

_PATH = "/os-keypairs"
_PAGES_SINCE = Microversion(2, 35)
_TYPES_SINCE = Microversion(2, 2)
_MAX_LIMIT = 1000


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


class KeyPairs:
    """KeyPairService."""

    capabilities: ClassVar[Mapping[str, Capability]] = {"create_key_pair": Capability(create_safety=BY_KEY)}

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._session = compute.session
        self._prefix = f"{compute.ref}/keyPairs/"

    async def get_key_pair(self, call: Call, _request: key_pair_pb2.GetKeyPairRequest) -> key_pair_pb2.KeyPair:
        return self._message(call, await self._document(call, call.id))

    async def list_key_pairs(self, call: Call, query: Query) -> Page[key_pair_pb2.KeyPair]:
        limit = min(max(query.limit, 1), _MAX_LIMIT)
        paged = await self._compute.version(call) >= _PAGES_SINCE
        params = [("limit", str(limit))] if paged else []
        if query.cursor:
            params.append(("marker", query.cursor))
        body = await self._session.get(call, "compute", _PATH, dict[str, Any], params=params)
        documents = [entry["keypair"] for entry in body["keypairs"]]
        items = [self._message(call, document) for document in documents]
        more = paged and bool(items) and (bool(body.get("keypairs_links")) or len(items) >= limit)
        return Page(items, more, lambda index: str(documents[index]["name"]))

    async def create_key_pair(self, op: Operation, request: key_pair_pb2.CreateKeyPairRequest) -> key_pair_pb2.KeyPair:
        wanted = _wanted(request)
        if wanted.key_type == _K.KEY_TYPE_X509 and await self._compute.version(op.call) < _TYPES_SINCE:
            raise Unsupported(f"key_pair.key_type X509 needs Nova {_TYPES_SINCE}", reason="MICROVERSION_TOO_LOW")
        before = await op.read_once("look", lambda: self._was_there(op.call, wanted))
        if before["there"]:  # not made by this operation, so never undone by it
            op.set_resource(self._prefix + encode_id(wanted.display_name))
            return self._message(op.call, await self._document(op.call, wanted.display_name))
        made = await op.create_step(
            "key-pair",
            send=lambda _marker: self._import(op.call, wanted),
            find=lambda _marker: self._find(op.call, wanted),
            undo=lambda name: self._delete(op.call, name),
            safety=BY_KEY,
            collection="keyPairs",
        )
        op.set_resource(self._prefix + encode_id(made.id))
        return self._message(op.call, await self._document(op.call, made.id))

    async def delete_key_pair(self, op: Operation, request: key_pair_pb2.DeleteKeyPairRequest) -> None:
        op.set_resource(request.name)
        await op.change("delete", lambda: self._delete(op.call, op.call.id))

    async def _was_there(self, call: Call, wanted: key_pair_pb2.KeyPair) -> Mapping[str, bool]:
        return {"there": bool(await self._find(call, wanted))}

    async def _import(self, call: Call, wanted: key_pair_pb2.KeyPair) -> Made[object]:
        body = {"name": wanted.display_name, "public_key": wanted.public_key}
        if wanted.key_type and await self._compute.version(call) >= _TYPES_SINCE:
            body["type"] = _WORDS[wanted.key_type]
        try:
            await self._session.send(call, "POST", "compute", _PATH, None, json={"keypair": body})
        except AlreadyExists:
            found = await self._find(call, wanted)
            if not found:
                raise
            return found[0]
        return Made(wanted.display_name)

    async def _find(self, call: Call, wanted: key_pair_pb2.KeyPair) -> list[Made[object]]:
        """The name alone proves nothing: a key pair of that name is ours only with our key in it."""
        try:
            row = converted(await self._document(call, wanted.display_name), KeyPairRow)
        except NotFound:
            return []
        return [Made(row.name)] if row.public_key.split() == wanted.public_key.split() else []

    async def _delete(self, call: Call, name: str) -> None:
        try:
            await self._session.send(
                call, "DELETE", "compute", f"{_PATH}/{{name}}", None, args={"name": name}, redo_ok=True
            )
        except NotFound:
            return

    async def _document(self, call: Call, name: str) -> dict[str, Any]:
        body = await self._session.get(call, "compute", f"{_PATH}/{{name}}", dict[str, Any], args={"name": name})
        return converted(body.get("keypair"), dict[str, Any])

    def _message(self, call: Call, document: dict[str, Any]) -> key_pair_pb2.KeyPair:
        row = converted(document, KeyPairRow)
        message = key_pair_pb2.KeyPair(
            name=self._prefix + encode_id(row.name),
            display_name=row.name,
            create_time=timestamp(row.created_at),
            public_key=row.public_key,
            fingerprint=row.fingerprint,
            key_type=_TYPES.get(row.type, _K.KEY_TYPE_UNKNOWN),
            user=row.user_id or self._session.user_id,
            # Of what both lists and Get tell: a key pair never changes, but another may take its name.
            etag=blake2b(f"{row.type} {row.public_key}".encode(), digest_size=12).hexdigest(),
        )
        if call.full:
            message.native.update(document)
        return message


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
