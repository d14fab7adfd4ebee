"""The place of a watch in the changes, and the token that a caller brings back to go on from there.

Encrypted: the numbers in it would show how much changes in other tenants' clusters, and ids that nobody was shown.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from cloudspan_gateway.storage.sealed_token import DIGEST_BYTES, SealedTokens

if TYPE_CHECKING:
    from cloudspan_gateway.storage.cipher import Cipher


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
        otherwise = "leave it out to begin with the resources as they are"
        self._sealed = SealedTokens(cipher, "resume tokens", "resume_token", otherwise)

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
        numbers = _NUMBERS.pack(place.since, place.upto, place.at, next_id)
        return self._sealed.token(query, sight + numbers + epoch.encode())

    def read(self, token: str, query: bytes) -> tuple[str, bytes, Place]:
        """Return epoch, sight and place of a token.

        Raises:
            InvalidRequest: PAGE_TOKEN_MALFORMED, or PAGE_TOKEN_OTHER_QUERY when it was made for another query.
        """
        body = self._sealed.read(token, query)
        since, upto, at, next_id = _NUMBERS.unpack_from(body, DIGEST_BYTES)
        epoch = body[DIGEST_BYTES + _NUMBERS.size :].decode()
        return epoch, body[:DIGEST_BYTES], Place(since, upto, at, None if next_id < 0 else next_id)
