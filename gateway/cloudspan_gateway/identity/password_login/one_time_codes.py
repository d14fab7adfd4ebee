"""One-time codes of an authenticator (TOTP, RFC 6238), and the recovery codes for when it is lost.

Pure functions; `logins` keeps in the user's row what was used.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from typing import TYPE_CHECKING

import pyotp
from pyotp.utils import strings_equal

if TYPE_CHECKING:
    from collections.abc import Sequence

STEP_S, DIGITS = 30, 6
LEEWAY_STEPS = 1
"""How many steps a phone's clock may be behind or ahead."""
PENDING_S = 600.0
"""How long a set-up waits for its confirmation."""
RECOVERY_CODES = 10
_SECRET_CHARS = 32  # 160 bits, as RFC 4226 recommends
_RECOVERY_BYTES, _GROUP = 15, 6  # 120 bits are 24 characters: nobody tries them, so a plain digest keeps them
_ISSUER = "Cloudspan"


def new_secret() -> str:
    """Return a new secret in base32."""
    return pyotp.random_base32(_SECRET_CHARS)


def uri(secret: str, user: str, installation: str) -> str:
    """Return the `otpauth://` URI that authenticators read from a QR code."""
    return _totp(secret).provisioning_uri(name=user, issuer_name=f"{_ISSUER} {installation}")


def matching_step(secret: str, code: str, now: float, last_step: int) -> int | None:
    """Return the time step that `code` is of; None if of none near `now`, or of one that is not after `last_step`."""
    code = code.replace(" ", "")
    if not (len(code) == DIGITS and code.isascii() and code.isdigit()):
        return None
    totp, present, found = _totp(secret), int(now // STEP_S), None
    for step in range(present - LEEWAY_STEPS, present + LEEWAY_STEPS + 1):
        # All are compared, whichever fits.
        if strings_equal(totp.generate_otp(step), code) and step > last_step:
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Return codes to be shown once: `abcdef-ghijkl-mnopqr-stuvwx`."""
    return [_grouped(base64.b32encode(os.urandom(_RECOVERY_BYTES)).decode().lower()) for _ in range(RECOVERY_CODES)]


def kept(codes: Sequence[str]) -> str:
    """Return what a row keeps of recovery codes: a JSON list of digests."""
    return json.dumps([_digest(code) for code in codes])


def count(digests: str) -> int:
    """Return how many are left in a row."""
    return len(json.loads(digests or "[]"))


def without(digests: str, code: str) -> str | None:
    """Return what a row keeps once `code` was used; None if it is not one of them."""
    left: list[str] = json.loads(digests or "[]")
    used = _digest(code)
    if used not in left:
        return None
    left.remove(used)
    return json.dumps(left)


def _totp(secret: str) -> pyotp.TOTP:
    return pyotp.TOTP(secret, digits=DIGITS, digest=hashlib.sha1, interval=STEP_S)


def _grouped(code: str) -> str:
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def _digest(code: str) -> str:
    plain = code.replace("-", "").replace(" ", "").lower()
    return hashlib.sha256(b"recovery code " + plain.encode()).hexdigest()
