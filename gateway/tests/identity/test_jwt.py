"""Callers by JWTs: whose tokens are accepted, and which are not, by a real issuer on loopback."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import re
import time

import grpc
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from gateway.tests.accesses import Known
from gateway.tests.callers import get_server, refused
from gateway.tests.calls import call
from joserfc.jwk import OctKey
from tests.harness import issuer as issuers
from tests.harness.issuer import AUDIENCE, Issuer, signed

from cloudspan_common.errors import CloudspanError, Unauthenticated
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.access.principal import Method
from cloudspan_gateway.identity.config import OidcConfig
from cloudspan_gateway.identity.jwt import MAX_REMEMBERED, MAX_TOKEN, JwtAuthenticator

PATH = "/cloudspan.v1.ServerService/GetServer"


@pytest.fixture
async def issuer():
    async with Issuer.running() as running:
        yield running


@pytest.fixture
def clock():
    return FakeClock(now=time.time())


@pytest.fixture
def known(issuer, clock):
    """An authenticator of the issuer's tokens."""
    return JwtAuthenticator(OidcConfig(issuer.url, AUDIENCE), clock)


async def who(authenticator, token, key="authorization"):
    return await authenticator.authenticate(call(PATH, metadata=((key, f"Bearer {token}"),)))


async def why(authenticator, token):
    """Why a token is refused; the message never shows any of it."""
    with pytest.raises(Unauthenticated) as refusal:
        await who(authenticator, token)
    assert not any(part and part in refusal.value.message for part in token.split("."))
    return refusal.value.message


def b64(value):
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def test_a_token_says_who_its_bearer_is_and_its_groups(known, issuer):
    """The groups count for role bindings as the subject does."""
    claims = issuer.claims("auth0|5f7c", groups=["ops", "dev/eu", "ops"], jti="id-1")
    found = await who(known, issuer.token("auth0|5f7c", **{k: v for k, v in claims.items() if k != "sub"}))
    assert found.members == ("subjects/auth0|5f7c", "groups/ops", "groups/dev/eu")
    assert (found.method, found.credential, found.tenant) == (Method.METHOD_JWT, "jwt/id-1", "")
    assert found.expire_time == claims["exp"]


@pytest.mark.parametrize("jti", [None, "", "a b", "x" * 65, 7, "../../audit"])
async def test_a_token_without_a_plain_id_is_known_by_its_digest(known, issuer, jti):
    """The audit's records can't be written by whoever chooses ids."""
    if jti == 7:
        assert "not a signed JWT" in await why(known, issuer.token(jti=jti))
    else:
        assert re.fullmatch("jwt/[0-9a-f]{32}", (await who(known, issuer.token(jti=jti))).credential)


async def test_names_come_from_the_claims_that_are_configured(issuer):
    """Of whatever kind the issuer writes them: one group may stand without its list."""
    config = OidcConfig(issuer.url, AUDIENCE, subject_claim="email", groups_claim="roles")
    found = await who(JwtAuthenticator(config), issuer.token(email="alice@example.com", roles="ops", groups=["admins"]))
    assert found.members == ("subjects/alice@example.com", "groups/ops")


@pytest.mark.parametrize(
    "make",
    [
        lambda: issuers.new_rsa("k"),
        lambda: issuers.new_ec("k"),
        lambda: issuers.new_ed25519("k"),
    ],
)
async def test_keys_of_each_kind_verify(known, issuer, make):
    """RSA, elliptic curves, Ed25519."""
    issuer.rotate("k", make())
    assert (await who(known, issuer.token())).subject == "subjects/alice"


@pytest.mark.parametrize(("curve", "alg"), [("P-384", "ES384"), ("P-521", "ES512")])
async def test_each_curve_has_its_algorithm(known, issuer, curve, alg):
    issuer.rotate("k", issuers.new_ec("k", curve))
    assert (await who(known, issuer.token(header={"alg": alg}))).subject == "subjects/alice"


@pytest.mark.parametrize("alg", ["RS384", "RS512", "PS256", "PS384", "PS512"])
async def test_an_rsa_key_verifies_all_of_its_algorithms(known, issuer, alg):
    assert (await who(known, issuer.token(header={"alg": alg}))).subject == "subjects/alice"


