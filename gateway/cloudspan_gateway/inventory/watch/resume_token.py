"""The place of a watch in the changes, and the token that a caller brings back to go on from there.

Encrypted: the numbers in it would show how much changes in other tenants' clusters, and ids that nobody was shown.
"""

from __future__ import annotations

import base64
import binascii
import struct
from typing import TYPE_CHECKING, NamedTuple

from cloudspan_common.errors import CloudspanError, InvalidRequest, Violation

if TYPE_CHECKING:
    from cloudspan_gateway.storage.cipher import Cipher

DIGEST_BYTES = 16
_TOKENS = "resume tokens"
_MAX_TOKEN = 1024


class Place(NamedTuple):
    """How far a watch has come."""

    since: int
    """Everything up to this change was told, or was there when the snapshot began."""
    upto: int
    """Changes up to this one are told by resource, each once; behind it one by one."""
    at: int
    """The last change that was looked at."""
    next_id: int | None = None
    """Within the snapshot: the next row; None when the snapshot is over."""

    @classmethod
    def live(cls, sequence: int) -> Place:
        """Return the place right behind a change."""
        return cls(sequence, sequence, sequence)


_NUMBERS = struct.Struct(">qqqq")  # always as long: the length of a token tells nothing of how large they are
_NO_ROW = -1


class ResumeTokens:
    """Makes tokens and reads them: good for one query of one caller's view, at every gateway of the installation."""

    def __init__(self, cipher: Cipher) -> None:
        self._cipher = cipher

    def __repr__(self) -> str:
        return "<ResumeTokens>"

    def token(self, epoch: str, query: bytes, sight: bytes, place: Place) -> str:
        """Return the token of a place.

        Args:
            epoch: Of the inventory; see `change_sequence`.
            query: A digest of what is watched, and for whom; `DIGEST_BYTES` long.
            sight: A digest of the clusters and projects that the watch has seen, as long.
            place: How far it has come.
        """
        next_id = _NO_ROW if place.next_id is None else place.next_id
        body = query + sight + _NUMBERS.pack(place.since, place.upto, place.at, next_id) + epoch.encode()
        sealed = self._cipher.seal(body, _TOKENS, "")
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def read(self, token: str, query: bytes) -> tuple[str, bytes, Place]:
        """Return epoch, sight and place of a token.

        Raises:
            InvalidRequest: PAGE_TOKEN_MALFORMED, or PAGE_TOKEN_OTHER_QUERY when it was made for another query.
        """
        try:
            body = self._opened(token)
        except (ValueError, CloudspanError):  # not base64, cut, altered, under a key that is gone
            text = (
                "invalid resume_token: it was not issued here, or was cut or changed; send resume_token exactly as it "
                "came, or leave it out to begin with the resources as they are"
            )
            raise _refused(text, "PAGE_TOKEN_MALFORMED") from None
        if body[:DIGEST_BYTES] != query:
            text = (
                "resume_token was made for another watch; keep parent, collections, filter, tenant and x-pool as they "
                "were, or leave resume_token out to begin with the resources as they are"
            )
            raise _refused(text, "PAGE_TOKEN_OTHER_QUERY")
        since, upto, at, next_id = _NUMBERS.unpack_from(body, 2 * DIGEST_BYTES)
        epoch = body[2 * DIGEST_BYTES + _NUMBERS.size :].decode()
        return epoch, body[DIGEST_BYTES : 2 * DIGEST_BYTES], Place(since, upto, at, None if next_id < 0 else next_id)

    def _opened(self, token: str) -> bytes:
        if len(token) > _MAX_TOKEN:
            raise binascii.Error("too long")
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return self._cipher.open(sealed, _TOKENS, "")


def _refused(text: str, reason: str) -> InvalidRequest:
    return InvalidRequest(text, reason=reason, violations=[Violation("resume_token", text)])
