"""What of a filter a cloud applies itself: only equalities that it can be asked for, in its own words."""

from __future__ import annotations

import pytest

from cloudspan.v1 import volume_pb2
from cloudspan_common.listing.filter_ast import Filter
from cloudspan_common.names import ClusterRef
from cloudspan_kit import Query, push

EAST = ClusterRef("acme", "east")
TABLE = {
    "display_name": push.text("name"),
    "state": push.word("status", {"IN_USE": "in-use"}),
    "bootable": push.words({"true": ("bootable=1", ("root", "yes"))}),
    "zone": push.ref("az", "zones"),
}


def pushed(text: str) -> list[push.Condition]:
    return push.pushed(Query(Filter.parse(text, volume_pb2.Volume.DESCRIPTOR), 10), EAST, TABLE)


@pytest.mark.parametrize(
    ("text", "conditions"),
    [
        ("", []),
        ('display_name = "a" AND state = IN_USE', [("name", "a"), ("status", "in-use")]),
        ("bootable = true", ["bootable=1", ("root", "yes")]),
        (f'zone = "{EAST}/zones/a%2Fb"', [("az", "a/b")]),
    ],
)
def test_equalities_are_asked_for_in_the_clouds_words(text: str, conditions: list[push.Condition]) -> None:
    assert pushed(text) == conditions


@pytest.mark.parametrize(
    "text",
    [
        'display_name = "a*"',
        'display_name != "a"',
        'display_name = ""',
        'display_name = "a" OR display_name = "b"',
        "state = ERROR",
        "bootable = false",
        'zone = "platforms/acme/clusters/west/zones/a"',
        "size_bytes > 1",
    ],
)
def test_what_can_not_be_asked_for_is_not_pushed(text: str) -> None:
    """The kit applies the whole filter anyway; a push that lets too little through would lose rows."""
    assert pushed(text) == []