async def test_a_key_that_says_its_algorithm_verifies_no_other(known, issuer):
    issuer.jwks = lambda: {"keys": [{**issuer.keys["key-1"].as_dict(private=False), "alg": "PS256"}]}
    assert await who(known, issuer.token(header={"alg": "PS256"}))
    assert "an algorithm that its key is not for" in await why(known, issuer.token(header={"alg": "RS256"}))


async def test_no_signature_and_shared_secrets_are_never_accepted(known, issuer):
    """`none` in all its spellings, and the public key taken for a secret of HMAC."""
    claims = issuer.claims()
    for alg in ("none", "None", "NONE", "nOnE", "", None, ["RS256"], {"alg": "RS256"}, 0, "HS256", "RS256 ", "ES256"):
        for signature in (b"", b"x", b"x" * 256):
            token = f"{b64({'alg': alg, 'kid': 'key-1', 'typ': 'JWT'})}.{b64(claims)}.{b64(signature)}"
            await why(known, token)
    public = issuer.keys["key-1"]
    forms = (
        public.as_pem(private=False),
        public.as_der(private=False),
        json.dumps(public.as_dict(private=False)).encode(),
    )
    for secret in (*forms, forms[0].rstrip(b"\n")):
        for alg, digest in (("HS256", "sha256"), ("HS384", "sha384"), ("HS512", "sha512")):
            said = f"{b64({'alg': alg, 'kid': 'key-1'})}.{b64(claims)}"
            text = await why(known, f"{said}.{b64(hmac.digest(secret, said.encode(), digest))}")
            assert "an algorithm that its key is not for" in text
    # An issuer that publishes a shared secret by mistake gives it to everybody.
    issuer.jwks = lambda: {"keys": [OctKey.generate_key(256, {"kid": "oct", "alg": "HS256"}).as_dict(private=True)]}
    other = JwtAuthenticator(OidcConfig(issuer.url, AUDIENCE))
    assert "not signed with a key of issuer" in await why(other, issuer.token(header={"kid": "oct"}))


async def test_a_token_brings_no_key_of_its_own_and_names_no_place_for_one(known, issuer):
    """`jwk`, `jku`, `x5u` and `x5c` are not looked at, and a key's id is nothing but that."""
    mine = issuers.new_rsa("key-1")
    public = mine.as_dict(private=False)
    async with Issuer.running() as evil:
        evil.keys = {"key-1": mine}
        for header in (
            {"jwk": public, "kid": "key-1"},
            {"jku": f"{evil.url}/keys", "kid": "key-1"},
            {"x5u": f"{evil.url}/keys", "kid": "key-1"},
        ):
            head = {"alg": "RS256", "typ": "JWT", **header}
            token = f"{b64(head)}.{b64(issuer.claims())}.{b64(_signature(mine, head, issuer.claims()))}"
            assert "its signature is wrong" in await why(known, token)
        for kid in (
            f"{evil.url}/keys",
            "../../../../dev/null",
            "/etc/passwd",
            "key-1' OR '1'='1",
            "key-1\x00",
            "KEY-1",
            " key-1",
        ):
            assert "not signed with a key of issuer" in await why(known, signed(mine, issuer.claims(), kid=kid))
        assert not evil.asked
    for kid in ("", None, 7, ["key-1"], {"a": 1}, "k" * 5000):
        head = {"alg": "RS256", "kid": kid}
        await why(known, f"{b64(head)}.{b64(issuer.claims())}.{b64(b'x' * 256)}")


def _signature(key, head, claims):
    private = serialization.load_pem_private_key(key.as_pem(private=True), None)
    return private.sign(f"{b64(head)}.{b64(claims)}".encode(), padding.PKCS1v15(), hashes.SHA256())


async def test_a_header_that_must_be_understood_and_is_not_is_refused(known, issuer):
    """`crit` (RFC 7515, section 4.1.11), and payloads that are not encoded (RFC 7797)."""
    for header in ({"crit": ["exp"], "exp": 1}, {"crit": ["http://example/x"], "http://example/x": True}):
        head = {"alg": "RS256", "kid": "key-1", **header}
        claims = issuer.claims()
        assert await why(known, f"{b64(head)}.{b64(claims)}.{b64(_signature(issuer.keys['key-1'], head, claims))}")
    head = {"alg": "RS256", "kid": "key-1", "b64": False, "crit": ["b64"]}
    await why(known, f"{b64(head)}.{b64(issuer.claims())}.{b64(b'x' * 256)}")


