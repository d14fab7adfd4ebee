"""Resume tokens: what they hold comes back, and nobody else learns or makes it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.inventory.watch.resume_token import Place, ResumeTokens
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.sealed_token import DIGEST_BYTES

QUERY, SIGHT = b"q" * DIGEST_BYTES, b"s" * DIGEST_BYTES
TOKENS = ResumeTokens(Cipher.new())
numbers = st.integers(0, 2**63 - 1)


@given(numbers, numbers, numbers, st.none() | numbers)
def test_a_place_comes_back_as_it_was(since, upto, at, next_id):
    """Whatever its numbers; tokens are all as long, so that their length tells nothing of them."""
    place = Place(since, upto, at, next_id)
    token = TOKENS.token("epoch", QUERY, SIGHT, place)
    assert TOKENS.read(token, QUERY) == ("epoch", SIGHT, place)
    assert len(token) == len(TOKENS.token("epoch", QUERY, SIGHT, Place.live(0)))


@given(st.text(max_size=60) | st.binary(max_size=60).map(bytes.hex))
def test_what_was_not_issued_is_refused(token):
    """Never another error, whatever it is."""
    with pytest.raises(InvalidRequest) as refused:
        TOKENS.read(token, QUERY)
    assert refused.value.reason == "PAGE_TOKEN_MALFORMED"


def test_a_token_of_another_installation_or_another_watch_is_refused():
    """The one can't be read, the other is not this watch's."""
    token = TOKENS.token("epoch", QUERY, SIGHT, Place.live(7))
    with pytest.raises(InvalidRequest, match="invalid resume_token"):
        ResumeTokens(Cipher.new()).read(token, QUERY)
    with pytest.raises(InvalidRequest, match="made for another request") as refused:
        TOKENS.read(token, b"x" * DIGEST_BYTES)
    assert refused.value.reason == "PAGE_TOKEN_OTHER_QUERY"
    assert repr(TOKENS) == "<ResumeTokens>"
