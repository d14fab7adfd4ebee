"""The public keys of an OpenID Connect issuer (RFC 7517), read again every few minutes and when a new one is met.

`jwt` asks for the key that a token names. Nothing that stands in a token decides where keys are read from: the
configuration names the issuer, and its discovery document, or `--oidc-jwks`, the place of its keys.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from cloudspan_common import logs
from cloudspan_common.clock import Clock, SystemClock
from cloudspan_common.errors import CloudspanError, Unauthenticated, Unreachable
from cloudspan_gateway.identity.config import check_url

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from cloudspan_gateway.identity.config import OidcConfig

REFRESH_S = 300.0
"""How long a key that the issuer dropped still counts."""
SOONEST_S = 10.0
"""How long after one look at the issuer the next one may be, for all callers together."""
FETCH_S = 5.0
"""How long one look may take: discovery and keys."""
MAX_BYTES = 256 * 1024
"""Of an answer; some hundreds of keys."""
_MAX_KID = 256
_RSA_BITS = range(2048, 8193)
_DISCOVERY = "/.well-known/openid-configuration"
# By the key's own type, so that no public key can be taken for a shared secret (RFC 8725, section 2.1).
_ALGORITHMS: Mapping[tuple[object, object], tuple[str, ...]] = {
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}

log = logs.get_logger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """One public key: the same object as long as the issuer has it."""

    public: Any
    """As PyJWT takes it."""
    algorithms: tuple[str, ...]
    """What may be verified with it."""


class _Unusable(Exception):
    """What the issuer answered can't be used, and why."""


