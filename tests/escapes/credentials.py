"""Attempts with credentials: forged, cut, expired, ended, replayed, confused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.escapes.attempt import UNAUTHENTICATED, Attempt, Code
from tests.escapes.world import PASSWORD, SECRET

from cloudspan.v1 import server_pb2, session_pb2, user_pb2

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.escapes.world import Metadata, Outcome, World

GET = "ServerService/GetServer"


def _get(world: World, *metadata: tuple[str, str | bytes]) -> Outcome:
    """Acme's server, with whatever credential."""
    return world.call(GET, server_pb2.GetServerRequest(name=world.names[f"{SECRET} server"]), extra=metadata)


def _bearer(make: Callable[[World], str]) -> Callable[[World], Outcome]:
    return lambda world: _get(world, ("authorization", f"Bearer {make(world)}"))


def _sent(make: Callable[[World], Metadata]) -> Callable[[World], Outcome]:
    return lambda world: _get(world, *make(world))


def _ended(world: World) -> str:
    token = world.login("alice")
    world.call(
        "SessionService/DeleteSession",
        session_pb2.DeleteSessionRequest(),
        extra=(("authorization", f"Bearer {token}"),),
    )
    return token


def _name_of_session(world: World) -> str:
    return str(world.do("SessionService/GetSession", session_pb2.GetSessionRequest(), by="alice").name)


def _flipped(text: str, at: int) -> str:
    other = "A" if text[at] != "A" else "B"
    return text[:at] + other + text[at + 1 :]


# ------------------------------------------------------------------ JWTs


def _jwt(**changes: Any) -> Callable[[World], Outcome]:
    """A token of the issuer's with other claims; None takes one away."""
    return _bearer(lambda world: world.issuer.token("mallory", **changes))


