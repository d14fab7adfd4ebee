"""`order_by`: fields and directions, checked against what a cluster can sort by."""

from __future__ import annotations

import pytest

from cloudspan_common.errors import InvalidRequest
from cloudspan_common.listing.order import parse_order


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", ()),
        (" ", ()),
        ("name", (("name", False),)),
        ("create_time desc, name asc", (("create_time", True), ("name", False))),
    ],
)
def test_an_order_is_read_as_fields_and_directions(text: str, order: tuple[tuple[str, bool], ...]) -> None:
    """AIP-132's form."""
    assert parse_order(text, ("name", "create_time")) == order


@pytest.mark.parametrize(
    ("text", "sortable", "reason", "part"),
    [
        ("vcpus", ("name",), "UNSORTABLE_FIELD", "can sort by: name"),
        ("name", (), "UNSORTABLE_FIELD", "can sort by: nothing"),
        ("name down", ("name",), "MALFORMED_ORDER", "'name down'"),
        ("name,", ("name",), "MALFORMED_ORDER", "''"),
    ],
)
def test_an_order_that_the_cluster_cannot_give_is_refused(
    text: str, sortable: tuple[str, ...], reason: str, part: str
) -> None:
    """Never ignored: a list in another order than asked is a wrong answer."""
    with pytest.raises(InvalidRequest, match=part) as refused:
        parse_order(text, sortable)
    assert refused.value.reason == reason