async def test_another_issuer_with_the_same_key_id_is_another_issuer(known, issuer):
    """Its signature is wrong; with our issuer's key and another issuer's name it is the name that is wrong."""
    async with Issuer.running() as other:
        assert "its signature is wrong" in await why(known, other.token())
        assert "its signature is wrong" in await why(known, other.token(iss=issuer.url))
    for iss in (f"{issuer.url}/", issuer.url.upper(), issuer.url[:-1], "", [issuer.url], None, "https://login.example"):
        await why(known, issuer.token(iss=iss))
    assert "of another issuer" in await why(known, issuer.token(iss=f"{issuer.url}/"))


@pytest.mark.parametrize(
    "aud", ["other", "Cloudspan", "cloudspan ", "cloud", [], ["other", "cloudspan2"], "", None, 7, [7], {}]
)
async def test_a_token_for_somebody_else_is_refused(known, issuer, aud):
    reason = await why(known, issuer.token(aud=aud))
    assert ("it is for another audience" if aud else "it has no claim aud") in reason


async def test_a_token_may_be_for_several(known, issuer):
    """As long as this gateway is among them."""
    assert await who(known, issuer.token(aud=["other", AUDIENCE]))


async def test_clocks_may_differ_by_the_leeway_at_both_ends(known, issuer):
    """30 s by default; beyond it the token is refused."""
    now = int(time.time())
    for good in ({"exp": now - 25}, {"nbf": now + 25}, {"iat": now + 25}):
        assert await who(known, issuer.token(**good))
    assert "it has expired" in await why(known, issuer.token(exp=now - 31))
    for early in ({"nbf": now + 40}, {"iat": now + 40}):
        assert "it is not valid yet; do the clocks" in await why(known, issuer.token(**early))
    strict = JwtAuthenticator(OidcConfig(issuer.url, AUDIENCE, leeway_s=0))
    assert "it has expired" in await why(strict, issuer.token(exp=now - 1))


@pytest.mark.parametrize("exp", [None, "soon", [], {}, True, float("inf"), float("nan"), 10**400, -1, ""])
async def test_a_token_without_an_end_is_refused(known, issuer, exp):
    claims = {**issuer.claims(), "exp": exp}
    if exp is None:
        assert "it has no claim exp" in await why(known, issuer.token(exp=None))
        return
    head = {"alg": "RS256", "kid": "key-1"}
    await why(known, f"{b64(head)}.{b64(claims)}.{b64(_signature(issuer.keys['key-1'], head, claims))}")


async def test_a_token_cut_padded_or_stretched_anywhere_is_refused(known, issuer):
    """One token has one spelling; the good one goes on."""
    token = issuer.token()
    assert await who(known, token)
    head, body, signature = token.split(".")
    bad = [token[:-1], token[1:], f"{token}=", f"{token}==", f"{head}=.{body}.{signature}", f"{token}.", f".{token}"]
    bad += [
        f"{head}.{body}.",
        f"{head}..{signature}",
        f".{body}.{signature}",
        f"{head}.{body}",
        f"{token}.{signature}",
        "..",
        ".",
    ]
    bad += [
        f"{head}.{body}.{signature}{signature}",
        f"{token}\u00e9",
        f"{token},{token}",
        token.replace("_", "/") + "+",
    ]
    bad += [f"{head}.{b64({**issuer.claims(), 'sub': 'root'})}.{signature}", f"{b64(b'[' * 3000)}.{body}.{signature}"]
    last = signature[-1]  # its low bits mean nothing, and a lenient decoder would take any of them
    bad += [token[:-1] + chr(ord(last) + 1) if last not in "Zz9-_" else token[:-1] + "A"]
    for each in bad:
        with pytest.raises(Unauthenticated):
            await who(known, each)
    assert await who(known, token)


async def test_a_large_token_is_refused_before_it_is_read(known, issuer):
    text = await why(known, issuer.token(padding="x" * MAX_TOKEN))
    assert f"{MAX_TOKEN} are allowed" in text
    assert not issuer.asked


