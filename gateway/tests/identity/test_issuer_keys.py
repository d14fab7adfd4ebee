"""The keys of an issuer: when they are read, and what happens when it is away, slow, or answers nonsense."""

from __future__ import annotations

import asyncio
import json
import ssl

import pytest
from aiohttp import web
from joserfc.errors import SecurityWarning
from structlog.testing import capture_logs
from tests.harness import issuer as issuers
from tests.harness.certificates import self_signed
from tests.harness.issuer import AUDIENCE, DISCOVERY, KEYS, Issuer

from cloudspan_common.errors import Unauthenticated, Unreachable
from cloudspan_common.testing import FakeClock
from cloudspan_gateway.identity import issuer_keys
from cloudspan_gateway.identity.config import OidcConfig
from cloudspan_gateway.identity.issuer_keys import MAX_BYTES, IssuerKeys


@pytest.fixture
async def issuer():
    async with Issuer.running() as running:
        yield running


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def keys(issuer, clock):
    return IssuerKeys(OidcConfig(issuer.url, AUDIENCE), clock)


async def unreachable(keys, kid="new"):
    with pytest.raises(Unreachable) as error:
        await keys.key(kid)
    assert (error.value.reason, error.value.retry_after_s) == ("ISSUER_UNREACHABLE", 10.0)
    return error.value.message


async def unknown(keys, kid="new"):
    with pytest.raises(Unauthenticated, match="not signed with a key of issuer"):
        await keys.key(kid)


async def test_a_key_is_the_same_until_the_issuer_changes_it(keys, issuer, clock):
    """Under the same id another key is another key."""
    first = await keys.key("key-1")
    await keys.refresh()
    assert await keys.key("key-1") is first
    issuer.rotate("key-1")
    await keys.refresh()
    assert keys.known("key-1") is not first
    issuer.drop("key-1")
    await keys.refresh()
    assert keys.known("key-1") is None


async def test_an_unknown_key_makes_one_look_for_all_callers_and_not_soon_another(keys, issuer, clock):
    """However many forged tokens there are, the issuer is asked once in 10 s."""
    await asyncio.gather(*(unknown(keys, f"forged-{n}") for n in range(50)))
    assert issuer.asked[KEYS] == 1
    issuer.rotate("new")
    await clock.advance(9.9)
    await unknown(keys)
    await clock.advance(0.1)
    assert await keys.key("new")
    assert issuer.asked == {DISCOVERY: 2, KEYS: 2}


async def test_keys_are_read_every_five_minutes(keys, issuer, clock):
    """A stolen key that nobody names is forgotten all the same."""
    running = asyncio.ensure_future(keys.run())
    await _until(lambda: keys.known("key-1"))
    issuer.drop("key-1")
    await clock.advance(299)
    assert keys.known("key-1")
    await clock.advance(1)
    await _until(lambda: keys.known("key-1") is None)
    running.cancel()
    await asyncio.wait({running})


async def _until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - a look at the issuer has no event
            await asyncio.sleep(0.002)


async def test_while_the_issuer_is_away_known_keys_count_and_unknown_ones_may_be_good(keys, issuer, clock):
    """UNAVAILABLE, since a new token is not what is missing; the log has the reason, once."""
    first = await keys.key("key-1")
    issuer.instead[KEYS] = _answering(status=503)
    with capture_logs() as logged:
        for _ in range(3):
            await clock.advance(10)
            assert "can't be read just now" in await unreachable(keys)
    assert await keys.key("key-1") is first
    assert [event["reason"] for event in logged] == [f"{issuer.url}{KEYS} answered 503; redirects are not followed"]
    await unreachable(keys)
    assert issuer.asked[KEYS] == 4
    del issuer.instead[KEYS]
    await clock.advance(10)
    await unknown(keys)


async def test_an_issuer_that_never_answered_is_unreachable(clock):
    """Nobody listens there."""
    keys = IssuerKeys(OidcConfig("http://127.0.0.1:9", AUDIENCE), clock)
    await unreachable(keys)
    assert "0 keys | Cannot connect" in repr(keys)


