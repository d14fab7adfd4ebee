"""Signs on whose behalf the gateway calls adapters; they verify it by the key that is published in the registry.

Links ask it for the metadata of each call. The keys are made by this process and never leave it. A new one is
published a minute before it is used, and an old one stays until the last context signed with it has expired.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cloudspan_common.caller_context import LIFE_S, Bound, Claims, pair_key, proof, sign
from cloudspan_common.errors import CloudspanError
from cloudspan_common.registry.base import Reach
from cloudspan_common.registry.context_keys import ContextKey
from cloudspan_gateway.metadata import CONTEXT, PROOF, REQUEST_ID, TRACEPARENT

if TYPE_CHECKING:
    from cloudspan_common.clock import Clock
    from cloudspan_common.registry.context_keys import ContextKeys
    from cloudspan_gateway.access.behalf import Behalf
    from cloudspan_gateway.metadata import Metadata

RENEW_S = 60.0
ROTATE_S = 3600.0
KEPT_S = 3600.0
"""How long a published key counts: so long the registry may be away."""
_OLD_S = 120.0  # contexts live for 30 s
_REUSED_S = 5  # of the 30 s
_MOST_CACHED = 4096
_MOST_ROLES = 32  # metadata has 8 KiB for everything


class _OwnKey:
    """A key of this process, and what was made with it."""

    def __init__(self, made: float) -> None:
        self.made = made
        self.signing, self.agreement = Ed25519PrivateKey.generate(), X25519PrivateKey.generate()
        self.public = self.published(0.0)
        self.kid = self.public.kid
        self.contexts: dict[tuple[Behalf, str], tuple[str, float]] = {}
        self._pairs: dict[bytes, bytes | None] = {}

    def __repr__(self) -> str:
        return f"<_OwnKey {self.kid}>"

    def published(self, not_after: float) -> ContextKey:
        """Return the public half."""
        signing, agreement = self.signing.public_key(), self.agreement.public_key()
        return ContextKey(signing.public_bytes_raw(), agreement.public_bytes_raw(), not_after)

    def pair(self, other: bytes) -> bytes | None:
        """Return the key for proofs to the adapter with this key; None without one."""
        if other not in self._pairs:
            if len(self._pairs) >= _MOST_CACHED:
                self._pairs.clear()
            self._pairs[other] = self._agreed(other)
        return self._pairs[other]

    def _agreed(self, other: bytes) -> bytes | None:
        try:
            return pair_key(self.agreement, other, self.public.agreement)
        except ValueError:  # an adapter's description may hold anything; without a key each context is signed
            return None


class ContextSigner:
    """The keys of one gateway and the contexts under way."""

    def __init__(self, keys: ContextKeys, installation: str, clock: Clock) -> None:
        self._registry, self._installation, self._clock = keys, installation, clock
        self._holder = f"{installation}-{secrets.token_hex(8)}"
        self._current = _OwnKey(clock.now())
        self._keys: tuple[_OwnKey, ...] = (self._current,)
        self._used_since = clock.now()
        self._number = 0
        self._reach = Reach("context keys", holder=self._holder)

    def __repr__(self) -> str:
        return f"<ContextSigner {self._holder}: {len(self._keys)} keys, registry {self._reach!r}>"

    async def start(self) -> float:
        """Publish the first key; return the seconds until the next time. Adapters refuse calls until it worked."""
        return await self._renew()

    async def run(self) -> None:
        """Publish and rotate until cancelled."""
        while True:
            await self._clock.sleep(await self._renew())

    async def _renew(self) -> float:
        now = self._clock.now()
        keys = tuple(key for key in self._keys if key.made >= self._current.made or now - self._used_since < _OLD_S)
        if now - keys[-1].made >= ROTATE_S:
            keys = (*keys, _OwnKey(now))
        try:
            await self._registry.publish(self._holder, [key.published(now + KEPT_S) for key in keys])
        except CloudspanError as error:
            return self._reach.lost(error)
        self._reach.found()
        if self._keys[-1] is not self._current:  # every adapter has read it by now
            self._current, self._used_since = self._keys[-1], now
        self._keys = keys
        return RENEW_S

    def signed(self, metadata: Metadata, behalf: Behalf, path: str, to: tuple[str, bytes]) -> Metadata:
        """Return the metadata of a call with its context.

        Args:
            metadata: What it has else; the context is for no call with another request id or trace.
            behalf: On whose behalf it is.
            path: `/cloudspan.v1.ServerService/GetServer`.
            to: The platform of the instance, and the key in its description.
        """
        key, sent = self._current, dict(metadata)
        bound = Bound(path[1:], str(sent.get(REQUEST_ID, "")), str(sent.get(TRACEPARENT, "")))
        self._number += 1
        platform, other = to
        pair = key.pair(other) if other else None
        if pair is None:
            claims = self._claims(behalf, platform, bound)
            return (*metadata, (CONTEXT, sign(claims, key.signing, key.kid)))
        context = self._context(key, behalf, platform)
        return (*metadata, (CONTEXT, context), (PROOF, proof(pair, context, self._number, bound)))

    def _context(self, key: _OwnKey, behalf: Behalf, platform: str) -> str:
        known = key.contexts.get((behalf, platform))
        now = self._clock.now()
        if known is not None and now < known[1]:
            return known[0]
        if len(key.contexts) >= _MOST_CACHED:
            key.contexts.clear()
        context = sign(self._claims(behalf, platform), key.signing, key.kid)
        key.contexts[behalf, platform] = context, now + _REUSED_S
        return context

    def _claims(self, behalf: Behalf, platform: str, bound: Bound | None = None) -> Claims:
        now = int(self._clock.now())
        return Claims(
            iss=self._installation,
            aud=platform,
            sub=behalf.subject,
            iat=now,
            exp=now + LIFE_S,
            tenant=behalf.tenant,
            roles=behalf.roles[:_MOST_ROLES],
            project=behalf.project,
            method=bound.method if bound else None,
            request_id=bound.request_id if bound else "",
            traceparent=bound.traceparent if bound else "",
            number=self._number if bound else 0,
        )