@pytest.mark.parametrize(
    "sub", [None, "", " alice", "alice\n", "al\x00ice", "\u0430lice", "x" * 256, ["alice"], 7, {}, True]
)
async def test_a_subject_that_is_not_a_plain_name_is_refused(known, issuer, sub):
    """Cyrillic letters that look like Latin ones, and what would break a line of a log."""
    head, claims = {"alg": "RS256", "kid": "key-1"}, {**issuer.claims(), "sub": sub}
    reason = await why(known, f"{b64(head)}.{b64(claims)}.{b64(_signature(issuer.keys['key-1'], head, claims))}")
    assert ("claim sub is not a name" if isinstance(sub, str) else "its subject is not a text") in reason


@pytest.mark.parametrize(
    "groups", [[7], {"ops": 1}, ["ops", ""], ["o\nps"], 7, [["ops"]], ["x" * 256], [f"g{n}" for n in range(257)]]
)
async def test_groups_that_are_not_names_are_refused(known, issuer, groups):
    """Rather than left out: whoever configured them should see it."""
    assert "claim groups is not a list" in await why(known, issuer.token(groups=groups))


async def test_a_token_that_is_bound_to_a_key_of_its_holder_is_refused(known, issuer):
    """RFC 7800: taken as a bearer token it would work for whoever stole it."""
    assert "bound to a key of its holder" in await why(known, issuer.token(cnf={"jkt": "abc"}))


async def test_a_verified_token_is_remembered_until_it_expires_and_no_longer(known, issuer, clock):
    """Its issuer is asked once, and its signature looked at once."""
    token = issuer.token(exp=int(clock.now()) + 100)
    first = await who(known, token)
    assert await who(known, token) is first
    await clock.advance(129)
    assert await who(known, token) is first
    await clock.advance(2)
    assert "it has expired" in await why(known, token)
    assert issuer.asked["/keys"] == 1


async def test_what_is_remembered_is_bounded(known, issuer, monkeypatch):
    """The least used goes first."""
    monkeypatch.setattr("cloudspan_gateway.identity.jwt.MAX_REMEMBERED", 2)
    tokens = [issuer.token(f"user-{n}") for n in range(3)]
    first = await who(known, tokens[0])
    await who(known, tokens[1])
    assert await who(known, tokens[0]) is first
    await who(known, tokens[2])
    assert "2 tokens" in repr(known)
    assert await who(known, tokens[0]) is first
    assert MAX_REMEMBERED > 1000


async def test_other_credentials_are_left_to_others(known, issuer):
    """Opaque tokens have no dot; what comes as x-auth-session is a session's."""
    assert await who(known, "s3ss10n") is None
    assert await known.authenticate(call(PATH, metadata=(("x-auth-session", issuer.token()),))) is None
    assert await known.authenticate(call(PATH)) is None
    assert not issuer.asked


async def test_calls_go_on_while_keys_rotate_and_end_when_their_key_is_dropped(deployment, issuer, told):
    """Over gRPC: a new key counts at once, a stolen one stops at the next look, tokens remembered by it included."""
    deployment.access_of = Known(alice="openstack", mallory="openstack")
    await deployment.plug_in()
    oidc = {"auth": ("jwt",), "oidc_issuer": issuer.url, "oidc_audience": AUDIENCE}
    clock = FakeClock(now=time.time())
    async with deployment.opened(**oidc):
        deployment.gateway._jwt._keys._clock = clock

        def asked(token):
            return get_server(deployment.channel, metadata=(("authorization", f"Bearer {token}"),))

        old = issuer.token()
        await asked(old)
        issuer.rotate("key-2")
        await clock.advance(11)
        await asyncio.gather(asked(old), asked(issuer.token("mallory")), asked(issuer.token()))
        stolen = issuer.drop("key-1")
        await deployment.gateway._jwt._keys.refresh()
        for each in (old, signed(stolen, issuer.claims("mallory"), kid="key-1")):
            error = await refused(asked(each))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
        await asked(issuer.token())
        assert issuer.asked["/keys"] <= 4


async def test_a_refusal_never_says_more_than_why(known, issuer):
    """Errors of the tree alone, whatever the token is."""
    for token in ("a.b.c", "eyJ.eyJ.sig", f"{b64({})}.{b64({})}.{b64(b'')}x", f"{b64([])}.{b64([])}.AA", "-._.-"):
        with pytest.raises(CloudspanError) as error:
            await who(known, token)
        assert error.value.message.startswith("the token is refused: it")
