"""An OpenID Connect issuer on loopback: discovery, keys that rotate, and tokens good and bad.

    async with Issuer.running() as issuer:
        token = issuer.token("alice", groups=["ops"])

Keys and tokens are made by joserfc, so that the gateway's library does not check itself.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

AUDIENCE = "cloudspan"
DISCOVERY, KEYS = "/.well-known/openid-configuration", "/keys"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Issuer:
    """What it serves may be changed while it runs."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: dict[str, Key] = {}
        self.current = self.rotate("key-1")
        self.asked: Counter[str] = Counter()
        self.instead: dict[str, Handler] = {}
        """What answers a path in place of what is right."""

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Issuer]:
        issuer = cls()
        app = web.Application()
        app.router.add_get("/{path:.*}", issuer._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        issuer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield issuer
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked[request.path] += 1
        if request.path in self.instead:
            return await self.instead[request.path](request)
        if request.path == DISCOVERY:
            return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}{KEYS}"})
        if request.path == KEYS:
            return web.json_response(self.jwks())
        raise web.HTTPNotFound

    def jwks(self) -> dict[str, Any]:
        return KeySet(list(self.keys.values())).as_dict(private=False) if self.keys else {"keys": []}

    def rotate(self, kid: str, key: Key | None = None) -> str:
        """Sign with a new key from now on; the others stay until they are dropped."""
        self.keys[kid] = key or new_rsa(kid)
        self.current = kid
        return kid

    def drop(self, kid: str) -> Key:
        """Take a key out, as an issuer does whose key was stolen; return it."""
        return self.keys.pop(kid)

    def claims(self, subject: str = "alice", **more: Any) -> dict[str, Any]:
        """What a good token says; a claim that is given as None is left out."""
        now = int(time.time())
        said = {"iss": self.url, "sub": subject, "aud": AUDIENCE, "iat": now, "exp": now + 300, **more}
        return {claim: value for claim, value in said.items() if value is not None}

    def token(self, subject: str = "alice", *, header: dict[str, Any] | None = None, **claims: Any) -> str:
        return signed(
            self.keys[self.current], self.claims(subject, **claims), **{"kid": self.current, **(header or {})}
        )


def signed(key: Key, claims: dict[str, Any], **header: Any) -> str:
    """Return a token; its algorithm is the usual one of the key unless the header says another."""
    usual = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA", "oct": "HS256"}[key.key_type]
    header = {"alg": usual, "typ": "JWT", **header}
    with warnings.catch_warnings():
        # RFC 9864 gives EdDSA another name, by which no issuer calls it yet.
        warnings.simplefilter("ignore", SecurityWarning)
        return jwt.encode(header, claims, key, algorithms=[header["alg"]])


def new_rsa(kid: str, bits: int = 2048) -> RSAKey:
    return RSAKey.generate_key(bits, {"kid": kid, "use": "sig"}, private=True)


def new_ec(kid: str, curve: str = "P-256") -> ECKey:
    return ECKey.generate_key(curve, {"kid": kid, "use": "sig"}, private=True)


def new_ed25519(kid: str) -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid, "use": "sig"}, private=True)
