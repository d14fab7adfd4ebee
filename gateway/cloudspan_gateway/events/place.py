"""The place of a follower in the events, and the token that it brings back to go on from there."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from cloudspan_gateway.storage.sealed_token import SealedTokens

if TYPE_CHECKING:
    from cloudspan_gateway.storage.cipher import Cipher

_NUMBER = struct.Struct(">q")  # always as long: the length of a token tells nothing of how large it is


class Place(NamedTuple):
    """Everything up to a number was looked through."""

    sequence: int
    epoch: str
    """Of `change_sequence`."""


class PlaceTokens:
    """Makes tokens and reads them: good for one query of one tenant, at every gateway of the installation."""

    def __init__(self, cipher: Cipher, field: str) -> None:
        """Take the field that the tokens come in: `resume_token`, `page_token`."""
        self._sealed = SealedTokens(cipher, f"places of events in {field}", field, "leave it out to begin anew")

    def __repr__(self) -> str:
        return f"<PlaceTokens by {self._sealed!r}>"

    def token(self, query: bytes, place: Place) -> str:
        """Return the token of a place; `query` is a digest of `DIGEST_BYTES` of what is followed and for whom."""
        return self._sealed.token(query, _NUMBER.pack(place.sequence) + place.epoch.encode())

    def read(self, token: str, query: bytes) -> Place:
        """Return the place of a token. Raises InvalidRequest as `SealedTokens.read`."""
        body = self._sealed.read(token, query)
        (sequence,) = _NUMBER.unpack_from(body)
        return Place(sequence, body[_NUMBER.size :].decode())
