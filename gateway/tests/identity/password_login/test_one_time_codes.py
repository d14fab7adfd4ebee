"""One-time codes and recovery codes, by the vectors of their RFC."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest

from cloudspan_gateway.identity.password_login import one_time_codes
from cloudspan_gateway.identity.password_login.one_time_codes import matching_step

SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW = 1_700_000_000.0
STEP = int(NOW // 30)


@pytest.mark.parametrize(
    ("now", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_rfc_6238(now, code):
    """Its SHA-1 vectors, cut to six digits."""
    assert matching_step(SECRET, code, now, 0) == now // 30
    assert matching_step(SECRET, f"{code[:3]} {code[3:]}", now, 0) == now // 30


def test_a_clock_may_be_one_step_off_and_no_more():
    """Phones drift."""
    totp = pyotp.TOTP(SECRET)
    found = {steps: matching_step(SECRET, totp.at(int(NOW) + 30 * steps), NOW, 0) for steps in (-2, -1, 0, 1, 2)}
    assert found == {-2: None, -1: STEP - 1, 0: STEP, 1: STEP + 1, 2: None}


def test_a_step_that_was_used_and_those_before_it_are_refused():
    """What somebody read over a shoulder is worth nothing."""
    totp = pyotp.TOTP(SECRET)
    assert matching_step(SECRET, totp.at(int(NOW)), NOW, STEP) is None
    assert matching_step(SECRET, totp.at(int(NOW) - 30), NOW, STEP) is None
    assert matching_step(SECRET, totp.at(int(NOW) + 30), NOW, STEP) == STEP + 1


@pytest.mark.parametrize(
    "code",
    [
        "",
        "12345",
        "1234567",
        "\uff12\uff18\uff17\uff10\uff18\uff12",
        "28708\u0662",
        "287082\n",
        "-87082",
        "+87082",
        "0x7082",
    ],
)
def test_what_is_not_six_digits_is_not_a_code(code):
    """Whatever Unicode calls a digit."""
    assert matching_step(SECRET, code, 59, 0) is None


def test_a_secret_has_160_bits_and_its_uri_says_what_it_is_for():
    """Authenticators read the URI from a QR code."""
    secret = one_time_codes.new_secret()
    assert len(base64.b32decode(secret)) == 20
    assert secret != one_time_codes.new_secret()
    parts = urlsplit(one_time_codes.uri(secret, "alice@example.org", "main"))
    assert (parts.scheme, parts.netloc, parts.path) == ("otpauth", "totp", "/Cloudspan%20main:alice%40example.org")
    assert parse_qs(parts.query) == {"secret": [secret], "issuer": ["Cloudspan main"]}


def test_a_recovery_code_works_once_however_it_is_typed():
    """Ten of 120 bits; digests are kept, and a used one is gone."""
    codes = one_time_codes.new_recovery_codes()
    assert len(set(codes)) == 10
    assert all(re.fullmatch("[a-z2-7]{6}(-[a-z2-7]{6}){3}", code) for code in codes)
    kept = one_time_codes.kept(codes)
    assert not any(code in kept or code.replace("-", "") in kept for code in codes)
    left = one_time_codes.without(kept, f" {codes[3].upper().replace('-', ' ')}")
    assert one_time_codes.count(left) == 9
    assert one_time_codes.without(left, codes[3]) is None
    assert one_time_codes.without(left, codes[4]) is not None


def test_a_digest_or_nothing_is_not_a_recovery_code():
    """What is in the database opens nothing."""
    kept = one_time_codes.kept(one_time_codes.new_recovery_codes())
    for code in ("", "-", json.loads(kept)[0], hashlib.sha256(b"").hexdigest()):
        assert one_time_codes.without(kept, code) is None
    assert one_time_codes.without("", "anything") is None
    assert one_time_codes.count("") == 0