def _answering(body=b"", status=200, **headers):
    async def answer(_request):
        return web.Response(body=body, status=status, headers=headers)

    return answer


def _ten_thousand():
    one = issuers.new_ec("key").as_dict(private=False)
    return json.dumps({"keys": [{**one, "kid": f"key-{n}"} for n in range(10_000)]}).encode()


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "is not JSON"),
        (b"", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b"{}", "has no list of keys"),
        (b'{"keys": {"kid": "key-1"}}', "has no list of keys"),
        (_ten_thousand(), "is larger than 256 KiB"),
        (b" " * (MAX_BYTES + 1), "is larger than 256 KiB"),
    ],
)
async def test_an_answer_that_is_not_a_set_of_keys_changes_nothing(keys, issuer, clock, body, why):
    """The keys before it stay."""
    first = await keys.key("key-1")
    issuer.instead[KEYS] = _answering(body)
    await keys.refresh()
    assert why in repr(keys)
    assert keys.known("key-1") is first


async def test_redirects_are_not_followed(keys, issuer):
    """Wherever they lead."""
    async with Issuer.running() as elsewhere:
        for path in (DISCOVERY, KEYS):
            issuer.instead = {path: _answering(status=302, Location=f"{elsewhere.url}{path}")}
            await keys.refresh()
            assert "answered 302; redirects are not followed" in repr(keys)
        assert not elsewhere.asked


async def test_an_answer_that_is_packed_is_not_unpacked(keys, issuer):
    """256 KiB could hold 256 MiB."""

    async def packed(_request):
        response = web.json_response(issuer.jwks())
        response.enable_compression(web.ContentCoding.gzip)
        return response

    issuer.instead[KEYS] = packed
    await keys.refresh()
    assert keys.known("key-1") is None
    assert "is not JSON" in repr(keys)


async def test_a_slow_issuer_keeps_nobody_waiting_for_long(keys, issuer, monkeypatch):
    """One byte at a time is slow too."""
    monkeypatch.setattr(issuer_keys, "FETCH_S", 0.05)
    ended = asyncio.Event()

    async def drip(request):
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.01)
        except (ConnectionError, asyncio.CancelledError):
            ended.set()
            raise

    issuer.instead[KEYS] = drip
    await unreachable(keys)
    assert "no answer within" in repr(keys)


async def test_a_caller_that_leaves_does_not_end_the_look_of_the_others(keys, issuer):
    """Nor can it make the issuer be asked once for each that comes and goes."""
    go_on = asyncio.Event()

    async def slow(_request):
        await go_on.wait()
        return web.json_response(issuer.jwks())

    issuer.instead[KEYS] = slow
    leaving, staying = (asyncio.ensure_future(keys.key("key-1")) for _ in range(2))
    await _until(lambda: issuer.asked[KEYS])
    leaving.cancel()
    await asyncio.wait({leaving})
    go_on.set()
    assert await staying
    assert issuer.asked[KEYS] == 1


async def test_the_discovery_document_must_be_the_issuers_own(keys, issuer):
    """And may lead to https, or to this machine, alone."""
    for document, why in (
        ({"issuer": f"{issuer.url}/", "jwks_uri": f"{issuer.url}{KEYS}"}, "is another issuer's"),
        ({"jwks_uri": f"{issuer.url}{KEYS}"}, "is another issuer's"),
        ({"issuer": issuer.url}, "has no jwks_uri"),
        ({"issuer": issuer.url, "jwks_uri": ["x"]}, "has no jwks_uri"),
        ({"issuer": issuer.url, "jwks_uri": "http://login.example/keys"}, "is not https"),
        ({"issuer": issuer.url, "jwks_uri": "file:///etc/passwd"}, "not a URL of an issuer"),
    ):
        issuer.instead[DISCOVERY] = _answering(json.dumps(document).encode())
        await keys.refresh()
        assert why in repr(keys)
    assert issuer.asked[KEYS] == 0


