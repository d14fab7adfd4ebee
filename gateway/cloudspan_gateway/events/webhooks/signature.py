"""Secrets of webhooks, and what is signed with them.

Standard Webhooks, symmetric signatures: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from cloudspan_common.errors import InvalidRequest, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "whsec_"
_BYTES = 32
_FEWEST_BYTES, _MOST_BYTES = 24, 64


def new_secret() -> bytes:
    """Return a secret that nobody knows."""
    return os.urandom(_BYTES)


def shown(secret: bytes) -> str:
    """Return a secret as its receiver gets it."""
    return PREFIX + base64.b64encode(secret).decode()


def secret_of(text: str) -> bytes:
    """Return the secret that a caller has chosen.

    Raises:
        InvalidRequest: BAD_WEBHOOK_SECRET: it is none; the message says nothing of it.
    """
    try:
        found = base64.b64decode(text.removeprefix(PREFIX), validate=True) if text.startswith(PREFIX) else b""
    except (binascii.Error, ValueError):
        found = b""
    if not _FEWEST_BYTES <= len(found) <= _MOST_BYTES:
        why = (
            f"webhook.secret is not {PREFIX} and the Base64 of {_FEWEST_BYTES} to {_MOST_BYTES} bytes; leave it out to "
            "get one"
        )
        raise InvalidRequest(why, reason="BAD_WEBHOOK_SECRET", violations=[Violation("webhook.secret", why)])
    return found


def headers(event_id: str, time: float, body: bytes, secrets: Iterable[bytes]) -> dict[str, str]:
    """Return the headers of a request: a signature by each secret. `time` is Unix seconds."""
    stamp = str(int(time))
    signed = f"{event_id}.{stamp}.".encode() + body
    made = (base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in secrets)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in made),
    }
