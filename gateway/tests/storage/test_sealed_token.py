"""Sealed tokens: good for one query of one kind at gateways with the key, and told apart by nobody else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudspan_common.errors import InvalidRequest
from cloudspan_gateway.storage.cipher import Cipher
from cloudspan_gateway.storage.sealed_token import DIGEST_BYTES, SealedTokens

CIPHER = Cipher.new()
TOKENS = SealedTokens(CIPHER, "places", "resume_token", "leave it out")
QUERY = b"q" * DIGEST_BYTES


@given(st.binary(max_size=200), st.binary(min_size=DIGEST_BYTES, max_size=DIGEST_BYTES))
def test_what_was_sealed_comes_back(body: bytes, query: bytes) -> None:
    """In letters that a URL takes."""
    token = TOKENS.token(query, body)
    assert TOKENS.read(token, query) == body
    assert token.replace("-", "").replace("_", "").isalnum()


def test_two_tokens_of_one_place_are_not_alike() -> None:
    """Whoever compares them learns nothing of whether anything has happened."""
    assert TOKENS.token(QUERY, b"1") != TOKENS.token(QUERY, b"1")


@given(st.text(max_size=60) | st.binary(max_size=60).map(bytes.hex) | st.just("A" * 5000))
def test_what_was_not_issued_is_refused_with_the_fields_name(token: str) -> None:
    with pytest.raises(InvalidRequest, match=r"invalid resume_token.*or leave it out") as refused:
        TOKENS.read(token, QUERY)
    assert refused.value.reason == "PAGE_TOKEN_MALFORMED"
    assert refused.value.violations[0].field == "resume_token"


@given(st.integers(0, 10_000))
def test_one_changed_character_makes_it_none(place: int) -> None:
    token = TOKENS.token(QUERY, b"body")
    at = place % (len(token) - 1)  # of the last one some bits say nothing
    other = "B" if token[at] == "A" else "A"
    with pytest.raises(InvalidRequest):
        TOKENS.read(token[:at] + other + token[at + 1 :], QUERY)


def test_a_token_of_another_query_kind_or_installation_is_refused() -> None:
    """Only that of another query is told from one that is none."""
    token = TOKENS.token(QUERY, b"body")
    with pytest.raises(InvalidRequest, match="made for another request") as refused:
        TOKENS.read(token, b"x" * DIGEST_BYTES)
    assert refused.value.reason == "PAGE_TOKEN_OTHER_QUERY"
    for others in (SealedTokens(CIPHER, "pages", "f", "o"), SealedTokens(Cipher.new(), "places", "f", "o")):
        with pytest.raises(InvalidRequest, match="invalid f"):
            others.read(token, QUERY)
