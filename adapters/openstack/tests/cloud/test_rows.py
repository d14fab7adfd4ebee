"""What answers say beside their rows: read the same whether they are decoded whole or row by row."""

from __future__ import annotations

import msgspec
import pytest

from cloudspan_openstack.cloud.rows import Collection, decode_each, decode_whole
from cloudspan_openstack.identity.projects import ProjectRow

PROJECTS = Collection("projects", ProjectRow)
NEXT = [{"rel": "next", "href": "x"}]


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({}, (False, False)),
        ({"projects_links": NEXT}, (True, False)),
        ({"truncated": True}, (False, True)),
        ({"truncated": False, "projects_links": []}, (False, False)),
    ],
)
def test_an_answer_says_whether_it_goes_on_and_whether_it_is_cut(
    beside: dict[str, object], expected: tuple[bool, bool]
) -> None:
    """By its links, and by Keystone's `truncated`."""
    body = {"projects": [{"id": "a"}, {"id": "b"}], **beside}
    whole = decode_whole(PROJECTS, msgspec.json.encode(body))
    each = decode_each(PROJECTS, body, full=False)
    for answer in (whole, each):
        assert ((answer.has_next, answer.is_cut), answer.count, answer.last_id) == (expected, 2, "b")


def test_glances_one_link_leads_on() -> None:
    """It stands in `next`, bare."""
    body = {"projects": [{"id": "a"}], "next": "/v2/images?marker=a"}
    assert decode_each(PROJECTS, body, full=True).has_next
