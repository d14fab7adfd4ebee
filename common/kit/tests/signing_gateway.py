"""A gateway as an adapter's guard sees it: keys in the registry, and contexts that a test signs as it likes."""

from __future__ import annotations

import time
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cloudspan_common.caller_context import LIFE_S, Bound, Claims, pair_key, proof, sign
from cloudspan_common.registry.context_keys import ContextKey, ContextKeys

CONTEXT, PROOF = "x-cloudspan-context", "x-cloudspan-context-proof"


class SigningGateway:
    """One key; `now` is what it believes the time to be."""

    def __init__(self, platform: str = "acme") -> None:
        self.platform = platform
        self.signing, self.agreement = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        public = self.signing.public_key().public_bytes_raw(), self.agreement.public_key().public_bytes_raw()
        self.key = ContextKey(*public, not_after=4e9)
        self.number = 0
        self.now = time.time()

    async def publish(self, keys: ContextKeys, holder: str = "gateway-1") -> None:
        await keys.publish(holder, [self.key])

    def claims(self, **changed: Any) -> Claims:
        """Return those of alice in acme-team, now."""
        iat = int(changed.pop("iat", self.now))
        said = {"sub": "users/alice", "tenant": "team", "roles": ("member", "viewer"), "project": "p1", **changed}
        return Claims(**{"iss": "main", "aud": self.platform, "iat": iat, "exp": iat + LIFE_S, **said})

    def context(self, **changed: Any) -> str:
        return sign(self.claims(**changed), self.signing, self.key.kid)

    def whole(self, bound: Bound, **changed: Any) -> dict[str, str]:
        """Return the metadata of a call whose context is for it alone."""
        self.number += 1
        context = self.context(**{**bound._asdict(), "number": self.number, **changed})
        return metadata_of(bound, {CONTEXT: context})

    def proved(self, bound: Bound, adapter: bytes, **changed: Any) -> dict[str, str]:
        """Return the metadata of a call to the adapter with this key, with a context that others share."""
        self.number += 1
        context = self.context(**changed)
        key = pair_key(self.agreement, adapter, self.key.agreement)
        return metadata_of(bound, {CONTEXT: context, PROOF: proof(key, context, self.number, bound)})


def metadata_of(bound: Bound, signed: dict[str, str]) -> dict[str, str]:
    ids = {"x-request-id": bound.request_id, "traceparent": bound.traceparent}
    return {**{key: value for key, value in ids.items() if value}, **signed}
