"""Page sizes and page tokens: a token gives its cursor back, and is refused when changed or for another query."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudspan.v1 import server_pb2
from cloudspan_common.errors import InvalidRequest
from cloudspan_common.listing.page_token import decode_token, effective_page_size, encode_token, hash_query

HASH = b"12345678"


@pytest.mark.parametrize(("asked", "effective"), [(0, 100), (1, 1), (1000, 1000), (5000, 1000)])
def test_page_sizes_have_a_default_and_a_ceiling(asked: int, effective: int) -> None:
    """100 when none is asked, 1000 at most."""
    assert effective_page_size(asked) == effective


def test_a_negative_page_size_is_refused() -> None:
    """The message says what to give."""
    with pytest.raises(InvalidRequest, match="page_size is -1; give 1 to 1000") as refused:
        effective_page_size(-1)
    assert refused.value.reason == "NEGATIVE_PAGE_SIZE"


@given(st.text(max_size=200))
def test_a_token_gives_its_cursor_back(cursor: str) -> None:
    """Any text of a platform survives, and the token fits in a URL."""
    token = encode_token(HASH, cursor)
    assert decode_token(token, HASH) == cursor
    assert token.replace("-", "").replace("_", "").isalnum()


def test_no_token_is_the_start() -> None:
    """An empty token has the empty cursor."""
    assert decode_token("", HASH) == ""


def test_a_token_of_another_query_is_refused() -> None:
    """The message says what must stay and what may change."""
    with pytest.raises(InvalidRequest, match=r"keep parent, filter.*page_size may change") as refused:
        decode_token(encode_token(b"87654321", "x"), HASH)
    assert refused.value.reason == "PAGE_TOKEN_OTHER_QUERY"
    assert refused.value.violations[0].field == "page_token"


_GOOD = encode_token(HASH, "cursor-1")
_NEWER = base64.urlsafe_b64encode(b"\x02" + base64.urlsafe_b64decode(_GOOD + "==")[1:]).decode()


@pytest.mark.parametrize(
    "token", ["x", "!!!", "ä", _GOOD[:-3], _GOOD + "AA", "B" + _GOOD[1:], _NEWER, "AQ", _GOOD + "\n"]
)
def test_a_token_that_is_not_whole_is_refused(token: str) -> None:
    """Cut, lengthened, of another version or no token at all."""
    with pytest.raises(InvalidRequest) as refused:
        decode_token(token, HASH)
    assert refused.value.reason == "PAGE_TOKEN_MALFORMED"


@given(st.text(max_size=60))
def test_no_text_as_token_does_more_than_be_refused(token: str) -> None:
    """Only InvalidRequest comes of any other token."""
    if token:
        with pytest.raises(InvalidRequest):
            decode_token(token, HASH)


def test_the_hash_of_a_query_ignores_only_page_size_and_token() -> None:
    """All else of a request must stay as it was during a traversal."""
    request = server_pb2.ListServersRequest
    base = hash_query("m", request(parent="p"))
    assert hash_query("m", request(parent="p", page_size=5, page_token="t")) == base
    others = [request(parent="q"), request(parent="p", filter="x"), request(parent="p", order_by="x")]
    others += [request(parent="p", view=2), request(parent="p", read_mask={"paths": ["name"]})]
    assert len({base, hash_query("n", request(parent="p")), *(hash_query("m", other) for other in others)}) == 7
