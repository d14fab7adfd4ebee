"""Callers by the JWTs of an OpenID Connect issuer (`--auth jwt`): verified once, remembered until they expire.

PyJWT verifies; here stands what a token must be before it is looked at, and what it then says of its bearer.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.errors import Unauthenticated
from cloudspan_gateway.access.principal import Method, Principal
from cloudspan_gateway.identity.config import JWT
from cloudspan_gateway.identity.credentials import credential_of
from cloudspan_gateway.identity.issuer_keys import IssuerKeys
from cloudspan_gateway.metadata import AUTHORIZATION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudspan_gateway.call import Call
    from cloudspan_gateway.identity.config import OidcConfig
    from cloudspan_gateway.identity.issuer_keys import Key

MAX_TOKEN = 8 * 1024
MAX_REMEMBERED = 4096
MAX_GROUPS = 256
# Signed, in its compact form, without the padding that some decoders forgive: one token has one spelling.
_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_MAX_NAME = 255  # of a subject (OpenID Connect Core, section 2), and of a group
_PLAIN_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_NOT_A_JWT = "it is not a signed JWT"
_WHY: Mapping[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "it has expired",
    jwt.ImmatureSignatureError: "it is not valid yet; do the clocks of its issuer and this gateway agree?",
    jwt.InvalidAudienceError: "it is for another audience",
    jwt.InvalidIssuerError: "it is of another issuer",
    jwt.InvalidSignatureError: "its signature is wrong",
    jwt.exceptions.InvalidSubjectError: "its subject is not a text",
    jwt.InvalidAlgorithmError: "it is signed with an algorithm that its key is not for",
}


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    kid: str
    key: Key
    end: float
    """When it is refused, Unix seconds."""


class JwtAuthenticator:
    """Asked for bearer tokens that have the form of a JWT."""

    name = JWT

    def __init__(self, config: OidcConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock: Clock = clock or SystemClock()
        self._keys = IssuerKeys(config, clock)
        self._verified: OrderedDict[bytes, _Verified] = OrderedDict()

    def __repr__(self) -> str:
        return f"<JwtAuthenticator {len(self._verified)} tokens | {self._keys!r}>"

    async def run(self) -> None:
        """Keep the issuer's keys up to date until cancelled."""
        await self._keys.run()

    async def authenticate(self, call: Call) -> Principal | None:
        """Return whose token the call brings.

        Raises:
            Unauthenticated: It is malformed, forged, expired, or meant for somebody else.
            Unreachable: The issuer's keys could not be read, reason ISSUER_UNREACHABLE.
        """
        credential = credential_of(call)
        if credential is None or credential.key != AUTHORIZATION or "." not in credential.token:
            return None
        token = credential.token
        if len(token) > MAX_TOKEN:
            raise _refusal(f"it has {len(token)} characters, and {MAX_TOKEN} are allowed")
        digest = hashlib.blake2b(token.encode(), digest_size=32).digest()  # a third of what SHA-256 costs here
        known = self._remembered(digest)
        if known is None:
            known = await self._verify(token, digest)
            self._remember(digest, known)
        return known.principal

    def _remembered(self, digest: bytes) -> _Verified | None:
        """What was found out about a token, unless its key is gone since."""
        known = self._verified.get(digest)
        if known is None:
            return None
        if self._keys.known(known.kid) is not known.key:
            del self._verified[digest]
            return None
        if known.end <= self._clock.now():
            del self._verified[digest]
            raise _refusal(_WHY[jwt.ExpiredSignatureError])
        self._verified.move_to_end(digest)
        return known

    def _remember(self, digest: bytes, verified: _Verified) -> None:
        self._verified[digest] = verified
        if len(self._verified) > MAX_REMEMBERED:
            self._verified.popitem(last=False)

    async def _verify(self, token: str, digest: bytes) -> _Verified:
        kid = _key_id(token)
        key = await self._keys.key(kid)
        claims = self._claims(token, key)
        principal = self._principal(claims, digest)
        return _Verified(principal, kid, key, claims["exp"] + self._config.leeway_s)

    def _claims(self, token: str, key: Key) -> dict[str, Any]:
        try:
            claims = jwt.decode(
                token,
                key.public,
                list(key.algorithms),
                options={"require": ["exp", "iss", "aud"]},
                audience=self._config.audience,
                issuer=self._config.issuer,
                leeway=self._config.leeway_s,
            )
            return {**claims, "exp": float(claims["exp"])}
        except jwt.MissingRequiredClaimError as error:
            raise _refusal(f"it has no claim {error.claim}") from None
        except jwt.PyJWTError as error:
            raise _refusal(_WHY.get(type(error), _NOT_A_JWT)) from None
        except (TypeError, OverflowError):  # of times such as null or 1e999
            raise _refusal("its times are not numbers") from None

    def _principal(self, claims: Mapping[str, Any], digest: bytes) -> Principal:
        if "cnf" in claims:  # RFC 7800: who only has the token is not who it was given to
            raise _refusal("it is bound to a key of its holder, which this gateway can't check")
        subject = claims.get(self._config.subject_claim)
        if not _is_name(subject):
            raise _refusal(f"claim {self._config.subject_claim} is not a name of at most {_MAX_NAME} ASCII characters")
        said = claims.get("jti")
        known_by = said if isinstance(said, str) and _PLAIN_ID.fullmatch(said) else digest.hex()[:32]
        return Principal(
            f"subjects/{subject}",
            Method.METHOD_JWT,
            f"jwt/{known_by}",
            aliases=self._groups(claims),
            expire_time=claims["exp"],
        )

    def _groups(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        claim = self._config.groups_claim
        said = claims.get(claim, [])
        groups = [said] if isinstance(said, str) else said
        if not isinstance(groups, list) or len(groups) > MAX_GROUPS or not all(map(_is_name, groups)):
            text = f"claim {claim} is not a list of at most {MAX_GROUPS} names of {_MAX_NAME} ASCII characters each"
            raise _refusal(text)
        return tuple(f"groups/{group}" for group in dict.fromkeys(groups))


def _is_name(value: object) -> bool:
    """Whether it can stand in logs and bindings, and looks the same as what it is."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= _MAX_NAME
        and value.isascii()
        and value.isprintable()
        and value == value.strip()
    )


def _key_id(token: str) -> str:
    """Which key the token names, unverified: it is looked up among the issuer's, and decides nothing else."""
    try:
        if _SHAPE.fullmatch(token) is None:
            raise _refusal(_NOT_A_JWT)
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        raise _refusal(_NOT_A_JWT) from None
    if not isinstance(kid, str):
        raise _refusal("its header names no key (kid)")
    return kid


def _refusal(why: str) -> Unauthenticated:
    return Unauthenticated(f"the token is refused: {why}; get a new one from its issuer")