def _encoded(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unsigned(world: World, **header: Any) -> str:
    claims = world.issuer.claims("alice")
    return f"{_encoded({'alg': 'none', 'typ': 'JWT', **header})}.{_encoded(claims)}."


def _confused(world: World) -> str:
    """Signed by HMAC with the issuer's public key as the secret."""
    head = {"alg": "HS256", "typ": "JWT", "kid": world.issuer.current}
    said = f"{_encoded(head)}.{_encoded(world.issuer.claims('alice'))}"
    secret = world.issuer.keys[world.issuer.current].as_pem(private=False)
    return f"{said}.{_encoded(hmac.digest(secret, said.encode(), 'sha256'))}"


def _other_claims(world: World) -> str:
    """Signature and header of a good token, claims of another."""
    head, _, signature = world.issuer.token("mallory").split(".")
    return f"{head}.{_encoded(world.issuer.claims('alice'))}.{signature}"


_STRANGER = rsa.generate_private_key(65537, 2048)


def _by_stranger(world: World, **header: Any) -> str:
    """What is right but for the key, which the issuer does not have."""
    said = f"{_encoded({'alg': 'RS256', 'typ': 'JWT', **header})}.{_encoded(world.issuer.claims('alice'))}"
    return f"{said}.{_encoded(_STRANGER.sign(said.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _own_key() -> dict[str, str]:
    numbers = _STRANGER.public_key().public_numbers()
    return {"kty": "RSA", "e": _encoded(numbers.e.to_bytes(3)), "n": _encoded(numbers.n.to_bytes(256))}


JWTS = [
    Attempt("a JWT with alg none", _bearer(_unsigned), UNAUTHENTICATED),
    Attempt("a JWT with alg None", _bearer(lambda w: _unsigned(w, alg="None")), UNAUTHENTICATED),
    Attempt(
        "a JWT with alg none and the kid of a key",
        _bearer(lambda w: _unsigned(w, kid=w.issuer.current)),
        UNAUTHENTICATED,
    ),
    Attempt("a JWT signed by HMAC with the public key", _bearer(_confused), UNAUTHENTICATED),
    Attempt(
        "a JWT signed by a stranger under the issuer's kid",
        _bearer(lambda w: _by_stranger(w, kid=w.issuer.current)),
        UNAUTHENTICATED,
    ),
    Attempt(
        "a JWT that brings its own key as jwk", _bearer(lambda w: _by_stranger(w, jwk=_own_key())), UNAUTHENTICATED
    ),
    Attempt(
        "a JWT that names a key's place as jku",
        _bearer(lambda w: _by_stranger(w, jku="http://127.0.0.1:9/keys")),
        UNAUTHENTICATED,
    ),
    Attempt("a JWT whose kid is a path", _bearer(lambda w: _by_stranger(w, kid="../../../dev/null")), UNAUTHENTICATED),
    Attempt("a JWT without a kid by a stranger", _bearer(_by_stranger), UNAUTHENTICATED),
    Attempt(
        "a JWT with a critical extension",
        _bearer(lambda w: _by_stranger(w, kid=w.issuer.current, crit=["exp"])),
        UNAUTHENTICATED,
    ),
    Attempt("a JWT with another's claims under a good signature", _bearer(_other_claims), UNAUTHENTICATED),
    Attempt("a JWT that has expired", _jwt(exp=int(time.time()) - 3600), UNAUTHENTICATED),
    Attempt("a JWT that never expires", _jwt(exp=None), UNAUTHENTICATED),
    Attempt("a JWT that is not valid yet", _jwt(nbf=int(time.time()) + 3600), UNAUTHENTICATED),
    Attempt("a JWT for another audience", _jwt(aud="another"), UNAUTHENTICATED),
    Attempt("a JWT without an audience", _jwt(aud=None), UNAUTHENTICATED),
    Attempt("a JWT whose audience is part of ours", _jwt(aud="cloud"), UNAUTHENTICATED),
    Attempt("a JWT of another issuer", _jwt(iss="http://127.0.0.1:1"), UNAUTHENTICATED),
    Attempt("a JWT without an issuer", _jwt(iss=None), UNAUTHENTICATED),
    Attempt("a JWT without a subject", _jwt(sub=None), UNAUTHENTICATED),
    Attempt("a JWT whose subject is no text", _jwt(sub=["alice"]), UNAUTHENTICATED),
    Attempt(
        "a JWT whose subject is a user's name",
        _jwt(sub="users/alice"),
        (*UNAUTHENTICATED, Code.NOT_FOUND, Code.PERMISSION_DENIED),
    ),
    Attempt(
        "a JWT without its last character",
        _bearer(lambda w: w.issuer.token("mallory")[:-6]),
        UNAUTHENTICATED,
    ),
    Attempt("a JWT of 7 KB that says nothing", _bearer(lambda _: "e30." + "A" * 7000 + ".e30"), UNAUTHENTICATED),
    Attempt("two dots", _bearer(lambda _: ".."), UNAUTHENTICATED),
]

SESSIONS = [
    Attempt("no credential", _sent(lambda _: ()), UNAUTHENTICATED),
    Attempt("an empty Bearer", _bearer(lambda _: ""), UNAUTHENTICATED),
    Attempt("a token that nobody made", _bearer(lambda _: "cs_" + "x" * 43), UNAUTHENTICATED),
    Attempt("a token without its last character", _bearer(lambda w: w.tokens["alice"][:-1]), UNAUTHENTICATED),
    Attempt("a token without its first characters", _bearer(lambda w: w.tokens["alice"][3:]), UNAUTHENTICATED),
    Attempt("a token with one character more", _bearer(lambda w: w.tokens["alice"] + "A"), UNAUTHENTICATED),
    Attempt(
        "a token with its last character changed", _bearer(lambda w: _flipped(w.tokens["alice"], -1)), UNAUTHENTICATED
    ),
    Attempt(
        "a token with a character changed in its middle",
        _bearer(lambda w: _flipped(w.tokens["alice"], 20)),
        UNAUTHENTICATED,
    ),
    Attempt("a token in other case", _bearer(lambda w: "cs_" + w.tokens["alice"][3:].swapcase()), UNAUTHENTICATED),
    Attempt(
        "the digest of a token",
        _bearer(lambda w: hashlib.sha256(w.tokens["alice"].encode()).hexdigest()),
        UNAUTHENTICATED,
    ),
    Attempt("the name of a session", _bearer(_name_of_session), UNAUTHENTICATED),
    Attempt("the id of a session", _bearer(lambda w: "cs_" + _name_of_session(w).partition("/")[2]), UNAUTHENTICATED),
    Attempt("a session that was ended", _bearer(_ended), UNAUTHENTICATED),
    Attempt("the used token of the first start", _bearer(lambda w: w.bootstrap_token), UNAUTHENTICATED),
    Attempt("a password as a token", _bearer(lambda _: PASSWORD.replace(" ", "")), UNAUTHENTICATED),
    Attempt(
        "Basic credentials",
        _sent(lambda _: (("authorization", "Basic " + base64.b64encode(f"alice:{PASSWORD}".encode()).decode()),)),
        UNAUTHENTICATED,
    ),
    Attempt(
        "a good token under a scheme of its own",
        _sent(lambda w: (("authorization", f"Token {w.tokens['alice']}"),)),
        UNAUTHENTICATED,
    ),
    Attempt(
        "a good token in a header of its own", _sent(lambda w: (("x-session", w.tokens["alice"]),)), UNAUTHENTICATED
    ),
    Attempt(
        "a wrong token before a good one of another",
        _sent(lambda w: (("authorization", "Bearer cs_wrong"), ("authorization", f"Bearer {w.tokens['mallory']}"))),
        (*UNAUTHENTICATED, Code.NOT_FOUND),
    ),
    Attempt("a wrong x-auth-session", _sent(lambda _: (("x-auth-session", "cs_" + "y" * 43),)), UNAUTHENTICATED),
    Attempt(
        "a subject in metadata",
        _sent(lambda _: (("x-cloudspan-subject", "users/alice"), ("x-user", "users/alice"), ("x-tenant", "acme"))),
        UNAUTHENTICATED,
    ),
    Attempt("a tenant alone", _sent(lambda _: (("x-tenant", "acme"),)), UNAUTHENTICATED),
]


def _login(user: str, password: str = PASSWORD, code: str = "") -> Callable[[World], Outcome]:
    request = session_pb2.CreateSessionRequest(user=user, password=password, one_time_code=code)
    return lambda world: world.call("SessionService/CreateSession", request)


def _handshake(service: str, token: str) -> Callable[[World], Outcome]:
    request = session_pb2.CreateServiceSessionRequest(service=service, token=token)
    return lambda world: world.call("SessionService/CreateServiceSession", request)


def _bootstrap(world: World) -> Outcome:
    request = user_pb2.BootstrapAdministratorRequest(token=world.bootstrap_token, user_id="evil", password=PASSWORD)
    return world.call("UserService/BootstrapAdministrator", request)


_REFUSED = (Code.UNAUTHENTICATED, Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED)
LOGINS = [
    Attempt("a wrong password", _login("anna", "wrong password 12345"), _REFUSED),
    Attempt("a user that does not exist", _login("annabel"), _REFUSED),
    Attempt("another user's password hash as the password", _login("anna", "$argon2id$v=19$m=65536"), _REFUSED),
    Attempt("a user's name in other case", _login("ANNA"), _REFUSED),
    Attempt("a user's name with a quote", _login("anna' OR '1'='1"), _REFUSED),
    Attempt("a user's name with a line end", _login("anna\n"), _REFUSED),
    Attempt("a password with a null byte behind it", _login("anna", PASSWORD + "\x00"), _REFUSED),
    Attempt("a password of a megabyte", _login("anna", "p" * 2**20), _REFUSED),
    Attempt(
        "the token of the first start again",
        _bootstrap,
        (Code.UNAUTHENTICATED, Code.FAILED_PRECONDITION, Code.PERMISSION_DENIED),
    ),
    Attempt("a handshake of a service that is not registered", _handshake("ghost", str(uuid.uuid4())), _REFUSED),
    Attempt("a handshake at an address", _handshake("127.0.0.1:9", str(uuid.uuid4())), _REFUSED),
    Attempt("a handshake at a URL", _handshake("http://169.254.169.254/latest", str(uuid.uuid4())), _REFUSED),
    Attempt("a handshake of an adapter", _handshake("memory", str(uuid.uuid4())), _REFUSED),
    Attempt("a handshake of a user", _handshake("users/alice", str(uuid.uuid4())), _REFUSED),
    Attempt("a handshake with a token that is no UUID", _handshake("ghost", "1"), _REFUSED),
]
