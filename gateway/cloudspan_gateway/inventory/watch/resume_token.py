"""The place of a watch in the changes, and the token that a caller brings back to go on from there.

Encrypted: the numbers in it would show how much changes in other tenants' clusters, and ids that nobody was shown.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cloudspan_common.errors import CloudspanError, InvalidRequest, Violation

if TYPE_CHECKING:
    from cloudspan_gateway.storage.cipher import Cipher

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


class _Body(msgspec.Struct, array_like=True):
    epoch: str
    query: bytes
    sight: bytes
    place: Place


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
            query: A digest of what is watched, and for whom.
            sight: A digest of the clusters and projects that the watch has seen.
            place: How far it has come.
        """
        body = msgspec.msgpack.encode(_Body(epoch, query, sight, place))
        sealed = self._cipher.seal(body, _TOKENS, "")
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def read(self, token: str, query: bytes) -> tuple[str, bytes, Place]:
        """Return epoch, sight and place of a token.

        Raises:
            InvalidRequest: PAGE_TOKEN_MALFORMED, or PAGE_TOKEN_OTHER_QUERY when it was made for another query.
        """
        try:
            body = self._opened(token)
        except (ValueError, msgspec.MsgspecError, CloudspanError):  # not base64, cut, altered, under a key that is gone
            text = (
                "invalid resume_token: it was not issued here, or was cut or changed; send resume_token exactly as it "
                "came, or leave it out to begin with the resources as they are"
            )
            raise _refused(text, "PAGE_TOKEN_MALFORMED") from None
        if body.query != query:
            text = (
                "resume_token was made for another watch; keep parent, collections, filter, tenant and x-pool as they "
                "were, or leave resume_token out to begin with the resources as they are"
            )
            raise _refused(text, "PAGE_TOKEN_OTHER_QUERY")
        return body.epoch, body.sight, body.place

    def _opened(self, token: str) -> _Body:
        if len(token) > _MAX_TOKEN:
            raise binascii.Error("too long")
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(self._cipher.open(sealed, _TOKENS, ""), type=_Body)


def _refused(text: str, reason: str) -> InvalidRequest:
    return InvalidRequest(text, reason=reason, violations=[Violation("resume_token", text)])
