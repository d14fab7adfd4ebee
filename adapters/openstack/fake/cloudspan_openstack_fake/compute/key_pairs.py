"""Nova's key pairs."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cloudspan_kit.fakes.wire import Json, Reply, reply
from cloudspan_openstack_fake.compute.flavors import checked_limit
from cloudspan_openstack_fake.compute.server_create import bad_field
from cloudspan_openstack_fake.compute.servers import next_link
from cloudspan_openstack_fake.store import micros
from cloudspan_openstack_fake.wire import Call, Refused, empty

if TYPE_CHECKING:
    from cloudspan_openstack_fake.store import Store
    from cloudspan_openstack_fake.wire import Handler

_NAME = "@._- 0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


class KeyPairs:
    """Handlers of `/os-keypairs`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def table(self) -> dict[str, Handler]:
        return {
            "GET /v2.1/os-keypairs": self._list_keys,
            "POST /v2.1/os-keypairs": self._create_key,
            "GET /v2.1/os-keypairs/{name}": self._get_key,
            "DELETE /v2.1/os-keypairs/{name}": self._delete_key,
        }

    def _list_keys(self, call: Call) -> Reply:
        limit = checked_limit(self._store, call)
        mine = call.identity.user.id
        rows = [row for (user, _), row in sorted(self._store.key_pairs.items()) if user == mine]
        if marker := call.one("marker"):
            rows = [row for row in rows if row["name"] > marker]
        page = rows[:limit]
        keys = ("name", "public_key", "fingerprint", *(("type",) if call.version >= (2, 2) else ()))
        document: Json = {"keypairs": [{"keypair": {key: row[key] for key in keys}} for row in page]}
        links = next_link(call, limit, len(page), page[-1]["name"] if page else "")
        if links and call.version >= (2, 35) and call.one("limit"):
            document["keypairs_links"] = links
        return reply(document)

    def _create_key(self, call: Call) -> Reply:
        asked = call.document().get("keypair") or {}
        name, public = str(asked.get("name", "")), asked.get("public_key")
        if not name or name.strip(_NAME):
            text = f"The name must be: Only expected characters: [{_NAME}]"
            raise Refused(400, f"An invalid 'name' value was provided. {text}")
        if public is None and call.version >= (2, 92):
            raise bad_field("keypair", asked, "'public_key' is a required property")
        user_id = call.identity.user.id
        private = ""
        if public is None:
            private, public = _generate()
        fingerprint = _fingerprint(public)
        if (user_id, name) in self._store.key_pairs:
            raise Refused(409, f"Key pair '{name}' already exists.")
        row = {
            "name": name, "public_key": public, "fingerprint": fingerprint, "user_id": user_id, "deleted": False,
            "created_at": micros(self._store.now()), "deleted_at": None, "id": self._store.next_seq(),
            "updated_at": None,
            "type": asked.get("type", "ssh"),
        }  # fmt: skip
        self._store.key_pairs[user_id, name] = row
        keys = ("name", "public_key", "fingerprint", "user_id", *(("type",) if call.version >= (2, 2) else ()))
        shown = {key: row[key] for key in keys} | ({"private_key": private} if private else {})
        return reply({"keypair": shown}, 201 if call.version >= (2, 2) else 200)

    def _key_row(self, call: Call) -> Json:
        user_id, name = call.identity.user.id, call.params["name"]
        if (user_id, name) not in self._store.key_pairs:
            raise Refused(404, f"Keypair {name} not found for user {user_id}")
        return self._store.key_pairs[user_id, name]

    def _get_key(self, call: Call) -> Reply:
        row = self._key_row(call)
        return reply({"keypair": {k: v for k, v in row.items() if k != "type" or call.version >= (2, 2)}})

    def _delete_key(self, call: Call) -> Reply:
        row = self._key_row(call)
        del self._store.key_pairs[row["user_id"], row["name"]]
        return empty(204 if call.version >= (2, 2) else 202)


def _fingerprint(public: str) -> str:
    words = str(public).split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, binascii.Error):
        raise Refused(400, "Keypair data is invalid: failed to generate fingerprint") from None
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[place : place + 2] for place in range(0, 32, 2))


def _generate() -> tuple[str, str]:
    """Return a private and a public key, as Nova made them below 2.92."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), f"{public.decode()} Generated-by-Nova"
