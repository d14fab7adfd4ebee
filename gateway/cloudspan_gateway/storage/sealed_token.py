"""Tokens that a caller brings back to go on where it was, and can neither read nor make.

Encrypted: the numbers in them would show how much happens to other tenants.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from cloudspan_common.errors import CloudspanError, InvalidRequest, Violation

if TYPE_CHECKING:
    from cloudspan_gateway.storage.cipher import Cipher

DIGEST_BYTES = 16
_MAX_TOKEN = 1024


class SealedTokens:
    """Makes tokens of one kind and reads them: good for one query, at every gateway of the installation."""

    def __init__(self, cipher: Cipher, kind: str, field: str, otherwise: str) -> None:
        """Take what the tokens are of, the request's field that they come in, and what to do without one."""
        self._cipher = cipher
        self._kind = kind
        self._field = field
        self._otherwise = otherwise

    def __repr__(self) -> str:
        return f"<SealedTokens of {self._kind}>"

    def token(self, query: bytes, body: bytes) -> str:
        """Return the token of a body; `query` is a digest of `DIGEST_BYTES` of what is asked for, and for whom."""
        return base64.urlsafe_b64encode(self._cipher.seal(query + body, self._kind, "")).rstrip(b"=").decode()

    def read(self, token: str, query: bytes) -> bytes:
        """Return the body of a token.

        Raises:
            InvalidRequest: PAGE_TOKEN_MALFORMED, or PAGE_TOKEN_OTHER_QUERY when it was made for another query.
        """
        try:
            opened = self._opened(token)
        except (ValueError, CloudspanError):  # not base64, cut, altered, under a key that is gone
            text = (
                f"invalid {self._field}: it was not issued here, or was cut or changed; send {self._field} exactly as "
                f"it came, or {self._otherwise}"
            )
            raise self._refused(text, "PAGE_TOKEN_MALFORMED") from None
        if opened[:DIGEST_BYTES] != query:
            text = (
                f"{self._field} was made for another request; keep all else of it, the tenant and x-pool as they were, "
                f"or {self._otherwise}"
            )
            raise self._refused(text, "PAGE_TOKEN_OTHER_QUERY")
        return opened[DIGEST_BYTES:]

    def _opened(self, token: str) -> bytes:
        if len(token) > _MAX_TOKEN:
            raise binascii.Error("too long")
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return self._cipher.open(sealed, self._kind, "")

    def _refused(self, text: str, reason: str) -> InvalidRequest:
        return InvalidRequest(text, reason=reason, violations=[Violation(self._field, text)])
