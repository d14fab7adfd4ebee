"""What an adapter believes of a call's context, and every way in which somebody may try to be believed."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import jwt
import msgspec
import pytest
from common.kit.tests.signing_gateway import CONTEXT, PROOF, SigningGateway, metadata_of
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cloudspan_common.caller_context import LEEWAY_S, LIFE_S, Bound, pair_key, proof
from cloudspan_common.registry.context_keys import ContextKey
from cloudspan_kit import Caller
from cloudspan_kit.serve.context_verifier import ContextVerifier, NumberWindow

GET = Bound("cloudspan.v1.ServerService/GetServer", "request-1", "00-aa-bb-01")
DELETE = GET._replace(method="cloudspan.v1.ServerService/DeleteServer")
ALICE = Caller("team", "users/alice", ("member", "viewer"), "p1")
TYPE = "cloudspan-context+jwt"


@pytest.fixture
def gateway() -> SigningGateway:
    return SigningGateway()


@pytest.fixture
def verifier(gateway: SigningGateway) -> ContextVerifier:
    """An adapter's, that knows the gateway's key."""
    made = ContextVerifier("acme")
    made.know({gateway.key.kid: gateway.key})
    return made


def test_a_context_of_its_own_and_one_with_a_proof_name_the_caller(
    gateway: SigningGateway, verifier: ContextVerifier
) -> None:
    """The first is what a gateway sends until it knows the adapter's key."""
    assert verifier.verify(GET.method, gateway.whole(GET), gateway.now) == ALICE
    assert verifier.verify(GET.method, gateway.proved(GET, verifier.public_key), gateway.now) == ALICE
    bare = Bound(GET.method)
    assert verifier.verify(GET.method, gateway.proved(bare, verifier.public_key), gateway.now) == ALICE


def test_a_context_is_verified_once_for_many_calls(gateway: SigningGateway, verifier: ContextVerifier) -> None:
    """One signature for all calls of some seconds; each of them has its own proof."""
    for number in range(100):
        bound = GET._replace(request_id=f"request-{number}")
        assert verifier.verify(GET.method, gateway.proved(bound, verifier.public_key), gateway.now) == ALICE
    assert repr(verifier) == "<ContextVerifier of acme: 1 keys, 1 contexts>"


def _encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _unsigned(gateway: SigningGateway, algorithm: str) -> str:
    header = {"alg": algorithm, "typ": TYPE, "kid": gateway.key.kid}
    claims = msgspec.to_builtins(gateway.claims(**GET._asdict(), number=1))
    return f"{_encoded(header)}.{_encoded(claims)}."


def _signed_by_public_key(gateway: SigningGateway) -> str:
    """The public key, taken for the secret of an HMAC."""
    claims = msgspec.to_builtins(gateway.claims(**GET._asdict(), number=1))
    secret = gateway.signing.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return jwt.encode(claims, secret, algorithm="HS256", headers={"kid": gateway.key.kid, "typ": TYPE})


def _by_another(gateway: SigningGateway) -> str:
    other = SigningGateway()
    other.key = gateway.key
    return other.context(**GET._asdict(), number=1)


def _relabelled(gateway: SigningGateway) -> str:
    """A token of another kind, signed by the same key."""
    claims = msgspec.to_builtins(gateway.claims(**GET._asdict(), number=1))
    return jwt.encode(claims, gateway.signing, algorithm="EdDSA", headers={"kid": gateway.key.kid, "typ": "JWT"})


def _with_other_claims(gateway: SigningGateway) -> str:
    header, _claims, signature = gateway.context(**GET._asdict(), number=1).split(".")
    claims = msgspec.to_builtins(gateway.claims(**GET._asdict(), number=1, roles=("admin",)))
    return f"{header}.{_encoded(claims)}.{signature}"