class IssuerKeys:
    """Keys by id. Those that are known stay usable while the issuer is away."""

    def __init__(self, config: OidcConfig, clock: Clock | None = None) -> None:
        self._config = config
        self._clock: Clock = clock or SystemClock()
        self._jwks: Mapping[str, dict[str, Any]] = {}
        # Made when they are first needed: a set may hold hundreds that nobody uses.
        self._keys: dict[str, Key | None] = {}
        self._failure = "they were not read yet"
        self._looked_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<IssuerKeys {self._config.issuer}: {len(self._jwks)} keys{self._failure and f' | {self._failure}'}>"

    async def run(self) -> None:
        """Read the keys now and again, until cancelled."""
        try:
            while True:
                await self.refresh()
                await self._clock.sleep(SOONEST_S if self._failure else REFRESH_S)
        finally:
            if self._looking is not None:
                self._looking.cancel()
                await asyncio.wait({self._looking})

    def known(self, kid: str) -> Key | None:
        """Return the key of that id, if the issuer had it when it was asked last."""
        if kid not in self._keys and kid in self._jwks:
            self._keys[kid] = _key(self._jwks[kid])
        return self._keys.get(kid)

    async def key(self, kid: str) -> Key:
        """Return the key of that id, after another look at the issuer if it is not known.

        Raises:
            Unauthenticated: The issuer has no such key.
            Unreachable: It could not be asked, reason ISSUER_UNREACHABLE.
        """
        found = self.known(kid)
        if found is None and (self._is_looking or self._clock.monotonic() - self._looked_at >= SOONEST_S):
            await self.refresh()
            found = self.known(kid)
        if found is None:
            self._refuse()
        return found

    def _refuse(self) -> NoReturn:
        if self._failure:
            text = (
                f"the token's key is not known, and the keys of issuer {self._config.issuer} can't be read just now; "
                "retry, and see the gateway's log if it goes on"
            )
            raise Unreachable(text, reason="ISSUER_UNREACHABLE", retry_after_s=SOONEST_S)
        text = f"the token is not signed with a key of issuer {self._config.issuer}; get a new token from it"
        raise Unauthenticated(text)

    @property
    def _is_looking(self) -> bool:
        return self._looking is not None and not self._looking.done()

    async def refresh(self) -> None:
        """Look at the issuer; all who wait share one look, and none of them can cut it short."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="read the issuer's keys")
        await asyncio.shield(self._looking)

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(FETCH_S):
                jwks = _by_id(await self._fetch_keys())
        except TimeoutError:
            self._failed(f"no answer within {FETCH_S:g} s")
        except (_Unusable, CloudspanError, aiohttp.ClientError, OSError) as error:
            self._failed(str(error) or type(error).__name__)
        else:
            self._replace(jwks)
        finally:
            self._looked_at = self._clock.monotonic()

    def _failed(self, why: str) -> None:
        if why != self._failure:
            log.warning("issuer keys not read, those known stay in use", issuer=self._config.issuer, reason=why)
        self._failure = why

    def _replace(self, jwks: Mapping[str, dict[str, Any]]) -> None:
        """Forget what the issuer dropped or changed, and with it every token that was verified by it."""
        if jwks != self._jwks or self._failure:
            log.info("issuer keys read", issuer=self._config.issuer, keys=len(jwks))
        self._keys = {kid: key for kid, key in self._keys.items() if jwks.get(kid) == self._jwks.get(kid)}
        self._jwks, self._failure = jwks, ""

    async def _fetch_keys(self) -> dict[str, Any]:
        context = await asyncio.to_thread(ssl.create_default_context, cafile=self._config.authority)
        # Neither are proxies of the environment asked, nor is an answer unpacked: 256 KiB may hold 256 MiB.
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context), auto_decompress=False, headers={"Accept-Encoding": "identity"}
        ) as session:
            return await _fetch(session, self._config.jwks or await self._discovered(session))

    async def _discovered(self, session: aiohttp.ClientSession) -> str:
        document = await _fetch(session, self._config.issuer.rstrip("/") + _DISCOVERY)
        # OpenID Connect Discovery, section 4.3.
        if document.get("issuer") != self._config.issuer:
            raise _Unusable("its discovery document is another issuer's; --oidc-issuer must be exactly what it says")
        place = document.get("jwks_uri")
        if not isinstance(place, str):
            raise _Unusable("its discovery document has no jwks_uri")
        check_url(place, "jwks_uri of its discovery document")
        if place.startswith("http:") and not self._config.issuer.startswith("http:"):
            raise _Unusable("its discovery document leads from https to http")
        return place


async def _fetch(session: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with session.get(url, allow_redirects=False) as response:
        if response.status != 200:
            raise _Unusable(f"{url} answered {response.status}; redirects are not followed")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_BYTES:
                raise _Unusable(f"the answer of {url} is larger than {MAX_BYTES // 1024} KiB")
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise _Unusable(f"the answer of {url} is not JSON") from None
    if not isinstance(answer, dict):
        raise _Unusable(f"the answer of {url} is not a JSON object")
    return answer


def _by_id(answer: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The keys for signatures that have an id; of two with the same id the first."""
    keys = answer.get("keys")
    if not isinstance(keys, list):
        raise _Unusable("its answer has no list of keys")
    found: dict[str, dict[str, Any]] = {}
    for jwk in keys:
        if isinstance(jwk, dict) and _verifies(jwk):
            found.setdefault(jwk["kid"], jwk)
    return found


def _verifies(jwk: Mapping[str, Any]) -> bool:
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    return (
        isinstance(kid, str)
        and 0 < len(kid) <= _MAX_KID
        and jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and "verify" in operations
        and "d" not in jwk  # a private key that everybody can read proves nothing
    )


def _key(jwk: dict[str, Any]) -> Key | None:
    """None for a key of a kind, or a size, that nothing is verified with."""
    kind, curve, only = jwk.get("kty"), jwk.get("crv"), jwk.get("alg")
    allowed = next((names for key, names in _ALGORITHMS.items() if key == (kind, curve)), ())
    algorithms = tuple(name for name in allowed if only in (None, name))
    if not algorithms:
        return None
    try:
        public = jwt.PyJWK(jwk, algorithms[0]).key
    except (jwt.PyJWTError, UnsupportedAlgorithm):
        return None
    if isinstance(public, RSAPublicKey) and public.key_size not in _RSA_BITS:
        return None
    return Key(public, algorithms)
