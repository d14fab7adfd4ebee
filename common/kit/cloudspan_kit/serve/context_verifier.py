"""Verifies signed contexts by the public keys of gateways: `context.ContextGuard` asks for each call.

A module of its own, since the libraries below it take 50 ms to import and an adapter without such gateways needs none.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, NamedTuple

import structlog
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cloudspan_common.caller_context import LEEWAY_S, LIFE_S, Bound, kid_of, number_of, pair_key, proof, verified
from cloudspan_kit.cluster import Caller

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_common.caller_context import Claims
    from cloudspan_common.registry.context_keys import ContextKey

CONTEXT, PROOF = "x-cloudspan-context", "x-cloudspan-context-proof"
_MOST_VERIFIED = 4096
_WINDOW = 1 << 16

log = structlog.get_logger(__name__)


class NumberWindow:
    """Which numbers were used, of the last 65,536 (RFC 4303, section 3.4.3): a context and its proof work once."""

    def __init__(self) -> None:
        self._used = bytearray(_WINDOW)
        self._last = 0

    def __repr__(self) -> str:
        return f"<NumberWindow up to {self._last}>"

    def take(self, number: int) -> bool:
        """Use a number up; False if it was used, or is too old to know."""
        ahead = number - self._last
        if ahead <= -_WINDOW or (ahead <= 0 and self._used[number % _WINDOW]):
            return False
        if ahead > 0:
            if ahead > 1:
                self._forget(ahead)
            self._last = number
        self._used[number % _WINDOW] = 1
        return True

    def _forget(self, ahead: int) -> None:
        """Free the places of the numbers behind the last one."""
        if ahead >= _WINDOW:
            self._used = bytearray(_WINDOW)
            return
        first = (self._last + 1) % _WINDOW
        here = min(ahead, _WINDOW - first)
        self._used[first : first + here] = bytes(here)
        self._used[: ahead - here] = bytes(ahead - here)


class _Key:
    """A gateway's key and what was agreed on with it."""

    def __init__(self, key: ContextKey, own: X25519PrivateKey) -> None:
        self.signing = key.signing
        self.pair = pair_key(own, key.agreement, key.agreement)
        self.numbers = NumberWindow()


class _Verified(NamedTuple):
    """A context whose signature was found to be valid."""

    kid: str
    claims: Claims
    caller: Caller


class ContextVerifier:
    """The keys of one adapter's gateways, and the contexts that were verified by them."""

    def __init__(self, platform: str) -> None:
        self._platform = platform
        self._own = X25519PrivateKey.generate()
        self.public_key = self._own.public_key().public_bytes_raw()
        """What gateways agree on keys for proofs with."""
        self._keys: dict[str, _Key] = {}
        self._verified: dict[str, _Verified] = {}

    def __repr__(self) -> str:
        return f"<ContextVerifier of {self._platform}: {len(self._keys)} keys, {len(self._verified)} contexts>"

    def know(self, found: Mapping[str, ContextKey]) -> None:
        """Take these keys and no others."""
        for gone in self._keys.keys() - found.keys():
            del self._keys[gone]
        for kid in found.keys() - self._keys.keys():
            try:
                self._keys[kid] = _Key(found[kid], self._own)
            except ValueError as error:
                log.warning("a gateway's key can't be used", kid=kid, why=str(error))

    def has_verified(self, context: str) -> bool:
        """Whether a context was met before, and its key is known."""
        known = self._verified.get(context)
        return known is not None and known.kid in self._keys

    def knows_key_of(self, context: str) -> bool:
        """Whether a context says that it is signed by a key that is known.

        Raises:
            ValueError: It is not a context.
        """
        known = self._verified.get(context)
        return (known.kid if known else kid_of(context)) in self._keys

    def verify(self, method: str, sent: Mapping[str, str], now: float) -> Caller:
        """Return the caller that a call's context names.

        Args:
            method: Full name, as it is called.
            sent: The call's metadata.
            now: Unix seconds.

        Raises:
            ValueError: The context is missing, forged, old, or for something else; says which.
        """
        context = sent.get(CONTEXT)
        if not context:
            raise ValueError("it has none")
        found = self._verified.get(context) or self._read(context)
        key = self._key(found.kid)
        _check_time(found.claims, now)
        bound = Bound(method, sent.get("x-request-id", ""), sent.get("traceparent", ""))
        if not key.numbers.take(_number(found.claims, bound, key, context, sent.get(PROOF, ""))):
            raise ValueError("it was used before")
        return found.caller

    def _key(self, kid: str) -> _Key:
        if kid not in self._keys:
            raise ValueError("it is signed with a key that no gateway of this registry has")
        return self._keys[kid]

    def _read(self, context: str) -> _Verified:
        kid = kid_of(context)
        claims = verified(context, self._key(kid).signing)
        if claims.aud != self._platform:
            raise ValueError(f"it is for adapters of {claims.aud[:40]!r}, this is one of {self._platform}")
        found = _Verified(kid, claims, Caller(claims.tenant, claims.sub, claims.roles, claims.project))
        if claims.method is None:  # one for a single call is not met again
            if len(self._verified) >= _MOST_VERIFIED:
                self._verified.clear()
            self._verified[context] = found
        return found


def _check_time(claims: Claims, now: float) -> None:
    if not claims.iat - LEEWAY_S <= now < claims.exp + LEEWAY_S or claims.exp - claims.iat > LIFE_S:
        raise ValueError(f"it counts from {claims.iat} to {claims.exp}, and the time here is {now:.0f}")


def _number(claims: Claims, bound: Bound, key: _Key, context: str, given: str) -> int:
    """Return which of its gateway's calls it is.

    Raises:
        ValueError: The context, or its proof, is for another call.
    """
    if claims.method is not None:
        if Bound(claims.method, claims.request_id, claims.traceparent) != bound:
            raise ValueError("it is for another call")
        return claims.number
    number = number_of(given)
    if not given.isascii() or not hmac.compare_digest(given, proof(key.pair, context, number, bound)):
        raise ValueError("its proof is forged, or for another call or another instance")
    return number