Forged = Callable[[SigningGateway], str]
FORGED: dict[str, Forged] = {
    "no text": lambda _: "",
    "no JWS": lambda _: "context",
    "dots": lambda _: "..",
    "alg none": lambda g: _unsigned(g, "none"),
    "alg NONE": lambda g: _unsigned(g, "NONE"),
    "alg EdDSA without a signature": lambda g: _unsigned(g, "EdDSA"),
    "alg HS256 with the public key": _signed_by_public_key,
    "another's signature under our kid": _by_another,
    "another kind of token": _relabelled,
    "other claims under the signature": _with_other_claims,
    "cut by a character": lambda g: g.context(**GET._asdict(), number=1)[:-1],
    "cut in half": lambda g: g.context(**GET._asdict(), number=1)[:200],
    "longer": lambda g: g.context(**GET._asdict(), number=1) + "AAAA",
    "too long": lambda g: g.context(**GET._asdict(), number=1, sub="x" * 8000),
    "not ASCII": lambda g: "\u00e9" + g.context(**GET._asdict(), number=1),
    "an unknown kid": lambda _: SigningGateway().context(**GET._asdict(), number=1),
    "another platform": lambda g: g.context(**GET._asdict(), number=1, aud="openstack"),
    "our platform in capitals": lambda g: g.context(**GET._asdict(), number=1, aud="ACME"),
    "no platform": lambda g: g.context(**GET._asdict(), number=1, aud=""),
    "every platform": lambda g: g.context(**GET._asdict(), number=1, aud="-"),
    "expired": lambda g: g.context(**GET._asdict(), number=1, iat=g.now - LIFE_S - LEEWAY_S - 1),
    "of the future": lambda g: g.context(**GET._asdict(), number=1, iat=g.now + LEEWAY_S + 2),
    "living for a day": lambda g: g.context(**GET._asdict(), number=1, exp=int(g.now) + 86_400),
    "another method": lambda g: g.context(**DELETE._asdict(), number=1),
    "no method, and no proof": lambda g: g.context(number=1),
    "an empty method": lambda g: g.context(**GET._replace(method="")._asdict(), number=1),
    "another request id": lambda g: g.context(**GET._replace(request_id="other")._asdict(), number=1),
    "another trace": lambda g: g.context(**GET._replace(traceparent="")._asdict(), number=1),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_context_that_is_not_for_this_call_is_refused(
    forged: Forged, gateway: SigningGateway, verifier: ContextVerifier
) -> None:
    """Whoever made it, and however it was changed on the way."""
    sent = metadata_of(GET, {CONTEXT: forged(gateway)})
    with pytest.raises(ValueError):  # noqa: PT011 - each says something else
        verifier.verify(GET.method, sent, gateway.now)


def _proofs(gateway: SigningGateway, verifier: ContextVerifier) -> dict[str, dict[str, str]]:
    def proved(bound: Bound = GET, adapter: bytes = verifier.public_key) -> dict[str, str]:
        return gateway.proved(bound, adapter)

    good = proved()
    number, _, mac = good[PROOF].partition(".")
    stranger = X25519PrivateKey.generate()
    guessed = pair_key(stranger, verifier.public_key, gateway.key.agreement)
    return {
        "none": {**good, PROOF: ""},
        "no number": {**good, PROOF: mac},
        "another number": {**good, PROOF: f"{int(number) + 1}.{mac}"},
        "a negative number": {**good, PROOF: f"-1.{mac}"},
        "a huge number": {**good, PROOF: f"{'9' * 5000}.{mac}"},
        "a number in other digits": {**good, PROOF: f"\u0661.{mac}"},
        "a cut one": {**good, PROOF: good[PROOF][:-1]},
        "one that is not ASCII": {**good, PROOF: f"{number}.{mac}\u00e9"},
        "that of another method": {**proved(DELETE)},
        "that of another request": {**good, "x-request-id": "other"},
        "that of another trace": {**good, "traceparent": ""},
        "that for another instance": proved(adapter=X25519PrivateKey.generate().public_key().public_bytes_raw()),
        "a stranger's": {**good, PROOF: proof(guessed, good[CONTEXT], 5, GET)},
        "that of another context": {**good, CONTEXT: gateway.context(sub="users/root")},
    }


def test_a_proof_that_is_not_of_this_call_is_refused(gateway: SigningGateway, verifier: ContextVerifier) -> None:
    """The context beside it is good each time: it is the same for many calls."""
    for name, sent in _proofs(gateway, verifier).items():
        with pytest.raises(ValueError):  # noqa: PT011 - each says something else
            pytest.fail(f"{name}: {verifier.verify(GET.method, sent, gateway.now)}")


def test_a_call_that_is_sent_again_as_it_was_is_refused(gateway: SigningGateway, verifier: ContextVerifier) -> None:
    """Whoever has seen a call go by can't repeat it, also while its context still lives."""
    for sent in (gateway.whole(GET), gateway.proved(GET, verifier.public_key)):
        assert verifier.verify(GET.method, sent, gateway.now) == ALICE
        with pytest.raises(ValueError, match="used before"):
            verifier.verify(GET.method, sent, gateway.now + 1)


def test_a_context_that_was_verified_ends_all_the_same(gateway: SigningGateway, verifier: ContextVerifier) -> None:
    """By its time, with the leeway for clocks, and as soon as its key is gone."""
    first, later = gateway.proved(GET, verifier.public_key), gateway.proved(GET, verifier.public_key)
    assert first[CONTEXT] == later[CONTEXT]
    assert verifier.verify(GET.method, first, gateway.now + LIFE_S + LEEWAY_S - 2) == ALICE
    with pytest.raises(ValueError, match="it counts from"):
        verifier.verify(GET.method, later, gateway.now + LIFE_S + LEEWAY_S + 1)
    verifier.know({})
    with pytest.raises(ValueError, match="no gateway of this registry"):
        verifier.verify(GET.method, gateway.proved(GET, verifier.public_key), gateway.now)


@pytest.mark.parametrize("point", [bytes(32), (1).to_bytes(32, "little"), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_a_key_that_anybody_could_agree_with_is_not_taken(point: bytes) -> None:
    """A point of small order makes the same secret with every key: proofs would prove nothing."""
    verifier, signing = ContextVerifier("acme"), Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    key = ContextKey(signing, point, 4e9)
    verifier.know({key.kid: key})
    assert "0 keys" in repr(verifier)


def test_a_number_works_once_whatever_order_numbers_come_in() -> None:
    """Calls overtake each other; what is too old to know was sent half a minute ago."""
    window = NumberWindow()
    assert [window.take(n) for n in (1, 3, 2, 2, 3, 1)] == [True, True, True, False, False, False]
    assert window.take(65_536 + 3)
    assert not window.take(3)
    assert window.take(4)
    assert window.take(10**9)
    assert [window.take(10**9 - n) for n in (65_535, 65_536, 1, 1, 0)] == [True, False, True, False, False]
    assert repr(window) == "<NumberWindow up to 1000000000>"


def test_numbers_around_the_end_of_the_window_are_told_apart() -> None:
    """The places of a window are used again and again."""
    window = NumberWindow()
    assert all(window.take(number) for number in range(65_000, 200_000, 7))
    assert not any(window.take(number) for number in range(140_001, 200_000, 7) if (number - 65_000) % 7 == 0)
    assert window.take(199_990) is ((199_990 - 65_000) % 7 != 0)