async def test_an_issuer_over_https_can_not_send_the_gateway_to_its_own_machine(keys, issuer, monkeypatch):
    """What listens on loopback trusts whoever comes from there."""
    keys._config = OidcConfig("https://login.example", AUDIENCE)
    document = {"issuer": "https://login.example", "jwks_uri": f"{issuer.url}{KEYS}"}

    async def answer(_session, _url):
        return document

    monkeypatch.setattr(issuer_keys, "_fetch", answer)
    await keys.refresh()
    assert "leads from https to http" in repr(keys)


async def test_an_issuer_without_discovery_is_asked_for_its_keys_alone(issuer, clock):
    """`--oidc-jwks`."""
    keys = IssuerKeys(OidcConfig("https://login.example", AUDIENCE, jwks=f"{issuer.url}{KEYS}"), clock)
    assert await keys.key("key-1")
    assert issuer.asked == {KEYS: 1}


def _public(key, **more):
    return {**key.as_dict(private=False), **more}


@pytest.mark.parametrize(
    "jwk",
    [
        _public(issuers.new_rsa("k"), use="enc"),
        _public(issuers.new_rsa("k"), key_ops=["sign"]),
        _public(issuers.new_rsa("k"), key_ops="verify"),
        _public(issuers.new_rsa("k"), alg="RS1"),
        _public(issuers.new_rsa("k"), alg="HS256"),
        _public(issuers.new_rsa("k"), alg="none"),
        _public(issuers.new_rsa("k"), n="AQAB"),
        _public(issuers.new_rsa("k"), n="!"),
        _public(issuers.new_rsa("k"), kid=7),
        _public(issuers.new_rsa("k"), kid=""),
        _public(issuers.new_ec("k"), crv="P-384"),
        _public(issuers.new_ec("k"), x="AAAA"),
        _public(issuers.new_ec("k"), crv=["P-256"]),
        _public(issuers.new_ec("k", "secp256k1")),
        issuers.new_rsa("k").as_dict(private=True),
        {"kty": "oct", "kid": "k", "k": "c2VjcmV0"},
        {"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "AA"},
        {"kid": "k"},
        "k",
        None,
    ],
)
async def test_a_key_that_proves_nothing_is_left_out(keys, issuer, jwk):
    """The others count."""
    issuer.jwks = lambda: {"keys": [jwk, _public(issuer.keys["key-1"])]}
    assert await keys.key("key-1")
    assert keys.known("k") is None


async def test_short_rsa_keys_are_left_out(keys, issuer):
    """RFC 7518, section 3.3: 2048 bits at least."""
    with pytest.warns(SecurityWarning):
        issuer.rotate("short", issuers.new_rsa("short", 1024))
    await unknown(keys, "short")
    assert keys.known("short") is None


async def test_an_issuer_over_https_must_show_a_certificate_that_is_known(tmp_path, clock):
    """`--oidc-authority` names who signs it; without, the system's authorities do."""
    authority, context = self_signed(tmp_path)
    signing = issuers.new_rsa("key-1")

    async def answer(_request):
        return web.json_response({"keys": [signing.as_dict(private=False)]})

    app = web.Application()
    app.router.add_get(KEYS, answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        trusting = OidcConfig(url, AUDIENCE, jwks=f"{url}{KEYS}", authority=authority)
        assert await IssuerKeys(trusting, clock).key("key-1")
        strange = IssuerKeys(OidcConfig(url, AUDIENCE, jwks=f"{url}{KEYS}"), clock)
        await unreachable(strange)
        assert "certificate" in repr(strange)
        nowhere = OidcConfig(url, AUDIENCE, jwks=f"{url}{KEYS}", authority=tmp_path / "missing.pem")
        await unreachable(IssuerKeys(nowhere, clock))
    finally:
        await runner.cleanup()
    assert isinstance(context, ssl.SSLContext)
